"""Real series: affine and voxels equal to dcm2niix, SimpleITK and nibabel."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from blobs import blob_of
from other_converters import LPS_TO_RAS, dcm2niix, same_in_space

from medshard.readers import read_image, read_volume
from medshard.readers.base import VolumeOptions
from medshard.readers.dicom.csa import read_csa

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # nibabel warns that its DICOM readers are experimental
    from nibabel.nicom import csareader
    from nibabel.nicom.dicomwrappers import wrapper_from_file

SERIES = {
    "niivue_demo": "niivue_demo/dicom/*.dcm",
    "totalsegmentator_ref": "totalsegmentator_ref/example_ct_dicom/*",
    "dicom_structural": "dicom_structural/dicoms/*.dcm",
    "dcmqi 3 slices": "dcmqi/data/segmentations/ct-3slice/*.dcm",
    "dcmqi 24x38": "dcmqi/data/segmentations/24x38x3/image/*.dcm",
    "dcmqi 23x38": "dcmqi/data/segmentations/23x38x3/image/*.dcm",
    "dcmqi enhanced": "dcmqi/data/segmentations/24x38x3/multiframe/mf.dcm",
    "enhanced CT": "pydicom_data/eCT_Supplemental.dcm",
}


def files_of(shared: Path, pattern: str) -> list[Path]:
    files = sorted((shared / "data").glob(pattern))
    if not files:
        pytest.skip(f"{pattern} is absent")
    return files


@pytest.mark.parametrize("name", SERIES)
def test_series_are_where_dcm2niix_puts_them(name: str, shared: Path, tmp_path: Path) -> None:
    files = files_of(shared, SERIES[name])
    volume = read_volume([blob_of(path) for path in reversed(files)])
    (theirs,) = dcm2niix(files, tmp_path)
    same_in_space(volume, np.asanyarray(theirs.dataobj), theirs.affine)


@pytest.mark.parametrize("name", [name for name in SERIES if name != "totalsegmentator_ref"])
def test_series_are_where_simpleitk_puts_them(name: str, shared: Path) -> None:
    files = files_of(shared, SERIES[name])
    volume = read_volume([blob_of(path) for path in reversed(files)])
    if len(files) > 1:
        theirs = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(files[0].parent)))
    else:
        theirs = SimpleITK.ReadImage(str(files[0]))
    theirs = theirs[..., 0] if theirs.GetDimension() == 4 else theirs
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(theirs.GetDirection(), (3, 3)) * theirs.GetSpacing()
    affine[:3, 3] = theirs.GetOrigin()
    same_in_space(volume, SimpleITK.GetArrayFromImage(theirs).transpose(), LPS_TO_RAS @ affine)


def test_the_dicom_series_and_the_nifti_of_one_scan_agree(shared: Path) -> None:
    """TotalSegmentator's NIfTI is its own conversion of another scan of the set; the DICOM series has its own masks."""
    files = files_of(shared, SERIES["totalsegmentator_ref"])
    volume = read_volume([blob_of(path) for path in files])
    masks = nibabel.load(shared / "data/totalsegmentator_ref/example_seg_dicom.nii.gz")
    assert volume.affine_ijk_to_ras is not None
    steps = np.linalg.inv(masks.affine) @ volume.affine_ijk_to_ras
    np.testing.assert_allclose(steps, np.round(steps), atol=2e-3)
    assert sorted(masks.shape) == sorted(volume.voxels.shape)


def mosaics(shared: Path, folder: Path) -> list[Path]:
    """nibabel's two mosaics, whose pixels are blanked, with pixels that tell every voxel apart."""
    files = []
    for number, packed in enumerate(files_of(shared, "nibabel_formats/nicom/tests/data/siemens_dwi_*.dcm.gz")):
        image = pydicom.dcmread(io.BytesIO(gzip.decompress(packed.read_bytes())))
        pixels = np.random.default_rng(number).integers(0, 4096, (image.Rows, image.Columns), np.uint16)
        image.PixelData = pixels.tobytes()
        files.append(folder / packed.name.removesuffix(".gz"))
        image.save_as(files[-1])
    return files


