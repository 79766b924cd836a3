"""JPEG rewritten without loss: the same coefficients and pixels, restart markers, nothing beside the pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from jpeg_writer import random_jpeg, segment
from numpy.typing import NDArray
from PIL import Image

from medshard import _engine
from medshard.engine import decode_image, index_jpeg, read_header
from medshard.errors import DecodeError
from medshard.privacy.jpeg import strip_jpeg


def saved(seed: int, size: tuple[int, int] = (150, 230), channels: int = 3, **options: object) -> bytes:
    y, x = np.mgrid[: size[0], : size[1]]
    waves = 120 + 80 * np.sin(x / 9 + y / 13)[..., None]
    values = np.clip(waves + np.random.default_rng(seed).normal(0, 12, (*size, channels)), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values.squeeze()).save(stream, "JPEG", **options)
    return stream.getvalue()


STREAMS = {
    "4:2:0": saved(0),
    "4:2:2": saved(1, subsampling=1),
    "4:4:4": saved(2, subsampling=0),
    "grey": saved(3, channels=1),
    "progressive": saved(4, progressive=True),
    "narrow": saved(5, size=(90, 5)),
    "with restart markers": saved(6, restart_marker_blocks=3),
    "RGB by Adobe's mark": random_jpeg((40, 50), [(1, 1)] * 3, before=segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")),
    "RGB by identifiers": random_jpeg((40, 50), [(1, 1)] * 3, identifiers=list(b"RGB")),
    "odd sampling": random_jpeg((40, 50), [(2, 2), (2, 1), (1, 2)]),
    "grey, 2x2": random_jpeg((40, 50), [(2, 2)]),
}


def dct_grids(stream: bytes) -> list[NDArray[np.int64]]:
    """Quantiser tables; with equal pixels at three scales, equal tables leave no room for other coefficients."""
    with Image.open(io.BytesIO(stream)) as image:
        return [np.array(image.quantization[key]) for key in sorted(image.quantization)]


@pytest.mark.parametrize("name", STREAMS)
def test_pixels_and_tables_stay(name: str) -> None:
    stream = STREAMS[name]
    indexed = index_jpeg(stream)
    for reduce in (1, 2, 4):
        assert np.array_equal(decode_image(indexed, reduce=reduce), decode_image(stream, reduce=reduce))
    with Image.open(io.BytesIO(stream)) as before, Image.open(io.BytesIO(indexed)) as after:
        assert np.array_equal(np.asarray(before), np.asarray(after))
    assert all(np.array_equal(a, b) for a, b in zip(dct_grids(stream), dct_grids(indexed), strict=True))
    assert not read_header(indexed).progressive
    assert index_jpeg(indexed) == indexed
    assert strip_jpeg(indexed) == indexed


def test_rows_and_columns_outside_a_crop_are_not_read() -> None:
    """Bytes of the segments beside a crop are destroyed: the crop does not change."""
    indexed = index_jpeg(STREAMS["4:4:4"])
    region = (60, 48, 110, 96)
    _, expected = _engine.decode_part(indexed, 1, region, 0, True, 1 << 20)
    scan = indexed.index(b"\xff\xda") + 14
    marks = [at for at in range(scan, len(indexed) - 1) if indexed[at] == 0xFF and 0xD0 <= indexed[at + 1] <= 0xD7]
    across = -(-230 // 8)
    interval = -(-across // 4)
    bounds = [scan, *(at + 2 for at in marks)]
    damaged, hit = bytearray(indexed), 0
    for number, begin in enumerate(bounds):
        end = marks[number] if number < len(marks) else len(indexed) - 2
        mcus = range(number * interval, (number + 1) * interval)
        wanted = any(6 <= mcu // across < 12 and 7 <= mcu % across < 14 for mcu in mcus)
        if not wanted:
            damaged[begin:end] = bytes(end - begin)
            hit += 1
    assert hit > 0.6 * len(bounds)
    held, part = _engine.decode_part(bytes(damaged), 1, region, 0, True, 1 << 20)
    assert held == region
    assert np.array_equal(part, expected)


def test_metadata_is_left_out() -> None:
    secret = b"DOE^JANE"
    stream = STREAMS["4:2:0"]
    planted = stream[:2] + segment(0xE1, b"Exif\0\0" + secret) + segment(0xFE, secret) + stream[2:]
    assert secret not in index_jpeg(planted)
    assert index_jpeg(planted) == index_jpeg(stream)


def test_what_cannot_be_rewritten_is_refused() -> None:
    stream = STREAMS["4:2:0"]
    four = random_jpeg((16, 16), [(1, 1)] * 4)
    with pytest.raises(DecodeError, match="4 components"):
        index_jpeg(four)
    with pytest.raises(DecodeError, match="more than 100"):
        index_jpeg(stream, max_pixels=100)
    for end in range(0, len(stream) - 2, 97):
        with pytest.raises(DecodeError):
            index_jpeg(stream[:end])
    with pytest.raises(DecodeError):
        index_jpeg(b"no picture")


def test_real_files(shared: Path) -> None:
    done = 0
    for path in sorted((shared / "data").rglob("*.jpg"))[::40]:
        stream = path.read_bytes()
        try:
            expected = decode_image(stream)
            indexed = index_jpeg(stream)
        except DecodeError:
            continue
        assert np.array_equal(decode_image(indexed), expected)
        assert len(indexed) < 1.02 * len(stream) + 200
        done += 1
    assert done >= 5
