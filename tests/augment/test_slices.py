"""TakeSlice: which plane of a volume is seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medshard.augment import Operation, Resize, TakeSlice, compile_operations
from medshard.errors import LoaderError
from medshard.loader.conversation import no_text
from medshard.loader.pixels import PixelPlan, draw_items
from medshard.loader.selection import ItemLine, MediumLine, Part

SHAPE = {"Z": 30, "Y": 41, "X": 52}


def volume(item: int, axes: str = "ZYX") -> ItemLine:
    part = Part(0, 0, 1, 0)
    shape = tuple(SHAPE.get(letter, 2) for letter in axes)
    medium = MediumLine("ct", "volume", axes, shape, "int16", 16, None, None, "volumes/a.ome.zarr")
    return ItemLine(item, item, f"case{item}", "", part, medium, None)


def plans(take: TakeSlice, items: int, *, seed: int = 0, epoch: int = 0, axes: str = "ZYX") -> list[PixelPlan]:
    operations: list[Operation] = [take, Resize((8, 8))]
    lines = [volume(item, axes) for item in range(items)]
    drawn = draw_items(lines, [no_text()] * items, compile_operations(operations), seed, epoch)
    assert all(isinstance(plan, PixelPlan) for plan in drawn)
    return drawn  # type: ignore[return-value]


def shown(plan: PixelPlan) -> int:
    assert plan.planes is not None
    (plane,) = plan.planes.slice_index
    return plane


@pytest.mark.parametrize("axes", ["ZYX", "CZYX"])
@pytest.mark.parametrize(("axis", "size_hw"), [("z", (41, 52)), ("y", (30, 52)), ("x", (30, 41))])
def test_the_middle_of_an_axis_is_a_plane_of_the_other_two(axis: str, size_hw: tuple[int, int], axes: str) -> None:
    (plan,) = plans(TakeSlice(axis), 1, axes=axes)  # type: ignore[arg-type]
    assert shown(plan) == SHAPE[axis.upper()] // 2
    assert plan.geometry is not None
    assert plan.geometry.bounds_xyxy == (0, 0, size_hw[1], size_hw[0])


def test_random_planes_are_spread_evenly_and_change_with_seed_epoch_and_item() -> None:
    take = TakeSlice("z", index="random")
    first = [shown(plan) for plan in plans(take, 3000)]
    assert first == [shown(plan) for plan in plans(take, 3000)]
    counted = np.bincount(first, minlength=30)  # type: ignore[arg-type]
    assert len(counted) == 30
    assert stats.chisquare(counted).pvalue > 1e-4
    for other in (plans(take, 3000, seed=1), plans(take, 3000, epoch=1)):
        same = sum(shown(plan) == plane for plan, plane in zip(other, first, strict=True))
        assert stats.binomtest(same, 3000, 1 / 30).pvalue > 1e-4


def test_a_volume_without_a_plane_says_what_to_do() -> None:
    (failed,) = draw_items([volume(0)], [no_text()], compile_operations([Resize((8, 8))]), 0, 0)
    assert isinstance(failed, LoaderError)
    assert str(failed) == "case0 is a volume: begin the transform with TakeSlice('z') to see a plane of it"
