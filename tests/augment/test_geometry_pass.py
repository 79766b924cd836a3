"""Crops, resizes and flips in one sampling give what torchvision's operations give one after another."""

from __future__ import annotations

import numpy as np
import pytest
from applied import as_picture, draw
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision_steps import resize, resized_hw, step_by_step

from medshard.augment import (
    CenterCrop,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    compile_operations,
)

# Sums of float32 against sums of float64: a few units in the last place of 1.
TOLERANCE = 4e-6


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@st.composite
def chains(draw_: st.DrawFn) -> tuple[tuple[int, int], list[Operation]]:
    """A size, and operations that fit it: flips anywhere, crops anywhere, one resize at most.

    Every edge has two pixels or more: torch 2.13 gives a column of one pixel's width its first value all the way down.
    """
    height, width = size = draw_(st.integers(2, 60)), draw_(st.integers(2, 60))
    operations: list[Operation] = []
    resized = False
    for kind in draw_(st.lists(st.sampled_from(["crop", "resize", "edge", "hflip", "vflip"]), min_size=1, max_size=6)):
        if kind == "crop":
            height, width = draw_(st.integers(2, height)), draw_(st.integers(2, width))
            operations.append(CenterCrop((height, width)))
        elif kind in ("resize", "edge") and not resized:
            resized = True
            target: int | tuple[int, int] = draw_(st.integers(2, 40))
            target = target if kind == "edge" else (target, draw_(st.integers(2, 40)))
            operations.append(Resize(target))
            height, width = resized_hw(target, None, height, width)
            assume(max(height, width) < 300)
        elif kind == "hflip":
            operations.append(RandomHorizontalFlip(draw_(st.sampled_from([0.0, 1.0]))))
        elif kind == "vflip":
            operations.append(RandomVerticalFlip(draw_(st.sampled_from([0.0, 1.0]))))
    return size, operations


@settings(max_examples=200, deadline=None)
@given(chains())
def test_any_chain_equals_its_steps(chain: tuple[tuple[int, int], list[Operation]]) -> None:
    size, operations = chain
    stored = picture(*size)
    expected = step_by_step(stored, operations)
    geometry = draw(operations, size)
    assert (geometry.height, geometry.width) == expected.shape[:2]
    assert np.abs(as_picture(stored, geometry) - expected).max() <= TOLERANCE


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("item", range(8))
def test_a_random_crop_is_a_crop_then_a_resize(item: int, flip: float) -> None:
    """Whole pixels of the stored picture, nothing read from outside the crop; a flip before it or after it."""
    stored = picture(70, 90, item)
    crop, mirror = RandomResizedCrop((24, 32), scale=(0.1, 0.9)), RandomHorizontalFlip(flip)
    after = draw([crop, mirror], (70, 90), item=item)
    x0, y0, x1, y1 = after.bounds_xyxy
    assert after.box_xyxy == (x0, y0, x1, y1)
    expected = resize(stored[y0:y1, x0:x1], (24, 32))
    expected = expected[:, ::-1] if flip else expected
    assert np.abs(as_picture(stored, after) - expected).max() <= TOLERANCE

    before = draw([mirror, crop], (70, 90), item=item)
    x0, y0, x1, y1 = before.bounds_xyxy
    mirrored = stored[:, ::-1] if flip else stored
    left = 90 - x1 if flip else x0
    expected = resize(mirrored[y0:y1, left : left + x1 - x0], (24, 32))
    assert np.abs(as_picture(stored, before) - expected).max() <= TOLERANCE


def test_two_flips_undo_each_other() -> None:
    twice = [RandomHorizontalFlip(1.0), Resize((10, 12)), RandomVerticalFlip(1.0), RandomHorizontalFlip(1.0)]
    assert draw(twice, (30, 40)) == draw([Resize((10, 12)), RandomVerticalFlip(1.0)], (30, 40))


@pytest.mark.parametrize(
    ("operation", "height", "width"),
    [
        (Resize(20), 33, 61),
        (Resize([20]), 61, 33),
        (Resize(20, max_size=30), 33, 61),
        (Resize(20, max_size=25), 61, 33),
        (Resize(20, max_size=400), 33, 61),
        (Resize((7, 5)), 33, 61),
        (Resize(40), 40, 40),
        (Resize(9), 3, 100),
    ],
)
def test_resize_gives_the_size_that_torchvision_gives(operation: Resize, height: int, width: int) -> None:
    assert operation.target(height, width) == resized_hw(operation.size, operation.max_size, height, width)


def test_a_line_of_pixels_keeps_one_where_the_longer_edge_is_bounded() -> None:
    assert Resize(4, max_size=8).target(1, 1000) == (1, 8)


@pytest.mark.parametrize(
    ("operations", "size"),
    [
        ([Resize((224, 200))], (224, 200)),
        ([RandomResizedCrop(64)], (64, 64)),
        ([Resize(70), CenterCrop([64])], (64, 64)),
        ([Resize(70), CenterCrop((64, 48)), RandomHorizontalFlip()], (64, 48)),
        ([CenterCrop(100), Resize([30, 20])], (30, 20)),
        ([RandomVerticalFlip(), RandomResizedCrop((5, 6))], (5, 6)),
    ],
)
def test_the_size_of_every_output_is_known_beforehand(operations: list[Operation], size: tuple[int, int]) -> None:
    compiled = compile_operations(operations)
    assert compiled.size == size
    for item, stored in enumerate([(120, 130), (300, 101), (111, 999)]):
        geometry = draw(compiled.geometry, stored, item=item)
        assert (geometry.height, geometry.width) == size
