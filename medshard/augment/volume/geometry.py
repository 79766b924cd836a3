"""Where the voxels of a crop lie in the stored volume.

A voxel's index is its centre, in the crop as in the volume. Matrices (3, 4) take (z, y, x, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Affine

__all__ = ["Box", "Elastic3D", "Floats", "VolumeGeometry", "compose", "identity"]

Floats: TypeAlias = NDArray[np.float64]
Box: TypeAlias = "tuple[tuple[int, int, int], tuple[int, int, int]]"
"""(start_zyx, size_zyx)"""

_EPS = 1e-6  # of a voxel


def identity() -> Floats:
    """(3, 4)"""
    return np.eye(3, 4)


def compose(outer: Floats, inner: Floats) -> Floats:
    """(3, 4): first ``inner``, then ``outer``."""
    return np.asarray(np.concatenate([outer[:, :3] @ inner[:, :3], outer[:, :3] @ inner[:, 3:] + outer[:, 3:]], 1))


@dataclass(frozen=True)
class Elastic3D:
    """A displacement by cubic B-splines on a lattice of random values.

    At a point p of its plane, component a is amplitude_zyx[a] · Σ B(t) · u over the 4³ lattice nodes around
    p / spacing, with u from -1 to 1 a function of (seed, a, node).

    Attributes:
        seed: state of the counters.
        spacing_zyx: of the lattice, in voxels of the plane.
        amplitude_zyx: the most that a point moves along an axis, in voxels of the plane.
        plane_from_output_zyx: (3, 4).
        source_from_plane_zyx: (3, 4).
    """

    seed: int
    spacing_zyx: tuple[float, float, float]
    amplitude_zyx: tuple[float, float, float]
    plane_from_output_zyx: Floats
    source_from_plane_zyx: Floats


@dataclass(frozen=True)
class VolumeGeometry:
    """How a crop is sampled.

    Attributes:
        size_zyx: of the crop.
        source_from_output_zyx: (3, 4) stored index from the crop's index, without the elastic displacement.
        elastic: None for none.
        outside: value of what lies outside the volume, in stored units; ``minimum`` for the least that was read,
            ``edge`` for the outermost voxel.
        mask_outside: its label.
    """

    size_zyx: tuple[int, int, int]
    source_from_output_zyx: Floats
    elastic: Elastic3D | None = None
    outside: float | str = "minimum"
    mask_outside: int = 0

    @cached_property
    def axis_aligned(self) -> bool:
        """Each axis of the crop runs along the same axis of the volume."""
        linear = self.source_from_output_zyx[:, :3]
        return self.elastic is None and bool(np.abs(linear - np.diag(np.diag(linear))).max() < _EPS / 1000)

    @cached_property
    def whole_voxels(self) -> bool:
        """Only shifted by whole voxels and mirrored: values are those that are stored."""
        steps = np.abs(np.diag(self.source_from_output_zyx[:, :3]))
        shift = self.source_from_output_zyx[:, 3]
        return self.axis_aligned and bool((np.abs(steps - 1) < _EPS / 1000).all() and _near_whole(shift))

    @property
    def flip_zyx(self) -> tuple[bool, bool, bool]:
        """Axes that run the other way round; of an axis-aligned crop."""
        z, y, x = np.diag(self.source_from_output_zyx[:, :3]) < 0
        return bool(z), bool(y), bool(x)

    @property
    def reduction(self) -> float:
        """Stored voxels for one of the crop, in the direction in which there are fewest; at least 1."""
        return max(1.0, float(np.linalg.svd(self.source_from_output_zyx[:, :3], compute_uv=False).min()))

    def source_box(self, shape_zyx: tuple[int, ...]) -> Box:
        """The stored voxels that sampling needs, clipped to the volume; at least one."""
        corners = np.stack(np.meshgrid(*([0.0, n - 1.0] for n in self.size_zyx), indexing="ij"), -1).reshape(-1, 3)
        matrix = self.source_from_output_zyx
        reached = corners @ matrix[:, :3].T + matrix[:, 3]
        low, high = reached.min(0), reached.max(0)
        if self.elastic is not None:
            reach = np.abs(self.elastic.source_from_plane_zyx[:, :3]) @ np.array(self.elastic.amplitude_zyx)
            low, high = low - reach, high + reach
        if not self.whole_voxels:
            # A triangle as wide as the step on both sides; linear interpolation where it enlarges.
            width = np.abs(np.diag(matrix[:, :3])) if self.axis_aligned else np.full(3, 2 * self.reduction)
            low, high = low - np.maximum(1.0, width), high + np.maximum(1.0, width)
        length = np.array(shape_zyx[-3:])
        start = np.clip(np.floor(low + _EPS).astype(np.int64), 0, length - 1)
        stop = np.clip(np.ceil(high - _EPS).astype(np.int64) + 1, start + 1, length)
        z, y, x = start.tolist()
        deep, high_, wide = (stop - start).tolist()
        return (z, y, x), (deep, high_, wide)

    @property
    def delivered_from_stored(self) -> Floats:
        """(3, 4) over (i, j, k): the crop's index from the stored one, without the elastic displacement."""
        return np.asarray(np.linalg.inv(_as_ijk(self.source_from_output_zyx))[:3], np.float64)

    def affine_ijk_to_ras(self, stored: Affine | None) -> Affine | None:
        """(4, 4) of the crop; None when the volume's is unknown."""
        return None if stored is None else np.asarray(stored @ _as_ijk(self.source_from_output_zyx), np.float64)


def _near_whole(values: Floats) -> bool:
    return bool((np.abs(values - np.rint(values)) < _EPS).all())


def _as_ijk(matrix_zyx: Floats) -> Floats:
    """(4, 4) over (i, j, k, 1) of a (3, 4) over (z, y, x, 1)."""
    square = np.eye(4)
    square[:3, :3] = matrix_zyx[::-1, 2::-1]
    square[:3, 3] = matrix_zyx[::-1, 3]
    return square


def scaled(size_zyx: tuple[int, int, int], shape_zyx: tuple[int, ...]) -> Floats:
    """(3, 4): a volume's index from that of the same extent in other voxels."""
    matrix = identity()
    for axis, (mine, theirs) in enumerate(zip(size_zyx, shape_zyx, strict=True)):
        step = theirs / mine
        matrix[axis, axis], matrix[axis, 3] = step, (step - 1) / 2
    return matrix


def about_centre(linear: Floats, size_zyx: tuple[int, int, int], shift_zyx: Floats | None = None) -> Floats:
    """(3, 4): a linear map that keeps the middle of a grid, then moves it."""
    centre = (np.array(size_zyx, np.float64) - 1) / 2
    moved = np.zeros(3) if shift_zyx is None else shift_zyx
    return np.asarray(np.concatenate([linear, (centre - linear @ centre + moved)[:, None]], 1))


def resampled_shape(
    shape_zyx: tuple[int, ...], spacing_zyx: tuple[float, ...], target_zyx: tuple[float, ...]
) -> tuple[int, int, int]:
    """Voxels of another spacing that a volume has, at least one an axis."""
    z, y, x = (
        max(1, math.floor(n * have / want + 0.5))
        for n, have, want in zip(shape_zyx, spacing_zyx, target_zyx, strict=True)
    )
    return z, y, x
