"""Random choices: functions of (seed, epoch, item, operation), distributed as torchvision's, within their bounds."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from applied import draw
from numpy.typing import NDArray
from scipy import stats

from medshard.augment import CenterCrop, RandomHorizontalFlip, RandomResizedCrop, RandomVerticalFlip, Resize
from medshard.augment.geometry import Geometry, draw_geometries
from medshard.loader.counter import uniform, uniform_u64
from medshard.loader.draws import ItemDraws

SIZE = (240, 400)
CROP = RandomResizedCrop(64, scale=(0.1, 0.6), ratio=(0.5, 2.0))
ALL = [CROP, RandomHorizontalFlip(), RandomVerticalFlip(0.3)]
MANY = 2000


def part_of(geometry: Geometry) -> tuple[float, float]:
    """Width and height of the part that was taken."""
    x0, y0, x1, y1 = geometry.box_xyxy
    return x1 - x0, y1 - y0


def test_the_same_counters_give_the_same_geometry() -> None:
    for item in range(20):
        assert draw(ALL, SIZE, seed=3, epoch=2, item=item) == draw(ALL, SIZE, seed=3, epoch=2, item=item)


@pytest.mark.parametrize("counter", ["seed", "epoch", "item"])
def test_each_counter_changes_the_choices(counter: str) -> None:
    drawn = {draw(ALL, SIZE, **{counter: value}) for value in range(100)}
    assert len(drawn) == 100


def test_the_order_of_asking_does_not_matter() -> None:
    """No hidden state: items drawn backwards, or alone, are what they are drawn forwards."""
    forwards = [draw(ALL, SIZE, item=item) for item in range(30)]
    backwards = [draw(ALL, SIZE, item=item) for item in reversed(range(30))]
    assert forwards == backwards[::-1]
    assert draw(ALL, SIZE, item=17) == forwards[17]


def test_operations_choose_independently() -> None:
    """Two flips are not one choice made twice, and a flip does not hang on the crop."""
    flips = [draw([Resize((8, 8)), RandomHorizontalFlip(), RandomVerticalFlip()], SIZE, item=i) for i in range(MANY)]
    table = [[sum(g.flip_x == x and g.flip_y == y for g in flips) for x in (False, True)] for y in (False, True)]
    assert stats.chi2_contingency(table).pvalue > 1e-4
    crops = [draw([CROP, RandomHorizontalFlip()], SIZE, item=i) for i in range(MANY)]
    areas = {flip: [math.prod(part_of(g)) for g in crops if g.flip_x == flip] for flip in (False, True)}
    assert stats.ks_2samp(areas[False], areas[True]).pvalue > 1e-4


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("kind", [RandomHorizontalFlip, RandomVerticalFlip])
def test_flips_come_with_their_probability(kind: type[RandomHorizontalFlip | RandomVerticalFlip], p: float) -> None:
    drawn = [draw([Resize((8, 8)), kind(p)], SIZE, item=item) for item in range(MANY)]
    horizontal = kind is RandomHorizontalFlip
    flipped = sum(geometry.flip_x if horizontal else geometry.flip_y for geometry in drawn)
    assert not any(geometry.flip_y if horizontal else geometry.flip_x for geometry in drawn)
    assert stats.binomtest(flipped, MANY, p).pvalue > 1e-4


def torchvision_part(numbers: random.Random, height: int, width: int) -> tuple[int, int, int, int]:
    """RandomResizedCrop.get_params of torchvision, from its documentation: left, top, width, height."""
    for _ in range(10):
        area = height * width * numbers.uniform(*CROP.scale)
        ratio = math.exp(numbers.uniform(math.log(CROP.ratio[0]), math.log(CROP.ratio[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return numbers.randint(0, width - w), numbers.randint(0, height - h), w, h
    return 0, 0, width, height


def test_crops_are_distributed_as_torchvisions() -> None:
    height, width = SIZE
    numbers = random.Random(1)
    theirs = [torchvision_part(numbers, height, width) for _ in range(MANY)]
    ours = []
    for item in range(MANY):
        geometry = draw([CROP], SIZE, item=item)
        x0, y0, _, _ = geometry.box_xyxy
        ours.append((x0, y0, *part_of(geometry)))
    measures = {
        "area": lambda part: part[2] * part[3],
        "shape": lambda part: part[2] / part[3],
        "left": lambda part: part[0] / max(1, width - part[2]),
        "top": lambda part: part[1] / max(1, height - part[3]),
    }
    for name, measure in measures.items():
        assert stats.ks_2samp([measure(p) for p in ours], [measure(p) for p in theirs]).pvalue > 1e-4, name
    placed = [(measures["left"](part), measures["top"](part)) for part in ours]
    assert abs(stats.spearmanr(placed).statistic) < 0.12, "the place across and the place down are drawn together"


def test_crops_stay_within_the_picture_and_their_bounds() -> None:
    height, width = SIZE
    for item in range(MANY):
        geometry = draw([CROP], SIZE, item=item)
        x0, y0, x1, y1 = geometry.box_xyxy
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        part_width, part_height = part_of(geometry)
        # Edges are rounded to whole pixels, half a pixel at most each.
        slack = (part_width + part_height) / 2 + 1
        assert 0.1 * height * width - slack <= part_width * part_height <= 0.6 * height * width + slack
        assert (part_width - 0.5) / (part_height + 0.5) <= 2.0
        assert (part_width + 0.5) / (part_height - 0.5) >= 0.5


@pytest.mark.parametrize("size", [(10, 1000), (1000, 10), (1, 1), (1, 90), (33, 99)])
def test_a_picture_in_which_no_crop_fits_gives_its_middle(size: tuple[int, int]) -> None:
    """torchvision's rule: the middle, with the nearest shape that is allowed."""
    crop = RandomResizedCrop(16, scale=(1.0, 1.0))
    x0, y0, x1, y1 = draw([crop], size).box_xyxy
    height, width = size
    shape = min(max(width / height, 3 / 4), 4 / 3)
    expected_width = min(width, max(1, round(height * shape)))
    expected_height = min(height, max(1, round(width / shape)))
    assert (x1 - x0, y1 - y0) == (expected_width, expected_height)
    assert (x0, y0) == ((width - expected_width) // 2, (height - expected_height) // 2)


def test_a_narrow_shape_of_a_thin_picture_keeps_a_pixel() -> None:
    crop = RandomResizedCrop(16, scale=(1.0, 1.0), ratio=(0.1, 0.2))
    x0, _, x1, _ = draw([crop], (1, 10)).box_xyxy
    assert x1 - x0 == 1


def test_a_crop_of_everything_is_everything() -> None:
    crop = RandomResizedCrop((30, 30), scale=(1.0, 1.0), ratio=(1.0, 1.0))
    assert draw([crop], (50, 50)).box_xyxy == (0, 0, 50, 50)


def test_what_is_not_random_draws_nothing() -> None:
    class Refuse:
        def uniform(self, *_: object) -> NDArray[np.float64]:
            raise AssertionError("drawn")

        seeds = uniform

    operations = [Resize(40), CenterCrop(32)]
    geometry = draw_geometries(operations, np.array([50]), np.array([60]), Refuse())[0]
    assert geometry == draw(operations, (50, 60), seed=9)


def test_draws_are_the_counters_numbers() -> None:
    """What docs and other programs may rely on: uniform(seed, 11, epoch, item, place, number)."""
    draws = ItemDraws(5, 2, np.array([7, 1000, 2**40]))
    rows = np.array([2, 0])
    expected = [[uniform(5, 11, 2, item, 3, number) for number in (4, 5, 6)] for item in (2**40, 7)]
    assert np.array_equal(draws.uniform(rows, 3, 4, 3), expected)
    assert draws.seeds(rows, 3).tolist() == [uniform_u64(5, 11, 2, item, 3) for item in (2**40, 7)]
