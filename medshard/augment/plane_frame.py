"""How the planes of a volume lie as pictures: which axis runs down, which across, and which of them backwards.

Voxels have integer indices at their centres. Coordinates of pictures are continuous pixels: (0, 0) is the outer corner
of the first pixel and its middle is (0.5, 0.5); x before y.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard.errors import LoaderError

__all__ = ["AXES", "Axis", "Orientation", "PlaneFrame", "plane_frame"]

Axis = Literal["z", "y", "x", "axial", "coronal", "sagittal"]
Orientation = Literal["stored", "radiological"]
Floats = NDArray[np.float64]

AXES = ("z", "y", "x", "axial", "coronal", "sagittal")
_NORMALS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Place among right, anterior, superior of the axis that is normal to the planes."""

_SHOWN = {2: (1, 0), 1: (2, 0), 0: (2, 1)}
"""Normal → the world axes that run up the picture and against its x, as radiologists look at it: anterior and right of
axial planes, superior and right of coronal ones, superior and anterior of sagittal ones."""

_LARGEST_SHAPE = 1000
"""Of pixels, longer over shorter edge. Beyond it an affine is no scanner's."""


@dataclass(frozen=True, eq=False)
class PlaneFrame:
    """Planes of a volume (Z, Y, X) as pictures.

    Attributes:
        shape_zyx: of the volume.
        axis: of the array, along which planes follow one another: 0 z, 1 y, 2 x.
        down, across: the axes that run down and across the picture.
        flip_axis, flip_down, flip_across: whether they run against the stored order; planes follow one another against
            it with ``flip_axis``.
        affine_ijk_to_ras: of the volume; None when unknown.
    """

    shape_zyx: tuple[int, int, int]
    axis: int
    down: int
    across: int
    flip_axis: bool = False
    flip_down: bool = False
    flip_across: bool = False
    affine_ijk_to_ras: Floats | None = None

    @property
    def length(self) -> int:
        """Number of planes."""
        return self.shape_zyx[self.axis]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of a plane."""
        return self.shape_zyx[self.down], self.shape_zyx[self.across]

    @property
    def square_hw(self) -> tuple[int, int]:
        """Height and width of a plane whose pixels are square, as large as the shorter edge of the stored ones.

        Raises:
            LoaderError: spacing is unknown.
        """
        down, across = (self._edge_mm(axis) for axis in (self.down, self.across))
        if max(down, across) > _LARGEST_SHAPE * min(down, across):
            raise LoaderError(f"pixels of {down:g} x {across:g} mm cannot be made square; say square_pixels=False")
        fine = min(down, across)
        height, width = self.size_hw
        return max(1, round(height * down / fine)), max(1, round(width * across / fine))

    @property
    def pixel_yx_mm(self) -> tuple[float, float] | None:
        """Distance of stored pixels down and across; None when unknown."""
        if self.affine_ijk_to_ras is None:
            return None
        return self._edge_mm(self.down), self._edge_mm(self.across)

    @property
    def step_mm(self) -> float:
        """Distance of neighbouring planes, square to them.

        Raises:
            LoaderError: spacing is unknown.
        """
        return abs(float(self._direction(self.axis) @ self._normal))

    def position_mm(self, index: float) -> float:
        """How far along their common normal a plane lies from the world's origin; not a number when unknown.

        The normal points to the patient's right, front or head, whichever is nearest.

        Args:
            index: of the plane along the axis; between two planes for a slab.
        """
        if self.affine_ijk_to_ras is None:
            return float("nan")
        index_kji = np.zeros(3)
        index_kji[self.axis] = index
        world = self.affine_ijk_to_ras[:3, :3] @ index_kji[::-1] + self.affine_ijk_to_ras[:3, 3]
        return float(world @ self._normal)

    def shown(self, planes: NDArray[np.generic]) -> NDArray[np.generic]:
        """Planes (N, ...) with the two other axes in stored order, as they are shown: (N, H, W), a view."""
        if self.down > self.across:
            planes = planes.swapaxes(1, 2)
        return planes[:, :: -1 if self.flip_down else 1, :: -1 if self.flip_across else 1]

    def voxels_from_picture(self, index: float, top: int = 0, left: int = 0) -> Floats:
        """(3, 4): the voxel index (z, y, x) of (x, y, d, 1), a point of the picture and its depth.

        The depth counts planes from the shown one, along the order in which planes follow one another.

        Args:
            index: of the shown plane along the axis; between two planes for a slab.
            top, left: of the plane in the picture, where that has several.
        """
        matrix = np.zeros((3, 4))
        matrix[self.axis, 2:] = -1.0 if self.flip_axis else 1.0, index
        for axis, place, flip, before in (
            (self.across, 0, self.flip_across, left),
            (self.down, 1, self.flip_down, top),
        ):
            matrix[axis, place] = -1.0 if flip else 1.0
            matrix[axis, 3] = self.shape_zyx[axis] - 0.5 + before if flip else -0.5 - before
        return matrix

    def _direction(self, axis: int) -> Floats:
        """Millimetres right, anterior, superior of a step along an axis of the array."""
        if self.affine_ijk_to_ras is None:
            raise LoaderError("its spacing is unknown, which thickness_mm and square_pixels need")
        return self.affine_ijk_to_ras[:3, 2 - axis]

    def _edge_mm(self, axis: int) -> float:
        return float(np.linalg.norm(self._direction(axis)))

    @property
    def _normal(self) -> Floats:
        normal = np.cross(self._direction(self.across), self._direction(self.down))
        normal /= np.linalg.norm(normal)
        return normal * (1.0 if normal[np.argmax(np.abs(normal))] > 0 else -1.0)


def plane_frame(
    shape_zyx: Sequence[int], axis: Axis, orientation: Orientation, affine_ijk_to_ras: NDArray[np.float64] | None
) -> PlaneFrame:
    """The frame of planes along an axis.

    ``axial``, ``coronal`` and ``sagittal`` are the axis of the array that is nearest to superior, anterior and right.
    ``radiological`` shows axial planes with the front up and the patient's left at the right of the picture, coronal
    ones with the head up and the patient's left at the right, sagittal ones with the head up and the front at the left;
    planes follow one another along x × y of the picture, as DICOM counts the normal: axial from the feet up, coronal
    from front to back, sagittal from left to right. Axes are turned by quarters and mirrored, never resampled.

    Source: DICOM PS3.3 C.7.6.2.1.1 (Image Position and Orientation, Patient).

    Raises:
        LoaderError: where the axes point is needed and unknown, or the affine is none.
    """
    shape = (int(shape_zyx[0]), int(shape_zyx[1]), int(shape_zyx[2]))
    affine = None if affine_ijk_to_ras is None else np.asarray(affine_ijk_to_ras, np.float64).reshape(4, 4)
    if affine is not None and not abs(np.linalg.det(affine[:3, :3])) > 0:
        raise LoaderError("its affine is singular")
    anatomical = axis in _NORMALS
    if (anatomical or orientation == "radiological") and affine is None:
        asked = f"axis={axis!r}" if anatomical else "orientation='radiological'"
        raise LoaderError(
            f"where its axes point is unknown, which {asked} needs; say axis='z' and orientation='stored', or leave "
            "such volumes out"
        )
    world = _world_axes(affine) if affine is not None else (2, 1, 0)
    along = world.index(_NORMALS[axis]) if anatomical else AXES.index(axis)
    if orientation == "stored":
        down, across = (other for other in range(3) if other != along)
        return PlaneFrame(shape, along, down, across, affine_ijk_to_ras=affine)
    assert affine is not None
    up, against = _SHOWN[world[along]]
    down, across = world.index(up), world.index(against)
    flip_down, flip_across = (bool(affine[of, 2 - place] > 0) for of, place in ((up, down), (against, across)))
    normal = np.cross(
        affine[:3, 2 - across] * (-1 if flip_across else 1), affine[:3, 2 - down] * (-1 if flip_down else 1)
    )
    flip_axis = bool(affine[:3, 2 - along] @ normal < 0)
    return PlaneFrame(shape, along, down, across, flip_axis, flip_down, flip_across, affine)


def _world_axes(affine: Floats) -> tuple[int, ...]:
    """Of z, y, x the place among right, anterior, superior that is nearest: all together, so that none is twice."""
    linear = affine[:3, :3]
    shares = np.abs(linear / np.linalg.norm(linear, axis=0))[:, ::-1]  # columns z, y, x
    return max(itertools.permutations(range(3)), key=lambda order: sum(shares[order[a], a] for a in range(3)))
