"""Series and frames as volumes: order, affine and values against what was written, SimpleITK and the reference sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from blobs import CANARY, blob_of
from dicom_files import CT, dataset, written
from dicom_series import AXIAL, CORONAL, OBLIQUE, ORIGIN, SPACING_YX, grain, read, series, text
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.dicom_volume import LPS_TO_RAS
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medshard.errors import GeometryError, ReadError
from medshard.readers import read_volume


def ras_of(image: Dataset, row: int, column: int) -> NDArray[np.float64]:
    """Where a pixel's centre lies, by PS3.3 equation C.7.6.2.1-1."""
    cosines = np.array(image.ImageOrientationPatient, float)
    spacing = np.array(image.PixelSpacing, float)
    place = np.array(image.ImagePositionPatient, float)
    lps = place + cosines[:3] * spacing[1] * column + cosines[3:] * spacing[0] * row
    return lps * (-1, -1, 1)


# -- order and affine ------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 6),
    seed=st.integers(0, 1000),
    orientation=st.sampled_from([AXIAL, CORONAL, OBLIQUE]),
    backwards=st.booleans(),
)
def test_every_voxel_lies_where_its_slice_says(
    count: int, seed: int, orientation: tuple[tuple[float, ...], tuple[float, ...]], backwards: bool
) -> None:
    voxels = np.arange(count * 4 * 3, dtype=np.int16).reshape(count, 4, 3)
    slices = series(voxels, orientation, gap_mm=-1.75 if backwards else 1.75)
    volume = read(slices, seed)
    assert volume.affine_ijk_to_ras is not None
    assert volume.voxels.shape == voxels.shape
    for image, plane in zip(slices, voxels, strict=True):
        for row, column in ((0, 0), (3, 2), (1, 0)):
            k, j, i = np.argwhere(volume.voxels == plane[row, column])[0]
            here = (volume.affine_ijk_to_ras @ [i, j, k, 1])[:3]
            np.testing.assert_allclose(here, ras_of(image, row, column), rtol=0, atol=1e-4)
    normal = np.cross(*orientation) * (-1, -1, 1)
    assert volume.affine_ijk_to_ras[:3, 2] @ normal > 0
    assert volume.spacing_zyx_mm == pytest.approx((1.75, 0.75, 0.5), abs=1e-5)
    uids = [str(image.SOPInstanceUID) for image in slices]
    assert list(volume.sop_instance_uids) == (uids[::-1] if backwards else uids)


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE])
def test_array_and_affine_are_simpleitks(
    tmp_path: Path, orientation: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    voxels = grain(5, 6, 7)
    slices = series(voxels, orientation)
    for k, image in enumerate(slices):
        image.RescaleSlope, image.RescaleIntercept = 1, -24
        (tmp_path / f"{(k * 3) % 5}.dcm").write_bytes(written(image))
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    theirs = SimpleITK.ReadImage(names)
    volume = read_volume([blob_of(path) for path in sorted(tmp_path.glob("*.dcm"))])
    np.testing.assert_array_equal(volume.voxels, SimpleITK.GetArrayFromImage(theirs))
    assert volume.unit == "[hnsf'U]"
    for index in [(0, 0, 0), (6, 5, 4), (1, 3, 2)]:
        assert volume.affine_ijk_to_ras is not None
        here = (volume.affine_ijk_to_ras @ [*index, 1])[:3] * (-1, -1, 1)
        np.testing.assert_allclose(here, theirs.TransformIndexToPhysicalPoint(index), rtol=0, atol=1e-4)


def test_a_tilted_gantry_stays_as_shear_in_the_affine() -> None:
    tilt = np.deg2rad(15)
    orientation = ((1.0, 0.0, 0.0), (0.0, float(np.cos(tilt)), float(-np.sin(tilt))))
    voxels = grain(4, 5, 5)
    volume = read(series(voxels, orientation, step=(0, 0, 3.0)), seed=1)
    np.testing.assert_array_equal(volume.voxels, voxels)
    wanted = np.eye(4)
    wanted[:3, 0] = np.array(orientation[0]) * SPACING_YX[1]
    wanted[:3, 1] = np.array(orientation[1]) * SPACING_YX[0]
    wanted[:3, 2] = (0, 0, 3.0)
    wanted[:3, 3] = ORIGIN
    np.testing.assert_allclose(volume.affine_ijk_to_ras, LPS_TO_RAS @ wanted, rtol=0, atol=1e-5)


def test_one_slice_has_an_affine_only_where_its_step_is_stated() -> None:
    (image,) = series(grain(1, 4, 4), OBLIQUE)
    assert read([image]).affine_ijk_to_ras is None
    image.SpacingBetweenSlices = "4"
    assert read([image]).spacing_zyx_mm == pytest.approx((4.0, 0.75, 0.5), abs=1e-5)
    del image.ImagePositionPatient
    assert read([image]).affine_ijk_to_ras is None


# -- duplicates and contradictions -----------------------------------------------------------------------------------


def test_equal_slices_at_one_position_are_dropped_and_noted() -> None:
    voxels = grain(4, 4, 4)
    slices = series(voxels)
    again = series(voxels)[2]
    again.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.999"
    volume = read([*slices, again], seed=3)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.notes == ["1 duplicate slice dropped"]


def changed_pixels(slices: list[Dataset]) -> None:
    slices[3].PixelData = bytes(len(slices[3].PixelData))


def changed_rescale(slices: list[Dataset]) -> None:
    slices[3].RescaleSlope, slices[3].RescaleIntercept = 2, 0


def moved_aside(slices: list[Dataset]) -> None:
    x, y, z = (float(number) for number in slices[2].ImagePositionPatient)
    slices[3].ImagePositionPatient = text([x + 20, y, z])


@pytest.mark.parametrize("change", [changed_pixels, changed_rescale, moved_aside])
def test_slices_at_one_position_that_differ_are_refused(change: Callable[[list[Dataset]], None]) -> None:
    slices = series(grain(4, 4, 4))
    slices[3].PixelData, slices[3].ImagePositionPatient = slices[2].PixelData, slices[2].ImagePositionPatient
    change(slices)
    with pytest.raises(GeometryError) as caught:
        read(slices)
    assert caught.value.error_class == "ambiguous_positions"


@pytest.mark.parametrize("missing", [1, 2, 5])
def test_a_missing_slice_is_refused(missing: int) -> None:
    slices = series(grain(7, 4, 4))
    del slices[missing]
    with pytest.raises(GeometryError, match="unevenly") as caught:
        read(slices, seed=2)
    assert caught.value.error_class == "missing_slices"
    assert "1 of 7 are missing" in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "value", "kind"),
    [
        ("SeriesInstanceUID", "1.2.3", "mixed_series"),
        ("FrameOfReferenceUID", "1.2.3", "mixed_series"),
        ("Modality", "MR", "mixed_series"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"], "mixed_series"),
        ("PhotometricInterpretation", "MONOCHROME1", "mixed_series"),
        ("ImageOrientationPatient", ["0.99939083", "0.03489950", "0", "-0.03489950", "0.99939083", "0"], None),
        ("ImageOrientationPatient", ["2", "0", "0", "0", "1", "0"], "geometry"),
        ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"], "geometry"),
        ("PixelSpacing", ["0.75", "0.6"], "spacing_differs"),
        ("ImagePositionPatient", None, "no_position"),
        ("Rows", 3, "size_differs"),
    ],
)
def test_slices_that_contradict_each_other_are_refused(keyword: str, value: object, kind: str | None) -> None:
    slices = series(grain(4, 4, 4))
    if keyword == "Rows":
        slices[2].PixelData = slices[2].PixelData[: 3 * 4 * 2]
    setattr(slices[2], keyword, value)
    with pytest.raises(GeometryError) as caught:
        read(slices)
    assert caught.value.error_class == (kind or "orientation_differs")
    assert CANARY[:5] not in str(caught.value)
    assert "1.2.3" not in str(caught.value)


