"""Where slices lie: uneven positions, missing slices, tilted gantries, single slices."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import dataset
from dicom_series import AXIAL, OBLIQUE, ORIGIN, SPACING_YX, grain, read, series, text
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.interpolate import interp1d

from medshard.errors import GeometryError
from medshard.readers.base import VolumeOptions

RESAMPLE = VolumeOptions(uneven_slices="resample")
UNEVEN_MM = np.array([0, 2, 4, 6, 7.0, 8.5, 10.5])


def at(distances_mm: NDArray[np.float64], voxels: NDArray[np.int16], direction: object = None) -> list[Dataset]:
    """Slices at distances along a direction, by default their normal."""
    slices = series(voxels, OBLIQUE)
    along = np.asarray(direction, float) if direction is not None else np.cross(*np.array(OBLIQUE))
    for image, distance in zip(slices, distances_mm, strict=True):
        image.ImagePositionPatient = text(ORIGIN + distance * along)
    return slices


def test_uneven_slices_are_refused_with_the_distance() -> None:
    with pytest.raises(GeometryError, match=r"slice \d of 7 is .* mm off an even spacing of 1.75 mm") as caught:
        read(at(UNEVEN_MM, grain(7, 4, 4)), seed=1)
    assert caught.value.error_class == "uneven_slices"


def test_uneven_slices_are_resampled_linearly_where_that_is_declared() -> None:
    voxels = grain(7, 4, 5)
    volume = read(at(UNEVEN_MM, voxels), seed=1, options=RESAMPLE)
    wanted = np.arange(6) * 2.0
    oracle = interp1d(UNEVEN_MM, voxels.astype(float), axis=0)(wanted)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels, oracle, rtol=0, atol=1e-3)
    assert volume.spacing_zyx_mm == pytest.approx((2.0, 0.75, 0.5), abs=1e-5)
    assert volume.affine_ijk_to_ras is not None
    np.testing.assert_allclose(volume.affine_ijk_to_ras[:3, 3], ORIGIN * (-1, -1, 1), atol=1e-5)
    assert volume.notes == ["7 unevenly lying slices resampled to 6, linearly, at the median distance"]
    assert volume.sop_instance_uids == ()


def test_a_tilted_stack_is_resampled_along_its_shear() -> None:
    normal = np.cross(*np.array(OBLIQUE))
    tilted = normal + 0.2 * np.array(OBLIQUE[0])
    volume = read(at(UNEVEN_MM, grain(7, 4, 5), tilted), options=RESAMPLE)
    assert volume.affine_ijk_to_ras is not None
    np.testing.assert_allclose(volume.affine_ijk_to_ras[:3, 2], 2.0 * tilted * (-1, -1, 1), atol=1e-5)


def test_a_hole_is_not_filled_by_resampling() -> None:
    with pytest.raises(GeometryError, match="hole") as caught:
        read(at(np.array([0, 2, 4, 12, 14.0]), grain(5, 4, 4)), options=RESAMPLE)
    assert caught.value.error_class == "missing_slices"


def test_slices_off_one_line_are_not_resampled() -> None:
    slices = at(UNEVEN_MM, grain(7, 4, 4))
    slices[3].ImagePositionPatient = text(np.array(slices[3].ImagePositionPatient, float) + 3 * np.array(OBLIQUE[0]))
    with pytest.raises(GeometryError, match="one line"):
        read(slices, options=RESAMPLE)


@pytest.mark.parametrize(("kept", "missing", "gaps"), [([0, 1, 3, 4], 1, "1 gap"), ([0, 1, 4, 5, 7], 3, "2 gaps")])
def test_missing_slices_are_counted(kept: list[int], missing: int, gaps: str) -> None:
    slices = series(grain(8, 4, 4))
    with pytest.raises(GeometryError, match=f"at least {missing} of {len(kept) + missing} are missing, in {gaps}"):
        read([slices[k] for k in kept], seed=1)


@pytest.mark.parametrize("off_mm", [0.02, 0.024])
def test_positions_of_few_digits_are_even(off_mm: float) -> None:
    distances = np.arange(6) * 2.5
    distances[2] += off_mm
    volume = read(at(distances, grain(6, 4, 4)))
    assert volume.spacing_zyx_mm == pytest.approx((2.5, 0.75, 0.5), abs=1e-4)


def test_a_tilted_gantry_has_the_volume_of_its_parallelepiped() -> None:
    tilt = np.deg2rad(20)
    orientation = ((1.0, 0.0, 0.0), (0.0, float(np.cos(tilt)), float(-np.sin(tilt))))
    volume = read(series(grain(4, 5, 5), orientation, step=(0, 0, 3.0)))
    assert volume.affine_ijk_to_ras is not None
    millilitres = abs(np.linalg.det(volume.affine_ijk_to_ras[:3, :3])) / 1000
    row, column = np.array(orientation) * np.array(SPACING_YX[::-1])[:, None]
    assert millilitres == pytest.approx(abs(np.dot(np.cross(row, column), (0, 0, 3.0))) / 1000, rel=1e-5)
    assert volume.spacing_zyx_mm is not None
    assert millilitres < np.prod(volume.spacing_zyx_mm) / 1000 * 0.95, "the product of spacings is too much"


@pytest.mark.parametrize("stated", [{}, {"SliceThickness": "5"}])
def test_the_thickness_of_one_slice_is_no_distance(stated: dict[str, str]) -> None:
    volume = read(series(grain(1, 4, 4), AXIAL, **stated))
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm is None
    assert volume.notes == ["one slice without a stated distance to the next: no affine"]


def test_the_stated_distance_is_not_believed_against_positions() -> None:
    slices = series(grain(4, 4, 4), SpacingBetweenSlices="9")
    assert read(slices).spacing_zyx_mm == pytest.approx((2.5, 0.75, 0.5), abs=1e-5)


def test_frames_of_a_clip_have_no_place_even_with_a_spacing() -> None:
    volume = read([dataset(grain(3, 4, 4), frames=3, PixelSpacing=["1", "1"], SliceThickness="2")])
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm is None
