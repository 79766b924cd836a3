"""Pixels, masks, points and boxes move together, and back to where they came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from applied import as_mask, as_picture, draw
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medshard.augment import (
    CenterCrop,
    ElasticTransform,
    Letterbox,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRot90,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    to_delivered,
    to_source,
)
from medshard.augment.geometry import FREE
from medshard.augment.spatial import Spatial

SIZE = (90, 120)
LISTS: dict[str, list[Spatial]] = {
    "letterbox": [RandomHorizontalFlip(), Letterbox((70, 70))],
    "pad, crop": [Pad(20), RandomCrop((80, 100))],
    "turn, resize": [RandomRot90(), Resize((70, 80))],
    "crop, turn": [RandomVerticalFlip(), RandomResizedCrop(64, scale=(0.5, 1.0)), RandomRot90()],
    "rotate": [RandomRotation(60)],
    "rotate, expand, letterbox": [RandomRotation(90, expand=True), Letterbox((80, 96))],
    "affine": [RandomHorizontalFlip(), RandomAffine(40, (0.1, 0.1), (0.7, 1.5), 20), CenterCrop((70, 100))],
    "resize, affine, turn": [
        Resize((96, 96)),
        RandomAffine(180, None, (0.8, 1.2)),
        RandomRot90(),
        RandomVerticalFlip(),
    ],
    "elastic": [ElasticTransform(60.0, 6.0)],
    "all": [
        RandomResizedCrop((80, 80), scale=(0.6, 1.0)),
        RandomAffine(180, (0.05, 0.05), (0.8, 1.2), (-8, 8, -8, 8)),
        ElasticTransform(40.0, 5.0),
        RandomRot90(),
        RandomHorizontalFlip(),
    ],
}


def blob_at(x: float, y: float, radius: float) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2)).astype(np.float32)


@pytest.mark.parametrize("name", LISTS)
def test_a_painted_dot_is_found_where_its_point_goes(name: str) -> None:
    """In the picture to a fifth of a pixel, in the mask to half a pixel, by the batch's matrix and by Delivered.

    An elastic displacement stretches the sides of a dot unequally, which moves its weight: three times as much.
    """
    found = 0
    for item in range(25):
        geometry = draw(LISTS[name], SIZE, item=item)
        x, y = np.random.default_rng(item).uniform((35, 30), (85, 60))
        ((seen_x, seen_y),) = geometry.delivered().points([(x, y)])
        assert to_delivered([x, y], geometry.matrix, geometry.elastic) == pytest.approx((seen_x, seen_y), abs=1e-5)
        assert to_source([seen_x, seen_y], geometry.matrix, geometry.elastic) == pytest.approx((x, y), abs=1e-5)
        if not (8 < seen_x < geometry.width - 8 and 8 < seen_y < geometry.height - 8):
            continue
        blob = blob_at(x, y, 2.0)
        seen = as_picture(np.repeat(blob[..., None], 3, 2), geometry)[..., 0]
        mask = as_mask((blob > 0.3).astype(np.int16), geometry)
        rows, columns = np.mgrid[: geometry.height, : geometry.width] + 0.5
        slack = 1 if geometry.elastic is None else 3
        for weights, tolerance in ((seen, 0.2 * slack), (mask, 0.5 * slack)):
            assert (columns * weights).sum() / weights.sum() == pytest.approx(seen_x, abs=tolerance)
            assert (rows * weights).sum() / weights.sum() == pytest.approx(seen_y, abs=tolerance)
        found += 1
    assert found >= 8


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(sorted(LISTS)),
    item=st.integers(0, 10**6),
    points=st.lists(st.tuples(st.floats(-20, 140), st.floats(-20, 110)), min_size=1, max_size=5),
)
def test_there_and_back(name: str, item: int, points: list[tuple[float, float]]) -> None:
    geometry = draw(LISTS[name], SIZE, item=item)
    source = to_source(points, geometry.matrix, geometry.elastic)
    assert source.shape == (len(points), 2)
    np.testing.assert_allclose(to_delivered(source, geometry.matrix, geometry.elastic), points, rtol=0, atol=1e-5)


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(sorted(LISTS)),
    item=st.integers(0, 10**6),
    corner=st.tuples(st.integers(0, 100), st.integers(0, 70)),
    size=st.tuples(st.integers(3, 40), st.integers(3, 40)),
)
def test_a_box_holds_its_mask_and_is_no_larger_than_needed(
    name: str, item: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    box = (corner[0], corner[1], min(corner[0] + size[0], SIZE[1]), min(corner[1] + size[1], SIZE[0]))
    geometry = draw(LISTS[name], SIZE, item=item)
    x0, y0, x1, y1 = geometry.delivered().box(box)
    mask = np.zeros(SIZE, np.int16)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    rows, columns = np.nonzero(as_mask(mask, geometry))
    # Edges that bend are followed by a few points, and a mask takes whole stored pixels.
    slack = 1.0 if geometry.elastic is None else 1.6
    step = float(np.abs(geometry.matrix[:, :2]).sum(1).max())
    if len(rows) == 0:
        return
    assert columns.min() >= x0 - slack
    assert columns.max() + 1 <= x1 + slack
    assert rows.min() >= y0 - slack
    assert rows.max() + 1 <= y1 + slack
    whole = x0 > 0 and x1 < geometry.width and y0 > 0 and y1 < geometry.height
    # The hull of a thin corner holds a pixel's middle only some way in.
    if whole and min(size) * step > 6 and geometry.elastic is None:
        assert columns.min() - x0 < 4
        assert y1 - rows.max() - 1 < 4


def test_a_turned_box_keeps_its_outline() -> None:
    geometry = draw([RandomRotation((30, 30))], SIZE)
    outline = geometry.delivered().polygon((40, 30, 80, 60))
    assert len(outline) == 4
    lengths = [np.hypot(*np.subtract(a, b)) for a, b in zip(outline, outline[1:] + outline[:1], strict=True)]
    assert lengths == pytest.approx([40, 30, 40, 30])
    bent = draw([ElasticTransform(80.0, 6.0)], SIZE).delivered().polygon((40, 30, 80, 60))
    assert len(bent) == 32
    assert np.hypot(*(np.array(bent[0]) - (40, 30))) < 8


NO_TURN = FREE.model_copy(update={"rotate": "refuse"})
NO_CROP = FREE.model_copy(update={"crop": "refuse"})
TURNS: list[Spatial] = [
    RandomRot90((1, 2, 3)),
    RandomRotation((20, 40)),
    RandomAffine((20, 40), shear=(10, 20)),
    ElasticTransform(),
]


@pytest.mark.parametrize("operation", TURNS)
def test_text_that_refuses_turning_is_not_turned(operation: Spatial) -> None:
    operations = [Resize((64, 64)), operation]
    plain = draw([Resize((64, 64))], SIZE)
    assert not np.allclose(draw(operations, SIZE).matrix, plain.matrix) or draw(operations, SIZE).elastic is not None
    kept = draw(operations, SIZE, keeps=NO_TURN)
    assert kept.elastic is None
    assert np.allclose(kept.matrix, plain.matrix, atol=1e-12)
    stored = np.random.default_rng(0).random((*SIZE, 3), np.float32)
    assert np.abs(as_picture(stored, kept) - as_picture(stored, plain)).max() < 1e-6


def test_text_that_refuses_turning_may_still_be_shifted_and_scaled() -> None:
    operation = RandomAffine(30, (0.2, 0.2), (0.5, 1.5), 20)
    kept = draw([operation], SIZE, keeps=NO_TURN)
    assert kept.matrix[0, 1] == kept.matrix[1, 0] == 0
    assert kept.matrix[0, 0] == kept.matrix[1, 1] != 1


@pytest.mark.parametrize(
    ("operations", "whole"),
    [
        ([Resize((64, 64)), RandomRotation(40)], [Resize((64, 64))]),
        ([Letterbox((64, 64)), RandomAffine(40, (0.5, 0.5))], [Letterbox((64, 64))]),
        ([Resize((64, 64)), ElasticTransform()], [Resize((64, 64))]),
        ([Pad(9), RandomCrop((50, 60))], [Resize((50, 60))]),
        ([Letterbox((64, 64)), RandomCrop(50)], [Resize((50, 50))]),
        ([RandomRotation(40), RandomResizedCrop(50)], [Resize((50, 50))]),
    ],
)
def test_text_that_refuses_cropping_loses_nothing(operations: list[Spatial], whole: list[Spatial]) -> None:
    assert np.allclose(draw(operations, SIZE, keeps=NO_CROP).matrix, draw(whole, SIZE).matrix, atol=1e-12)


def test_an_expanding_rotation_loses_nothing_and_is_kept() -> None:
    operations: list[Spatial] = [RandomRotation((30, 30), expand=True), Resize((64, 64))]
    assert np.array_equal(draw(operations, SIZE, keeps=NO_CROP).matrix, draw(operations, SIZE).matrix)


@pytest.mark.parametrize("name", ["rotate", "affine", "pad, crop", "crop, turn", "elastic", "all"])
def test_cited_regions_stay_whole(name: str) -> None:
    keeps = FREE.model_copy(update={"crop": "regions"})
    region = (70.0, 50.0, 105.0, 80.0)
    x0, y0, x1, y1 = region
    edges: list[Any] = [(x0 + (x1 - x0) * t, y) for t in np.linspace(0, 1, 9) for y in (y0, y1)]
    edges += [(x, y0 + (y1 - y0) * t) for t in np.linspace(0, 1, 9) for x in (x0, x1)]
    drawn, cut = set(), 0
    for item in range(60):
        geometry = draw(LISTS[name], SIZE, item=item, keeps=keeps, regions=[region])
        seen = np.array(geometry.delivered().points(edges))
        assert seen.min() >= -1e-6, item
        assert (seen <= np.array([geometry.width, geometry.height]) + 1e-6).all(), item
        drawn.add(geometry)
        free = np.array(draw(LISTS[name], SIZE, item=item).delivered().points(edges))
        cut += bool(free.min() < 0 or (free > [geometry.width, geometry.height]).any())
    assert len(drawn) > 20, "not all of them are replaced by the whole picture"
    assert cut > 0 or name == "elastic", "without the text's regions some would be cut"
