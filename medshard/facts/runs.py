"""A label image as runs: stretches of one value along X, by which its objects are counted, joined and measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Array

__all__ = [
    "MAX_RUNS",
    "SLAB_VOXELS",
    "Marked",
    "Runs",
    "index_values",
    "joined",
    "runs_by_value",
    "runs_of",
    "slabs_of",
]

Ints = NDArray[np.int64]

SLAB_VOXELS = 1 << 22
"""Voxels that are looked at together; bounds the memory of a pass over a label image."""

MAX_RUNS = 32_000_000
"""Runs of a mask that is measured: three times those of 100 organs in 512 x 512 x 1000 voxels. Noise has more."""


@dataclass(frozen=True)
class Runs:
    """Runs of values other than 0, in reading order.

    Attributes:
        z, y: (n,) int64, the row of each.
        start, stop: (n,) int64, first x inside and first x outside.
        value: (n,) int64.
        rows: number of rows in a plane.
    """

    z: Ints
    y: Ints
    start: Ints
    stop: Ints
    value: Ints
    rows: int

    def __len__(self) -> int:
        return len(self.value)

    @property
    def length(self) -> Ints:
        """Voxels of each."""
        return self.stop - self.start

    def taken(self, chosen: NDArray[np.bool_] | Ints | slice) -> Runs:
        """Some of them, in the order of ``chosen``."""
        return Runs(
            self.z[chosen], self.y[chosen], self.start[chosen], self.stop[chosen], self.value[chosen], self.rows
        )


def runs_of(labels: Array) -> Runs:
    """The runs of a (Z, Y, X) label image of integers or booleans; memory follows their number."""
    rows, columns = labels.shape[1:]
    flat = np.ascontiguousarray(labels).reshape(-1)
    edge = np.empty(flat.size, bool)
    edge[:1] = True
    np.not_equal(flat[1:], flat[:-1], out=edge[1:])
    edge[::columns] = True  # a row's end ends its run
    begins = np.flatnonzero(edge)
    ends = np.append(begins[1:], flat.size)
    value = flat[begins].astype(np.int64)
    marked = value != 0
    begins, ends, value = begins[marked], ends[marked], value[marked]
    row, start = np.divmod(begins, columns)
    return Runs(row // rows, row % rows, start, start + (ends - begins), value, rows)


def slabs_of(labels: Array) -> Iterator[Runs]:
    """The runs of slab after slab of planes, in reading order.

    Args:
        labels: (Z, Y, X) or (C, Z, Y, X); where channels agree on a voxel, it is counted once.
    """
    channels = labels if labels.ndim == 4 else labels[None]
    depth = max(1, SLAB_VOXELS // max(1, channels[0, :1].size))
    for first in range(0, channels.shape[1], depth):
        slab = channels[:, first : first + depth]
        found = []
        seen: set[int] = set()
        for place, channel in enumerate(slab):
            runs = runs_of(channel)
            values = set(np.unique(runs.value).tolist())
            if values & seen:
                again = (slab[:place] == channel).any(axis=0)
                runs = runs_of(np.where(again, 0, channel))
            seen |= values
            found.append(np.stack([runs.z + first, runs.y, runs.start, runs.stop, runs.value]))
        columns = np.concatenate(found, axis=1)
        if len(slab) > 1:  # reading order, whatever the channel
            columns = columns[:, np.lexsort((columns[2], columns[1], columns[0]))]
        z, y, start, stop, value = columns
        yield Runs(z, y, start, stop, value, channels.shape[2])


@dataclass(frozen=True)
class Marked:
    """What a label image marks.

    Attributes:
        values: (n,) int64, ascending, without 0.
        counts: (n,) int64, voxels of each.
        boxes_zyx: (n, 2, 3) int32, first index inside and first index outside each axis.
    """

    values: Ints
    counts: Ints
    boxes_zyx: NDArray[np.int32]


def index_values(labels: Array) -> Marked:
    """The size and the tight box of every value but 0, in one pass.

    Args:
        labels: (Z, Y, X) or (C, Z, Y, X), uint8 or uint16.
    """
    top = int(labels.max(initial=0)) + 1
    counts = np.zeros(top, np.int64)
    low = np.full((3, top), np.iinfo(np.int64).max)
    high = np.zeros((3, top), np.int64)
    for runs in slabs_of(labels):
        counts += np.bincount(runs.value, runs.length, top).astype(np.int64)
        for axis, (first, last) in enumerate(((runs.z, runs.z), (runs.y, runs.y), (runs.start, runs.stop - 1))):
            np.minimum.at(low[axis], runs.value, first)
            np.maximum.at(high[axis], runs.value, last + 1)
    values = np.flatnonzero(counts)
    boxes = np.stack([low[:, values].T, high[:, values].T], 1).astype(np.int32)
    return Marked(values, counts[values], boxes)


def joined(runs: Sequence[Runs]) -> Runs:
    """Several, at least one, one after another."""
    z, y, start, stop, value = (
        np.concatenate([getattr(some, name) for some in runs]) for name in ("z", "y", "start", "stop", "value")
    )
    return Runs(z, y, start, stop, value, runs[0].rows)


def runs_by_value(labels: Array) -> dict[int, Runs] | None:
    """The runs of each value of a label image, in one pass; None when there are more than ``MAX_RUNS``.

    Args:
        labels: (Z, Y, X) or (C, Z, Y, X); the region of a value is where any channel has it.
    """
    found: list[Runs] = []
    count = 0
    for slab in slabs_of(labels):
        found.append(slab)
        count += len(slab)
        if count > MAX_RUNS:
            return None
    if not count:
        return {}
    joined = [np.concatenate([getattr(runs, name) for runs in found]) for name in ("z", "y", "start", "stop", "value")]
    whole = Runs(joined[0], joined[1], joined[2], joined[3], joined[4], found[0].rows)
    order = np.argsort(whole.value, kind="stable")  # within a value still in reading order
    values, first = np.unique(whole.value[order], return_index=True)
    return {
        int(value): whole.taken(order[begin:end])
        for value, begin, end in zip(values, first, [*first[1:], count], strict=True)
    }
