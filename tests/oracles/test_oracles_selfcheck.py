"""Checks of the oracles: against published counts, PROVENANCE.yaml, other readers and hand-made cases."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml

from oracles.decode import decode_nifti, label_areas, probe_voxels
from oracles.expected import Expected, Label, MaskArea, Pixels, label, pick

SETS = (
    *(
        "bccd",
        "rbc_coco",
        "busi",
        "kits19_seg",
        "torchio_data",
        "sct_testing_data",
        "figure1_covid_cxr",
        "vqa_rad",
    ),
    *("openi_reports", "dsb2018_fixes", "dcmqi", "dicompyler_rt", "medquad", "pubmedqa", "lgg_mri"),
    *("pillow_broken", "pydicom_tests"),
)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@functools.cache
def _expected(root: Path) -> Expected:
    return importlib.import_module(f"oracles.{root.name}").expected(root)


def _provenance(root: Path) -> dict:
    return yaml.safe_load((root / "PROVENANCE.yaml").read_text(encoding="utf-8"))


def _ras_affine(image: sitk.Image) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ affine


@pytest.mark.parametrize("name", SETS)
def test_samples_name_existing_sources_and_well_formed_fields(shared: Path, name: str) -> None:
    root = shared / "data" / name
    result = _expected(root)
    assert result.samples
    assert all(isinstance(n, int) and n >= 0 for n in (*result.counts.values(), *result.left_out.values()))
    for key, sample in result.samples.items():
        assert (root / key.split("#")[0].split("!")[0]).is_file(), key
        for _, x0, y0, x1, y1 in sample.boxes:
            assert x0 < x1, key
            assert y0 < y1, key
        assert all(isinstance(v, Label) for v in sample.labels.values())
        assert len(sample.qa_types) in (0, len(sample.qa))
        for area in sample.masks.values():
            assert (area.area == 0) == (area.box is None)
            if area.box:
                half = len(area.box) // 2
                assert area.area <= np.prod(np.subtract(area.box[half:], area.box[:half]))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("bccd", {"csv.images": 364, "csv.rows": 4888, "csv.boxes_that_differ": 0}),
        ("busi", {"captions.benign": 437, "captions.malignant": 210, "captions.normal": 133}),
        ("kits19_seg", {"records": 210}),
        ("vqa_rad", {"rows.train": 3064, "rows.test": 451}),
        ("openi_reports", {"reports": 3955, "images": 7470}),
        ("pubmedqa", {"decision.yes": 552, "decision.no": 338, "decision.maybe": 110, "split.test": 500}),
        ("lgg_mri", {"rows": 110}),
    ],
)
def test_counts_are_those_published_for_the_whole_set(shared: Path, name: str, counts: dict[str, int]) -> None:
    """Published by BCCD, BUSI, KiTS19, VQA-RAD, Open-i, PubMedQA (PQA-L) and the Kaggle LGG edition."""
    found = _expected(shared / "data" / name).counts
    assert {key: found[key] for key in counts} == counts


@pytest.mark.parametrize(
    ("name", "extensions"),
    [
        ("bccd", ("jpg",)),
        ("rbc_coco", ("jpg",)),
        ("busi", ("png",)),
        ("figure1_covid_cxr", ("jpg", "png")),
    ],
)
def test_one_sample_per_image_file_of_the_provenance(shared: Path, name: str, extensions: tuple[str, ...]) -> None:
    root = shared / "data" / name
    files = _provenance(root)["by_extension"]
    assert len(_expected(root).samples) == sum(files[e] for e in extensions)


@pytest.mark.parametrize("name", ["pillow_broken", "pydicom_tests"])
def test_undecodable_files_are_those_of_the_provenance(shared: Path, name: str) -> None:
    root = shared / "data" / name
    refused = {k for k, why in _expected(root).refused.items() if why not in ("no_pixel_data", "no_dicom_preamble")}
    assert refused == set(_provenance(root)["refused_by_readers"])


def test_no_oracle_imports_the_package_under_test() -> None:
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(n.split(".")[0] == "medshard" for n in names), path.name


@pytest.mark.parametrize("folder", ["ct-3slice", "23x38x3/image", "24x38x3/image"])
def test_dicom_series_agree_with_simpleitk(shared: Path, folder: str) -> None:
    root = shared / "data" / "dcmqi"
    path = root / "data/segmentations" / folder
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path)))
    (sample,) = (s for k, s in _expected(root).samples.items() if (root / k).parent == path)
    _assert_same_volume(sample, image)


@pytest.mark.parametrize("size", ["23x38x3", "24x38x3"])
def test_multi_frame_agrees_with_simpleitk_and_with_its_single_frame_series(shared: Path, size: str) -> None:
    root = shared / "data" / "dcmqi"
    key = f"data/segmentations/{size}/multiframe/mf.dcm"
    samples = _expected(root).samples
    _assert_same_volume(samples[key], sitk.ReadImage(str(root / key)))
    single = samples[f"data/segmentations/{size}/image/IMG0001.dcm"]
    assert single.pixels == samples[key].pixels
    assert single.geometry == samples[key].geometry


def test_single_ct_slice_agrees_with_simpleitk(shared: Path) -> None:
    root = shared / "data" / "dicompyler_rt"
    ((key, sample),) = _expected(root).samples.items()
    image = sitk.ReadImage(str(root / key))
    assert sample.pixels == Pixels.of(sitk.GetArrayFromImage(image).astype(np.float64))
    np.testing.assert_allclose(np.array(sample.geometry.affine_ijk_to_ras)[:, 3], _ras_affine(image)[:, 3])


def _assert_same_volume(sample, image: sitk.Image) -> None:
    assert sample.pixels == Pixels.of(sitk.GetArrayFromImage(image).astype(np.float64))
    np.testing.assert_allclose(sample.geometry.affine_ijk_to_ras, _ras_affine(image), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("torchio_data", "data/fernando/t2.nii.gz"),
        ("torchio_data", "data/fernando/t1_seg_gif.nii.gz"),
        ("sct_testing_data", "t2/t2.nii.gz"),
        ("sct_testing_data", "t2s/t2s.nii.gz"),
        ("kits19_seg", "data/case_00004/segmentation.nii.gz"),
    ],
)
def test_nifti_volumes_agree_with_simpleitk(shared: Path, name: str, file: str) -> None:
    sample = _expected(shared / "data" / name).samples[file]
    image = sitk.ReadImage(str(shared / "data" / name / file))
    array = sitk.GetArrayFromImage(image)
    assert sample.geometry.shape_kji == array.shape
    assert {place: float(array[place]) for place in sample.geometry.voxels} == sample.geometry.voxels
    # ITK keeps spacing and unit directions apart, so products differ from the float32 header by rounding.
    np.testing.assert_allclose(sample.geometry.affine_ijk_to_ras, _ras_affine(image), atol=2e-5)


@pytest.mark.parametrize("file", ["t2/t2.nii.gz", "t2s/t2s.nii.gz", "mt/mt1.nii.gz", "dmri/dmri.nii.gz"])
def test_probe_voxels_see_every_flip_and_swap(shared: Path, file: str) -> None:
    array, _ = decode_nifti(shared / "data" / "sct_testing_data" / file)
    probes = probe_voxels(array)
    changed = [np.flip(array, axis) for axis in range(array.ndim)]
    changed += [array.swapaxes(-1, -2)] if array.shape[-1] == array.shape[-2] else []
    assert all(any(other[p] != value for p, value in probes.items()) for other in changed)


def test_vqa_rad_test_images_are_all_in_train(shared: Path) -> None:
    result = _expected(shared / "data" / "vqa_rad")
    by_split = {s: {x.group for x in result.samples.values() if x.split == s} for s in ("train", "test")}
    assert by_split["test"] <= by_split["train"]
    assert result.counts["leaked_images"] == len(by_split["test"]) == 142


def test_every_mask_file_is_one_instance_on_the_grid_of_its_image(shared: Path) -> None:
    result = _expected(shared / "data" / "dsb2018_fixes")
    files = _provenance(shared / "data/dsb2018_fixes")["by_extension"]["png"]
    assert sum(len(s.masks) for s in result.samples.values()) + len(result.samples) == files
    for sample in result.samples.values():
        height, width, channels = sample.pixels.shape
        assert channels == 4
        assert all(m.box[2] <= width and m.box[3] <= height for m in sample.masks.values())


def test_mask_area_of_hand_made_masks() -> None:
    flat = np.zeros((5, 7), bool)
    assert MaskArea.of(flat) == MaskArea(0, None)
    flat[1:3, 4] = True
    assert MaskArea.of(flat) == MaskArea(2, (4, 1, 5, 3))
    solid = np.zeros((3, 4, 5), bool)
    solid[2, 1:3, 0:4] = True
    assert MaskArea.of(solid) == MaskArea(8, (0, 1, 2, 4, 3, 3))
    assert label_areas(solid.astype(np.float64) * 5) == {"5": MaskArea(8, (0, 1, 2, 4, 3, 3))}


def test_pixels_do_not_depend_on_byte_order_or_strides_but_on_values() -> None:
    array = np.arange(12, dtype="<u2").reshape(3, 4)
    assert Pixels.of(array.astype(">u2")) == Pixels.of(array)
    assert Pixels.of(np.asfortranarray(array)) == Pixels.of(array)
    assert Pixels.of(array[:, ::-1]) != Pixels.of(array)


def test_label_states_and_picked_names() -> None:
    assert [label(v).state for v in ("x", " ", "", None)] == ["given", "empty", "empty", "missing"]
    assert pick(f"{n:02d}" for n in range(9)) == ["00", "02", "04", "06", "08"]
    assert pick(["b", "a"]) == ["a", "b"]
    assert pick([]) == []
