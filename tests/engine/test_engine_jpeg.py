"""JPEG: pixels equal Pillow's, at full and at half size, since both ask libjpeg-turbo for the same arithmetic.

The accurate integer DCT and the triangle upsampling of chroma are defined bit by bit, in every version of the library.
"""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import decode_image, read_header
from medshard.errors import DecodeError

SIZES = [(1, 1), (1, 7), (7, 1), (17, 31), (64, 48), (33, 16), (8, 9)]


def picture(size: tuple[int, int], channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Waves with grain, so that all coefficients take part."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = 127 + 60 * np.sin(x / 5.0) + 50 * np.cos(y / 7.0)
    grain = np.random.default_rng(seed).normal(0, 20, (*size, channels))
    values = np.clip(waves[..., None] + grain, 0, 255).astype(np.uint8)
    return values[..., 0] if channels == 1 else values


def jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def by_pillow(stream: bytes, *, half: bool = False) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(stream)) as image:
        if half:
            image.draft(None, (image.width // 2, image.height // 2))
        return np.asarray(image)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_equal_pillow(channels: int, subsampling: int, progressive: bool) -> None:
    for size, quality in itertools.product(SIZES, (30, 75, 100)):
        stream = jpeg(
            picture(size, channels, quality), quality=quality, subsampling=subsampling, progressive=progressive
        )
        assert np.array_equal(decode_image(stream), by_pillow(stream)), (size, quality)
        told = read_header(stream)
        assert (told.format, told.height, told.width, told.channels, told.bits, told.progressive) == (
            *("jpeg", *size, channels, 8),
            progressive,
        )


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_half_size_equals_pillows_draft(channels: int, subsampling: int) -> None:
    for size, progressive in itertools.product(((2, 2), (17, 31), (64, 48), (33, 16), (8, 9)), (False, True)):
        stream = jpeg(picture(size, channels), quality=85, subsampling=subsampling, progressive=progressive)
        halved = decode_image(stream, reduce=2)
        assert halved.shape[:2] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
        assert np.array_equal(halved, by_pillow(stream, half=True))


def test_half_size_of_one_line_keeps_a_pixel() -> None:
    for size in ((1, 1), (1, 7), (7, 1)):
        halved = decode_image(jpeg(picture(size, 3), quality=95), reduce=2)
        assert halved.shape == ((size[0] + 1) // 2, (size[1] + 1) // 2, 3)


def test_half_size_is_near_the_mean_of_four_pixels() -> None:
    pixels = picture((96, 80), 1)
    stream = jpeg(pixels, quality=100)
    means = decode_image(stream).astype(float).reshape(48, 2, 40, 2).mean((1, 3))
    error = decode_image(stream, reduce=2) - means
    # The DCT cuts at half the frequency, the mean rolls off earlier: grain of deviation 20 leaves a small difference.
    assert np.sqrt((error**2).mean()) < 6
    smooth = np.add.outer(np.arange(96), np.arange(80)).astype(np.uint8)
    stream = jpeg(smooth, quality=100)
    means = decode_image(stream).astype(float).reshape(48, 2, 40, 2).mean((1, 3))
    assert abs(decode_image(stream, reduce=2) - means).max() <= 1.5  # a slope has no place for another phase


def test_restart_markers_and_optimised_tables_change_nothing() -> None:
    pixels = picture((40, 56), 3)
    plain = decode_image(jpeg(pixels, quality=80))
    assert np.array_equal(decode_image(jpeg(pixels, quality=80, restart_marker_blocks=1)), plain)
    assert np.array_equal(decode_image(jpeg(pixels, quality=80, optimize=True)), plain)
    assert np.array_equal(decode_image(jpeg(pixels, quality=80, progressive=True)), plain)


def test_metadata_segments_and_bytes_after_the_end_change_nothing() -> None:
    pixels = picture((24, 40), 3)
    bare = jpeg(pixels, quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter: the engine gives stored rows, turning is the reader's
    told = jpeg(pixels, quality=80, exif=exif, comment=b"x" * 60000, dpi=(72, 72))
    assert np.array_equal(decode_image(told), decode_image(bare))
    assert np.array_equal(decode_image(bare + b"\0" * 999), decode_image(bare))


def test_any_bytes_like_object_is_read_in_place() -> None:
    stream = jpeg(picture((9, 9), 3))
    expected = decode_image(stream)
    for form in (bytearray(stream), memoryview(stream), np.frombuffer(stream, np.uint8)):
        assert np.array_equal(decode_image(form), expected)
    with pytest.raises((TypeError, BufferError)):
        decode_image(stream.decode("latin-1"))  # type: ignore[arg-type]


def test_kinds_that_are_not_decoded_are_named() -> None:
    twelve = bytearray(jpeg(picture((8, 8), 1)))
    twelve[twelve.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(DecodeError, match=r"JPEG: .*(8 bits|precision 12)"):
        decode_image(bytes(twelve))
    for neither in (b"", b"\xff\xd8", b"GIF89a" + b"\0" * 50, b"\x89PNG"):
        with pytest.raises(DecodeError, match="neither a JPEG nor a PNG"):
            decode_image(neither)


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def many_scans(size: int, scans: int) -> bytes:
    """A valid progressive grey JPEG whose every scan says nothing: one code of one bit, for a zero."""
    blocks = (size // 8) ** 2
    nothing = b"\0" * (blocks // 8) + (bytes([0xFF >> blocks % 8]) if blocks % 8 else b"")
    parts = [b"\xff\xd8", segment(0xDB, b"\0" + b"\1" * 64)]
    parts.append(segment(0xC2, struct.pack(">BHHBBBB", 8, size, size, 1, 1, 0x11, 0)))
    parts += [segment(0xC4, bytes([table, 1, *[0] * 15, 0])) for table in (0x00, 0x10)]
    steps = [(0, 0, 0, 0)]
    steps += [(k, k, high, low) for high, low in ((0, 2), (2, 1), (1, 0)) for k in range(1, 64)]
    for first, last, high, low in steps[:scans]:
        parts += [segment(0xDA, bytes([1, 1, 0, first, last, high << 4 | low])), nothing]
    return b"".join([*parts, b"\xff\xd9"])


def test_scans_without_end_are_refused() -> None:
    stream = many_scans(32, 100)
    assert np.array_equal(decode_image(stream), np.full((32, 32), 128))
    assert np.array_equal(by_pillow(stream), np.full((32, 32), 128))
    with pytest.raises(DecodeError, match="more than 100 scans"):
        decode_image(many_scans(32, 101))


def test_real_files_equal_pillow(shared: Path) -> None:
    folders = ["bccd", "figure1_covid_cxr", "kvasir_seg_mini", "pocus_video", "rbc_coco", "vqa_rad"]
    paths = sorted(path for folder in folders for path in (shared / "data" / folder).rglob("*.jpg"))
    assert len(paths) > 500
    for path in paths[::6]:
        stream = path.read_bytes()
        assert np.array_equal(decode_image(stream), by_pillow(stream)), path.name
        assert np.array_equal(decode_image(stream, reduce=2), by_pillow(stream, half=True)), path.name
