"""What is measured of a region of a 3D mask: from its runs, the affine, and the values under it.

Definitions, for all measures:

- A voxel is inside or not; its index is its centre. The surface lies half way between a voxel inside and its neighbour
  outside: a length ends half a step beyond the last centre, along an axis of the grid. These are the vertices that
  marching cubes gives of a binary mask, as PyRadiomics measures (van Griethuysen et al., Cancer Research 2017).
- Voxels are connected by faces, edges and corners: 26 neighbours, 8 in a plane. A diameter joins two points of one
  connected part: of a class with several lesions it is that of the longest lesion.
- Everything is computed in millimetres of the patient, so flipped and permuted arrays give the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.facts.components import connected_parts
from medshard.facts.runs import SLAB_VOXELS, Runs, joined, slabs_of
from medshard.facts.segments import Segment, longest_chord_across, longest_segment
from medshard.readers.base import Affine, Array

__all__ = [
    "Length",
    "Shape",
    "Values",
    "axial_axis",
    "centroid_xyz",
    "shape_of",
    "values_under",
]

_TILT = np.cos(np.deg2rad(45.0))


@dataclass(frozen=True)
class Length:
    """A length, and how long one voxel is along the line on which it was measured: finer digits mean nothing."""

    mm: float
    step_mm: float


@dataclass(frozen=True)
class Shape:
    """The shape of a region.

    Attributes:
        extent_ras: its size along the patient's right-left, front-back and head-foot axes.
        longest_diameter: the longest segment between two points of the surface of one part.
        axial_diameter: the same within one axial plane of the grid; None where no plane of it is axial.
        across_diameter: the longest chord of that plane's outline (its convex hull) that is perpendicular to it.
    """

    extent_ras: tuple[Length, Length, Length]
    longest_diameter: Length
    axial_diameter: Length | None
    across_diameter: Length | None


@dataclass(frozen=True)
class Values:
    """Statistics of the values of an image under a region, over ``count`` voxels.

    ``sd`` is over the population (divided by n); percentiles are interpolated between neighbours in order.
    """

    count: int
    mean: float
    sd: float
    least: float
    p05: float
    median: float
    p95: float
    greatest: float


def axial_axis(affine_ijk_to_ras: Affine) -> int | None:
    """The array axis (0 Z, 1 Y, 2 X) whose planes are axial: their normal is within 45 degrees of the head-foot axis.

    None for a grid without such planes. At most one axis has them where the axes are perpendicular; of a sheared grid
    the nearest is taken.
    """
    normals = np.linalg.inv(affine_ijk_to_ras[:3, :3])  # row i: normal of the planes of equal i
    upright = np.abs(normals[:, 2]) / np.linalg.norm(normals, axis=1)
    nearest = int(upright.argmax())
    return 2 - nearest if upright[nearest] > _TILT else None


def centroid_xyz(runs: Runs) -> tuple[float, float, float]:
    """Mean index of the voxels of a region."""
    count = int(runs.length.sum())
    x, y, z = ((place * runs.length).sum() for place in (runs.start + runs.stop - 1, runs.y, runs.z))
    return int(x) / (2 * count), int(y) / count, int(z) / count


def shape_of(runs: Runs, part: NDArray[np.int64], affine_ijk_to_ras: Affine) -> Shape:
    """The shape of a region.

    Args:
        runs: of one value, at least one.
        part: the connected part that each belongs to.
        affine_ijk_to_ras: of their grid.
    """
    matrix = affine_ijk_to_ras[:3, :3]
    half_steps = matrix.T / 2
    offsets = np.concatenate([half_steps, -half_steps])
    points = _ends(runs) @ matrix.T
    reach = np.abs(offsets).max(axis=0)
    extent = points.max(axis=0) - points.min(axis=0) + 2 * reach
    longest = longest_segment(points, np.tile(part, 2), offsets)
    axis = axial_axis(affine_ijk_to_ras)
    axial, across = _axial_diameters(runs, matrix, axis) if axis is not None else (None, None)
    return Shape(
        (_length(extent[0], reach[0]), _length(extent[1], reach[1]), _length(extent[2], reach[2])),
        _along(longest, offsets),
        axial,
        across,
    )


def _ends(runs: Runs) -> NDArray[np.float64]:
    """(2 n, 3) i, j, k of the first and of the last voxel of each run: no other can end a longest segment."""
    first = np.stack([runs.start, runs.y, runs.z], 1)
    last = np.stack([runs.stop - 1, runs.y, runs.z], 1)
    return np.concatenate([first, last]).astype(np.float64)


def _length(mm: float, half_step_mm: float) -> Length:
    return Length(float(mm), 2 * float(half_step_mm))


def _along(segment: Segment, offsets: NDArray[np.float64]) -> Length:
    direction = (segment.ends[1] - segment.ends[0]) / segment.length
    return _length(segment.length, np.abs(offsets @ direction).max())


def _axial_diameters(runs: Runs, matrix: NDArray[np.float64], axis: int) -> tuple[Length, Length]:
    """The longest segment within a plane of the axis, and the longest chord across it."""
    if axis != 0:
        runs = _turned(runs, axis)
        matrix = matrix[:, [2 - other for other in _order(axis)[::-1]]]
    part = connected_parts(runs, in_plane=True)
    # An orthonormal frame of the plane: lengths in it are those in space.
    frame, _ = np.linalg.qr(matrix[:, :2])
    flat = frame.T @ matrix[:, :2]
    half_steps = flat.T / 2
    offsets = np.concatenate([half_steps, -half_steps])
    points = _ends(runs)[:, :2] @ flat.T
    parts = np.tile(part, 2)
    longest = longest_segment(points, parts, offsets)
    outline = (points[parts == longest.part][:, None] + offsets).reshape(-1, 2)
    across = longest_chord_across(outline, longest.ends)
    right, up = (longest.ends[1] - longest.ends[0]) / longest.length
    return _along(longest, offsets), _length(across, np.abs(offsets @ np.array([-up, right])).max())


def _order(axis: int) -> tuple[int, int, int]:
    """The axes with one of them first; X stays last where it can."""
    return {0: (0, 1, 2), 1: (1, 0, 2), 2: (2, 0, 1)}[axis]


def _turned(runs: Runs, axis: int) -> Runs:
    """The runs of the same region with another axis first."""
    low = np.array([runs.z.min(), runs.y.min(), runs.start.min()])
    high = np.array([runs.z.max() + 1, runs.y.max() + 1, runs.stop.max()])
    inside = np.zeros(tuple(high - low), bool)
    flat = np.zeros(inside.size + 1, np.int8)
    row = ((runs.z - low[0]) * inside.shape[1] + runs.y - low[1]) * inside.shape[2] - low[2]
    flat[row + runs.start] += 1  # each index at most once, and a run may begin where another ends
    flat[row + runs.stop] -= 1
    np.cumsum(flat, dtype=np.int8, out=flat)
    inside = flat[:-1].reshape(inside.shape).astype(bool)
    order = _order(axis)
    found = joined(list(slabs_of(inside.transpose(order))))
    z, y, x = low[list(order)].tolist()
    return Runs(found.z + z, found.y + y, found.start + x, found.stop + x, found.value, found.rows + y)


def values_under(
    voxels: Array,
    labels: Array,
    value: int,
    box: tuple[tuple[int, ...], tuple[int, ...]],
    padding: tuple[float, float] | None,
) -> Values | None:
    """Statistics of an image's values where a mask has a value; None when no voxel is left.

    Args:
        voxels: (Z, Y, X).
        labels: (Z, Y, X) or (C, Z, Y, X), on the same grid.
        box: of the region: first index inside, first index outside.
        padding: (lowest, highest) value that is no measurement. Values that are not finite are none either.
    """
    channels = labels if labels.ndim == 4 else labels[None]
    window = tuple(slice(start, stop) for start, stop in zip(*box, strict=True))
    small = voxels.dtype.kind in "iu" and voxels.dtype.itemsize <= 2
    offset = -(1 << 15) if voxels.dtype.kind == "i" else 0
    histogram = np.zeros(1 << 16, np.int64)
    gathered: list[Array] = []
    plane = (window[1].stop - window[1].start) * (window[2].stop - window[2].start)
    depth = max(1, SLAB_VOXELS // plane)
    for z in range(window[0].start, window[0].stop, depth):
        planes = slice(z, min(z + depth, window[0].stop))
        inside = (channels[:, planes, window[1], window[2]] == value).any(axis=0)
        found = voxels[planes, window[1], window[2]][inside]
        if small:
            histogram += np.bincount(found.astype(np.int64) - offset, minlength=1 << 16)
        else:
            gathered.append(found)
    if small:
        distinct = np.flatnonzero(histogram)
        counts, values = histogram[distinct], (distinct + offset).astype(np.float64)
    else:
        values, counts = np.unique(np.concatenate(gathered), return_counts=True)
        values = values.astype(np.float64)
    measured = np.isfinite(values)
    if padding is not None:
        measured &= (values < padding[0]) | (values > padding[1])
    return _statistics(values[measured], counts[measured])


def _statistics(values: NDArray[np.float64], counts: NDArray[np.int64]) -> Values | None:
    """Of values in order, each with how often it stands."""
    count = int(counts.sum())
    if not count:
        return None
    mean = float(values @ counts) / count
    sd = float(np.sqrt(((values - mean) ** 2) @ counts / count))
    after = np.cumsum(counts)

    def percentile(share: float) -> float:
        place = share * (count - 1)
        low, high = values[np.searchsorted(after, [int(place), min(int(place) + 1, count - 1)], side="right")]
        return float(low + (high - low) * (place - int(place)))

    return Values(
        count, mean, sd, float(values[0]), percentile(0.05), percentile(0.5), percentile(0.95), float(values[-1])
    )
