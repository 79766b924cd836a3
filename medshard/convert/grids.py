"""Whether two media lie on one grid, and how a mask comes onto the grid of its image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError
from medshard.readers.base import Affine, Array

__all__ = ["resampled_labels", "same_grid", "turned_labels"]

_GRID_TOLERANCE_MM = 1e-3


def same_grid(
    slot: str,
    shape: tuple[int, ...],
    affine: Affine | None,
    other: tuple[int, ...],
    other_affine: Affine | None,
    advice: str = "",
) -> None:
    """Refuse media on different grids; an unknown affine is not compared.

    Raises:
        GeometryError: shapes differ, or a corner lies elsewhere.
    """
    if tuple(shape[-3:]) != tuple(other[-3:]):
        raise GeometryError(
            f"{slot}: grids differ: {list(other[-3:])} voxels against {list(shape[-3:])}{advice}",
            error_class="grid_mismatch",
        )
    if affine is None or other_affine is None:
        return
    apart_mm = _apart_mm(shape, affine, other_affine)
    if apart_mm > _GRID_TOLERANCE_MM:
        raise GeometryError(
            f"{slot}: grids lie {apart_mm:.3g} mm apart at a corner{advice}", error_class="grid_mismatch"
        )


def _apart_mm(shape: tuple[int, ...], affine: Affine, other: Affine) -> float:
    corners = np.array(np.meshgrid([0, shape[-1]], [0, shape[-2]], [0, shape[-3]])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.abs((affine - other) @ corners).max())


def turned_labels(labels: Array, affine: Affine, shape_zyx: tuple[int, ...], onto: Affine) -> Array | None:
    """Labels whose grid is that of the image with its axes in another order or direction, in the image's order.

    Nothing is resampled: each voxel of the one grid is a voxel of the other.

    Args:
        labels: (..., Z, Y, X).
        affine, onto: of the labels and of the image, (i, j, k) to RAS mm.

    Returns:
        (..., Z, Y, X) in the shape of the image; None when the grids differ in more than the order of axes.
    """
    between = np.linalg.inv(affine) @ onto  # index of the image → index of the labels
    turn = np.round(between[:3, :3])
    if not np.array_equal(np.abs(turn) @ np.ones(3), np.ones(3)) or not np.array_equal(np.abs(turn).sum(0), np.ones(3)):
        return None
    axis_of = [2 - int(np.flatnonzero(turn[:, 2 - axis])[0]) for axis in range(3)]  # of labels, for each of z, y, x
    backwards = [bool(turn[:, 2 - axis].sum() < 0) for axis in range(3)]
    lead = labels.ndim - 3
    turned = labels.transpose(*range(lead), *(lead + axis for axis in axis_of))
    turned = np.flip(turned, tuple(lead + axis for axis in range(3) if backwards[axis]))
    if turned.shape[-3:] != tuple(shape_zyx):
        return None
    exact = np.eye(4)
    exact[:3, :3] = turn
    for axis in range(3):  # the first voxel of a backwards axis is the last of the image's
        place = 2 - axis_of[axis]
        exact[place, 3] = labels.shape[lead + axis_of[axis]] - 1 if backwards[axis] else 0
    same = _apart_mm(tuple(shape_zyx), onto, affine @ exact) <= _GRID_TOLERANCE_MM
    return np.ascontiguousarray(turned) if same else None


def resampled_labels(
    labels: Array, affine: Affine, shape_zyx: tuple[int, ...], onto: Affine
) -> tuple[Array, float, float]:
    """Labels on another grid: each voxel takes the value of the voxel that its centre lies in, 0 outside.

    A centre that lies between two voxels takes the one of the higher index.

    Args:
        labels: (..., Z, Y, X).
        affine, onto: of the labels and of the image, (i, j, k) to RAS mm.

    Returns:
        (..., Z, Y, X) in the shape of the image, same dtype; the share of the image's voxels that lie outside the
        labels' grid; the share of labelled voxels that lie outside the image.
    """
    out = np.zeros((*labels.shape[:-3], *shape_zyx), labels.dtype)
    inside = 0
    for k in range(shape_zyx[0]):
        index, hit = _sources_of_slice(labels.shape[-3:], affine, shape_zyx, onto, k)
        out[..., k, :, :][..., hit] = labels[..., index[2], index[1], index[0]]
        inside += int(hit.sum())
    marked, lost = 0, 0
    for k in range(labels.shape[-3]):
        hit = _sources_of_slice(shape_zyx, onto, labels.shape[-3:], affine, k)[1]
        here = (labels[..., k, :, :] != 0).reshape(-1, *hit.shape).any(axis=0)
        marked, lost = marked + int(here.sum()), lost + int((here & ~hit).sum())
    return out, 1.0 - inside / int(np.prod(shape_zyx)), lost / marked if marked else 0.0


def _sources_of_slice(
    labels_shape: tuple[int, ...], affine: Affine, shape_zyx: tuple[int, ...], onto: Affine, k: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For slice k of the image: (i, j, k) of the labels for each voxel that has one, and which those are (Y, X)."""
    between = np.linalg.inv(affine) @ onto
    i, j = np.arange(shape_zyx[2])[None, :], np.arange(shape_zyx[1])[:, None]
    hit = np.ones((shape_zyx[1], shape_zyx[2]), bool)
    index = []
    for axis in range(3):
        exact = between[axis, 0] * i + between[axis, 1] * j + (between[axis, 2] * k + between[axis, 3])
        # Rounded first, so that a centre on a border does not fall to one side or the other by rounding errors.
        nearest = np.floor(np.round(exact, 6) + 0.5).astype(np.int64)
        hit &= (nearest >= 0) & (nearest < labels_shape[2 - axis])
        index.append(nearest)
    return np.stack([places[hit] for places in index]), hit
