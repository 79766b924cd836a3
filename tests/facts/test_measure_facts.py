"""Measures as facts: which are made, of what, with unit, resolution and rule; and the organ of a finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ct_phantom import nifti
from numpy.typing import NDArray
from small_source import measures, read_source

from medshard.record.facts import MeasureFact, RegionFact, RelationFact
from medshard.record.sample import Sample

BODY = """\
sources:
  scans: {files: "ct/{id}.nii"}
  organs: {files: "organs/{id}.nii"}
  lesions: {files: "lesions/{id}.nii"}
samples: {from: scans, patient: unknown, split: none}
media:
  ct: {from: scans, kind: volume UNITS}
  organs: {from: organs, using: [id], kind: mask, like: ct, no_file: missing}
  lesions: {from: lesions, using: [id], kind: mask, like: ct, no_file: missing}
facts:
  organ: {kind: mask_classes, of: organs, covers: all, by: expert, map: MAP CLASSES}
  lesion: {kind: mask_instances, of: lesions, concept: cyst, covers: all, by: expert INSTANCES}
"""

AFFINE = np.array([[0, 0, -2.0, 9], [0.5, 0, 0.25, -4], [0, -1.0, 0, 80], [0, 0, 0, 1]])
"""Sagittal and sheared: i runs to the front, j to the feet, k to the left; a voxel has 1 mm3."""


def sample(
    root: Path,
    organs: NDArray[np.uint8],
    lesions: NDArray[np.uint8],
    affine: NDArray[np.float64] | None = AFFINE,
    *,
    units: str = ", units: hu",
    mapped: str = "{1: liver_region, 2: spleen}",
    classes: str = "",
    instances: str = "",
) -> Sample:
    """All arrays are indexed i, j, k; the scan's value is i + 100 k."""
    i, _, k = np.meshgrid(*[np.arange(n) for n in organs.shape], indexing="ij")
    body = (
        BODY.replace("UNITS", units).replace("MAP", mapped).replace("CLASSES", classes).replace("INSTANCES", instances)
    )
    files: dict[str, str | bytes] = {
        "ct/one.nii": nifti((i + 100 * k).astype(np.int16), affine),
        "organs/one.nii": nifti(organs, affine),
        "lesions/one.nii": nifti(lesions, affine),
    }
    return read_source(root / "data", body, files, modality="ct", anatomy="abdomen").sample("one")


@pytest.fixture
def masks() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    organs, lesions = np.zeros((12, 10, 8), np.uint8), np.zeros((12, 10, 8), np.uint8)
    organs[1:6, 1:9, 1:7] = 1
    organs[7:11, 2:6, 2:5] = 2
    organs[9, 9, 7] = 2  # a second part
    lesions[2:5, 3:7, 2:4] = 4  # within the liver, 3 x 4 x 2 voxels
    lesions[7:9, 2:4, 2] = 9  # within the spleen
    return organs, lesions


Masks = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def of_instance(found: Sample, instance: int) -> dict[str, MeasureFact]:
    (region,) = [
        fact
        for fact in found.facts
        if isinstance(fact, RegionFact) and fact.shape == "mask" and fact.instance == instance
    ]
    return {
        (fact.concept or "").partition("/")[2]: fact
        for fact in found.facts
        if isinstance(fact, MeasureFact) and fact.of == region.id
    }


def test_each_instance_is_measured_with_unit_resolution_and_rule(tmp_path: Path, masks: Masks) -> None:
    found = of_instance(sample(tmp_path, *masks), 1)
    assert (found["volume"].value, found["volume"].unit, found["volume"].resolution) == (24 / 1000, "mL", 1 / 1000)
    # Along the patient's axes: i and k both run to the front, one voxel reaching 0.25 mm either way along i.
    right, front, head = (found[f"extent_{name}"] for name in ("right_left", "front_back", "head_foot"))
    assert (right.value, right.resolution) == (4.0, 2.0)
    assert (head.value, head.resolution) == (4.0, 1.0)
    assert (front.value, front.resolution) == (2 * 0.5 + 1 * 0.25 + 0.5, 0.5)
    # Planes of equal j are axial: 3 voxels along i and 2 along k, whose steps are not perpendicular.
    steps = AFFINE[:3, [0, 2]].T
    ends = np.array(
        [[i + a, k + b] for i in (0, 2) for k in (0, 1) for a, b in [(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)]]
    )
    points = ends @ steps
    longest = max(np.linalg.norm(one - other) for one in points for other in points)
    assert found["axial_diameter"].value == pytest.approx(longest, abs=1e-6)
    assert (found["parts"].value, found["parts"].unit) == (1.0, None)
    values = [i + 100 * k for i in (2, 3, 4) for k in (2, 3)]
    assert found["mean_attenuation"].value == np.mean(values)
    assert found["sd_attenuation"].value == pytest.approx(np.std(values), abs=1e-6)
    assert (found["least_attenuation"].value, found["greatest_attenuation"].value) == (202, 304)
    for fact in found.values():
        assert fact.by == "derived"
        assert fact.from_ == [fact.of]
        assert fact.rule is not None


