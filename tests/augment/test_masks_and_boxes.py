"""Masks and boxes move with the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from applied import as_mask, as_picture, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medshard.augment import (
    CenterCrop,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
)
from medshard.augment.geometry import Geometry

SIZE = (48, 66)
TRANSFORMS: dict[str, Sequence[Operation]] = {
    "resize": [Resize((31, 29))],
    "enlarge": [Resize((100, 97))],
    "resize, crop": [Resize(40), CenterCrop((30, 34))],
    "crop, resize": [CenterCrop((33, 41)), Resize((20, 50))],
    "random crop": [RandomResizedCrop((26, 33), scale=(0.2, 0.8))],
    "flips, random crop": [RandomHorizontalFlip(), RandomVerticalFlip(), RandomResizedCrop((26, 33), scale=(0.2, 0.8))],
    "random crop, flips": [RandomResizedCrop((26, 33), scale=(0.2, 0.8)), RandomHorizontalFlip(), RandomVerticalFlip()],
}


def exact_places(low: float, high: float, length: int, size: int, flip: bool) -> list[set[int]]:
    """Stored pixel under the centre of each output pixel, in exact fractions.

    A centre may fall on the edge between two pixels, where both are right.
    """
    begin, step = Fraction(low), (Fraction(high) - Fraction(low)) / size
    found = []
    for place in range(size):
        at = begin + (place + Fraction(1, 2)) * step
        near = {int(at + shift) for shift in (Fraction(-1, 10**9), Fraction(1, 10**9))}
        found.append({min(max(pixel, 0), length - 1) for pixel in near})
    return found[::-1] if flip else found


def assert_nearest(geometry: Geometry, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    numbered = np.arange(height * width, dtype=np.int16).reshape(height, width)
    got = as_mask(numbered, geometry)
    x0, y0, x1, y1 = geometry.box_xyxy
    rows = exact_places(y0, y1, height, geometry.height, geometry.flip_y)
    columns = exact_places(x0, x1, width, geometry.width, geometry.flip_x)
    assert all(set(map(int, line)) <= rows[y] for y, line in enumerate(got // width))
    assert all(set(map(int, line)) <= columns[x] for x, line in enumerate((got % width).T))


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("item", range(6))
def test_masks_take_the_pixel_under_each_centre(name: str, item: int) -> None:
    assert_nearest(draw(TRANSFORMS[name], SIZE, item=item), SIZE)


def test_a_mask_has_no_labels_but_its_own() -> None:
    labels = np.random.default_rng(1).choice(np.array([0, 7, 1000, -3], np.int16), SIZE)
    for item, operations in enumerate(TRANSFORMS.values()):
        assert set(np.unique(as_mask(labels, draw(operations, SIZE, item=item)))) <= {0, 7, 1000, -3}


def painted(box: Sequence[int]) -> NDArray[np.int16]:
    mask = np.zeros(SIZE, np.int16)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return mask


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(TRANSFORMS)),
    item=st.integers(0, 10**6),
    x=st.tuples(st.integers(0, 65), st.integers(0, 65)),
    y=st.tuples(st.integers(0, 47), st.integers(0, 47)),
)
def test_a_box_lies_where_its_mask_lies(name: str, item: int, x: tuple[int, int], y: tuple[int, int]) -> None:
    """An output pixel is of the mask exactly when its centre is in the delivered box."""
    box = (min(x), min(y), max(x) + 1, max(y) + 1)
    geometry = draw(TRANSFORMS[name], SIZE, item=item)
    x0, y0, x1, y1 = geometry.delivered().box(box)
    assert 0 <= x0 <= x1 <= geometry.width
    assert 0 <= y0 <= y1 <= geometry.height
    mask = as_mask(painted(box), geometry)
    across, down = np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5
    inside = ((across > x0) & (across < x1))[None] & ((down > y0) & (down < y1))[:, None]
    # A centre on the box's edge may fall to either side.
    on_edge = np.isclose(across, x0) | np.isclose(across, x1)
    edges = on_edge[None] | (np.isclose(down, y0) | np.isclose(down, y1))[:, None]
    assert np.array_equal(mask[~edges], inside[~edges])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_pixels_and_masks_move_alike(name: str) -> None:
    """The weight centre of a soft blob lies where its mask's lies, to a third of an output pixel."""
    down, across = np.mgrid[: SIZE[0], : SIZE[1]]
    blob = np.exp(-((down - 25.5) ** 2 + (across - 31.5) ** 2) / 18).astype(np.float32)
    disc = (((down - 25.5) ** 2 + (across - 31.5) ** 2) < 49).astype(np.int16)
    checked = 0
    for item in range(12):
        geometry = draw(TRANSFORMS[name], SIZE, item=item)
        mask = as_mask(disc, geometry)
        if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any() or not mask.any():
            continue  # cut off, and so is its weight
        seen = as_picture(np.repeat(blob[..., None], 3, 2), geometry)[..., 0]
        rows, columns = np.mgrid[: geometry.height, : geometry.width]
        for places in (rows, columns):
            assert abs((places * seen).sum() / seen.sum() - (places * mask).sum() / mask.sum()) < 1 / 3
        checked += 1
    assert checked >= 3


def test_corners_of_a_picture_are_those_of_what_is_delivered() -> None:
    for item, operations in enumerate(TRANSFORMS.values()):
        geometry = draw(operations, SIZE, item=item)
        seen = geometry.delivered()
        assert seen.box(geometry.box_xyxy) == pytest.approx((0, 0, geometry.width, geometry.height), abs=1e-9)
        left = seen.scale_x * geometry.box_xyxy[0] + seen.offset_x
        assert left == pytest.approx(geometry.width if geometry.flip_x else 0, abs=1e-9)
