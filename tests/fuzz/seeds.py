"""Inputs that fuzz targets start from: small streams painted here, pydicom's own files, real files of a named folder.

Of a real file only what a target reads: the frames of DICOM files go to the targets of their codecs.
"""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    RLELossless,
    SecondaryCaptureImageStorage,
)

__all__ = ["write_seeds"]

TARGETS = ("fuzz_jpeg", "fuzz_png", "fuzz_dicom", "fuzz_rle", "fuzz_jpeg_lossless", "fuzz_jpegls", "fuzz_inflate")
_MOST_BYTES = 32 * 1024  # larger ones are slow, and have no other kinds of bytes
_MOST_REAL = 150  # of a target


def _picture(height: int, width: int, channels: int, seed: int) -> NDArray[np.uint8]:
    numbers = np.random.default_rng(seed)
    slope = np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None]
    return ((slope + numbers.integers(0, 40, (height, width, channels))) % 256).astype(np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _jpegs() -> Iterator[bytes]:
    colour, grey = Image.fromarray(_picture(37, 53, 3, 1)), Image.fromarray(_picture(40, 33, 1, 2)[..., 0])
    for image in (grey, colour, colour.convert("CMYK")):
        for progressive in (False, True):
            yield _saved(image, "jpeg", quality=70, progressive=progressive)
    for subsampling in (0, 1, 2):
        yield _saved(colour, "jpeg", quality=90, subsampling=subsampling, restart_marker_blocks=3)
    yield _saved(colour, "jpeg", quality=20, keep_rgb=True)
    yield _saved(grey.resize((1, 65)), "jpeg", optimize=True, comment=b"seed")
    exif = Image.Exif()
    exif[0x0112] = 6
    yield _saved(colour, "jpeg", exif=exif)


def _pngs() -> Iterator[bytes]:
    colour, grey = Image.fromarray(_picture(19, 23, 3, 3)), Image.fromarray(_picture(70, 9, 1, 4)[..., 0])
    for image in (grey, colour, colour.convert("RGBA"), grey.convert("LA"), grey.convert("1")):
        yield _saved(image, "png")
    for colours in (2, 4, 16, 256):
        yield _saved(colour.quantize(colours), "png", transparency=0)
    wide = (_picture(21, 17, 1, 5)[..., 0].astype(np.uint16) << 8) + 7
    yield _saved(Image.fromarray(wide), "png", compress_level=0)
    yield _saved(Image.new("RGB", (300, 200)), "png")


def _dicom_files() -> Iterator[bytes]:
    for bits, channels, compressed in ((8, 1, False), (16, 1, False), (8, 3, False), (8, 1, True), (16, 1, True)):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
        data.Rows, data.Columns, data.SamplesPerPixel = 12, 18, channels
        data.PhotometricInterpretation = "RGB" if channels == 3 else "MONOCHROME2"
        if channels == 3:
            data.PlanarConfiguration = 0
        data.BitsAllocated = data.BitsStored = bits
        data.HighBit, data.PixelRepresentation = bits - 1, 0
        pixels = _picture(12, 18, channels, 6).astype(f"<u{bits // 8}")
        data.PixelData = pixels.tobytes()
        data["PixelData"].VR = "OW" if bits == 16 else "OB"
        if compressed:
            data.compress(RLELossless, pixels[..., 0], generate_instance_uid=False)
        stream = io.BytesIO()
        data.save_as(stream, enforce_file_format=True)
        yield stream.getvalue()


def _packed() -> Iterator[bytes]:
    """Behind the bytes that choose wrapping, limit and hint (fuzz_inflate.cpp)."""
    whole = bytes(range(200)) * 3
    yield b"\xf1\xff\0" + gzip.compress(whole, mtime=0) + gzip.compress(b"x", mtime=0) + b"\0\0"
    yield b"\xf0\xff\x09" + zlib.compress(whole)
    yield b"\x11\x09\0" + gzip.compress(whole, mtime=0)


_PYDICOMS = Path(pydicom.__file__).parent / "data" / "test_files"
_CODECS = {
    **dict.fromkeys((JPEGLossless, JPEGLosslessSV1), "fuzz_jpeg_lossless"),
    **dict.fromkeys(JPEGLSTransferSyntaxes, "fuzz_jpegls"),
    RLELossless: "fuzz_rle",
}


def _frame_input(data: Dataset) -> Iterator[tuple[str, bytes]]:
    """The first frame, to its codec's target; JPEG 2000 has none."""
    syntax = data.file_meta.TransferSyntaxUID
    if not syntax.is_compressed or syntax in JPEG2000TransferSyntaxes or "PixelData" not in data:
        return
    frame = next(generate_frames(data.PixelData, number_of_frames=1))
    if syntax == RLELossless:  # which begins with its numbers of segments and of pixels (fuzz_rle.cpp)
        segments = data.SamplesPerPixel * data.BitsAllocated // 8
        frame = bytes([segments - 1]) + (data.Rows * data.Columns - 1).to_bytes(2, "big") + frame
    yield _CODECS.get(syntax, "fuzz_jpeg"), frame


def _kinds_of(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """(target, input) of a file."""
    if stream[:3] == b"\xff\xd8\xff":
        yield "fuzz_jpeg", stream
    elif stream[:4] == b"\x89PNG":
        yield "fuzz_png", stream
    elif stream[128:132] == b"DICM":
        yield "fuzz_dicom", stream
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield from _frame_input(dcmread(io.BytesIO(stream)))
        except Exception:  # noqa: BLE001 - a damaged file has no frames to give
            return


def _real_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in sorted(files, key=lambda path: path.stat().st_size):
        if path.stat().st_size > 40 * _MOST_BYTES:  # of which a frame may still be small
            break
        stream = path.read_bytes()
        if "pillow_broken" in path.parts:  # made to break decoders: whatever they are, each target sees them
            yield from ((target, stream) for target in TARGETS)
        else:
            yield from _kinds_of(stream)


def write_seeds(folder: Path, real: Path | None = None) -> None:
    """One file an input, in a folder a target.

    Args:
        real: a folder of real files; of each target the first hundred and fifty small ones are taken.
    """
    for target in TARGETS:
        (folder / target).mkdir(parents=True, exist_ok=True)
    painted = [pair for stream in (*_jpegs(), *_pngs(), *_dicom_files()) for pair in _kinds_of(stream)]
    painted += [("fuzz_inflate", stream) for stream in _packed()]
    for number, (target, stream) in enumerate(painted):
        (folder / target / f"painted-{number:03d}").write_bytes(stream)
    for name, place in (("pydicom", _PYDICOMS), ("real", real)):
        taken = dict.fromkeys(TARGETS, 0)
        for target, stream in _real_files(place) if place is not None else ():
            if len(stream) <= _MOST_BYTES and taken[target] < _MOST_REAL:
                (folder / target / f"{name}-{taken[target]:03d}").write_bytes(stream)
                taken[target] += 1
