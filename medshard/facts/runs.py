"""A label image as runs: stretches of one value along X, by which its objects are counted, joined and measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Array

__all__ = ["SLAB_VOXELS", "Runs", "runs_of", "slabs_of"]

Ints = NDArray[np.int64]

SLAB_VOXELS = 1 << 22
"""Voxels that are looked at together; bounds the memory of a pass over a label image."""


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
