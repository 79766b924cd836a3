"""CT phantoms in closed form: ellipsoids of known size, place and HU, sampled on any grid, as NIfTI files."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import nibabel
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ellipsoid:
    """Half axes along the patient's right, front and head, in millimetres around a centre."""

    name: str
    centre_ras_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    hu: float

    @property
    def volume_ml(self) -> float:
        return float(4 / 3 * np.pi * np.prod(self.half_axes_mm)) / 1000

    def volume_bounds_ml(self, step_mm: float) -> tuple[float, float]:
        """Volumes of the ellipsoids whose surface lies half a voxel further in and further out."""
        volumes = [
            4 / 3 * np.pi * np.prod(np.array(self.half_axes_mm) + off) / 1000 for off in (-step_mm / 2, step_mm / 2)
        ]
        return float(volumes[0]), float(volumes[1])

    def longest_in_plane_mm(self, normal: Floats) -> float:
        """The longer axis of the ellipse in which a plane through the middle cuts it."""
        one = np.cross(normal, [1.0, 0, 0] if abs(normal[0]) < 0.9 else [0, 1.0, 0])
        one /= np.linalg.norm(one)
        plane = np.stack([one, np.cross(normal, one)], 1)
        return 2 / float(np.linalg.svd(np.diag(1 / np.array(self.half_axes_mm)) @ plane)[1].min())


def rotation(degrees_xyz: tuple[float, float, float]) -> Floats:
    """Turns about right, then front, then head."""
    found = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        one, other = next(pair for pair in combinations(range(3), 2) if axis not in pair)
        turn = np.eye(3)
        turn[[one, other], [one, other]] = np.cos(np.deg2rad(degrees))
        turn[one, other], turn[other, one] = -np.sin(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        found = turn @ found
    return found


@dataclass(frozen=True)
class Phantom:
    """A body of ellipsoids; later ones lie over earlier ones.

    Attributes:
        parts: what is there.
        slope_hu_per_mm: of a gradient along the patient's right, front and head.
    """

    parts: tuple[Ellipsoid, ...]
    slope_hu_per_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    half_width_mm: float = field(default=60.0)

    def grid(self, matrix: Floats) -> tuple[tuple[int, int, int], Floats]:
        """Shape (i, j, k) and affine of a grid with these steps that holds a cube of the phantom's width."""
        size = 2 * np.ceil(np.abs(np.linalg.inv(matrix)).sum(axis=1) * self.half_width_mm).astype(int) + 1
        affine = np.eye(4)
        affine[:3, :3] = matrix
        affine[:3, 3] = -matrix @ (size / 2 - 0.37)  # no voxel lies at the origin
        return (int(size[0]), int(size[1]), int(size[2])), affine

    def sampled(self, shape: tuple[int, int, int], affine: Floats) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """HU, and the number (from 1) of the part that lies on top, of each voxel's centre, indexed i, j, k."""
        ijk = np.stack(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"), -1)
        place = ijk @ affine[:3, :3].T + affine[:3, 3]
        labels = np.zeros(shape, np.uint8)
        hu = np.full(shape, -1000.0)
        for number, part in enumerate(self.parts, start=1):
            inside = (((place - part.centre_ras_mm) / part.half_axes_mm) ** 2).sum(-1) <= 1
            labels[inside] = number
            hu[inside] = part.hu + (place[inside] - part.centre_ras_mm) @ self.slope_hu_per_mm
        return np.rint(hu).astype(np.int16), labels


def nifti(voxels: NDArray[np.generic], affine: Floats | None) -> bytes:
    """The bytes of a NIfTI file of an array indexed i, j, k; without an affine its header states no place."""
    image = nibabel.Nifti1Image(voxels, affine if affine is not None else np.eye(4))
    image.set_sform(affine, code=1 if affine is not None else 0)
    image.set_qform(None, code=0)
    return image.to_bytes()
