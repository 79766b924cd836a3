"""DICOM files to Hounsfield units: medshard's engine beside what people use instead, one thread each.

    python benchmarks/dicom_decode.py [--json] [--seconds 20] [--slices 200] [--only rle]

CT-like slices of 512 x 512 are written in five transfer syntaxes into a temporary folder. Each contestant takes paths
and gives int16 arrays of Hounsfield units; every value of every slice must be equal before anything is timed. What
is told is seconds of the processor: each works in one thread on cached files, and others' work disturbs that less. The
compressed files need imagecodecs to be written; peers that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from interleaved import Rates, race, versions
from machine import machine
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder

from medshard.engine import features, read_dicom_frames

EDGE = 512
INTERCEPT = -1024
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

SYNTAXES = {
    "raw": uid.ExplicitVRLittleEndian,
    "rle": uid.RLELossless,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg-2000": uid.JPEG2000Lossless,
    "jpeg-lossless": uid.JPEGLosslessSV1,
}

Slice = NDArray[np.int16]
Reader = Callable[[Sequence[Path]], list[Slice]]


def paint(count: int) -> Iterator[NDArray[np.uint16]]:
    """Stored values, 12 bits: a body with soft tissue, lungs and spine, a scanner's correlated noise, air around it."""
    rng = np.random.default_rng(7000)
    y, x = np.mgrid[:EDGE, :EDGE].astype(np.float32) / EDGE
    body = ((x - 0.5) / 0.42) ** 2 + ((y - 0.5) / 0.32) ** 2 < 1
    lung = (((np.abs(x - 0.5) - 0.17) / 0.12) ** 2 + ((y - 0.48) / 0.2) ** 2 < 1) & body
    spine = ((x - 0.5) / 0.05) ** 2 + ((y - 0.72) / 0.06) ** 2 < 1
    outside = (x - 0.5) ** 2 + (y - 0.5) ** 2 > 0.25
    for _ in range(count):
        coarse = Image.fromarray(rng.standard_normal((24, 24)).astype(np.float32))
        texture = np.asarray(coarse.resize((EDGE, EDGE), Image.Resampling.BICUBIC)) / 3
        white = rng.standard_normal((EDGE + 2, EDGE + 2)).astype(np.float32)
        rows = 0.24 * white[:-2] + 0.52 * white[1:-1] + 0.24 * white[2:]
        noise = 0.24 * rows[:, :-2] + 0.52 * rows[:, 1:-1] + 0.24 * rows[:, 2:]
        values = np.where(body, 45 + 90 * texture, -1000)
        values = np.where(lung, -830 + 220 * texture, values)
        values = np.where(spine, 420 + 400 * texture, values) + np.where(body, 28, 10) * noise
        values[outside] = INTERCEPT
        yield (np.clip(np.rint(values), -1024, 3071) - INTERCEPT).astype(np.uint16)


def described(stored: NDArray[np.uint16], number: int, syntax: str) -> Dataset:
    """A CT slice without pixels."""
    slice_ = Dataset()
    slice_.file_meta = FileMetaDataset()
    slice_.file_meta.TransferSyntaxUID = syntax
    slice_.SOPClassUID = slice_.file_meta.MediaStorageSOPClassUID = CT_IMAGE_STORAGE
    slice_.SOPInstanceUID = slice_.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.5.{number + 1}"
    slice_.StudyInstanceUID = slice_.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.5"
    slice_.Modality, slice_.PatientName, slice_.PatientID = "CT", "none", "none"
    slice_.InstanceNumber, slice_.ImagePositionPatient = number + 1, [0, 0, number]
    slice_.ImageOrientationPatient, slice_.PixelSpacing, slice_.SliceThickness = [1, 0, 0, 0, 1, 0], [0.8, 0.8], 1
    slice_.Rows, slice_.Columns = stored.shape
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit, slice_.PixelRepresentation = 16, 12, 11, 0
    slice_.RescaleSlope, slice_.RescaleIntercept = 1, INTERCEPT
    return slice_


def encode(stored: NDArray[np.uint16], name: str) -> bytes:
    if name == "rle":
        return packbits_frame(stored)
    import imagecodecs

    if name == "jpeg-ls":
        return bytes(imagecodecs.jpegls_encode(stored))
    if name == "jpeg-2000":
        options = {"level": 0, "reversible": True, "codecformat": "j2k", "bitspersample": 12}
        return bytes(imagecodecs.jpeg2k_encode(stored, **options))
    return bytes(imagecodecs.ljpeg_encode(stored, bitspersample=12))


