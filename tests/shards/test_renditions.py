"""Levels of pictures: the means of their blocks, by numpy's own sums and by Pillow's box filter."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import decode_image
from medshard.shards.renditions import FACTORS, encode_level, factors_of, level_shape, reduced, set_suffix


def block_means(pixels: NDArray[np.generic], factor: int) -> NDArray[np.int64]:
    """The definition: each block by itself, what lies beyond the edge is the nearest pixel."""
    height, width = level_shape(pixels.shape, factor)[:2]
    rows = np.minimum(np.arange(height * factor), pixels.shape[0] - 1)
    columns = np.minimum(np.arange(width * factor), pixels.shape[1] - 1)
    out = np.zeros((height, width, *pixels.shape[2:]), np.int64)
    for y in range(height):
        for x in range(width):
            part = np.ix_(rows[y * factor : (y + 1) * factor], columns[x * factor : (x + 1) * factor])
            total = pixels[part].astype(np.int64).sum((0, 1))
            out[y, x] = (2 * total + factor * factor) // (2 * factor * factor)
    return out


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([0, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    factors=st.sets(st.sampled_from(FACTORS), min_size=1).map(sorted),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_level_is_the_means_of_blocks(
    size: tuple[int, int], channels: int, dtype: type, factors: list[int], seed: int
) -> None:
    shape = (*size, channels) if channels else size
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    levels = reduced(pixels, factors)
    assert sorted(levels) == factors
    for factor, level in levels.items():
        assert level.dtype == dtype
        assert np.array_equal(level, block_means(pixels, factor))


def test_levels_of_whole_blocks_equal_pillows_box_filter() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    for factor, level in reduced(pixels, FACTORS).items():
        assert np.abs(level.astype(int) - np.asarray(Image.fromarray(pixels).reduce(factor))).max() <= 1


@pytest.mark.parametrize(
    ("shape", "from_px", "allowed", "expected"),
    [
        ((1023, 1023), 1024, FACTORS, ()),
        ((1024, 10), 1024, FACTORS, (2,)),
        ((2047, 2047, 3), 1024, FACTORS, (2,)),
        ((100, 2048), 1024, FACTORS, (2, 4)),
        ((3000, 2500), 1024, FACTORS, (2, 4)),
        ((20_000, 2500), 1024, FACTORS, (2, 4, 8, 16)),
        ((3000, 2500), 1024, (4,), (4,)),
    ],
)
def test_which_levels_a_picture_gets(
    shape: tuple[int, ...], from_px: int, allowed: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert factors_of(shape, from_px, allowed) == expected


def test_a_level_has_the_format_of_its_picture() -> None:
    ramp = np.add.outer(np.arange(90), np.arange(70)).astype(np.uint8)
    deep = ramp.astype(np.uint16) * 300
    assert np.array_equal(decode_image(encode_level(deep, "png")), deep)
    assert np.array_equal(decode_image(encode_level(ramp, "png")), ramp)
    colours = np.stack([ramp, ramp[::-1], ramp], -1)
    with Image.open(io.BytesIO(encode_level(colours, "jpg"))) as image:
        assert image.format == "JPEG"
        assert image.layer[0][1:3] == image.layer[1][1:3], "the chroma has the luma's size"
        assert np.abs(np.asarray(image).astype(int) - colours).mean() < 1.5
    assert decode_image(encode_level(ramp, "jpg")).shape == ramp.shape


def test_names_of_sets_tell_levels_apart() -> None:
    assert [set_suffix(factors) for factors in [(), (2,), (4,), (2, 4)]] == ["", "-r2", "-r4", "-r2-r4"]