@pytest.mark.parametrize("number", [0, 1])
def test_mosaics_are_cut_and_placed_as_nibabel_and_dcm2niix_do(number: int, shared: Path, tmp_path: Path) -> None:
    file = mosaics(shared, tmp_path)[number]
    volume = read_volume([blob_of(file)])
    assert volume.voxels.shape == (48, 128, 128)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = wrapper_from_file(str(file))
        theirs, affine = np.asarray(wrapped.get_data()), LPS_TO_RAS @ wrapped.affine
    # nibabel's first axis is the row; its affine says so.
    same_in_space(volume, theirs, affine)
    (converted,) = dcm2niix([file], tmp_path)
    same_in_space(volume, np.asanyarray(converted.dataobj), converted.affine)


def test_two_mosaics_of_one_series_are_two_volumes_by_their_weighting(shared: Path, tmp_path: Path) -> None:
    files = mosaics(shared, tmp_path)
    volume = read_volume([blob_of(path) for path in reversed(files)])
    assert volume.axes == "CZYX"
    assert volume.axis_values == {"b_value_s_per_mm2": (0.0, 1000.0)}
    for place, path in enumerate(files):
        np.testing.assert_array_equal(volume.voxels[place], read_volume([blob_of(path)]).voxels)


@pytest.mark.parametrize("name", ["csa2_b0.bin", "csa2_b1000.bin", "csa_str_valid.bin"])
def test_the_csa_header_is_read_as_nibabel_reads_it(name: str, shared: Path) -> None:
    (file,) = files_of(shared, f"nibabel_formats/nicom/tests/data/{name}")
    ours, theirs = read_csa(file.read_bytes()), csareader.read(file.read_bytes())["tags"]
    assert set(ours) == set(theirs)
    for tag in ("NumberOfImagesInMosaic", "SliceNormalVector", "B_value", "ImagePositionPatient"):
        wanted = [float(item) for item in theirs.get(tag, {"items": []})["items"] if item != ""]
        assert [float(text) for text in ours.get(tag, [])] == wanted, tag


def test_the_option_of_resampling_changes_nothing_where_slices_lie_evenly(shared: Path) -> None:
    blobs = [blob_of(path) for path in files_of(shared, SERIES["niivue_demo"])]
    plain, resampled = read_volume(blobs), read_volume(blobs, VolumeOptions(uneven_slices="resample"))
    np.testing.assert_array_equal(plain.voxels, resampled.voxels)
    assert resampled.voxels.dtype == plain.voxels.dtype
    assert not resampled.notes


@pytest.mark.parametrize("case", ["CT2", "MR1", "MR3", "MR4"])
@pytest.mark.parametrize("codec", ["J2KR", "JLSL", "JPLL", "RLE"])
def test_pictures_are_where_simpleitk_puts_them(case: str, codec: str, shared: Path) -> None:
    (file,) = files_of(shared, f"nema_wg04/WG04/{codec}/{case}_{codec}")
    image = read_image(blob_of(file))
    theirs = SimpleITK.ReadImage(str(file))
    if case == "MR4":  # its rescale gives fractions: the picture keeps what is stored
        theirs_pixels = pydicom.dcmread(file).pixel_array
    else:
        theirs_pixels = SimpleITK.GetArrayFromImage(theirs)[0]
    np.testing.assert_array_equal(image.pixels, theirs_pixels)
    assert image.affine_ijk_to_ras is not None
    for i, j in ((0, 0), (5, 3)):
        here = (image.affine_ijk_to_ras @ [i, j, 0, 1])[:3] * (-1, -1, 1)
        np.testing.assert_allclose(here, theirs.TransformIndexToPhysicalPoint((i, j, 0)), rtol=0, atol=1e-3)
