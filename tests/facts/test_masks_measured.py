"""Masks become labels, regions, boxes and areas; scipy.ndimage and plain loops are the oracles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from small_source import Source, blank, boxes, looked_for, measures, png, read_source, states

from medshard.errors import ReadError
from medshard.facts.components import connected_boxes
from medshard.facts.mask_labels import label_map, pack_regions, tight_box
from medshard.record.facts import LabelFact, MaskRef, MeasureFact, RegionFact

BODY = """\
sources:
  images: {files: "img/{id}.png"}
  masks: {files: "mask/{id}.png"}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image SPACING}
  mask: {from: masks, using: [id], kind: mask, like: image, no_file: NO_FILE MORE}
facts:
  lesion: {kind: mask_classes, of: mask, covers: COVERS, boxes: BOXES, by: expert, map: {1: nodule, 2: mass} LINES}
"""

DEFAULTS = {"SPACING": "", "NO_FILE": "not_annotated", "MORE": "", "COVERS": "all", "BOXES": "class", "LINES": ""}


def of_mask(root: Path, mask: NDArray[Any] | None, **lines: str) -> Source:
    """One sample ``one`` with this mask; the words of ``lines`` replace those of BODY."""
    body = BODY
    for word, line in {**DEFAULTS, **lines}.items():
        body = body.replace(word, line)
    height, width = mask.shape[:2] if mask is not None else (9, 12)
    files: dict[str, str | bytes] = {"img/one.png": blank(width, height), "img/full.png": blank(4, 4)}
    files["mask/full.png"] = png(np.array([[1, 2, 0, 0]] * 4, np.uint8))
    if mask is not None:
        files["mask/one.png"] = png(mask)
    return read_source(root / "data", body, files)


def scipy_boxes(inside: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """8-connected parts by scipy, x0 y0 x1 y1."""
    labels, _ = ndimage.label(inside, structure=np.ones((3, 3)))
    return [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=17)))
@settings(max_examples=200, deadline=None)
def test_components_are_those_of_scipy(inside: NDArray[np.bool_]) -> None:
    assert sorted(connected_boxes(inside)) == sorted(scipy_boxes(inside))


@pytest.mark.parametrize(
    "picture",
    [
        ["#.#.#", ".#.#.", "#.#.#"],  # diagonals alone hold it together
        ["#...#", "#...#", "#####"],  # two arms that meet in the last row
        ["#####", "....#", "###.#", "#...#", "#####"],  # a spiral
        ["##..", "....", "..##"],  # two parts at opposite borders
        ["#"],
        ["."],
        ["#......#", "........", "########"],
        ["#.#", "###", "#.#", "#.#", "###"],
    ],
)
def test_shapes_that_trip_up_run_joining(picture: list[str]) -> None:
    inside = np.array([[cell == "#" for cell in row] for row in picture])
    assert sorted(connected_boxes(inside)) == sorted(scipy_boxes(inside))


def test_many_components_of_a_large_field() -> None:
    inside = ndimage.gaussian_filter(np.random.default_rng(3).random((301, 407)), 2) > 0.52
    found = connected_boxes(inside)
    assert len(found) > 50
    assert sorted(found) == sorted(scipy_boxes(inside))


def test_parts_come_in_reading_order() -> None:
    inside = np.zeros((6, 9), bool)
    inside[0, 8] = inside[1:3, 0:2] = inside[4:, 4:6] = True
    assert connected_boxes(inside) == [(8, 0, 9, 1), (0, 1, 2, 3), (4, 4, 6, 6)]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=8)))
@settings(max_examples=100, deadline=None)
def test_the_tight_box_is_that_of_scipy(inside: NDArray[np.bool_]) -> None:
    expected = ndimage.find_objects(inside.astype(np.int8))
    if not expected:
        assert tight_box(inside) is None
    else:
        assert tight_box(inside) == (tuple(s.start for s in expected[0]), tuple(s.stop for s in expected[0]))


def test_classes_become_labels_regions_boxes_and_areas(tmp_path: Path) -> None:
    mask = np.zeros((20, 31), np.uint8)
    mask[0:3, 0:4] = 1  # touches two borders
    mask[10:20, 25:31] = 2  # touches the other two
    mask[5, 7] = 1
    sample = of_mask(tmp_path, mask, SPACING=", spacing_yx_mm: [0.5, 0.25], evidence: page").sample("one")
    assert states(sample, "finding") == {"finding/nodule": "present", "finding/mass": "present"}
    assert boxes(sample, derived=True) == [
        ("finding/nodule", (0.0, 0.0, 8.0, 6.0)),
        ("finding/mass", (25.0, 10.0, 31.0, 20.0)),
    ]
    # 12 + 1 pixels and 60 pixels of 0.5 mm x 0.25 mm, counted by hand
    assert measures(sample, "area") == [("finding/nodule", 13 * 0.125), ("finding/mass", 60 * 0.125)]
    masks = [fact for fact in sample.facts if isinstance(fact, RegionFact) and fact.shape == "mask"]
    assert [fact.coords for fact in masks] == [MaskRef(slot="mask", value=1), MaskRef(slot="mask", value=2)]
    assert {fact.by for fact in masks} == {"expert"}
    for fact in sample.facts:
        if isinstance(fact, MeasureFact):
            assert (fact.unit, fact.resolution, fact.by) == ("mm2", 0.125, "derived")
    assert looked_for(sample) == [(("image",), "set:small/lesion")]
    assert looked_for(sample, "instances") == [], "a class mask tells nothing of single things"


def test_without_a_spacing_there_is_no_area(tmp_path: Path) -> None:
    mask = np.zeros((5, 5), np.uint8)
    mask[1, 1] = 1
    sample = of_mask(tmp_path, mask).sample("one")
    assert measures(sample, "area") == []
    assert boxes(sample, derived=True) == [("finding/nodule", (1.0, 1.0, 2.0, 2.0))]


def test_areas_are_the_pixels_that_a_plain_count_finds(tmp_path: Path) -> None:
    mask = (ndimage.gaussian_filter(np.random.default_rng(4).random((83, 61)), 2) > 0.51).astype(np.uint8)
    mask[40:] *= 2
    source = of_mask(tmp_path, mask, SPACING=", spacing_yx_mm: [2, 3], evidence: page", BOXES="component")
    sample = source.sample("one")
    counted = {1: 0, 2: 0}
    for row in mask.tolist():
        for value in row:
            if value:
                counted[value] += 1
    assert dict(measures(sample, "area")) == {"finding/nodule": counted[1] * 6.0, "finding/mass": counted[2] * 6.0}
    for concept, value in (("finding/nodule", 1), ("finding/mass", 2)):
        found = [box for name, box in boxes(sample, derived=True) if name == concept]
        assert sorted(found) == sorted(tuple(float(edge) for edge in box) for box in scipy_boxes(mask == value))


def test_boxes_can_be_left_out(tmp_path: Path) -> None:
    sample = of_mask(tmp_path, np.ones((3, 3), np.uint8), BOXES="none").sample("one")
    assert boxes(sample, derived=True) == []
    assert [fact.shape for fact in sample.facts if isinstance(fact, RegionFact)] == ["mask"]


def test_an_empty_mask_says_that_nothing_is_there(tmp_path: Path) -> None:
    sample = of_mask(tmp_path, np.zeros((7, 5), np.uint8)).sample("one")
    assert states(sample, "finding") == {}
    assert looked_for(sample) == [(("image",), "set:small/lesion")]


@pytest.mark.parametrize(("no_file", "looked"), [("absent", True), ("not_annotated", False), ("missing", False)])
def test_a_missing_file_means_what_the_spec_says(tmp_path: Path, no_file: str, looked: bool) -> None:
    sample = of_mask(tmp_path, None, NO_FILE=no_file).sample("one")
    assert states(sample, "finding") == {}
    assert looked_for(sample) == ([(("image",), "set:small/lesion")] if looked else [])


def test_classes_that_were_only_named_claim_nothing(tmp_path: Path) -> None:
    sample = of_mask(tmp_path, np.ones((3, 3), np.uint8), COVERS="named_only").sample("one")
    assert states(sample, "finding") == {"finding/nodule": "present"}
    assert sample.scopes == []


def test_a_value_that_no_line_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="the value '7' is not mapped") as caught:
        of_mask(tmp_path, np.full((3, 3), 7, np.uint8)).sample("one")
    assert caught.value.error_class == "unmapped_value"


def test_values_that_say_nothing_are_ignored_and_not_background(tmp_path: Path) -> None:
    mask = np.full((6, 6), 255, np.uint8)
    mask[1:3, 1:3] = 1
    sample = of_mask(tmp_path, mask, LINES=", ignore: [255]").sample("one")
    assert states(sample, "finding") == {"finding/nodule": "present"}
    assert boxes(sample, derived=True) == [("finding/nodule", (1.0, 1.0, 3.0, 3.0))]
    assert sample.scopes == [], "a mass may hide in what was ignored"


def test_another_background_makes_zero_a_value(tmp_path: Path) -> None:
    mask = np.full((6, 6), 2, np.uint8)
    mask[4:, 5] = 0
    lines = {"LINES": ", background: 2", "map: {1: nodule, 2: mass}": "map: {0: cyst, 1: nodule}"}
    sample = of_mask(tmp_path, mask, **lines).sample("one")
    assert states(sample, "finding") == {"finding/cyst": "present"}
    assert boxes(sample, derived=True) == [("finding/cyst", (5.0, 4.0, 6.0, 6.0))]


def test_dropped_values_are_no_facts(tmp_path: Path) -> None:
    mask = np.array([[1, 9], [0, 9]], np.uint8)
    body = {"LINES": ', drop: {"9": reader unsure}'}
    assert states(of_mask(tmp_path, mask, **body).sample("one"), "finding") == {"finding/nodule": "present"}


def test_a_union_follows_from_its_members(tmp_path: Path) -> None:
    mask = np.array([[0, 2], [0, 0]], np.uint8)
    sample = of_mask(tmp_path, mask, LINES=', unions: {lesion: ["1", "2"]}').sample("one")
    (union,) = [fact for fact in sample.facts if isinstance(fact, LabelFact) and fact.concept == "finding/lesion"]
    (member,) = [fact for fact in sample.facts if isinstance(fact, LabelFact) and fact.concept == "finding/mass"]
    assert union.from_ == [member.id]
    assert union.by == "derived"
    assert union.rule is not None
    empty = of_mask(tmp_path / "empty", np.zeros((2, 2), np.uint8), LINES=', unions: {lesion: ["1", "2"]}')
    assert states(empty.sample("one"), "finding") == {}


LAYERS = """\
sources:
  images: {files: "img/{id}.png"}
  masks: {files: "mask/{id}_{layer}.png"}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image, spacing_yx_um: [500, 500], evidence: page}
  mask: {from: masks, using: [id], kind: mask, like: image, layers: layer, foreground: "> 0", no_file: absent}
