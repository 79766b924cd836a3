"""Connected parts of a binary mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Array

__all__ = ["connected_boxes"]


def connected_boxes(inside: Array) -> list[tuple[int, int, int, int]]:
    """Boxes of the 8-connected parts of a (Y, X) mask: x0, y0, x1, y1, first pixel inside and first outside.

    Runs of each row are joined with the runs that they touch in the row above (Rosenfeld and Pfaltz 1966), so the
    cost follows the number of runs. Ordered by the first pixel in reading order.
    """
    rows, starts, ends = _runs(np.asarray(inside, bool))
    parent = list(range(len(rows)))

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    above = 0
    for run in range(len(rows)):
        while rows[above] < rows[run] - 1:
            above += 1
        other = above
        while other < run and rows[other] == rows[run] - 1:
            if starts[other] <= ends[run] and ends[other] >= starts[run]:  # ends are exclusive: diagonal counts
                parent[max(find(run), find(other))] = min(find(run), find(other))
            other += 1
    boxes: dict[int, list[int]] = {}
    for run in range(len(rows)):
        y, x0, x1 = int(rows[run]), int(starts[run]), int(ends[run])
        box = boxes.setdefault(find(run), [x0, y, x1, y + 1])
        box[0], box[2], box[3] = min(box[0], x0), max(box[2], x1), y + 1
    return [(box[0], box[1], box[2], box[3]) for box in boxes.values()]


def _runs(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, first column and one past the last column of every run, in reading order."""
    padded = np.zeros((inside.shape[0], inside.shape[1] + 2), np.int8)
    padded[:, 1:-1] = inside
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    _, ends = np.nonzero(change == -1)
    return rows, starts, ends
