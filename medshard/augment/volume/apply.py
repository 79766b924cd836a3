"""A box of stored voxels becomes a crop, in the native engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume.compile import DrawnStep
from medshard.augment.volume.geometry import Elastic3D, Floats, VolumeGeometry, compose, identity
from medshard.augment.volume.native import AxisWeights, do_steps, mix_axes, nearest_places, pick_axes, warp
from medshard.readers.base import Array

__all__ = ["deliver", "deliver_mask"]

_LEAST_REDUCTION = 1 + 1e-9


def deliver(
    geometry: VolumeGeometry,
    steps: Sequence[DrawnStep],
    box: Array,
    start_zyx: Sequence[int],
    out: NDArray[np.float32],
) -> None:
    """Sample an image and do its steps, on this thread, with the interpreter free.

    Args:
        box: (C, z, y, x) of a stored type: the voxels of ``geometry.source_box``.
        start_zyx: of the box in the volume.
        out: (C, D, H, W), C-contiguous, of the crop's size.
    """
    _check(geometry, box, out, np.float32)
    if geometry.axis_aligned:
        mix_axes(box, _axes(geometry, box.shape[1:], start_zyx), geometry.outside, out)
    else:
        _warp_image(geometry, box, start_zyx, out)
    do_steps(out, steps)


def deliver_mask(geometry: VolumeGeometry, box: Array, start_zyx: Sequence[int], out: NDArray[np.int32]) -> None:
    """Sample labels: of each voxel the nearest one's.

    Args:
        box: (C, z, y, x) of a stored type of whole numbers.
        start_zyx: of the box in the volume.
        out: (C, D, H, W), C-contiguous, of the crop's size.
    """
    _check(geometry, box, out, np.int32)
    if geometry.axis_aligned:
        centres = zip(_centres(geometry, start_zyx), box.shape[1:], strict=True)
        pick_axes(box, [nearest_places(*of_axis) for of_axis in centres], geometry.mask_outside, out)
        return
    matrix, elastic = _in_box(geometry, _shift(start_zyx))
    warp(box, matrix, elastic, 0.0, geometry.mask_outside, out)


def _check(geometry: VolumeGeometry, box: Array, out: NDArray[np.generic], dtype: type[np.generic]) -> None:
    if out.dtype != dtype or not out.flags.c_contiguous or out.shape != (len(box), *geometry.size_zyx):
        wanted = (len(box), *geometry.size_zyx)
        raise ValueError(f"out is C-contiguous {dtype.__name__} of shape {wanted}; found {out.dtype} {out.shape}")


def _centres(geometry: VolumeGeometry, start_zyx: Sequence[int]) -> list[Floats]:
    """Of an axis-aligned crop, where its places lie on each axis of the box."""
    matrix = geometry.source_from_output_zyx
    return [
        np.arange(size) * matrix[axis, axis] + (matrix[axis, 3] - start_zyx[axis])
        for axis, size in enumerate(geometry.size_zyx)
    ]


def _axes(geometry: VolumeGeometry, shape: Sequence[int], start_zyx: Sequence[int]) -> list[AxisWeights]:
    steps = np.abs(np.diag(geometry.source_from_output_zyx[:, :3])).tolist()
    outside = geometry.outside != "edge"
    return [
        AxisWeights.triangle(centres, step, length, outside=outside)
        for centres, step, length in zip(_centres(geometry, start_zyx), steps, shape, strict=True)
    ]


def _shift(start_zyx: Sequence[int]) -> Floats:
    """(3, 4): the box's index from the volume's."""
    matrix = identity()
    matrix[:, 3] = -np.asarray(start_zyx, np.float64)
    return matrix


def _in_box(geometry: VolumeGeometry, into: Floats) -> tuple[Floats, Elastic3D | None]:
    elastic = geometry.elastic
    if elastic is not None:
        elastic = replace(elastic, source_from_plane_zyx=compose(into, elastic.source_from_plane_zyx))
    return compose(into, geometry.source_from_output_zyx), elastic


def _warp_image(geometry: VolumeGeometry, box: Array, start_zyx: Sequence[int], out: NDArray[np.float32]) -> None:
    """Reduced first where the map reduces in every direction, so that nothing is passed over."""
    into, factor, outside = _shift(start_zyx), geometry.reduction, geometry.outside
    if factor > _LEAST_REDUCTION:
        if outside == "minimum":  # of what was read, not of its means
            for channel in range(len(box)):
                least = replace(geometry, outside=float(box[channel].min()))
                _warp_image(least, box[channel : channel + 1], start_zyx, out[channel : channel + 1])
            return
        sizes = [max(1, math.ceil(length / factor)) for length in box.shape[1:]]
        axes = [
            AxisWeights.triangle(np.arange(size) * factor + (factor - 1) / 2, factor, length, outside=False)
            for size, length in zip(sizes, box.shape[1:], strict=True)
        ]
        reduced = np.empty((len(box), *sizes), np.float32)
        mix_axes(box, axes, 0.0, reduced)
        box = reduced
        scale = np.eye(3, 4) / factor
        scale[:, 3] = (1 - factor) / 2 / factor
        into = compose(scale, into)
    matrix, elastic = _in_box(geometry, into)
    warp(box, matrix, elastic, outside, 0, out)
