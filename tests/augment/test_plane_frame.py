"""How planes lie as pictures: against nibabel's reorientation, and as maps that go there and back."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from volume_tree import AFFINES

from medshard.augment import from_voxels, to_voxels
from medshard.augment.plane_frame import Axis, Orientation, PlaneFrame, plane_frame
from medshard.errors import LoaderError

SHAPE_IJK = (7, 9, 11)
VALUES = np.arange(np.prod(SHAPE_IJK)).reshape(SHAPE_IJK)
STORED = VALUES.transpose()
ANATOMY: tuple[Axis, ...] = ("axial", "coronal", "sagittal")


def pictures(frame: PlaneFrame) -> NDArray[np.generic]:
    """All planes in the order in which they are shown."""
    shown = frame.shown(np.moveaxis(STORED, frame.axis, 0))
    return shown[::-1] if frame.flip_axis else shown


def as_radiologists_look(canonical: NDArray[np.generic], axis: str) -> NDArray[np.generic]:
    """Pictures of an array along right, anterior, superior: the first row and column are written out by hand."""
    if axis == "axial":  # rows from front to back, columns from right to left; planes from the feet up
        return canonical[::-1, ::-1, :].transpose(2, 1, 0)
    if axis == "coronal":  # rows from head to feet, columns from right to left; planes from front to back
        return canonical[::-1, ::-1, ::-1].transpose(1, 2, 0)
    # rows from head to feet, columns from front to back; planes from left to right
    return canonical[:, ::-1, ::-1].transpose(0, 2, 1)


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("axis", ANATOMY)
def test_radiological_pictures_are_those_of_the_canonical_volume(name: str, axis: Axis) -> None:
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(VALUES.astype(np.int32), AFFINES[name]))
    frame = plane_frame(STORED.shape, axis, "radiological", AFFINES[name])
    np.testing.assert_array_equal(pictures(frame), as_radiologists_look(np.asarray(canonical.dataobj), axis))


@pytest.mark.parametrize("orientation", ["stored", "radiological"])
@pytest.mark.parametrize("axis", ["z", "y", "x", *ANATOMY])
@pytest.mark.parametrize("name", AFFINES)
def test_the_map_gives_the_voxel_that_is_shown(name: str, axis: Axis, orientation: Orientation) -> None:
    frame = plane_frame(STORED.shape, axis, orientation, AFFINES[name])
    planes = frame.shown(np.moveaxis(STORED, frame.axis, 0))
    height, width = frame.size_hw
    assert planes.shape == (frame.length, height, width)
    y, x = np.mgrid[:height, :width] + 0.5
    for index in (0, 3, frame.length - 1):
        matrix = frame.voxels_from_picture(index)
        voxels = np.stack([x, y, 0 * x, 0 * x + 1], -1) @ matrix.T
        assert np.array_equal(voxels, np.rint(voxels)), "middles of pixels are voxels"
        np.testing.assert_array_equal(STORED[tuple(np.moveaxis(voxels, -1, 0).astype(int))], planes[index])
        if orientation == "radiological":  # a frame of LPS, DICOM's, is right-handed; RAS is that turned by a half
            linear = AFFINES[name][:3, :3] @ matrix[::-1, :3]
            assert np.linalg.det(linear) > 0


def test_stored_planes_are_as_numpy_slices_them() -> None:
    for axis, letter in enumerate("zyx"):
        frame = plane_frame(STORED.shape, letter, "stored", None)  # type: ignore[arg-type]
        np.testing.assert_array_equal(pictures(frame), np.stack([STORED.take(n, axis) for n in range(frame.length)]))


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_positions_and_distances_are_those_of_the_world(name: str, axis: int) -> None:
    affine = AFFINES[name]
    frame = plane_frame(STORED.shape, "zyx"[axis], "stored", affine)  # type: ignore[arg-type]
    corners = np.array([[0, 0, 0], [4, 0, 0], [0, 5, 0], [0, 0, 6]], float)
    on_plane = np.delete(np.arange(3), 2 - axis)  # i j k that lie in the plane
    sides = [affine[:3, of] for of in on_plane]
    normal = np.cross(*sides) / np.linalg.norm(np.cross(*sides))
    normal *= np.sign(normal[np.abs(normal).argmax()])
    world = apply_affine(affine, corners) @ normal
    for corner, wanted in zip(corners, world, strict=True):
        assert frame.position_mm(corner[2 - axis]) == pytest.approx(wanted, abs=1e-9)
    # No shear here, so neighbouring planes are a voxel's edge apart.
    assert frame.step_mm == pytest.approx(np.linalg.norm(affine[:3, 2 - axis]), rel=1e-12)


def test_a_tilted_gantry_has_planes_that_are_closer_than_its_voxels_are_long() -> None:
    tilted = np.eye(4)
    tilted[:3, 2] = 0, 3.0 * np.sin(0.3), 3.0 * np.cos(0.3)
    frame = plane_frame(STORED.shape, "z", "stored", tilted)
    assert frame.step_mm == pytest.approx(3.0 * np.cos(0.3))
    assert frame.position_mm(2) - frame.position_mm(1) == pytest.approx(frame.step_mm)


def test_square_pixels_are_as_fine_as_the_finer_edge() -> None:
    affine = np.diag([0.5, 0.75, 3.0, 1.0])
    sizes = {axis: plane_frame(STORED.shape, axis, "stored", affine).square_hw for axis in ("z", "y", "x")}  # type: ignore[arg-type]
    assert sizes == {"z": (14, 7), "y": (66, 7), "x": (44, 9)}  # 9 * 1.5 = 13.5 and 11 * 4 = 44


@pytest.mark.parametrize(
    ("axis", "orientation", "affine", "message"),
    [
        ("axial", "stored", None, "axis='axial' needs"),
        ("z", "radiological", None, "orientation='radiological' needs"),
        ("z", "stored", np.diag([1.0, 1, 0, 1]), "singular"),
    ],
)
def test_geometry_is_never_guessed(axis: Axis, orientation: Orientation, affine: object, message: str) -> None:
    with pytest.raises(LoaderError, match=message):
        plane_frame(STORED.shape, axis, orientation, affine)  # type: ignore[arg-type]


def test_spacing_that_is_unknown_or_no_scanners_is_refused() -> None:
    frame = plane_frame(STORED.shape, "z", "stored", None)
    with pytest.raises(LoaderError, match="spacing is unknown"):
        _ = frame.square_hw
    with pytest.raises(LoaderError, match="spacing is unknown"):
        _ = frame.step_mm
    assert np.isnan(frame.position_mm(3))
    with pytest.raises(LoaderError, match="cannot be made square"):
        _ = plane_frame(STORED.shape, "z", "stored", np.diag([1e-6, 1.0, 1.0, 1.0])).square_hw


def test_points_go_there_and_back_through_a_crop() -> None:
    frame = plane_frame(STORED.shape, "coronal", "radiological", AFFINES["oblique"])
    matrix = frame.voxels_from_picture(4.5)
    geometry = np.array([[0.0, -2.5, 30.0], [1.5, 0.25, -2.0]])  # turned by about a quarter, scaled, moved
    points = np.random.default_rng(0).uniform(0, 20, (6, 5, 2))
    voxels = to_voxels(points, matrix, geometry)
    assert voxels.shape == (6, 5, 3)
    assert np.allclose(voxels[..., frame.axis], 4.5)
    back, depth = from_voxels(voxels, matrix, geometry)
    np.testing.assert_allclose(back, points, atol=1e-9)
    np.testing.assert_allclose(depth, 0, atol=1e-9)
    behind = voxels.copy()
    behind[..., frame.axis] += 2
    same, depth = from_voxels(behind, matrix, geometry)
    np.testing.assert_allclose(same, points, atol=1e-9)
    np.testing.assert_allclose(depth, -2 if frame.flip_axis else 2, atol=1e-9)
