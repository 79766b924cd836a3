"""sct, torchio, dcmqi and dicompyler: voxels, affines, units and masks of volumes against the original files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from corpora import Built, close, labels, mask_of, measures, regions
from oracles import dcmqi, dicompyler_rt, sct_testing_data, torchio_data
from oracles.decode import decode_nifti
from oracles.expected import Expected, ExpectedSample, MaskArea, Pixels

from medshard.corpus.sample import CorpusSample

Get = Callable[[str], Built]

SCT = {
    "sct-t1-t1": ("t1/t1w.nii.gz", {"spinal_cord_region": "t1w_seg-manual=1"}),
    "sct-t2-t2": (
        "t2/t2.nii.gz",
        {"spinal_cord_region": "t2_seg-manual=1", "spinal_centreline": "t2_centerline-manual=1"},
    ),
    "sct-t2-lesion-t2-lesion": (
        "t2/t2_fake_lesion.nii.gz",
        {"spinal_cord_region": "t2_fake_lesion_sc_seg=1", "spinal_cord_lesion": "t2_fake_lesion_lesion_seg=1"},
    ),
    "sct-t2s-t2s": ("t2s/t2s.nii.gz", {"spinal_cord_region": "t2s_seg=1", "grey_matter": "t2s_gmseg_manual=1"}),
    "sct-mt0-mt0": ("mt/mt0.nii.gz", {"spinal_cord_region": "mt0_seg=1"}),
    "sct-mt1-mt1": (
        "mt/mt1.nii.gz",
        {"spinal_cord_region": "mt1_seg=1", "grey_matter": "mt1_gmseg>=0.5", "white_matter": "mt1_wmseg>=0.5"},
    ),
}
"""Key of each sample: its image, and the oracle's name of the mask of each concept."""


def same_place(sample: CorpusSample, slot: str, theirs: ExpectedSample) -> None:
    """The stored grid and the oracle's agree in world coordinates: shape, spacing, and values at asymmetric places."""
    geometry = theirs.geometry
    ours, medium = sample.array(slot), sample.medium(slot)
    assert sample.volume(slot).affine_ijk_to_ras.tolist() == medium.affine_ijk_to_ras
    found, wanted = np.array(medium.affine_ijk_to_ras), np.array(geometry.affine_ijk_to_ras)
    spacing_xyz = np.linalg.norm(found[:3, :3], axis=0)
    assert close(medium.spacing_mm, spacing_xyz[::-1], 1e-6)
    assert sorted(ours.shape) == sorted(geometry.shape_kji)
    for (k, j, i), value in geometry.voxels.items():
        place_mm = wanted @ [i, j, k, 1]
        at = np.linalg.solve(found, place_mm)[:3]
        assert close(at, np.round(at), 2e-3), f"{sample.key}: the grids lie apart"
        x, y, z = (round(float(index)) for index in at)
        assert ours[z, y, x] == pytest.approx(value, abs=0 if float(value).is_integer() else 1e-4), (k, j, i)


# -- sct -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cord(built: Get) -> tuple[Built, Expected]:
    made = built("sct-testing-data")
    return made, sct_testing_data.expected(made.data)


@pytest.mark.parametrize("key", SCT)
def test_cord_volumes_lie_where_the_files_say(cord: tuple[Built, Expected], key: str) -> None:
    made, expected = cord
    file, _ = SCT[key]
    sample = made.corpus.sample(key)
    same_place(sample, "image", expected.samples[file])
    assert sample.medium("image").unit is None, "MR values have no unit"


@pytest.mark.parametrize("key", SCT)
def test_cord_voxels_are_exact(cord: tuple[Built, Expected], key: str) -> None:
    made, expected = cord
    file, _ = SCT[key]
    ours = made.corpus.sample(key).array("image")
    theirs, _ = decode_nifti(made.data / file)
    assert Pixels.of(theirs) == expected.samples[file].pixels
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("key", SCT)
def test_cord_masks_have_the_area_and_place_of_their_files(cord: tuple[Built, Expected], key: str) -> None:
    made, expected = cord
    file, masks = SCT[key]
    sample = made.corpus.sample(key)
    found = {fact.concept.partition("/")[2]: MaskArea.of(mask_of(sample, fact)) for fact in regions(sample, "mask")}
    assert found == {concept: expected.samples[file].masks[name] for concept, name in masks.items()}


@pytest.mark.parametrize("key", SCT)
def test_cord_mask_volume_in_ml(cord: tuple[Built, Expected], key: str) -> None:
    made, expected = cord
    file, masks = SCT[key]
    sample, theirs = made.corpus.sample(key), expected.samples[file]
    voxel_ml = abs(np.linalg.det(np.array(theirs.geometry.affine_ijk_to_ras)[:3, :3])) / 1000
    concept_of = {fact.id: fact.concept.partition("/")[2] for fact in regions(sample, "mask")}
    found = {concept_of[fact.of]: fact.value for fact in measures(sample, "volume")}
    assert set(found) == set(masks)
    for concept, name in masks.items():
        assert found[concept] == pytest.approx(theirs.masks[name].area * voxel_ml, rel=1e-5)


# -- torchio ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def brain(built: Get) -> tuple[CorpusSample, Expected]:
    made = built("torchio-fernando")
    (sample,) = made.corpus
    return sample, torchio_data.expected(made.data)


