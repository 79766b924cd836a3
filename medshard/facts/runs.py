"""A label image as runs: stretches of one value along X, which is what its objects are counted and joined by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Array

__all__ = ["Runs", "runs_of"]

Ints = NDArray[np.int64]


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

    def taken(self, chosen: NDArray[np.bool_] | Ints) -> Runs:
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
