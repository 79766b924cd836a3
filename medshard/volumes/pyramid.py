"""Coarser levels of a volume."""

from __future__ import annotations

import numpy as np

from medshard.readers.base import Affine, Array

__all__ = ["MAX_LEVELS", "coarser_affine", "coarser_factors", "halve_intensity", "halve_labels"]

MAX_LEVELS = 4
_SMALL = 64  # an axis this short is not halved further
_PLANES = 2  # of a level, made at a time
_SAME_SPACING = 1.5  # axes coarser than the finest by more than this wait until the others have caught up


def coarser_factors(shape_zyx: tuple[int, ...], spacing_zyx: tuple[float, ...] | None) -> tuple[int, int, int] | None:
    """How many voxels of each axis become one; None when the level is small enough to be the last."""
    if max(shape_zyx) <= _SMALL:
        return None
    spacing = spacing_zyx or (1.0, 1.0, 1.0)
    finest = min(step for step, length in zip(spacing, shape_zyx, strict=True) if length > _SMALL)
    factors = tuple(
        2 if length > _SMALL and step < finest * _SAME_SPACING else 1
        for step, length in zip(spacing, shape_zyx, strict=True)
    )
    return factors  # type: ignore[return-value]


def coarser_affine(affine: Affine, factors_zyx: tuple[int, int, int]) -> Affine:
    """The affine of a level whose voxels are the means of blocks: its centres lie half a block in."""
    scale = np.eye(4)
    for column, factor in enumerate(reversed(factors_zyx)):  # i is the last axis
        scale[column, column] = factor
        scale[column, 3] = (factor - 1) / 2
    return np.asarray(affine @ scale, np.float64)


def halve_intensity(voxels: Array, factors_zyx: tuple[int, int, int]) -> Array:
    """Means of blocks; the last voxel of an odd axis is repeated. Integers are rounded half to even.

    A few planes at a time: sums are float64, and a whole volume of them would be four times the volume.
    """
    shape = [-(-length // factor) for length, factor in zip(voxels.shape[-3:], factors_zyx, strict=True)]
    halved = np.empty((*voxels.shape[:-3], *shape), voxels.dtype)
    for place in np.ndindex(voxels.shape[:-3]):
        for first in range(0, shape[0], _PLANES):
            stored = voxels[place][first * factors_zyx[0] : (first + _PLANES) * factors_zyx[0]]
            halved[place][first : first + _PLANES] = _halve_planes(stored, factors_zyx)
    return halved


def _halve_planes(voxels: Array, factors_zyx: tuple[int, int, int]) -> Array:
    total = voxels.astype(np.float64)
    for axis, factor in enumerate(factors_zyx):
        if factor == 2:
            if total.shape[axis] % 2:
                last = np.take(total, [-1], axis)
                total = np.concatenate([total, last], axis)
            even = tuple(slice(None, None, 2) if a == axis else slice(None) for a in range(3))
            odd = tuple(slice(1, None, 2) if a == axis else slice(None) for a in range(3))
            with np.errstate(invalid="ignore"):  # the mean of inf and -inf is NaN, as it should be
                total = (total[even] + total[odd]) / 2
    if voxels.dtype.kind in "ui":
        total = np.rint(total)
    return total.astype(voxels.dtype)


def halve_labels(labels: Array, factors_zyx: tuple[int, int, int]) -> Array:
    """Every other voxel: no value appears that was not there."""
    z, y, x = factors_zyx
    return np.ascontiguousarray(labels[..., ::z, ::y, ::x])