def test_brain_and_parcels_lie_each_on_their_own_grid(brain: tuple[CorpusSample, Expected]) -> None:
    sample, expected = brain
    same_place(sample, "image", expected.samples[torchio_data.IMAGES[0]])
    same_place(sample, "parcels", expected.samples[torchio_data.LABELS])
    image, parcels = sample.medium("image"), sample.medium("parcels")
    assert (image.shape, image.affine_ijk_to_ras) != (parcels.shape, parcels.affine_ijk_to_ras)
    assert parcels.part != image.part, "a mask on another grid is no label image of this volume"


def test_every_parcel_keeps_its_voxels(brain: tuple[CorpusSample, Expected]) -> None:
    sample, expected = brain
    theirs = expected.samples[torchio_data.LABELS]
    assert Pixels.of(sample.array("parcels").astype(theirs.pixels.dtype)) == theirs.pixels
    found = regions(sample, "mask")
    assert {str(fact.coords.value) for fact in found} == set(theirs.masks)
    assert len(found) == expected.counts["labels"] == 158
    voxel_ml = abs(np.linalg.det(np.array(theirs.geometry.affine_ijk_to_ras)[:3, :3])) / 1000
    value_of = {fact.id: str(fact.coords.value) for fact in found}
    for fact in measures(sample, "volume"):
        assert fact.value == pytest.approx(theirs.masks[value_of[fact.of]].area * voxel_ml, rel=1e-5)


# -- dicom -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def series(built: Get) -> tuple[Built, Expected]:
    made = built("dcmqi-series")
    return made, dcmqi.expected(made.data)


def _ct(expected: Expected) -> dict[str, ExpectedSample]:
    return {file: sample for file, sample in expected.samples.items() if file.startswith("data/segmentations/")}


def test_series_are_volumes_where_the_files_say(series: tuple[Built, Expected]) -> None:
    made, expected = series
    wanted = _ct(expected)
    assert len(made.corpus) == len(wanted) == 5
    for file, theirs in wanted.items():
        same_place(made.of(file), "ct", theirs)


def test_hounsfield_units_only_where_the_file_does_not_deny_them(series: tuple[Built, Expected]) -> None:
    """The phantoms say RescaleType US (unspecified, PS3.3 C.11.1.1.2); ct-3slice says nothing, which means HU in CT."""
    made, expected = series
    units = {file.split("/")[2]: made.of(file).medium("ct").unit for file in _ct(expected)}
    assert units == {"ct-3slice": "[hnsf'U]", "23x38x3": None, "24x38x3": None}


def test_voxels_of_series_are_the_rescaled_values(series: tuple[Built, Expected]) -> None:
    made, expected = series
    for file, theirs in _ct(expected).items():
        sample = made.of(file)
        ours, affine = sample.array("ct").astype(np.float64), np.array(sample.medium("ct").affine_ijk_to_ras)
        wanted = np.array(theirs.geometry.affine_ijk_to_ras)
        if not np.allclose(affine, wanted, atol=1e-4):
            ours = ours[::-1]  # slices in the other order are the same volume when the affine says so
            affine = affine.copy()
            affine[:, 3] += affine[:, 2] * (ours.shape[0] - 1)
            affine[:, 2] *= -1
        assert np.allclose(affine, wanted, atol=1e-4), file
        assert Pixels.of(ours) == theirs.pixels, file


def test_the_series_that_runs_downwards_has_its_bottom_where_it_is(series: tuple[Built, Expected]) -> None:
    """ct-3slice: 01.dcm is the top slice; its SliceThickness is 1.25 and its slices lie 1.0 mm apart."""
    made, _ = series
    medium = made.of("data/segmentations/ct-3slice/01.dcm").medium("ct")
    assert medium.spacing_mm[0] == pytest.approx(1.0, abs=1e-6)


def test_objects_that_are_no_images_are_named(series: tuple[Built, Expected]) -> None:
    made, expected = series
    named = {line["file"] for line in made.quarantine}
    wanted = {file for file in expected.refused if file.startswith("data/segmentations/") and file.endswith(".dcm")}
    assert named == wanted
    assert all(line["message"] for line in made.quarantine)


def test_series_in_a_zip_is_ordered_by_position(built: Get) -> None:
    """In the archive neither the names nor the places of the members are in the order of the slices."""
    made = built("dcmqi-adc")
    (file,) = [name for name in dcmqi.expected(made.data).samples if ".zip!" in name]
    theirs = dcmqi.expected(made.data).samples[file]
    (sample,) = made.corpus
    same_place(sample, "image", theirs)
    assert Pixels.of(sample.array("image").astype(np.float64)) == theirs.pixels
    assert sample.medium("image").unit is None
    assert len({line.file for line in sample.record.source if ".zip!/" in line.file}) == 20


def test_one_slice_with_plan_and_structures_beside_it(built: Get) -> None:
    made = built("dicompyler-ct")
    expected = dicompyler_rt.expected(made.data)
    (sample,) = made.corpus
    (theirs,) = expected.samples.values()
    ours = sample.array("image").astype(np.float64)
    assert Pixels.of(ours[None]) == theirs.pixels
    medium = sample.medium("image")
    steps = np.linalg.norm(np.array(theirs.geometry.affine_ijk_to_ras)[:3, :2], axis=0)
    assert close(medium.spacing_mm, steps[::-1], 1e-6)
    assert medium.unit == "[hnsf'U]"
    assert {line["file"] for line in made.quarantine} == set(expected.refused)
    assert labels(sample, "modality") == {"ct": "present"}
