"""Volumes in NRRD and NIfTI become corpora: against the tables that PyRadiomics publishes, SimpleITK and nibabel."""

from __future__ import annotations

import ast
import csv
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from corpora import Built, build_corpus, measures, regions

Get = Callable[[str], Built]


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, dict[str, str]]:
    """Feature → value, of each case."""
    with (shared / "data/pyradiomics/data/baseline/baseline_shape.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    return {case: {row["featureName"]: row[case] for row in rows} for case in rows[0] if case != "featureName"}


@pytest.mark.parametrize("case", ["brain-brain1", "brain-brain2", "breast-breast1"])
def test_tumours_have_the_size_and_the_place_that_pyradiomics_publishes(
    case: str, built: Get, published: dict[str, dict[str, str]]
) -> None:
    sample = built("pyradiomics").corpus.sample(f"pyradiomics-{case}")
    wanted = published[case.partition("-")[2]]
    mask = sample.array("mask")
    places = np.argwhere(mask > 0)
    x, y, z, width, height, depth = ast.literal_eval(wanted["diagnostics_Mask-original_BoundingBox"])
    assert places.min(0).tolist() == [z, y, x]
    assert (places.max(0) + 1 - places.min(0)).tolist() == [depth, height, width]
    (region,) = regions(sample, "mask")
    (volume,) = measures(sample, "volume")
    assert volume.value == pytest.approx(float(wanted["original_shape_VoxelVolume"]) / 1000, rel=1e-6)
    (longest,) = measures(sample, "longest_diameter")
    (parts,) = measures(sample, "parts")
    if parts.value == 1:  # ours is of one part
        assert longest.value == pytest.approx(float(wanted["original_shape_Maximum3DDiameter"]), rel=1e-6)
    assert region.concept == "finding/tumour"


@pytest.mark.parametrize(
    ("name", "key", "slot", "path"),
    [
        ("pyradiomics", "pyradiomics-brain-brain1", "image", "pyradiomics/data/brain1_image.nrrd"),
        ("pyradiomics", "pyradiomics-brain-brain2", "mask", "pyradiomics/data/brain2_label.nrrd"),
        ("dcmqi-nrrd", "dcmqi-nrrd-ct", "labels", "dcmqi/data/segmentations/liver_seg.nrrd"),
    ],
)
def test_nrrd_is_stored_as_simpleitk_reads_it(
    name: str, key: str, slot: str, path: str, built: Get, shared: Path
) -> None:
    sample = built(name).corpus.sample(key)
    image = SimpleITK.ReadImage(str(shared / "data" / path))
    np.testing.assert_array_equal(sample.array(slot), SimpleITK.GetArrayFromImage(image))
    affine = np.array(sample.medium(slot).affine_ijk_to_ras)
    for index in ((0, 0, 0), (20, 30, 2)):
        left, posterior, superior = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((affine @ [*index, 1])[:3], (-left, -posterior, superior), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("ct-head", "CT_AVM.nii.gz"),
        ("ct-gantry", "CT_pitch.nii.gz"),
        ("mra", "chris_MRA.nii.gz"),
        ("fmri", "fmri_pitch.nii.gz"),
    ],
)
def test_nifti_is_stored_as_nibabel_reads_it(key: str, path: str, built: Get, shared: Path) -> None:
    sample = built("niivue-volumes").corpus.sample(f"niivue-{key}-{key}")
    image = nibabel.load(shared / "data/niivue_demo" / path)
    ours = sample.array("image")
    np.testing.assert_array_equal(ours, np.asanyarray(image.dataobj).transpose().astype(ours.dtype))
    np.testing.assert_allclose(np.array(sample.medium("image").affine_ijk_to_ras), image.affine, rtol=0, atol=1e-4)


def test_a_ct_and_its_label_map_of_another_format_lie_on_one_grid(built: Get) -> None:
    sample = built("dcmqi-nrrd").corpus.sample("dcmqi-nrrd-ct")
    assert sample.medium("ct").shape == sample.medium("labels").shape
    (volume,) = measures(sample, "volume")
    affine = np.array(sample.medium("ct").affine_ijk_to_ras)
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    assert volume.value == pytest.approx(np.count_nonzero(sample.array("labels")) * voxel_ml, rel=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_detached_data_are_found_beside_their_header(packed: bool, shared: Path, tmp_path: Path) -> None:
    """In folders and in archives; each header of the set reads the file that it names, or is quarantined."""
    original = shared / "data/pynrrd_variants"
    if packed:
        data = tmp_path / "data"
        data.mkdir()
        with zipfile.ZipFile(data / "all.zip", "w") as archive:
            for path in original.iterdir():
                archive.write(path, f"inside/{path.name}")
    spec = tmp_path / "balls.yaml"
    spec.write_text(
        f"""
spec: 1
name: balls
about: {{title: Balls, modality: ct, anatomy: head, department: radiology, home: "https://example.org"}}
licence: {{id: MIT, access: open, redistribute: "yes", evidence: page}}
sources:
  headers: {{files: "{"all.zip!/inside/" if packed else ""}{{id}}.nhdr"}}
samples: {{from: headers, key: id, patient: unknown, split: none}}
media:
  image: {{from: headers, kind: volume}}
expect:
  - {{samples: 5, evidence: seen}}
"""
    )
    made = build_corpus(spec, data if packed else original, tmp_path / "corpus", max_failures=1)
    wanted = np.frombuffer((original / "BallBinary30x30x30.raw").read_bytes(), "<i2").reshape(30, 30, 30)
    same = [sample.key for sample in made.corpus if np.array_equal(sample.array("image"), wanted)]
    name = "balls-BallBinary30x30x30"
    assert sorted(same) == [name, f"{name}_byteskip_minus_one", f"{name}_byteskip_minus_one_nifti"]
    assert made.left_out() == {("headers", "damaged_header"): 1}