def test_files_of_several_frames_and_colours_are_no_slices() -> None:
    slices = series(grain(3, 4, 4))
    with pytest.raises(GeometryError) as caught:
        read([*slices, dataset(grain(2, 4, 4), frames=2, Modality="CT", SOPClassUID=CT, **ids(slices[0]))])
    assert caught.value.error_class == "no_position"
    colour = dataset(np.zeros((4, 4, 3), np.uint8), Modality="CT", SOPClassUID=CT, **ids(slices[0]))
    with pytest.raises(GeometryError) as caught:
        read([*slices, colour])
    assert caught.value.error_class == "mixed_series"
    with pytest.raises(ReadError) as refused:
        read([colour])
    assert refused.value.error_class == "not_a_volume"


def ids(image: Dataset) -> dict[str, object]:
    return {key: image[key].value for key in ("SeriesInstanceUID", "FrameOfReferenceUID")}


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fractions", [False, True])
def test_each_slice_has_its_own_rescale(fractions: bool) -> None:
    voxels = np.abs(grain(4, 5, 5))
    slices = series(voxels)
    factors = [(1.5 if fractions else 2, -7), (1, 0), (3, 100), (1, -1024)]
    for image, (slope, intercept) in zip(slices, factors, strict=True):
        image.RescaleSlope, image.RescaleIntercept = slope, intercept
    volume = read(slices, seed=4)
    wanted = np.stack([plane * slope + intercept for plane, (slope, intercept) in zip(voxels, factors, strict=True)])
    np.testing.assert_array_equal(volume.voxels, wanted)
    assert volume.voxels.dtype.kind == ("f" if fractions else "i")
    assert volume.unit == "[hnsf'U]"
    del slices[1].RescaleSlope, slices[1].RescaleIntercept
    assert read(slices).unit is None


