"""Real masks of every storage in built corpora, against SimpleITK, nibabel, pydicom and Pillow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from corpora import Built, build_corpus, mask_of, regions
from numpy.typing import NDArray
from PIL import Image

from medshard.corpus.sample import CorpusSample
from medshard.record.facts import LabelFact, RegionFact
from medshard.spec.catalog import find_spec

Get = Callable[[str], Built]
TEN_STRUCTURES = {  # value in the label map → concept, side
    1: ("spleen", None),
    2: ("kidney_region", "right"),
    3: ("kidney_region", "left"),
    5: ("liver_region", None),
    32: ("vertebra_t12", None),
    63: ("inferior_vena_cava", None),
    79: ("spinal_cord_region", None),
    86: ("autochthonous_back_muscle", "left"),
    98: ("rib_7", "left"),
    110: ("rib_7", "right"),
}


def nrrd(path: Path) -> NDArray[np.generic]:
    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))))


def voxels(sample: CorpusSample, slot: str) -> dict[tuple[str, str | None], NDArray[np.bool_]]:
    """(concept, side) → its voxels, over all regions of that label."""
    labels = {fact.id: fact for fact in sample.record.facts if isinstance(fact, LabelFact)}
    found: dict[tuple[str, str | None], NDArray[np.bool_]] = {}
    for region in regions(sample, "mask"):
        if region.coords.slot == slot:
            label = labels[region.of]
            name = (label.concept.partition("/")[2], label.side)
            found[name] = found.get(name, np.False_) | mask_of(sample, region)
    return found


# -- DICOM SEG -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "file"),
    [
        ("liver", "liver_seg.nrrd"),
        ("phantom-23", "23x38x3/nrrd/label.nrrd"),
        ("phantom-24", "24x38x3/nrrd/label.nrrd"),
        ("label-map", "sparse_labelmap_noppv_seg.nrrd"),
        ("label-map-padded", "sparse_labelmap_ppv5_seg.nrrd"),
    ],
)
def test_segments_equal_the_label_maps_of_dcmqi(built: Get, slug: str, file: str) -> None:
    made = built("dcmqi-seg")
    sample = made.corpus.sample(f"dcmqi-{slug}-{slug}")
    assert np.array_equal(sample.array("segments") == 1, nrrd(made.data / "data/segmentations" / file) == 1)
    assert sample.medium("segments").affine_ijk_to_ras == sample.medium("ct").affine_ijk_to_ras
    assert set(voxels(sample, "segments")) == {("liver_region", None)}


def test_segments_that_overlap_equal_the_three_label_maps(built: Get) -> None:
    made = built("dcmqi-seg")
    sample = made.corpus.sample("dcmqi-overlaps-overlaps")
    maps = [nrrd(path) for path in (made.data / "data/segmentations").glob("partial_overlaps-*.nrrd")]
    concepts = ["tissue", "artery", "capillary", "oedema_region", "vein"]
    found = voxels(sample, "segments")
    assert set(found) == {(concept, None) for concept in concepts}
    for value, concept in enumerate(concepts, start=1):
        assert np.array_equal(found[concept, None], np.any([array == value for array in maps], axis=0)), concept


# -- RTSTRUCT --------------------------------------------------------------------------------------------------------


def test_the_structures_of_one_slice(built: Get) -> None:
    """Only the body reaches it, in four contours; what lies on absent slices is told."""
    made = built("dicompyler-rt")
    (sample,) = made.corpus
    assert set(voxels(sample, "structures")) == {("body_outline", None)}
    assert made.build.notes == {"structures: 437 contours above or below all slices of the image left out": 1}
    assert not sample.record.scopes, "absence is not known of structures that were named only"


# -- TotalSegmentator ------------------------------------------------------------------------------------------------


def test_a_label_map_keeps_its_voxels_and_its_sides(built: Get) -> None:
    made = built("totalsegmentator-ref")
    sample = made.corpus.sample("totalsegmentator-label-map-label-map")
    theirs = nibabel.load(made.data / "example_seg_fast_force_split.nii.gz")
    array = np.asarray(theirs.dataobj).T
    assert np.array_equal(sample.array("mask"), array)
    found = voxels(sample, "mask")
    for value, name in TEN_STRUCTURES.items():
        assert np.array_equal(found[name], array == value), name
    assert len(found) == len(np.unique(array)) - 1


def test_a_folder_of_binary_masks_becomes_one_label_map(built: Get) -> None:
    """117 files, most of them empty, of the lowest 30 slices; the set's own label map of them says the same."""
    made = built("totalsegmentator-ref")
    sample = made.corpus.sample("totalsegmentator-folder-folder")
    array = np.asarray(nibabel.load(made.data / "example_seg_fast.nii.gz").dataobj).T
    found = voxels(sample, "mask")
    for value, name in TEN_STRUCTURES.items():
        assert np.array_equal(found[name][:30], array == value), name
        assert not found[name][30:].any()
    said = sample.medium("mask").derived_from
    assert (said["op"], said["shape"], said["labels_lost"]) == ("resample_nearest", [30, 101, 122], 0)
    assert said["image_outside"] == pytest.approx(1 - 30 / 112, abs=1e-6)
    assert not sample.record.scopes, "the upper slices were not segmented"