facts:
  lesion: {kind: mask_classes, of: mask, covers: all, by: expert, map: {A: nodule, B: mass, C: cyst}}
"""


def test_layers_that_overlap_stay_whole(tmp_path: Path) -> None:
    first, second, third = (np.zeros((10, 12), np.uint8) for _ in range(3))
    first[2:8, 2:8] = 255
    second[4:10, 4:12] = 255
    files = {
        "img/one.png": blank(12, 10),
        "img/none.png": blank(12, 10),
        "mask/one_A.png": png(first),
        "mask/one_B.png": png(second),
        "mask/one_C.png": png(third),
    }
    source = read_source(tmp_path / "data", LAYERS, files)
    sample = source.sample("one")
    assert states(sample, "finding") == {"finding/nodule": "present", "finding/mass": "present"}
    assert dict(measures(sample, "area")) == {"finding/nodule": 36 * 0.25, "finding/mass": 48 * 0.25}
    assert dict(boxes(sample, derived=True))["finding/mass"] == (4.0, 4.0, 12.0, 10.0)
    without = source.sample("none")
    assert states(without, "finding") == {}
    assert looked_for(without) == [(("image",), "set:small/lesion")]


INSTANCES = """\
sources:
  images: {files: "img/{id}.png"}
  masks: {files: "mask/{id}_{_:\\\\d+}.png"}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image}
  mask: {from: masks, using: [id], kind: mask, like: image, instances: file, foreground: "> 0"}
