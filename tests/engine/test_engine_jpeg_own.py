"""The engine's own JPEG decoder against libjpeg-turbo, bit by bit: samplings, sizes, reductions, regions, colours."""

from __future__ import annotations

import importlib.util
import io
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import libjpeg
import numpy as np
import pydicom
import pytest
from jpeg_writer import random_jpeg, segment
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import generate_frames

from medshard import _engine
from medshard.engine import decode_image, read_header
from medshard.errors import DecodeError

Box = tuple[int, int, int, int]
Factors = list[tuple[int, int]]

ALL: Box = (0, 0, 0, 0)
AS_MARKED, NONE, YCC = 0, 1, 2
MAX_PIXELS = 1 << 28

FACTORS: dict[str, Factors] = {
    "grey": [(1, 1)],
    "grey, 2x2": [(2, 2)],
    "4:4:4": [(1, 1)] * 3,
    "4:2:2": [(2, 1), (1, 1), (1, 1)],
    "4:2:0": [(2, 2), (1, 1), (1, 1)],
    "4:4:0": [(1, 2), (1, 1), (1, 1)],
    "4:1:1": [(4, 1), (1, 1), (1, 1)],
    "4:1:0": [(4, 2), (1, 1), (1, 1)],
    "2x4": [(2, 4), (1, 1), (1, 1)],
    "1x4": [(1, 4), (1, 1), (1, 1)],
    "3x1": [(3, 1), (1, 1), (1, 1)],
    "each its own": [(2, 2), (2, 1), (1, 2)],
    "chroma finer": [(1, 1), (2, 2), (1, 1)],
    "cmyk": [(1, 1)] * 4,
    "ycck": [(2, 2), (1, 1), (1, 1), (2, 2)],
}
SIZES = [(1, 1), (1, 23), (23, 1), (3, 5), (17, 31), (32, 48), (40, 57)]


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def marks(name: str) -> bytes:
    return {"cmyk": adobe(0), "ycck": adobe(2)}.get(name, b"")


def decoded(
    stream: bytes, *, own: bool, reduce: int = 1, region: Box = ALL, colour: int = AS_MARKED
) -> tuple[Box, NDArray[np.uint8]]:
    return _engine.decode_part(stream, reduce, region, colour, own, MAX_PIXELS)


def assert_equal(stream: bytes, *, reduce: int = 1, region: Box = ALL, colour: int = AS_MARKED) -> None:
    held, ours = decoded(stream, own=True, reduce=reduce, region=region, colour=colour)
    _, theirs = decoded(stream, own=False, reduce=reduce, colour=colour)
    x0, y0, x1, y1 = held
    if region != ALL:
        assert held == region  # libjpeg's path has whole rows from the top: this one was ours
    assert np.array_equal(ours, theirs[y0:y1, x0:x1])


