"""Places in a volume that a text cites: the planes that are drawn show them, and the text says where."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from nibabel.affines import apply_affine
from volume_tree import AFFINES

from medshard.augment import (
    Montage,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    TakeSlab,
    TakeSlice,
    TakeSlices,
    compile_operations,
    from_voxels,
)
from medshard.augment.geometry import FREE
from medshard.errors import LoaderError
from medshard.families import FAMILIES
from medshard.loader.conversation import Box3D, ItemText, no_text
from medshard.loader.pixels import PixelPlan, VolumeSeen, draw_items
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.record.conversation import Conversation, MediaBlock, RegionBlock, TextBlock, Turn
from medshard.record.facts import LabelFact, RegionFact

SHAPE_ZYX = (30, 41, 52)
LOW_XYZ, HIGH_XYZ = (10.0, 8.0, 12.0), (30.0, 20.0, 19.0)  # voxels 12 to 18 of z, 8 to 19 of y, 10 to 29 of x


def line(item: int = 0) -> ItemLine:
    medium = MediumLine("ct", "volume", "ZYX", SHAPE_ZYX, "int16", 16, None, None, "volumes/a.ome.zarr")
    return ItemLine(item, item, f"case{item}", "c1", Part(0, 0, 1, 0), medium, None)


def text(*corners: tuple[Any, Any], frame: Any = "px") -> ItemText:
    """It asks for boxes of the volume, each of which must stay whole."""
    facts = [
        RegionFact(id=f"f{n}", slots=["ct"], shape="box3d", frame=frame, coords=[*low, *high])
        for n, (low, high) in enumerate(corners)
    ]
    blocks = [MediaBlock(slot="ct", as_="frames"), *(RegionBlock(facts=[fact.id]) for fact in facts)]
    turn = Turn(role="user", blocks=[*blocks, TextBlock(text=".")])
    keeps = FREE.model_copy(update={"crop": "regions"})
    conversation = Conversation(id="c1", task="detection", lang="en", slots=["ct"], turns=[turn], keeps=keeps)
    return ItemText(conversation, facts, keeps, (), tuple(Box3D.of(fact) for fact in facts))


def plan(operations: list[Operation], of: ItemText, *, seed: int = 0, affine: Any = None) -> PixelPlan:
    (drawn,) = draw_items([line()], [of], compile_operations(operations), seed, 0, [VolumeSeen(affine)])
    if isinstance(drawn, LoaderError):
        raise drawn
    return drawn


def said(drawn: PixelPlan, of: ItemText) -> tuple[int, ...]:
    """The box that the text names."""
    (turn,) = of.render(FAMILIES.get("plain"), {"ct": drawn.delivered()})
    found = re.fullmatch(r"<image>\n\[(\d+), (\d+), (\d+), (\d+)\]\.", turn["content"])
    assert found is not None, turn
    return tuple(int(edge) for edge in found.groups())


ONE = text((LOW_XYZ, HIGH_XYZ))


@pytest.mark.parametrize(
    ("axis", "planes", "box"),
    [
        ("z", range(12, 19), (10, 8, 30, 20)),
        ("y", range(8, 20), (10, 12, 30, 19)),
        ("x", range(10, 30), (8, 12, 20, 19)),
    ],
)
def test_a_plane_that_shows_the_box_is_drawn(axis: Any, planes: range, box: tuple[int, ...]) -> None:
    size = {"z": (41, 52), "y": (30, 52), "x": (30, 41)}[axis]
    seen = set()
    for seed in range(250):
        drawn = plan([TakeSlice(axis, index="random"), Resize(size)], ONE, seed=seed)
        assert drawn.planes is not None
        seen |= set(drawn.planes.slice_index)
        assert said(drawn, ONE) == box
    assert seen == set(planes)
    middle = plan([TakeSlice(axis), Resize(size)], ONE)
    assert middle.planes is not None
    assert middle.planes.slice_index == [planes.start + len(planes) // 2]


@pytest.mark.parametrize("name", AFFINES)
def test_the_box_follows_orientation_crop_and_flip(name: str) -> None:
    """Against the corners of its voxels, moved by the maps that a batch tells."""
    crop: list[Operation] = [RandomResizedCrop((60, 50), scale=(0.2, 1.0)), RandomHorizontalFlip()]
    sizes = set()
    for seed in range(40):
        take = TakeSlice("coronal", index="random", orientation="radiological", square_pixels=True)
        drawn = plan([take, *crop], ONE, seed=seed, affine=AFFINES[name])
        assert drawn.planes is not None
        assert drawn.geometry is not None
        (matrix,) = drawn.planes.voxels_from_picture()
        corners_zyx = np.array([LOW_XYZ[::-1], HIGH_XYZ[::-1]]) - 0.5
        points, _ = from_voxels(corners_zyx, matrix, drawn.geometry.matrix)
        expected = np.concatenate([points.min(0), points.max(0)])
        assert said(drawn, ONE) == tuple(np.floor(expected + 0.5).astype(int))
        assert expected[0] >= -1e-6
        assert expected[1] >= -1e-6
        assert expected[2] <= 50 + 1e-6
        assert expected[3] <= 60 + 1e-6
        sizes.add(tuple(expected.round(3)))
    # On "sagittal" the box is higher than any crop of that shape, so the whole picture is taken.
    assert len(sizes) > 20 if name != "sagittal" else len(sizes) == 2


def test_a_box_in_millimetres_is_the_same_box() -> None:
    affine = AFFINES["scanner"]
    corners = apply_affine(affine, np.array([LOW_XYZ, HIGH_XYZ]) - 0.5)
    in_mm = text((corners.min(0).tolist(), corners.max(0).tolist()), frame="ras_mm")
    operations: list[Operation] = [TakeSlice("z", index="random"), Resize((41, 52))]
    for seed in range(20):
        there, here = plan(operations, in_mm, seed=seed, affine=affine), plan(operations, ONE, seed=seed, affine=affine)
        assert said(there, in_mm) == said(here, ONE)
    with pytest.raises(LoaderError, match="a place in millimetres, and where its axes point is unknown"):
        plan(operations, in_mm)


def test_a_montage_names_the_tile_that_shows_it() -> None:
    """Planes 2, 7, 12, 17, 22, 27: of those that show the box, 17 is nearest to its middle."""
    drawn = plan([Montage("z", rows=2, columns=3), Resize((82, 156))], ONE)
    assert said(drawn, ONE) == (10, 41 + 8, 30, 41 + 20)


def test_a_projection_shows_what_lies_in_the_slab() -> None:
    drawn = plan([TakeSlab("z", slices=9, index=5, reduce="max"), Resize((41, 52))], text(((1, 2, 9), (5, 6, 25))))
    assert said(drawn, text(((1, 2, 9), (5, 6, 25)))) == (1, 2, 5, 6)
    with pytest.raises(LoaderError, match="cites a place that none of the planes shows"):
        plan([TakeSlab("z", slices=9, index=5), Resize((41, 52))], ONE)


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(LoaderError, match="a place, which several pictures of a volume cannot tell apart"):
        plan([TakeSlices("z"), Resize((41, 52))], ONE)
    apart = text((LOW_XYZ, HIGH_XYZ), ((1, 2, 22), (5, 6, 25)))
    with pytest.raises(LoaderError, match="cites places that no single plane shows"):
        plan([TakeSlice("z"), Resize((41, 52))], apart)
    with pytest.raises(LoaderError, match="cites a place that none of the planes shows"):
        plan([TakeSlice("z", index=3), Resize((41, 52))], ONE)
    sided = LabelFact(id="f9", concept="finding/nodule", slots=["ct"], side="left", side_frame="image")
    with pytest.raises(LoaderError, match="names a side of the picture, and a volume has none"):
        plan([TakeSlice("z"), Resize((41, 52))], ItemText(None, (sided,), FREE, ()))
    patient = LabelFact(id="f9", concept="finding/nodule", slots=["ct"], side="left", side_frame="patient")
    plan([TakeSlice("z"), Resize((41, 52))], ItemText(None, (patient,), FREE, ()))
    plan([TakeSlice("z"), Resize((41, 52))], no_text())