def packbits_frame(stored: NDArray[np.uint16]) -> bytes:
    """PS3.5 annex G, row by row, runs of three or more."""
    segments = [
        b"".join(packbits(row) for row in plane)
        for plane in ((stored >> 8).astype(np.uint8), (stored & 255).astype(np.uint8))
    ]
    offsets = [2, 64, 64 + len(segments[0]), *([0] * 13)]
    return np.array(offsets, "<u4").tobytes() + b"".join(segments)


def packbits(row: NDArray[np.uint8]) -> bytes:
    ends = np.flatnonzero(np.append(row[1:] != row[:-1], True)) + 1
    out, literal, begin = bytearray(), bytearray(), 0

    def flush() -> None:
        for at in range(0, len(literal), 128):
            piece = literal[at : at + 128]
            out.append(len(piece) - 1)
            out.extend(piece)
        literal.clear()

    for end in ends.tolist():
        value, length = int(row[begin]), end - begin
        if length < 3:
            literal.extend([value] * length)
        else:
            flush()
            for at in range(0, length, 128):
                count = min(128, length - at)
                out.extend((257 - count, value) if count > 1 else (0, value))
        begin = end
    flush()
    return bytes(out)


def write_slices(folder: Path, name: str, stored: Sequence[NDArray[np.uint16]]) -> list[Path]:
    folder.mkdir()
    paths = []
    for number, values in enumerate(stored):
        slice_ = described(values, number, SYNTAXES[name])
        if name == "raw":
            slice_.add_new("PixelData", "OW", values.tobytes())
        else:
            slice_.add_new("PixelData", "OB", encapsulate([encode(values, name)]))
            slice_["PixelData"].is_undefined_length = True
        paths.append(folder / f"{number:04d}.dcm")
        slice_.save_as(paths[-1], enforce_file_format=True)
    return paths


# -- contestants -----------------------------------------------------------------------------------------------------


def of_medshard(paths: Sequence[Path]) -> list[Slice]:
    return [read_dicom_frames(path.read_bytes(), rescale=True)[0] for path in paths]


def of_pydicom(plugin: str) -> Reader:
    def read(paths: Sequence[Path]) -> list[Slice]:
        slices = []
        for path in paths:
            dataset = pydicom.dcmread(path)
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
            values, _ = decoder.as_array(dataset, decoding_plugin=plugin)
            slices.append(values.astype(np.int16) + np.int16(dataset.RescaleIntercept))
        return slices

    return read


def of_imagecodecs(name: str) -> Reader:
    import imagecodecs

    decode = {
        "jpeg-ls": imagecodecs.jpegls_decode,
        "jpeg-2000": imagecodecs.jpeg2k_decode,
        "jpeg-lossless": imagecodecs.ljpeg_decode,
    }.get(name)

    def read(paths: Sequence[Path]) -> list[Slice]:
        slices = []
        for path in paths:
            dataset = pydicom.dcmread(path)
            if decode is None:
                values = np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns)
            else:
                values = decode(get_frame(dataset.PixelData, 0, number_of_frames=1))
            slices.append(values.astype(np.int16) + np.int16(dataset.RescaleIntercept))
        return slices

    return read


def of_dicomsdl() -> Reader:
    import dicomsdl

    def read(paths: Sequence[Path]) -> list[Slice]:
        slices = []
        for path in paths:
            dataset = dicomsdl.open(str(path))
            intercept = np.int16(dataset.RescaleIntercept)
            slices.append(dataset.pixelData(storedvalue=True).astype(np.int16) + intercept)
        return slices

    return read


def of_simpleitk() -> Reader:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

    def read(paths: Sequence[Path]) -> list[Slice]:
        image = SimpleITK.ReadImage([str(path) for path in paths])
        return list(SimpleITK.GetArrayViewFromImage(image).astype(np.int16))

    return read


