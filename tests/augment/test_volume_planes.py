"""Which planes the operations on volumes take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from medshard.augment import Montage, TakeSlab, TakeSlice, TakeSlices
from medshard.augment.planes import Within
from medshard.errors import LoaderError

ALL = Within.all_of(31)


def numbers(seed: int = 0) -> Callable[[int], float]:
    return lambda number: float(np.random.default_rng([seed, number]).random())


def never(number: int) -> float:
    raise AssertionError("nothing is drawn here")


def test_a_slice_lies_where_it_is_said() -> None:
    assert TakeSlice().runs(ALL, None, never) == [(15, 16)]
    assert TakeSlice(index=0).runs(ALL, None, never) == [(0, 1)]
    assert TakeSlice(index=-1).runs(ALL, None, never) == [(30, 31)]
    assert TakeSlice(index="foreground").runs(replace(ALL, foreground=7), None, never) == [(7, 8)]
    with pytest.raises(LoaderError, match="TakeSlice: index 31 of 31 planes"):
        TakeSlice(index=31).runs(ALL, None, never)


def test_what_the_text_cites_bounds_the_choice() -> None:
    within = Within(31, 20, 24)
    assert TakeSlice().runs(within, None, never) == [(22, 23)]
    drawn = {
        TakeSlice(index=index).runs(within, None, numbers(seed))[0][0]  # type: ignore[arg-type]
        for index in ("random", "foreground")
        for seed in range(200)
    }
    assert drawn == {20, 21, 22, 23}


@pytest.mark.parametrize(
    ("slab", "step_mm", "run"),
    [
        (TakeSlab(slices=5), None, (13, 18)),
        (TakeSlab(slices=4), None, (14, 18)),
        (TakeSlab(slices=5, index=1), None, (0, 5)),
        (TakeSlab(slices=5, index=-1), None, (26, 31)),
        (TakeSlab(slices=99), None, (0, 31)),
        (TakeSlab(reduce="max"), None, (0, 31)),
        (TakeSlab(thickness_mm=10.0), 2.5, (14, 18)),
        (TakeSlab(thickness_mm=10.0), 3.0, (14, 17)),
        (TakeSlab(thickness_mm=0.1), 2.5, (15, 16)),
    ],
)
def test_a_slab_lies_around_its_index_and_inside_the_volume(
    slab: TakeSlab, step_mm: float | None, run: tuple[int, int]
) -> None:
    assert slab.runs(ALL, step_mm, never) == [run]


@pytest.mark.parametrize("length", [1, 5, 31, 32, 200])
@pytest.mark.parametrize("count", [1, 3, 8, 31, 64])
def test_slices_are_spread_evenly(length: int, count: int) -> None:
    within = Within.all_of(length)
    planes = [start for start, _ in TakeSlices(count=count).runs(within, None, never)]
    assert planes == [(2 * number + 1) * length // (2 * count) for number in range(count)]
    assert len(set(planes)) == min(length, count) or count % length
    seen = [
        [start for start, _ in TakeSlices(count=count, choose="random").runs(within, None, numbers(seed))]
        for seed in range(50)
    ]
    for drawn in seen:
        stretches = [(number * length / count, (number + 1) * length / count) for number in range(count)]
        assert all(low - 1 < plane < high for plane, (low, high) in zip(drawn, stretches, strict=True))
    assert (len({tuple(drawn) for drawn in seen}) > 1) == (count % length != 0), "else stretches lie within planes"


def test_all_slices_are_all_slices() -> None:
    assert TakeSlices(count="all").runs(ALL, None, never) == [(n, n + 1) for n in range(31)]
    assert TakeSlices(count="all").pictures is None
    assert TakeSlices(count=5).pictures == 5


def test_a_montage_is_one_picture_of_evenly_spread_planes() -> None:
    montage = Montage(rows=2, columns=5)
    assert montage.runs(ALL, None, never) == TakeSlices(count=10).runs(ALL, None, never)
    assert (montage.tiles, montage.pictures, montage.several) == ((2, 5), 1, False)
