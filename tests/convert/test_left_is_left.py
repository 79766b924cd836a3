"""A build whose left is not left fails, and names the sample and its labels: a phantom and its mirror image."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel
import numpy as np
import pytest
from mixed_tree import Quiet
from numpy.typing import NDArray
from PIL import Image

from medshard.convert.dataset import DatasetBuild, build_dataset
from medshard.convert.options import BuildOptions
from medshard.errors import PlanError
from medshard.spec.load import load_spec_text

SPEC = """\
spec: 1
name: kidneys
about: {title: Kidneys, modality: ct, anatomy: abdomen}
licence: {id: MIT, evidence: page}
sources: {masks: {files: "{id}.nii"}}
samples: {from: masks, patient: unknown, split: none}
media: {mask: {from: masks, kind: mask}}
facts:
  kidney:
    kind: mask_classes
    of: mask
    covers: all
    ALLOWED
    map:
      1: {concept: kidney_region, side: LEFT, side_frame: patient}
      2: {concept: kidney_region, side: RIGHT, side_frame: patient}
      3: liver_region
"""

SHAPE = (6, 8, 20)
LABELS = np.zeros(SHAPE, np.uint8)  # (k, j, i)
LABELS[2:5, 3:6, 3:6] = 1
LABELS[1:4, 3:6, 14:18] = 2
LABELS[1:5, 1:3, 8:12] = 3
RIGHTWARDS = np.diag([0.8, 0.9, 2.5, 1.0])  # i goes to the patient's right: value 1 lies at the left
RIGHTWARDS[:3, 3] = [-8, 3, 40]


def oblique() -> NDArray[np.float64]:
    """i goes down, k to the left and forwards: no index is the patient's axis."""
    turn = np.array([[0, 0, -0.8], [0, 1, 0.6], [-1, 0, 0]], float)
    affine = np.eye(4)
    affine[:3, :3] = turn * [0.8, 0.9, 2.5]
    return affine


def built(root: Path, files: dict[str, bytes], *, left: str = "left", allowed: str = "") -> DatasetBuild:
    data = root / "data"
    data.mkdir(exist_ok=True)
    for name, content in files.items():
        (data / name).write_bytes(content)
    right = "right" if left == "left" else "left"
    text = SPEC.replace("LEFT", left).replace("RIGHT", right).replace("ALLOWED\n", f"{allowed}\n")
    (loaded,) = load_spec_text(text, "kidneys.yaml")
    return build_dataset(loaded, data, root / "corpus", BuildOptions(workers=1, partial=True), Quiet())


def nifti(labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> bytes:
    return nibabel.Nifti1Image(labels.T, affine, dtype=np.uint8).to_bytes()


def test_a_phantom_agrees_and_is_counted(tmp_path: Path) -> None:
    turned = np.ascontiguousarray(np.moveaxis(LABELS, 2, 0)[::-1])  # values 1 at high k, which lies at the left
    files = {"a.nii": nifti(LABELS, RIGHTWARDS), "b.nii": nifti(turned, oblique())}
    build = built(tmp_path, files)
    assert build.counts["sides"] == {"mask compared": 2, "mask structure/kidney_region agrees": 2}


@pytest.mark.parametrize("way", ["affine", "voxels", "map"])
def test_a_mirrored_phantom_fails_the_build(tmp_path: Path, way: str) -> None:
    """One of three ways to be wrong at a time; both right kidney and left are named as the source calls them."""
    affine = RIGHTWARDS * np.array([[-1], [1], [1], [1]]) if way == "affine" else RIGHTWARDS
    labels = LABELS[:, :, ::-1].copy() if way == "voxels" else LABELS
    left = "right" if way == "map" else "left"
    files = {"good.nii": nifti(LABELS, RIGHTWARDS), "odd.nii": nifti(labels, affine)}
    if way == "map":
        files.pop("good.nii")
    with pytest.raises(PlanError) as caught:
        built(tmp_path, files, left=left)
    said = str(caught.value)
    assert "kidneys.yaml:9 facts.kidney: left is not left in 1 of " in said
    assert "sample kidneys-odd, structure/kidney_region: '" in said
    assert "at_most: 1" in said
    assert "good" not in said


def test_known_exceptions_are_declared(tmp_path: Path) -> None:
    mirrored = LABELS[:, :, ::-1].copy()
    files = {f"{name}.nii": nifti(mirrored, RIGHTWARDS) for name in "ab"} | {"c.nii": nifti(LABELS, RIGHTWARDS)}
    allowed = "left_is_left: {at_most: 2, reason: situs inversus}"
    counts = built(tmp_path, files, allowed=allowed).counts["sides"]
    assert counts["mask structure/kidney_region contradicts"] == 2
    assert counts["mask structure/kidney_region agrees"] == 1
    with pytest.raises(PlanError, match=r"left is not left in 2 of 3 samples .* 1 may"):
        built(tmp_path / "again", _made(tmp_path / "again", files), allowed=allowed.replace("2", "1"))


def _made(root: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    root.mkdir()
    return files


def test_one_side_alone_and_unknown_grids_are_not_compared(tmp_path: Path) -> None:
    one = np.where(LABELS == 2, 0, LABELS).astype(np.uint8)
    unknown = nibabel.Nifti1Image(LABELS[:, :, ::-1].T.copy(), None, dtype=np.uint8)
    unknown.header["sform_code"] = unknown.header["qform_code"] = 0
    build = built(tmp_path, {"one.nii": nifti(one, RIGHTWARDS), "unknown.nii": unknown.to_bytes()})
    assert build.counts["samples"] == {"none": 2}
    assert "sides" not in build.counts


PLANE = """\
spec: 1
name: lungs
about: {title: Lungs, modality: xray, anatomy: chest}
licence: {id: MIT, evidence: page}
sources: {images: {dicom: "{id}.dcm"}, masks: {files: "{id}.png"}}
samples: {from: images, key: id, patient: unknown, split: none}
media:
  image: {from: images, kind: image}
  mask: {from: masks, using: [id], kind: mask, like: image}
facts:
  lung:
    kind: mask_classes
    of: mask
    covers: all
    map:
      1: {concept: lung, side: left, side_frame: patient}
      2: {concept: lung, side: right, side_frame: patient}
"""


@pytest.mark.parametrize(("orientation", "fails"), [(["L", "F"], True), (["R", "F"], False), (None, False)])
def test_pictures_are_compared_where_they_say_their_sides(
    tmp_path: Path, orientation: list[str] | None, fails: bool
) -> None:
    """Value 1, left, lies at the left of the picture: wrong where columns go to the patient's left."""
    from pydicom.dataset import Dataset, FileMetaDataset

    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3", "DX"
    image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = 8, 20, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.PixelData = np.arange(160, dtype=np.uint16).tobytes()
    if orientation is not None:
        image.PatientOrientation = orientation
    data = tmp_path / "data"
    data.mkdir()
    image.save_as(data / "a.dcm", enforce_file_format=True)
    stream = io.BytesIO()
    Image.fromarray(LABELS[2]).point(lambda value: value % 3).save(stream, "png")
    (data / "a.png").write_bytes(stream.getvalue())
    (loaded,) = load_spec_text(PLANE, "lungs.yaml")
    options = BuildOptions(workers=1, partial=True)
    if fails:
        with pytest.raises(PlanError, match="px towards the patient's right"):
            build_dataset(loaded, data, tmp_path / "corpus", options, Quiet())
    else:
        build = build_dataset(loaded, data, tmp_path / "corpus", options, Quiet())
        assert ("sides" in build.counts) == (orientation is not None)