def peers(name: str) -> tuple[dict[str, Reader], dict[str, str]]:
    """Those that are there, and why others are not."""
    makers: dict[str, Callable[[], Reader]] = {
        "dicomsdl": of_dicomsdl,
        "SimpleITK": of_simpleitk,
    }
    if name == "raw":
        makers["pydicom"] = lambda: of_pydicom("")
    else:
        for plugin in ("pylibjpeg", "gdcm"):
            makers[f"pydicom + {plugin}"] = lambda plugin=plugin: of_pydicom(plugin)
    if name != "rle":
        makers["pydicom + imagecodecs"] = lambda: of_imagecodecs(name)
    found, absent = {}, {}
    for peer, make in makers.items():
        try:
            found[peer] = make()
        except ImportError as error:
            absent[peer] = f"not installed ({error.name})"
    return found, absent


def working(
    readers: Mapping[str, Reader], paths: Sequence[Path], wanted: Sequence[Slice]
) -> tuple[dict[str, Reader], dict[str, str]]:
    """Readers whose result is exact for every slice, and what is wrong with the others."""
    right, wrong = {}, {}
    for name, read in readers.items():
        try:
            got = read(paths)
        except Exception as error:  # noqa: BLE001 - a peer without this codec says so in its own way
            wrong[name] = f"does not decode it ({type(error).__name__})"
            continue
        if all(one.dtype == np.int16 and np.array_equal(one, other) for one, other in zip(got, wanted, strict=True)):
            right[name] = read
        else:
            wrong[name] = "gives other values"
    return right, wrong


def measure(
    name: str, paths: Sequence[Path], wanted: Sequence[Slice], seconds: float
) -> tuple[Rates, dict[str, str], int]:
    found, absent = peers(name)
    readers, wrong = working({"medshard": of_medshard, **found}, paths, wanted)
    if "medshard" not in readers:
        raise SystemExit(f"{name}: medshard {wrong['medshard']}")
    share = max(1, min(len(paths), 10 if name == "jpeg-2000" else 20 if name.startswith("jpeg") else 50))

    def contestant(read: Reader) -> Callable[[], tuple[int, float]]:
        rounds = itertools.cycle(range(0, len(paths) - share + 1, share))

        def once() -> tuple[int, float]:
            first = next(rounds)
            chosen = paths[first : first + share]
            begin = time.process_time()
            read(chosen)
            return share, time.process_time() - begin

        return once

    contestants = {peer: contestant(read) for peer, read in readers.items()}
    return race(contestants, budget_s=seconds, least_rounds=5, most_rounds=25), absent | wrong, share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="everything, for keeping")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each transfer syntax")
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--only", default="", help="part of a syntax's name")
    options = parser.parse_args()
    stored = list(paint(options.slices))
    wanted = [values.astype(np.int16) + np.int16(INTERCEPT) for values in stored]
    told: dict[str, Any] = {"machine": machine(), "engine": features()}
    told["versions"] = versions(
        *("numpy", "pydicom", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm"),
        *("dicomsdl", "SimpleITK", "imagecodecs"),
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in SYNTAXES:
            if options.only not in name:
                continue
            try:
                paths = write_slices(Path(folder) / name, name, stored)
            except ImportError as error:
                print(f"{name}: the files cannot be written, {error.name} is not installed")
                continue
            rates, left_out, share = measure(name, paths, wanted, options.seconds)
            size_kb = sum(path.stat().st_size for path in paths) / len(paths) / 1000
            others = [peer for peer in rates.of if peer != "medshard"]
            told[name] = {
                "kb": round(size_kb, 1),
                "slices_a_round": share,
                "rates": dict(rates.of),
                "ratios": {peer: rates.ratio("medshard", peer) for peer in others},
                "left_out": left_out,
            }
            if not options.json:
                show(name, size_kb, rates, left_out)
            with suppress(OSError):
                for path in paths:
                    path.unlink()
    if options.json:
        print(json.dumps(told, indent=1))
    else:
        print(told["machine"], told["versions"], told["engine"]["codecs"], sep="\n")


def show(name: str, size_kb: float, rates: Rates, left_out: Mapping[str, str]) -> None:
    print(f"{name}, {size_kb:.0f} KB a slice: medshard {rates.median('medshard'):.0f} slices a second")
    others = sorted((peer for peer in rates.of if peer != "medshard"), key=rates.median, reverse=True)
    for peer in others:
        ratio = rates.ratio("medshard", peer)
        spread = f"{ratio['median']:.2f} [{ratio['lowest']:.2f}-{ratio['highest']:.2f}]"
        print(f"  {peer:24} {rates.median(peer):7.0f}   medshard / it {spread}")
    for peer, why in left_out.items():
        print(f"  {peer:24} {why}")


if __name__ == "__main__":
    main()