def test_a_nifti_mask_of_a_dicom_series_lies_where_simpleitk_puts_it(built: Get) -> None:
    made = built("totalsegmentator-dicom-labels")
    (sample,) = made.corpus
    assert sample.medium("mask").derived_from is None
    assert sample.medium("mask").shape == sample.medium("ct").shape
    mask = SimpleITK.ReadImage(str(made.data / "example_seg_dicom.nii.gz"))
    affine = np.diag([-1.0, -1, 1, 1]) @ np.array(sample.medium("ct").affine_ijk_to_ras)
    like = SimpleITK.GetImageFromArray(np.zeros(sample.medium("ct").shape, np.uint8))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    like.SetSpacing(spacing.tolist())
    like.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    like.SetOrigin(affine[:3, 3].tolist())
    there = SimpleITK.Resample(mask, like, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0)
    assert np.array_equal(sample.array("mask"), SimpleITK.GetArrayFromImage(there))


def test_left_is_left_in_every_pair_of_three_segmentations(built: Get) -> None:
    builds = [*built("totalsegmentator-ref").builds, *built("totalsegmentator-dicom-labels").builds]
    counts = {build.slug: build.counts["sides"] for build in builds}
    assert {slug: sum("agrees" in name for name in told) for slug, told in counts.items()} == {
        "totalsegmentator-label-map": 18,
        "totalsegmentator-dicom-labels": 9,
        "totalsegmentator-folder": 11,
    }
    assert not any("contradicts" in name for told in counts.values() for name in told)


# -- numbered slices -------------------------------------------------------------------------------------------------


def test_slices_without_padded_numbers_become_volumes_in_the_order_of_the_numbers(built: Get) -> None:
    made = built("lgg-mri-volumes")
    assert len(made.corpus) == 2
    for sample in made.corpus:
        folder = made.data / "kaggle_3m" / sample.key.removeprefix("lgg-mri-volumes-")
        image, mask = sample.array("image"), sample.array("abnormality")
        assert image.shape == (3, 12, 256, 256)
        for number in range(1, 13):
            with Image.open(folder / f"{folder.name}_{number}.tif") as picture:
                assert np.array_equal(image[:, number - 1], np.moveaxis(np.asarray(picture), -1, 0)), number
            with Image.open(folder / f"{folder.name}_{number}_mask.tif") as picture:
                assert np.array_equal(mask[number - 1] != 0, np.asarray(picture) > 0), number
        assert sample.medium("image").affine_ijk_to_ras is None
        assert sample.medium("image").spacing_mm is None


# -- another grid ----------------------------------------------------------------------------------------------------


def test_a_parcellation_on_another_grid_is_resampled_where_that_is_declared(built: Get, tmp_path: Path) -> None:
    """torchio's T1 parcels on its T2, by both affines, as SimpleITK does it; refused without the line."""
    shipped = built("torchio-fernando")
    text = find_spec("torchio-fernando").read_text()
    old = "parcels: {from: parcels, using: [person], kind: mask, no_file: not_annotated}"
    assert old in text
    slot = old.replace("kind: mask", "kind: mask, like: image, grid: resample")
    spec = tmp_path / "torchio-fernando.yaml"
    spec.write_text(text.replace(old, slot).replace("    slots: [parcels]\n", ""))
    (sample,) = build_corpus(spec, shipped.data, tmp_path / "corpus").corpus
    folder = shipped.data / "data/fernando"
    image, parcels = (SimpleITK.ReadImage(str(folder / name)) for name in ("t2.nii.gz", "t1_seg_gif.nii.gz"))
    there = SimpleITK.Resample(parcels, image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0)
    theirs, ours = SimpleITK.GetArrayFromImage(there), sample.array("parcels")
    assert ours.shape == theirs.shape
    assert (ours != theirs).mean() < 1e-4, "centres on a border may fall to either side"
    assert sample.medium("parcels").derived_from["op"] == "resample_nearest"

    spec.write_text(spec.read_text().replace(", grid: resample", ""))
    refused = build_corpus(spec, shipped.data, tmp_path / "refused")
    assert [line["error_class"] for line in refused.quarantine if line["stage"] == "read"] == ["grid_mismatch"]


def test_regions_of_the_folder_cite_the_file_that_shows_them(built: Get) -> None:
    sample = built("totalsegmentator-ref").corpus.sample("totalsegmentator-folder-folder")
    files = {row.id: row.file for row in sample.record.source}
    labels = {fact.id: fact for fact in sample.record.facts if isinstance(fact, LabelFact)}
    cited = {
        (labels[fact.of].concept, labels[fact.of].side): files[fact.source[0].id]
        for fact in sample.record.facts
        if isinstance(fact, RegionFact) and fact.source
    }
    assert cited["structure/kidney_region", "left"] == "example_seg_fast/kidney_left.nii.gz"
    assert cited["structure/rib_10", "right"] == "example_seg_fast/rib_right_10.nii.gz"
