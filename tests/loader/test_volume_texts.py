"""What an item's text allows of a crop in 3D, and where the boxes that it cites are seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from phantoms import oblique

from medshard.augment.volume import (
    ElasticTransform3D,
    RandomAffine3D,
    RandomCrop3D,
    RandomFlip3D,
    RandomGamma3D,
    RandomRot90In3D,
    VolumeGeometry,
    compile_volume,
)
from medshard.families import FAMILIES
from medshard.families.base import Delivered, render_blocks
from medshard.loader.conversation import Box3D, ItemText
from medshard.loader.draws import VolumeCropDraws
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.loader.volumes.crop import Crop
from medshard.loader.volumes.plans import CropPlan, draw_crop
from medshard.record.conversation import Keeps, RegionBlock
from medshard.record.facts import RegionFact
from medshard.testing.reference_volume import reference_mask

SHAPE = (60, 50, 70)
FREE = {"mirror": "free", "rotate": "free", "crop": "free", "resize": "free", "intensity": "free"}
AFFINE = oblique((0.7, 0.8, 1.5))


def line() -> ItemLine:
    medium = MediumLine("ct", "volume", "ZYX", SHAPE, "int16", 16, None, None, "volumes/a.ome.zarr")
    return ItemLine(7, 0, "a", "c1", Part(0, 0, 1, 0), medium, None, (medium,))


def drawn(operations: list[Any], *, boxes: tuple[Box3D, ...] = (), count: int = 40, **keeps: str) -> list[CropPlan]:
    text = ItemText(None, (), Keeps(**{**FREE, **keeps}), (), boxes)  # type: ignore[arg-type]
    compiled = compile_volume(operations)
    draws = [VolumeCropDraws(3, 0, 7, crop) for crop in range(count)]
    return [draw_crop(compiled, line(), text, drawn, (True,), None, AFFINE) for drawn in draws]


def linear(plan: CropPlan) -> np.ndarray:
    return plan.geometry.source_from_output_zyx[:, :3]


def region(box_xyz: tuple[float, ...]) -> RegionFact:
    return RegionFact.model_validate(
        {
            "id": "f1",
            "kind": "region",
            "concept": "finding/mass",
            "state": "present",
            "slots": ["ct"],
            "source": [],
            "by": "expert",
            "shape": "box3d",
            "frame": "px",
            "coords": list(box_xyz),
        }
    )


def test_mirroring_is_refused_where_sides_are_named() -> None:
    operations = [RandomCrop3D((16, 16, 16)), RandomFlip3D()]
    assert any((np.diag(linear(plan)) < 0).any() for plan in drawn(operations))
    assert all((np.diag(linear(plan)) > 0).all() for plan in drawn(operations, mirror="refuse"))
    assert all((np.diag(linear(plan)) > 0).all() for plan in drawn(operations, mirror="swap"))


def test_turning_is_refused_where_directions_are_named() -> None:
    operations = [RandomCrop3D((16, 16, 16)), RandomAffine3D(30.0, scale=(0.8, 1.2)), RandomRot90In3D()]
    for plan in drawn(operations, rotate="refuse"):
        found = linear(plan)
        np.testing.assert_allclose(found, np.diag(np.diag(found)), atol=1e-12)
    assert any(np.abs(linear(plan) - np.diag(np.diag(linear(plan)))).max() > 0.1 for plan in drawn(operations))


def test_intensity_is_kept_where_the_text_speaks_of_it() -> None:
    operations = [RandomCrop3D((16, 16, 16)), RandomGamma3D(p=1.0)]
    assert all(not plan.steps for plan in drawn(operations, intensity="refuse"))
    assert all(plan.steps for plan in drawn(operations))


@pytest.mark.parametrize("crop", ["refuse", "recount"])
def test_all_of_the_volume_is_shown_where_nothing_may_be_cut(crop: str) -> None:
    operations = [RandomCrop3D((16, 20, 24)), RandomAffine3D(30.0), ElasticTransform3D(), RandomFlip3D()]
    for plan in drawn(operations, crop=crop):
        ends = np.array([[-0.5, -0.5, -0.5, 1], [15.5, 19.5, 23.5, 1]])
        corners = np.sort(ends @ plan.geometry.source_from_output_zyx.T, axis=0)
        np.testing.assert_allclose(corners, [[-0.5] * 3, np.array(SHAPE) - 0.5])
        assert plan.geometry.elastic is None


def test_a_crop_holds_the_boxes_that_are_cited() -> None:
    box = Box3D(((20, 10, 20), (30, 18, 26)), "px")
    operations = [RandomCrop3D((32, 32, 32)), RandomAffine3D(15.0), RandomFlip3D()]
    plans = drawn(operations, boxes=(box,), crop="regions", count=100)
    for plan in plans:
        low, high = corners_in(plan.geometry, (20, 10, 20, 30, 18, 26))
        assert (low >= -1e-6).all()
        assert (high <= 32 + 1e-6).all()
    assert len({plan.geometry.source_from_output_zyx.tobytes() for plan in plans}) > 60
    free = drawn(operations, boxes=(box,), count=100)
    assert any((corners_in(plan.geometry, (20, 10, 20, 30, 18, 26))[0] < -1).any() for plan in free)


def test_a_box_that_no_crop_holds_shows_all_of_the_volume() -> None:
    box = Box3D(((1, 1, 1), (69, 49, 59)), "px")
    for plan in drawn([RandomCrop3D((16, 16, 16)), RandomFlip3D()], boxes=(box,), crop="regions"):
        low, high = corners_in(plan.geometry, (1, 1, 1, 69, 49, 59))
        assert (low > 0).all()
        assert (high < 16).all()


def corners_in(geometry: VolumeGeometry, box_xyz: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """An oracle: each corner of the box by itself through the inverse matrix; (x, y, z) of continuous voxels."""
    matrix = np.vstack([geometry.source_from_output_zyx, [0, 0, 0, 1]])
    found = []
    for x in (box_xyz[0], box_xyz[3]):
        for y in (box_xyz[1], box_xyz[4]):
            for z in (box_xyz[2], box_xyz[5]):
                out = np.linalg.solve(matrix, [z - 0.5, y - 0.5, x - 0.5, 1])[:3]
                found.append(out[::-1] + 0.5)
    return np.min(found, 0), np.max(found, 0)


def test_a_box_is_written_where_it_is_seen() -> None:
    box_xyz = (24.0, 20.0, 22.0, 41.0, 33.0, 40.0)
    labels = np.zeros((1, *SHAPE), np.uint8)
    labels[0, 22:40, 20:33, 24:41] = 1
    for plan in drawn([RandomCrop3D((40, 40, 44)), RandomFlip3D()], boxes=(Box3D.of(region(box_xyz)),)):
        crop = Crop(plan, AFFINE, [], None)
        seen = crop.seen(region(box_xyz))
        mask = reference_mask(plan.geometry, labels, (0, 0, 0))[0]
        places = np.argwhere(mask == 1)
        if not len(places):
            continue
        low, high = places.min(0)[::-1], places.max(0)[::-1] + 1
        np.testing.assert_allclose(seen, [*low, *high], atol=1e-9)
        delivered = Delivered(44, 40, in_crop=crop.seen)
        written = render_blocks(
            [RegionBlock(type="region", facts=["f1"])], [region(box_xyz)], FAMILIES.get("plain"), {"ct": delivered}
        )
        assert written == f"[{', '.join(str(int(edge)) for edge in [*low, *high])}]"


def test_a_box_in_millimetres_is_that_in_voxels() -> None:
    low, high = Box3D(((10, 20, 30), (14, 22, 33)), "px").in_voxels(None)
    np.testing.assert_array_equal(low, [29.5, 19.5, 9.5])
    straight = np.diag([2.0, 3.0, 4.0, 1.0])
    again = Box3D(((19.0, 58.5, 118.0), (27.0, 64.5, 130.0)), "ras_mm").in_voxels(straight)
    np.testing.assert_allclose(again, [low, high])


def test_boxes_and_elastic_displacement_do_not_go_together() -> None:
    box = Box3D(((20, 10, 20), (30, 18, 26)), "px")
    operations = [RandomCrop3D((32, 32, 32)), ElasticTransform3D()]
    assert all(plan.geometry.elastic is None for plan in drawn(operations, boxes=(box,)))
    assert all(plan.geometry.elastic is not None for plan in drawn(operations))
