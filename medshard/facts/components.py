"""Connected parts of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.facts.runs import Runs, runs_of
from medshard.readers.base import Array

__all__ = ["connected_boxes", "connected_parts"]

_IN_PLANE = ((0, 1),)
_IN_SPACE = ((0, 1), (1, -1), (1, 0), (1, 1))


def connected_parts(runs: Runs, *, in_plane: bool = False) -> NDArray[np.int64]:
    """The number of the part that each run belongs to, from 0, parts ordered by their first voxel.

    Voxels are joined that touch by a face, an edge or a corner: 26 neighbours, or 8 within each plane. Runs of one row
    are joined with those that they touch in rows after it (Rosenfeld and Pfaltz, "Sequential operations in digital
    picture processing", 1966), so the cost follows the number of runs and not of voxels.

    Args:
        runs: of one value, in reading order.
        in_plane: whether planes of one z are apart from one another.
    """
    if not len(runs):
        return np.zeros(0, np.int64)
    row = runs.z * (runs.rows + 2) + runs.y + 1  # a free row at both borders, so that planes do not touch
    width = int(runs.stop.max()) + 2
    starts, stops = row * width + runs.start, row * width + runs.stop
    parent = np.arange(len(runs))
    for planes, rows in _IN_PLANE if in_plane else _IN_SPACE:
        other = (row + planes * (runs.rows + 2) + rows) * width
        first = np.searchsorted(stops, other + runs.start, side="left")  # ends are exclusive: a corner counts
        last = np.searchsorted(starts, other + runs.stop, side="right")
        touched = np.maximum(last - first, 0)
        one = np.repeat(np.arange(len(runs)), touched)
        offset = np.arange(len(one)) - np.repeat(np.cumsum(touched) - touched, touched)
        parent = _joined(parent, one, np.repeat(first, touched) + offset)
    return np.unique(parent, return_inverse=True)[1].reshape(-1)


def _joined(parent: NDArray[np.int64], one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least run of each part, when runs ``one`` and ``other`` touch; ``parent`` has those of the parts so far."""
    while True:
        left, right = parent[one], parent[other]
        apart = left != right
        if not apart.any():
            return parent
        one, other = one[apart], other[apart]
        left, right = left[apart], right[apart]
        np.minimum.at(parent, np.maximum(left, right), np.minimum(left, right))
        while True:
            shorter = parent[parent]
            if np.array_equal(shorter, parent):
                break
            parent = shorter


def connected_boxes(inside: Array) -> list[tuple[int, int, int, int]]:
    """Boxes of the 8-connected parts of a (Y, X) mask: x0, y0, x1, y1, first pixel inside and first outside.

    Ordered by the first pixel in reading order.
    """
    runs = runs_of(np.asarray(inside, bool)[None])
    part = connected_parts(runs, in_plane=True)
    count = int(part.max(initial=-1)) + 1
    low = np.full((2, count), np.iinfo(np.int64).max)
    high = np.zeros((2, count), np.int64)
    np.minimum.at(low[0], part, runs.start)
    np.minimum.at(low[1], part, runs.y)
    np.maximum.at(high[0], part, runs.stop)
    np.maximum.at(high[1], part, runs.y + 1)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in np.concatenate([low, high]).T.tolist()]