def test_centroids_are_points_in_voxels_and_in_the_patient(tmp_path: Path, masks: Masks) -> None:
    points = [fact for fact in sample(tmp_path, *masks).facts if isinstance(fact, RegionFact) and fact.shape == "point"]
    by_frame = {fact.frame: fact.coords for fact in points if fact.concept == "finding/cyst" and fact.instance == 1}
    middle = np.array([3.0, 4.5, 2.5])
    assert by_frame["px"] == (middle + 0.5).tolist(), "the first voxel's outer corner is 0"
    assert by_frame["ras_mm"] == pytest.approx((AFFINE @ [*middle, 1])[:3].tolist())


def test_parts_of_a_class_are_counted(tmp_path: Path, masks: Masks) -> None:
    assert dict(measures(sample(tmp_path, *masks), "parts")) == {
        "structure/liver_region": 1, "structure/spleen": 2, "finding/cyst": 1,
    }  # fmt: skip


def test_without_an_affine_nothing_is_in_millimetres(tmp_path: Path, masks: Masks) -> None:
    found = sample(tmp_path, *masks, None)
    facts = [fact for fact in found.facts if isinstance(fact, MeasureFact)]
    assert {fact.unit for fact in facts} == {None, "[hnsf'U]"}
    assert {fact.frame for fact in found.facts if isinstance(fact, RegionFact)} == {"px"}
    assert dict(measures(found, "parts"))["structure/spleen"] == 2


def test_values_are_measured_only_where_they_are_hounsfield_units(tmp_path: Path, masks: Masks) -> None:
    found = sample(tmp_path, *masks, units="")
    assert measures(found, "volume")
    assert not [fact for fact in found.facts if isinstance(fact, MeasureFact) and "attenuation" in (fact.concept or "")]


def test_the_spec_chooses(tmp_path: Path, masks: Masks) -> None:
    found = sample(tmp_path, *masks, classes=", measures: [volume, longest_diameter]", instances=", measures: []")
    made = {fact.concept for fact in found.facts if isinstance(fact, MeasureFact)}
    assert made == {"quantity/volume", "quantity/longest_diameter", "quantity/count"}
    assert len(measures(found, "volume")) == 2
    assert not [fact for fact in found.facts if isinstance(fact, RegionFact) and fact.shape == "point"]


def test_zero_can_be_a_class_in_a_volume(tmp_path: Path, masks: Masks) -> None:
    organs = np.where(masks[0] == 2, 0, 2).astype(np.uint8)  # 0 where the spleen was, 2 elsewhere
    found = sample(tmp_path, organs, masks[1], mapped="{0: spleen}", classes=", background: 2")
    assert dict(measures(found, "parts")) == {"structure/spleen": 2, "finding/cyst": 1}
    assert dict(measures(found, "volume"))["structure/spleen"] == pytest.approx((4 * 4 * 3 + 1) / 1000)


def within(found: Sample) -> dict[int | None, str]:
    """Instance of a finding → concept of the organ that holds it."""
    by_id = {fact.id: fact for fact in found.facts}
    relations = [fact for fact in found.facts if isinstance(fact, RelationFact)]
    assert all(relation.concept == "relation/within" for relation in relations)
    return {
        by_id[relation.subject or ""].instance: by_id[relation.object or ""].concept or ""  # type: ignore[union-attr]
        for relation in relations
    }


def test_a_finding_lies_in_the_organ_that_overlaps_it(tmp_path: Path, masks: Masks) -> None:
    assert within(sample(tmp_path, *masks)) == {1: "structure/liver_region", 2: "structure/spleen"}


def test_a_finding_that_was_cut_out_lies_in_the_organ_around_it(tmp_path: Path, masks: Masks) -> None:
    organs, lesions = masks
    organs[lesions > 0] = 0
    assert within(sample(tmp_path, organs, lesions)) == {1: "structure/liver_region", 2: "structure/spleen"}


def test_a_finding_far_from_all_organs_or_half_way_lies_in_none(tmp_path: Path, masks: Masks) -> None:
    organs = np.zeros_like(masks[0])
    organs[0:4], organs[5:9] = 1, 2
    lesions = np.zeros_like(masks[1])
    lesions[4, 2:5, 2:5] = 1  # touches both alike
    lesions[11, 7, 7] = 2
    assert within(sample(tmp_path, organs, lesions)) == {}
