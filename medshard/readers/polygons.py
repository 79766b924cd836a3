"""Polygons to pixels, by the rule that a pixel is inside when its centre is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Patch", "inside_polygon", "inside_polygons"]

_CROSSINGS_AT_ONCE = 1 << 20  # bounds memory for contours of very many points
_DIGITS = 6
"""Indices are rounded to a millionth of a pixel, so that a point that is meant to lie on a centre does."""


@dataclass(frozen=True)
class Patch:
    """Pixels inside a polygon, in the box that holds them.

    Attributes:
        rows, columns: of the picture.
        inside: (rows, columns) of the box.
        pixels: how many are inside.
    """

    rows: slice
    columns: slice
    inside: NDArray[np.bool_]
    pixels: int

    def overlaps_in_part(self, other: Patch) -> bool:
        """Whether the two lie over one another and neither holds the other."""
        top, stop = max(self.rows.start, other.rows.start), min(self.rows.stop, other.rows.stop)
        left, end = max(self.columns.start, other.columns.start), min(self.columns.stop, other.columns.stop)
        if top >= stop or left >= end:
            return False
        parts = [
            patch.inside[
                top - patch.rows.start : stop - patch.rows.start, left - patch.columns.start : end - patch.columns.start
            ]
            for patch in (self, other)
        ]
        return 0 < int((parts[0] & parts[1]).sum()) < min(self.pixels, other.pixels)


def inside_polygon(polygon: NDArray[np.float64], shape: tuple[int, int]) -> Patch:
    """Pixels whose centre lies inside, by the even-odd rule over all edges.

    A scan line runs through the centres of each row; each edge that crosses it turns inside to outside or back, from
    its crossing on (Foley et al., Computer Graphics, 3.6). So a bridge that is walked twice encloses nothing, and the
    direction of a polygon does not matter. A centre on an edge belongs to the polygon at its left and upper edges
    only, so that polygons side by side share no pixel.

    Args:
        polygon: (N, 2), x and y in index coordinates: pixel (row 0, column 0) has its centre at (0, 0). The last point
            is joined to the first.
        shape: rows and columns of the picture; what lies beyond is cut.
    """
    points = np.round(polygon, _DIGITS)
    low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
    left, end = np.clip([low[0], high[0]], 0, shape[1]).astype(int).tolist()
    top, stop = np.clip([low[1], high[1]], 0, shape[0]).astype(int).tolist()
    rows, columns = stop - top, end - left
    turns = np.zeros((rows, columns + 1), np.int64)
    for row, crossing in _crossings(points - np.array([left, top]), rows):
        column = np.clip(np.ceil(crossing), 0, columns).astype(np.int64)
        turns += np.bincount(row * (columns + 1) + column, minlength=turns.size).reshape(turns.shape)
    inside = np.asarray(np.cumsum(turns[:, :columns], axis=1) % 2 == 1)
    return Patch(slice(top, stop), slice(left, end), inside, int(inside.sum()))


def inside_polygons(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that lie inside an odd number of polygons: a polygon in a polygon is a hole.

    Args:
        polygons, shape: as of ``inside_polygon``.

    Returns:
        (rows, columns).
    """
    out = np.zeros(shape, bool)
    for polygon in polygons:
        patch = inside_polygon(polygon, shape)
        out[patch.rows, patch.columns] ^= patch.inside
    return out


def _crossings(points: NDArray[np.float64], rows: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """(row, x) where edges cross the centres of rows; an edge has its upper end and not its lower one."""
    start, end = points, np.roll(points, -1, axis=0)
    upper = np.where((start[:, 1] <= end[:, 1])[:, None], start, end)
    lower = np.where((start[:, 1] <= end[:, 1])[:, None], end, start)
    first = np.clip(np.ceil(upper[:, 1]), 0, rows).astype(np.int64)
    stop = np.clip(np.ceil(lower[:, 1]), 0, rows).astype(np.int64)
    count = np.maximum(stop - first, 0)
    total = np.cumsum(count)
    begin = 0
    while begin < len(points):
        done = total[begin - 1] if begin else 0
        until = max(int(np.searchsorted(total, done + _CROSSINGS_AT_ONCE, side="right")), begin + 1)
        part = slice(begin, until)
        edge = np.repeat(np.arange(begin, min(until, len(points))), count[part])
        if len(edge):
            row = np.arange(len(edge)) - np.repeat(total[part] - count[part] - done, count[part]) + first[edge]
            slope = (lower[edge, 0] - upper[edge, 0]) / (lower[edge, 1] - upper[edge, 1])
            yield row, np.round(upper[edge, 0] + (row - upper[edge, 1]) * slope, _DIGITS)
        begin = until
