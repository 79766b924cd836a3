"""Every file of the real sets is read with the voxels and the place that another library gives, or is refused."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from blobs import blob_of

from medshard.errors import ReadError
from medshard.readers import READERS, reader_for
from medshard.readers.base import Volume

SETS: dict[str, tuple[int, dict[str, int]]] = {
    "dcmqi": (17, {"unknown_format": 18}),
    "kits19_seg": (8, {"unknown_format": 1}),
    "niivue_demo": (10, {"unknown_format": 23}),
    "nibabel_formats": (
        15,
        {"axes": 1, "damaged_header": 1, "no_data_file": 33, "spm_scale": 1, "unknown_format": 18, "unsupported": 27},
    ),
    "pynrrd_variants": (12, {"axes": 2, "damaged_header": 1, "unknown_format": 1}),
    "pyradiomics": (10, {"unknown_format": 9}),
    "sct_testing_data": (90, {"unknown_format": 14}),
    "torchio_data": (3, {"unknown_format": 2}),
    "totalsegmentator_ref": (145, {"unknown_format": 3}),
}
"""Of each set: how many files are equal, and how many are refused, by reason. The table of docs/volumes.md."""

BY_OTHER_TESTS = ("dicom", "raster", "ome_zarr")
BY_NIBABEL = {"nifti": nibabel.load, "mgh": nibabel.load, "minc": nibabel.load, "afni": nibabel.load,
              "parrec": nibabel.load}  # fmt: skip


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "PROVENANCE.yaml")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # nibabel's
@pytest.mark.parametrize("name", SETS)
def test_every_file_is_equal_or_refused(shared: Path, name: str) -> None:
    equal, refused = 0, Counter[str]()
    for path in files_of(shared / "data" / name):
        blob = blob_of(path)
        try:
            reader = reader_for(blob.read()[:512], path.name)
            if reader.name in BY_OTHER_TESTS:
                continue
            volume = planar(reader, blob) if path.name == "test2d_ascii.nrrd" else reader.volume([blob])
        except ReadError as error:
            refused[error.error_class] += 1
            continue
        if reader.name in BY_NIBABEL:
            check_against_nibabel(path, volume)
        if reader.name in ("nifti", "nrrd"):
            check_against_simpleitk(path, volume)
        equal += 1
    assert (equal, dict(sorted(refused.items()))) == SETS[name]


def planar(reader: Any, blob: Any) -> Volume:
    return Volume(reader.image(blob).pixels[None])


def check_against_nibabel(path: Path, volume: Volume) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = nibabel.load(path)
        if image.get_data_dtype().fields is not None:
            raw = image.dataobj.get_unscaled()
            theirs = np.stack([raw[name].transpose() for name in raw.dtype.names])
        else:
            theirs = np.asanyarray(image.dataobj)
            while theirs.ndim > 3 and theirs.shape[-1] == 1:
                theirs = theirs[..., 0]
            is_minc = theirs.ndim == 4 and isinstance(image, nibabel.Minc1Image)
            theirs = theirs.transpose(0, 3, 2, 1) if is_minc else theirs.transpose()
    np.testing.assert_array_equal(volume.voxels, theirs.astype(volume.voxels.dtype, copy=False))
    has_form = not isinstance(image, nibabel.Nifti1Pair) or image.header["sform_code"] or image.header["qform_code"]
    if not has_form:
        assert volume.affine_ijk_to_ras is None
        return
    np.testing.assert_allclose(volume.affine_ijk_to_ras, image.affine, rtol=0, atol=1e-4)


def check_against_simpleitk(path: Path, volume: Volume) -> None:
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError:
        assert path.name in NOT_READ_BY_ITK
        return
    theirs = SimpleITK.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        theirs = np.moveaxis(theirs, -1, 0)
    ours = volume.voxels.reshape(theirs.shape)
    if ours.dtype.kind == "f":
        ours = np.where(np.isfinite(ours), ours, 0)  # as ITK has it
    np.testing.assert_array_equal(ours, theirs.astype(ours.dtype, copy=False))
    if volume.affine_ijk_to_ras is None or image.GetDimension() != 3 or path.name in OTHER_FORM_BY_ITK:
        return
    affine = volume.affine_ijk_to_ras
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (np.array(image.GetSize()) - 1)
        left, posterior, superior = image.TransformContinuousIndexToPhysicalPoint([float(place) for place in index])
        np.testing.assert_allclose((affine @ [*index, 1])[:3], (-left, -posterior, superior), rtol=0, atol=2e-3)


NOT_READ_BY_ITK = {"test_simple4d_raw.nrrd", "example_nifti2.nii.gz", "BallBinary30x30x30_bz2.nrrd"}
OTHER_FORM_BY_ITK: set[str] = set()


def test_all_writings_of_one_nrrd_are_equal(shared: Path) -> None:
    folder = shared / "data" / "pynrrd_variants"
    wanted = np.frombuffer((folder / "BallBinary30x30x30.raw").read_bytes(), "<i2").reshape(30, 30, 30)
    read = 0
    for path in sorted(folder.glob("BallBinary*.n*r*")):
        if path.name.endswith("minus_five.nhdr") or path.suffix not in (".nrrd", ".nhdr"):
            continue  # a skip of -5 is not defined by the format
        volume = READERS.get("nrrd").volume([blob_of(path)])
        if path.name.endswith("30_nifti.nhdr"):  # whose skip is a comment: it begins with the header of the NIfTI file
            assert not np.array_equal(volume.voxels, wanted)
            continue
        np.testing.assert_array_equal(volume.voxels, wanted)
        np.testing.assert_array_equal(volume.affine_ijk_to_ras, np.diag([-1.0, -1, 1, 1]))
        read += 1
    assert read >= 7


def test_no_file_belongs_to_two_readers(shared: Path) -> None:
    seen = Counter[str]()
    for path in (path for name in SETS for path in files_of(shared / "data" / name)):
        with path.open("rb") as handle:
            head = handle.read(512)
        names = [name for name in READERS if head and READERS.get(name).sniff(head, path.name)]
        assert len(names) <= 1
        seen.update(names)
    assert {"nifti", "nrrd", "mgh", "parrec", "minc", "afni", "analyze", "dicom", "raster"} <= set(seen)
