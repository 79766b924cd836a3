"""Streams through the engine: one pass equals decode then sample; half-size decoding stays near full decoding."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from engine_jobs import Sampling, run, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import BatchLayout, decode_image, encode_png, read_header

FULL, HALF = {"reduce": 1}, {"reduce": 2}


def jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def grain(size: tuple[int, int], channels: int, seed: int = 0) -> NDArray[np.uint8]:
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    output=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    channels=st.sampled_from([1, 3]),
    form=st.sampled_from(["jpeg", "progressive", "png", "png16"]),
    part=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    flips=st.tuples(st.booleans(), st.booleans()),
    seed=st.integers(0, 2**16),
)
def test_one_pass_equals_decoding_first(
    size: tuple[int, int],
    output: tuple[int, int],
    channels: int,
    form: str,
    part: tuple[float, float, float, float],
    flips: tuple[bool, bool],
    seed: int,
) -> None:
    pixels = grain(size, channels, seed)
    if form == "png16":
        stream = encode_png(pixels.astype(np.uint16) * 257)
    elif form == "png":
        stream = encode_png(pixels)
    else:
        stream = jpeg(pixels, quality=80, progressive=form == "progressive")
    top, left = int(part[0] * (size[0] - 1)), int(part[1] * (size[1] - 1))
    bottom, right = top + 1 + int(part[2] * (size[0] - top - 1)), left + 1 + int(part[3] * (size[1] - left - 1))
    window = ((left, top, right, bottom), (left, top, right, bottom), *flips, 1 / 255)
    layout = BatchLayout(*output, **FULL)
    out, failed = run([Sampling(stream, *window), Sampling(decode_image(stream), *window)], layout)
    assert failed == {}
    assert np.array_equal(out[0], out[1])


def test_alpha_is_dropped() -> None:
    rgba = grain((12, 15), 4)
    layout = BatchLayout(12, 15, clamp=False)
    out, _ = run([whole(encode_png(rgba), (12, 15)), whole(np.ascontiguousarray(rgba[..., :3]), (12, 15))], layout)
    assert np.array_equal(out[0], out[1])


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("size", [(120, 160), (121, 161), (97, 131)])
def test_half_size_decoding_moves_nothing(size: tuple[int, int], flips: tuple[bool, bool]) -> None:
    """On a slope any shift shows: 1 grey level is a third of a stored pixel here."""
    y, x = np.mgrid[: size[0], : size[1]]
    for slope in (x * 1.5, y * 2.0):
        stream = jpeg(slope.clip(0, 255).astype(np.uint8), quality=100)
        height, width = size
        for box in [(0, 0, width, height), (1, 1, width - 2, height - 3), (10.5, 7.25, 90.75, 88.5)]:
            sampling = Sampling(stream, box, (0, 0, width, height), *flips, 1 / 255)
            for output in [(20, 21), (37, 33)]:
                half, _ = run([sampling], BatchLayout(*output, 1, **HALF))
                full, _ = run([sampling], BatchLayout(*output, 1, **FULL))
                inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # the border weighs the last pixel alone
                assert abs(half - full)[inner].max() * 255 < 1.0


def test_half_size_decoding_is_only_used_where_it_is_allowed() -> None:
    stream = jpeg(grain((64, 80), 3), quality=90)
    for size, box in [((32, 41), (0, 0, 80, 64)), ((33, 40), (0, 0, 80, 64)), ((20, 20), (0, 0, 39, 64))]:
        sampling = Sampling(stream, box, (0, 0, 80, 64), scale=1 / 255)
        half, full = (run([sampling], BatchLayout(*size, **which))[0] for which in (HALF, FULL))
        assert np.array_equal(half, full), "the output needs more than every other pixel"
    half, full = (
        run([whole(stream, (64, 80), scale=1 / 255)], BatchLayout(32, 40, **which))[0] for which in (HALF, FULL)
    )
    assert not np.array_equal(half, full)
    mask = jpeg(grain((64, 80), 1), quality=95)
    for which in (HALF, FULL):
        out, _ = run([whole(mask, (64, 80))], BatchLayout(8, 8, 1, "int32", mask=True, **which))
        expected = decode_image(mask)[4::8, 5::10]
        assert np.array_equal(out[0, 0], expected), "a mask is never averaged"


def test_half_size_decoding_of_real_pictures_stays_near(shared: Path) -> None:
    """What BatchLayout.half costs: it is sharper, by 2 grey levels at 2:1 and less where more is left out."""
    folders = ["bccd", "kvasir_seg_mini", "rbc_coco", "vqa_rad", "figure1_covid_cxr"]
    errors: dict[float, list[float]] = {2.0: [], 4.3: []}
    for folder in folders:
        for path in sorted((shared / "data" / folder).rglob("*.jpg"))[:5]:
            stream = path.read_bytes()
            told = read_header(stream)
            for step, found in errors.items():
                size = (int(told.height / step), int(told.width / step))
                sampling = whole(stream, (told.height, told.width), scale=1 / 255)
                half, full = (run([sampling], BatchLayout(*size, **which))[0] for which in (HALF, FULL))
                found.append(float(np.sqrt(((half - full) ** 2).mean()) * 255))
    assert len(errors[2.0]) == 25
    assert np.median(errors[2.0]) < 3
    assert max(errors[2.0]) < 8
    assert np.median(errors[4.3]) < 1
    assert max(errors[4.3]) < 2