facts:
  nucleus: {kind: mask_instances, of: mask, concept: nucleus, covers: all, by: expert EMPTY}
"""


def instances(root: Path, parts: list[NDArray[np.uint8]], empty: str = "") -> Source:
    height, width = parts[0].shape
    files: dict[str, str | bytes] = {f"mask/one_{place}.png": png(part) for place, part in enumerate(parts)}
    files["img/one.png"] = blank(width, height)
    return read_source(root / "data", INSTANCES.replace("EMPTY", empty), files)


def test_instances_are_numbered_boxed_and_counted(tmp_path: Path) -> None:
    parts = [np.zeros((9, 9), np.uint8) for _ in range(3)]
    parts[0][0:3, 0:3] = parts[1][2:5, 2:5] = parts[2][8, 8] = 1
    parts[2][0, 8] = 1  # one thing of two pieces stays one thing
    sample = instances(tmp_path, parts).sample("one")
    assert boxes(sample, derived=True) == [
        ("cell/nucleus", (0.0, 0.0, 3.0, 3.0)),
        ("cell/nucleus", (2.0, 2.0, 5.0, 5.0)),
        ("cell/nucleus", (8.0, 0.0, 9.0, 9.0)),
    ]
    assert measures(sample, "count") == [("cell/nucleus", 3.0)]
    shapes = [fact for fact in sample.facts if isinstance(fact, RegionFact) and fact.shape == "mask"]
    assert [fact.instance for fact in shapes] == [1, 2, 3]
    assert looked_for(sample, "instances") == [(("image",), "set:small/nucleus")]


def test_an_empty_instance_is_a_mistake_unless_said(tmp_path: Path) -> None:
    part = np.zeros((4, 4), np.uint8)
    with pytest.raises(ReadError, match="say empty: absent"):
        instances(tmp_path / "a", [part]).sample("one")
    sample = instances(tmp_path / "b", [part], ", empty: absent").sample("one")
    assert states(sample, "cell") == {}
    assert measures(sample, "count") == []
    assert looked_for(sample, "instances") == [(("image",), "set:small/nucleus")]


def test_values_can_be_instances(tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[0:2, 0:2], mask[4:6, 4:8], mask[7, 0] = 3, 5, 9
    body = INSTANCES.replace("_{_:\\\\d+}", "").replace(', instances: file, foreground: "> 0"', "")
    files = {"img/one.png": blank(8, 8), "mask/one.png": png(mask)}
    sample = read_source(tmp_path / "data", body.replace("EMPTY", ""), files).sample("one")
    assert measures(sample, "count") == [("cell/nucleus", 3.0)]
    shapes = [fact for fact in sample.facts if isinstance(fact, RegionFact) and fact.shape == "mask"]
    assert [(fact.instance, fact.coords) for fact in shapes] == [
        (1, MaskRef(slot="mask", value=3, instance=1)),
        (2, MaskRef(slot="mask", value=5, instance=2)),
        (3, MaskRef(slot="mask", value=9, instance=3)),
    ]
    assert [box for _, box in boxes(sample, derived=True)] == [(0, 0, 2, 2), (4, 4, 8, 6), (0, 7, 1, 8)]


VOLUMES = """\
sources:
  scans: {files: "ct/{id}.nii.gz"}
  masks: {files: "mask/{id}.nii.gz"}