def test_monochrome1_slices_are_turned_over_with_their_window() -> None:
    voxels = np.abs(grain(3, 4, 4)).astype(np.uint16)
    slices = series(voxels)
    for image in slices:
        image.Modality, image.PhotometricInterpretation = "MR", "MONOCHROME1"
        image.BitsStored, image.HighBit = 12, 11
        image.WindowCenter, image.WindowWidth = "100.5", "201"
    volume = read(slices)
    np.testing.assert_array_equal(volume.voxels, 4095 - voxels)
    assert volume.window == (3895.0, 4095.0)


# -- frames ----------------------------------------------------------------------------------------------------------


def enhanced(voxels: NDArray[np.generic], order: list[int]) -> Dataset:
    """An enhanced CT object whose frames stand in the given order of slices, each with a rescale of its own."""
    planes = series(voxels, OBLIQUE)
    image = dataset(np.ascontiguousarray(voxels[order]), frames=len(order), SOPClassUID=CT + ".1", Modality="CT")
    frames = []
    for k in order:
        frame, position, values = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = planes[k].ImagePositionPatient
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = k + 1, -k, "HU"
        frame.PlanePositionSequence = Sequence([position])
        frame.PixelValueTransformationSequence = Sequence([values])
        frames.append(frame)
    shared, measures, direction, window = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = text(SPACING_YX)
    direction.ImageOrientationPatient = planes[0].ImageOrientationPatient
    window.WindowCenter, window.WindowWidth = 40, 400
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([direction])
    shared.FrameVOILUTSequence = Sequence([window])
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return image


def test_frames_are_placed_and_scaled_by_their_functional_groups() -> None:
    voxels = grain(4, 5, 6)
    volume = read([enhanced(voxels, [2, 0, 3, 1])])
    np.testing.assert_array_equal(volume.voxels, [voxels[k].astype(int) * (k + 1) - k for k in range(4)])
    np.testing.assert_allclose(volume.affine_ijk_to_ras, read(series(voxels, OBLIQUE)).affine_ijk_to_ras)
    assert volume.unit == "[hnsf'U]"
    assert volume.window == (-160.0, 239.0)


def test_frames_with_too_few_descriptions_are_refused() -> None:
    image = enhanced(grain(4, 5, 6), [0, 1, 2, 3])
    image.PerFrameFunctionalGroupsSequence = Sequence(list(image.PerFrameFunctionalGroupsSequence)[:2])
    with pytest.raises(GeometryError) as caught:
        read([image])
    assert caught.value.error_class == "frames_differ"


def test_frames_without_positions_have_no_geometry() -> None:
    volume = read([dataset(grain(3, 4, 4), frames=3, PixelSpacing=["1", "1"])])
    assert volume.affine_ijk_to_ras is None
    assert volume.notes == ["frames without positions: the stack has no geometry"]


# -- real series -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder", ["segmentations/ct-3slice", "segmentations/24x38x3/image", "segmentations/23x38x3/image"]
)
def test_series_of_the_reference_sets_are_simpleitks(shared: Path, folder: str) -> None:
    root = shared / "data" / "dcmqi" / "data" / folder
    paths = sorted(root.glob("*.dcm"))
    if not paths:
        pytest.skip(f"{folder} is absent")
    theirs = SimpleITK.ReadImage(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(root)))
    volume = read_volume([blob_of(path) for path in reversed(paths)])
    assert len(volume.sop_instance_uids) == len({pydicom.dcmread(path).SOPInstanceUID for path in paths})
    np.testing.assert_array_equal(volume.voxels, SimpleITK.GetArrayFromImage(theirs))
    corner = tuple(length - 1 for length in theirs.GetSize())
    for index in [(0, 0, 0), corner]:
        assert volume.affine_ijk_to_ras is not None
        here = (volume.affine_ijk_to_ras @ [*index, 1])[:3] * (-1, -1, 1)
        np.testing.assert_allclose(here, theirs.TransformIndexToPhysicalPoint(index), rtol=0, atol=1e-3)
