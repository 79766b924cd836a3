"""What an item's text refuses is not done to its picture."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from applied import draw

from medshard.augment import (
    CenterCrop,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    compile_operations,
)
from medshard.augment.geometry import FREE
from medshard.loader.conversation import ItemText
from medshard.loader.pixels import PixelPlan, draw_items
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.record.conversation import Keeps

SIZE = (120, 160)
FLIPS: list[Operation] = [RandomHorizontalFlip(1.0), RandomVerticalFlip(1.0)]
CROP = RandomResizedCrop((40, 50), scale=(0.1, 0.4))
NO_MIRROR = FREE.model_copy(update={"mirror": "refuse"})
WHOLE = (0.0, 0.0, 160.0, 120.0)


@pytest.mark.parametrize("operations", [[Resize((32, 32)), *FLIPS], [*FLIPS, CROP], [CROP, *FLIPS]])
def test_text_that_refuses_mirroring_suppresses_flips_and_nothing_else(operations: Sequence[Operation]) -> None:
    for item in range(20):
        kept = draw(operations, SIZE, item=item, keeps=NO_MIRROR)
        assert not kept.flip_x
        assert not kept.flip_y
        without = [RandomHorizontalFlip(0.0) if operation in FLIPS else operation for operation in operations]
        assert kept == draw(without, SIZE, item=item)
        free = draw(operations, SIZE, item=item)
        assert free.flip_x
        assert free.flip_y


def test_text_that_refuses_says_so_by_default() -> None:
    """A record that does not say what its text keeps is taken at its strictest: no mirror, no crop."""
    for item in range(20):
        geometry = draw([CROP, *FLIPS], SIZE, item=item, keeps=Keeps())
        assert (geometry.flip_x, geometry.flip_y, geometry.box_xyxy) == (False, False, WHOLE)


@pytest.mark.parametrize("crop", ["refuse", "recount"])
@pytest.mark.parametrize(
    "operations", [[CROP], [CROP, *FLIPS], [Resize(80), CenterCrop((40, 50))], [CenterCrop((90, 90)), Resize((40, 50))]]
)
def test_text_that_refuses_cropping_sees_the_whole_picture(crop: str, operations: Sequence[Operation]) -> None:
    keeps = FREE.model_copy(update={"crop": crop})
    geometry = draw(operations, SIZE, keeps=keeps)
    assert geometry.box_xyxy == pytest.approx(WHOLE)
    assert geometry.bounds_xyxy == (0, 0, 160, 120)
    assert (geometry.height, geometry.width) == (40, 50)
    assert geometry.flip_x == (FLIPS[0] in operations)


def test_regions_that_the_text_cites_stay_whole() -> None:
    keeps = FREE.model_copy(update={"crop": "regions"})
    regions = [(60.0, 40.0, 90.0, 70.0)]
    crop = RandomResizedCrop((40, 50), scale=(0.2, 0.9))
    drawn = [draw([crop], SIZE, item=item, keeps=keeps, regions=regions) for item in range(200)]
    for geometry in drawn:
        x0, y0, x1, y1 = geometry.box_xyxy
        assert x0 <= 60
        assert y0 <= 40
        assert x1 >= 90
        assert y1 >= 70
    assert sum(geometry.box_xyxy != WHOLE for geometry in drawn) > 150, "a crop that holds the regions is found"
    cut = [draw([crop], SIZE, item=item) for item in range(200)]
    assert any(geometry.box_xyxy[0] > 60 for geometry in cut), "without the text's regions they would be cut"


def test_regions_that_no_crop_holds_give_the_whole_picture() -> None:
    keeps = FREE.model_copy(update={"crop": "regions"})
    geometry = draw([CROP], SIZE, keeps=keeps, regions=[(0.0, 0.0, 10.0, 10.0), (150.0, 110.0, 160.0, 120.0)])
    assert geometry.box_xyxy == WHOLE
    fixed = draw([Resize(80), CenterCrop((40, 50))], SIZE, keeps=keeps, regions=[(0.0, 0.0, 160.0, 5.0)])
    assert fixed.box_xyxy == pytest.approx(WHOLE)


def line(item: int, *, volume: bool = False) -> ItemLine:
    axes, shape = ("ZYX", (30, 120, 160)) if volume else ("YX", SIZE)
    part = Part(0, 0, 1, 0)
    medium = MediumLine("image", "volume" if volume else "image", axes, shape, "int16", 16, None, part, None)
    return ItemLine(item, item, f"case{item}", "q", part, medium, None)


def text(keeps: Keeps) -> ItemText:
    return ItemText(None, (), keeps, ())


def planned(plan: object) -> PixelPlan:
    assert isinstance(plan, PixelPlan)
    return plan


def test_each_item_of_a_batch_follows_its_own_text_and_no_neighbour() -> None:
    compiled = compile_operations([CROP, *FLIPS])
    lines = [line(item) for item in range(12)]
    texts = [text(NO_MIRROR if item % 3 == 0 else FREE) for item in range(12)]
    plans = [planned(plan) for plan in draw_items(lines, texts, compiled, 5, 1)]
    for item, plan in enumerate(plans):
        assert plan.geometry is not None
        assert plan.geometry.flip_x == plan.geometry.flip_y == (item % 3 != 0)
    assert len({plan.geometry for plan in plans}) == 12, "each item draws for itself"
    backwards = draw_items(lines[::-1], texts[::-1], compiled, 5, 1)
    assert backwards[::-1] == plans
    assert draw_items(lines[4:5], texts[4:5], compiled, 5, 1) == plans[4:5]
    for seed, epoch in ((6, 1), (5, 2)):
        others = draw_items(lines, texts, compiled, seed, epoch)
        assert all(other != plan for other, plan in zip(others, plans, strict=True))