samples: {from: scans, patient: unknown, split: none}
media:
  ct: {from: scans, kind: volume, units: hu}
  mask: {from: masks, using: [id], kind: mask, like: ct}
facts:
  organ: {kind: mask_classes, of: mask, covers: all, by: expert, map: {1: spleen, 3: kidney_region}}
"""


def test_volumes_of_a_tilted_grid_come_from_its_determinant(tmp_path: Path) -> None:
    angle = 0.3
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.7, 0.8, 2.5])
    mask = np.zeros((7, 6, 5), np.uint8)
    mask[1:4, 2:5, 1:3] = 1
    mask[6, 5, 4] = 3
    for folder, data in (("ct", np.zeros(mask.shape, np.int16)), ("mask", mask)):
        (tmp_path / "data" / folder).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "data" / folder / "one.nii.gz")
    sample = read_source(tmp_path / "data", VOLUMES, {}, modality="ct", anatomy="abdomen").sample("one")
    voxel_ml = 0.7 * 0.8 * 2.5 / 1000
    found = dict(measures(sample, "volume"))
    assert found["structure/spleen"] == pytest.approx(3 * 3 * 2 * voxel_ml, rel=1e-5)
    assert found["structure/kidney_region"] == pytest.approx(voxel_ml, rel=1e-5)
    assert boxes(sample, derived=True) == [], "a box of a plane is no fact of a volume"


def test_label_maps_refuse_what_is_no_label() -> None:
    for values, said in (
        (np.array([[0.5, 1.0]]), "fractions"),
        (np.array([[-1, 0]]), "outside 0 to 65535"),
        (np.array([[70000, 0]]), "outside 0 to 65535"),
    ):
        with pytest.raises(ReadError, match=said):
            label_map(values, "m.png", space=2)
    assert [region.size_px for region in label_map(np.zeros((3, 3)), "m.png", space=2).regions] == [9]
    wide = label_map(np.array([[300, 0]]), "m.png", space=2)
    assert wide.labels.dtype == np.uint16


@given(st.lists(arrays(bool, (5, 6)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_packed_parts_come_back_whole(parts: list[NDArray[np.bool_]]) -> None:
    listed = [(place, "", place, "m.png", inside) for place, inside in enumerate(parts, start=1)]
    deepest = int(np.sum(parts, axis=0).max())
    try:
        packed = pack_regions((5, 6), listed)
    except ReadError:
        assert deepest > 1, "parts that do not overlap need one channel only"
        return
    for region, inside in zip(packed.regions, parts, strict=True):
        assert np.array_equal(packed.region(region.value), inside)
        assert region.size_px == int(inside.sum())
    assert packed.labels.ndim == 2 or packed.labels.shape[-1] in (3, 4)