def some_regions(size: tuple[int, int], reduce: int, seed: int) -> Iterator[Box]:
    height, width = -(-size[0] // reduce), -(-size[1] // reduce)
    rng = np.random.default_rng(seed)
    yield (width - 1, height - 1, width, height)
    for _ in range(3):
        x, y = rng.integers(0, width, 2), rng.integers(0, height, 2)
        yield (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)


@pytest.mark.parametrize("name", FACTORS)
def test_every_sampling_size_reduction_and_region(name: str) -> None:
    for size, interval in itertools.product(SIZES, (0, 1, 3)):
        stream = random_jpeg(
            size, FACTORS[name], seed=sum(size), restart_interval=interval, before=marks(name), amplitude=60
        )
        for reduce in (1, 2, 4):
            assert_equal(stream, reduce=reduce)
            for region in some_regions(size, reduce, seed=interval):
                assert_equal(stream, reduce=reduce, region=region)


@pytest.mark.parametrize("name", ["grey", "4:2:0", "4:4:4"])
def test_extreme_coefficients(name: str) -> None:
    """Overflow of 16-bit intermediates and clipping, as hostile or very contrasted pictures have."""
    for amplitude in (300.0, 3000.0):
        stream = random_jpeg((48, 64), FACTORS[name], seed=3, amplitude=amplitude)
        for reduce in (1, 2, 4):
            assert_equal(stream, reduce=reduce)


@pytest.mark.parametrize("interval", [0, 7, 8, 24])
def test_regions_of_a_larger_picture(interval: int) -> None:
    """Enough blocks outside that bits are counted by the tables made for it; segments begin inside and between rows."""
    size = (230, 370)
    stream = random_jpeg(size, FACTORS["4:2:0"], seed=5, restart_interval=interval, amplitude=40)
    for reduce in (1, 2):
        for region in some_regions(size, reduce, seed=9):
            assert_equal(stream, reduce=reduce, region=region)
        for at in range(3, 200, 23):  # every phase of blocks and pairs of rows
            assert_equal(
                stream, reduce=reduce, region=(at // reduce, at // reduce, (at + 29) // reduce, (at + 16) // reduce)
            )


def test_tables_of_one_stream_do_not_reach_the_next() -> None:
    """A thread keeps its tables: blocks that pad a picture are passed over by the tables of their own stream."""
    values = np.random.default_rng(2).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    large = io.BytesIO()
    Image.fromarray(values).save(large, "JPEG", quality=90, subsampling=0)
    assert_equal(large.getvalue(), region=(350, 350, 360, 360))  # makes the tables that pass over blocks
    assert_equal(random_jpeg((33, 33), FACTORS["4:2:0"]), region=(1, 1, 33, 33))


def test_colours_by_marks_identifiers_and_request() -> None:
    three: Factors = [(1, 1)] * 3
    jfif = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
    rgb = random_jpeg((24, 24), three, identifiers=list(b"RGB"))
    for before, identifiers in itertools.product(
        (b"", adobe(0), adobe(1), adobe(7), jfif, jfif + adobe(0)), ([1, 2, 3], list(b"RGB"), [0, 1, 2])
    ):
        stream = random_jpeg((24, 24), three, identifiers=identifiers, before=before)
        for colour in (AS_MARKED, NONE, YCC):
            assert_equal(stream, colour=colour, region=(2, 3, 20, 19))
    plain = decode_image(random_jpeg((24, 24), three, before=adobe(0)))
    assert np.array_equal(decode_image(rgb), plain)
    assert np.array_equal(decoded(random_jpeg((24, 24), three), own=True, colour=NONE)[1], plain)
    assert not np.array_equal(decode_image(random_jpeg((24, 24), three)), plain)
    four: Factors = [(1, 1)] * 4
    for before, colour in itertools.product((b"", adobe(0), adobe(2)), (AS_MARKED, NONE, YCC)):
        assert_equal(random_jpeg((24, 24), four, before=before), colour=colour, region=(2, 3, 20, 19))


@pytest.mark.parametrize("name", ["cmyk", "ycck"])
def test_four_inks_are_pillows_rgb(name: str) -> None:
    stream = random_jpeg((40, 57), FACTORS[name], before=marks(name))
    with Image.open(io.BytesIO(stream)) as image:
        assert image.mode == "CMYK"
        expected = np.asarray(image.convert("RGB"))
    for own in (True, False):
        assert np.array_equal(decoded(stream, own=own)[1], expected)
    assert read_header(stream).channels == 3


def test_twelve_bits() -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    for size, interval in itertools.product([(1, 1), (9, 23), (64, 40)], (0, 3)):
        for factors, before in ((FACTORS["grey"], b""), ([(1, 1)] * 3, adobe(0))):
            stream = random_jpeg(size, factors, precision=12, amplitude=400, restart_interval=interval, before=before)
            pixels = decode_image(stream)
            assert pixels.dtype == np.uint16
            assert np.array_equal(pixels, imagecodecs.jpeg8_decode(stream))
            told = read_header(stream)
            assert (told.bits, told.height, told.width) == (16, *size)
    whole = decode_image(stream)
    assert int(whole.max()) > 3000
    (x0, y0, x1, y1), part = decoded(stream, own=True, region=(3, 5, 30, 60))
    assert np.array_equal(part, whole[y0:y1, x0:x1])
    scan = stream.index(b"\xff\xda\0\x0c\3") + 11
    assert stream[scan : scan + 2] == b"\0\x3f"
    assert np.array_equal(decode_image(stream[: scan + 1] + b"\0" + stream[scan + 2 :]), whole), "a last of 0 means 63"
    with pytest.raises(DecodeError, match="12 bits is damaged"):
        decode_image(stream[: len(stream) // 2])
    with pytest.raises(DecodeError, match=r"12 bits is .*subsampled"):
        decode_image(random_jpeg((16, 16), FACTORS["4:2:0"], precision=12, before=adobe(0)))


def test_twelve_bits_of_a_dicom_file(shared: Path) -> None:
    """Near pylibjpeg, whose transform is another one; its packages are dependencies, so this always runs."""
    path = next((shared / "data/pydicom_tests").rglob("JPGExtended.dcm"))
    frame = bytes(next(generate_frames(pydicom.dcmread(path).PixelData)))
    difference = decode_image(frame).astype(int) - libjpeg.decode(frame).astype(int)
    assert abs(difference).max() <= 1
    if importlib.util.find_spec("imagecodecs"):
        imagecodecs = importlib.import_module("imagecodecs")
        assert np.array_equal(decode_image(frame), imagecodecs.jpeg8_decode(frame))  # libjpeg-turbo built for 12 bits


def files_of(shared: Path) -> list[Path]:
    found = [path for path in (shared / "data").rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")]
    return [path for path in sorted(found) if path.stat().st_size < 300_000][::9]


def test_real_files(shared: Path) -> None:
    ours = 0
    for path in files_of(shared):
        stream = path.read_bytes()
        try:
            _, whole = decoded(stream, own=False)
        except DecodeError:
            with pytest.raises(DecodeError):
                decoded(stream, own=True)
            continue
        assert np.array_equal(decoded(stream, own=True)[1], whole), path.name
        height, width = whole.shape[:2]
        region = (width // 3, height // 3, width - width // 4, height - height // 4)
        (x0, y0, x1, y1), part = decoded(stream, own=True, region=region)
        assert np.array_equal(part, whole[y0:y1, x0:x1]), path.name
        ours += (x0, y0, x1, y1) == region
    assert ours >= 15


def test_what_is_irregular_is_left_to_libjpeg() -> None:
    """The same pixels or the same words, whichever decoder met it first."""
    stream = random_jpeg((40, 57), FACTORS["4:2:0"], restart_interval=2)
    rng = np.random.default_rng(11)
    accepted = 0
    for _ in range(400):
        changed = bytearray(stream)
        kind = rng.integers(3)
        place = int(rng.integers(2, len(stream)))
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del changed[place : place + int(rng.integers(1, 9))]
        else:
            changed[place:place] = rng.bytes(int(rng.integers(1, 9)))
        told = []
        for own in (True, False):
            try:
                told.append(decoded(bytes(changed), own=own)[1])
            except DecodeError as error:
                told.append(str(error))
        if isinstance(told[1], str):
            assert told[0] == told[1]
        else:
            accepted += 1
            assert np.array_equal(told[0], told[1])
    assert 50 < accepted < 350


def exif(tag_value: int, order: str = "big") -> bytes:
    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    entries = [(0x010F, 2, 4, b"abc\0"), (0x0112, 3, 1, number(tag_value, 2) + b"\0\0")]
    tiff = (b"MM" if order == "big" else b"II") + number(42, 2) + number(8, 4) + number(len(entries), 2)
    for tag, kind, count, value in entries:
        tiff += number(tag, 2) + number(kind, 2) + number(count, 4) + value
    return segment(0xE1, b"Exif\0\0" + tiff + number(0, 4))


@pytest.mark.parametrize("order", ["big", "little"])
def test_orientation_is_told(order: str) -> None:
    for value in range(1, 9):
        stream = random_jpeg((8, 16), FACTORS["grey"], before=exif(value, order))
        assert read_header(stream).orientation == value
        with Image.open(io.BytesIO(stream)) as image:
            assert image.getexif()[0x0112] == value
        assert decode_image(stream).shape == (8, 16)
    for value in (0, 9, 65535):
        assert read_header(random_jpeg((8, 16), FACTORS["grey"], before=exif(value, order))).orientation == 1
    whole = exif(6, order)
    for end in range(10, len(whole)):  # cut anywhere: 1, or 6 once the entry is whole
        cut = segment(0xE1, whole[4:end])
        assert read_header(random_jpeg((8, 8), FACTORS["grey"], before=cut)).orientation in (1, 6)


def test_scalar_code_gives_the_same() -> None:
    levels = [level for level in ("scalar", "avx2") if level in _engine.features()["simd_levels"]]
    script = (
        "import sys, hashlib; sys.path[:0] = sys.argv[1:]\n"
        "from medshard import _engine\n"
        "from test_engine_jpeg_own import FACTORS, decoded, marks\n"
        "from jpeg_writer import random_jpeg\n"
        "digest = hashlib.sha256()\n"
        "for name in FACTORS:\n"
        "    for amplitude in (60, 3000):\n"
        "        stream = random_jpeg((40, 57), FACTORS[name], before=marks(name), amplitude=amplitude)\n"
        "        for reduce in (1, 2, 4):\n"
        "            digest.update(decoded(stream, own=True, reduce=reduce)[1].tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(root), str(Path(__file__).parent)]
    digests = {
        subprocess.run(
            command, env={**os.environ, "MEDSHARD_SIMD": level}, capture_output=True, text=True, check=True
        ).stdout
        for level in levels
    }
    assert len(digests) == 1
