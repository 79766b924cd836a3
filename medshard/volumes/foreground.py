"""The foreground index: how large each value of a label image is, where it lies, and some of its voxels.

Crops that are to hold foreground are drawn from it without a look at the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from medshard.facts.runs import Marked, index_values, slabs_of
from medshard.readers.base import Array

__all__ = ["FOREGROUND_SCHEMA", "FOREGROUND_VERSION", "Foreground", "index_foreground"]

FOREGROUND_VERSION = 1
"""Changes when the same mask would get another index."""

MAX_POINTS = 1000
"""Points of one value."""

_MAX_POINTS_TOGETHER = 1_000_000  # of all values of a mask: masks of instances may have thousands

FOREGROUND_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), False),
        pa.field("slot", pa.string(), False),
        pa.field("value", pa.int64(), False),
        pa.field("count", pa.int64(), False),
        pa.field("start_zyx", pa.list_(pa.int32()), False),
        pa.field("stop_zyx", pa.list_(pa.int32()), False),
        pa.field("grid_zyx", pa.list_(pa.int32()), False),
        pa.field("points", pa.list_(pa.int64()), False),
    ]
)
"""Columns of ``foreground.parquet``: one row a sample, slot and value, values ascending.

The first row of a slot has value 0 and nothing else, so that a mask without any region has a row too.
``points`` are places in the flattened (Z, Y, X) grid, ascending.
"""


@dataclass(frozen=True)
class Foreground:
    """What a label image marks. The region of a value is where any channel has it; 0 marks nothing.

    Attributes:
        values: (n,) int64, ascending, without 0.
        counts: (n,) int64, voxels of each.
        boxes_zyx: (n, 2, 3) int32, first index inside and first index outside each axis.
        points_zyx: (m, 3) int32 of each, in reading order: all voxels of a small region, else ``MAX_POINTS`` of them,
            one drawn from each of as many equal stretches of the region in reading order.
    """

    values: NDArray[np.int64]
    counts: NDArray[np.int64]
    boxes_zyx: NDArray[np.int32]
    points_zyx: list[NDArray[np.int32]]

    def voxel(self, uniform: float) -> tuple[int, int, int] | None:
        """One of the kept voxels, every value as likely as any other; None where nothing is marked.

        Args:
            uniform: a number in [0, 1).
        """
        if not len(self.values):
            return None
        value, share = divmod(uniform * len(self.values), 1.0)
        points = self.points_zyx[int(value)]
        z, y, x = points[int(share * len(points))].tolist()
        return z, y, x

    def to_table(self, key: str, slot: str, grid_zyx: tuple[int, ...]) -> pa.Table:
        """Its rows of the index."""
        grid = np.asarray(grid_zyx, np.int64)
        steps = np.array([grid[1] * grid[2], grid[2], 1])
        n = len(self.values)
        points: list[NDArray[np.int64]] = [points @ steps for points in self.points_zyx]
        rows = {
            "key": [key] * (n + 1),
            "slot": [slot] * (n + 1),
            "value": [0, *self.values.tolist()],
            "count": [0, *self.counts.tolist()],
            "start_zyx": [[], *self.boxes_zyx[:, 0].tolist()],
            "stop_zyx": [[], *self.boxes_zyx[:, 1].tolist()],
            "grid_zyx": [grid.tolist()] * (n + 1),
            "points": [[], *points],
        }
        return pa.table(rows, FOREGROUND_SCHEMA)

    @classmethod
    def from_table(cls, table: pa.Table) -> Foreground:
        """From the rows of one sample and slot."""
        marked = table.slice(1)
        grid = table["grid_zyx"][0].as_py()
        boxes = [marked[name].combine_chunks().flatten().to_numpy() for name in ("start_zyx", "stop_zyx")]
        return cls(
            marked["value"].to_numpy(),
            marked["count"].to_numpy(),
            np.stack(boxes).reshape(2, -1, 3).swapaxes(0, 1).astype(np.int32),
            [
                np.stack(np.unravel_index(points.values.to_numpy(), grid), -1).astype(np.int32)
                for points in marked["points"]
            ],
        )


def index_foreground(labels: Array) -> Foreground:
    """The index of a label image.

    The same for the same values, whatever the machine and the versions: points come from raw Philox output (Salmon et
    al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) with the value as its key. Works in slabs along Z.

    Args:
        labels: (Z, Y, X) or (C, Z, Y, X), uint8 or uint16.
    """
    found = index_values(labels)
    return Foreground(found.values, found.counts, found.boxes_zyx, _points(labels, found))


def _points(labels: Array, marked: Marked) -> list[NDArray[np.int32]]:
    """The drawn voxels of each value: places within its region become places in the grid by counting along runs."""
    values = marked.values
    limit = max(1, min(MAX_POINTS, _MAX_POINTS_TOGETHER // max(1, len(values))))
    drawn = [_places(value, count, limit) for value, count in zip(values.tolist(), marked.counts.tolist(), strict=True)]
    found = [np.empty((len(places), 3), np.int32) for places in drawn]
    passed = np.zeros(len(values), np.int64)  # voxels of each value in earlier slabs
    done = np.zeros(len(values), np.int64)
    for runs in slabs_of(labels):
        order = np.argsort(runs.value, kind="stable")
        length = runs.length[order]
        ends = np.cumsum(length)
        present, first = np.unique(runs.value[order], return_index=True)
        before = np.concatenate([[0], ends])[first]  # of each value, the voxels in this slab that are sorted before its
        after = np.append(before[1:], ends[-1:])
        for number, place in enumerate(np.searchsorted(values, present).tolist()):
            size = after[number] - before[number]
            upto = int(np.searchsorted(drawn[place], passed[place] + size))
            inside = drawn[place][done[place] : upto] - passed[place] + before[number]
            run = np.searchsorted(ends, inside, side="right")
            of = order[run]
            x = runs.start[of] + inside - (ends[run] - length[run])
            found[place][done[place] : upto] = np.stack([runs.z[of], runs.y[of], x], -1)
            done[place] = upto
            passed[place] += size
    return found


def _places(value: int, count: int, limit: int) -> NDArray[np.int64]:
    """At most ``limit`` distinct numbers below ``count``, ascending."""
    if count <= limit:
        return np.arange(count)
    edges = np.arange(limit + 1) * count // limit
    drawn = np.random.Philox(key=value).random_raw(limit)
    return np.asarray(edges[:-1] + (drawn % np.diff(edges).astype(np.uint64)).astype(np.int64), np.int64)
