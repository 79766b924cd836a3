"""A source of items, and its line in an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.loader.order.permutation import permutation, permute_at

__all__ = ["Line", "Source"]


class Source:
    """A selection of items, listed by (dataset, shard, offset).

    Args:
        name: for messages.
        run_lengths: items of each shard, in listing order; their sum is the source's length.
        digest: stands for which items these are, beyond their number.
    """

    def __init__(self, name: str, run_lengths: Sequence[int] | NDArray[np.int64], digest: str = "") -> None:
        lengths = np.asarray(run_lengths, np.int64)
        if (lengths < 0).any():
            raise ValueError(f"source {name!r}: a run has a negative length")
        self.name, self.digest = name, digest
        self.run_lengths = lengths[lengths > 0]
        self.starts = np.concatenate([[0], np.cumsum(self.run_lengths)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])


class Line:
    """The order of a source's items in one epoch, by random access.

    Windowed, the line is the source's runs in a drawn order, so the table has one entry a run; neighbouring places are
    neighbours in a shard, and are mixed by the window afterwards. Full, it is a permutation of all items.

    Args:
        key: seed, number of the source, epoch.
        full: whether all items are permuted.
    """

    def __init__(self, source: Source, key: tuple[int, int, int], *, full: bool) -> None:
        self._source, self._key, self._full = source, key, full
        if not full:
            self._runs = permutation(len(source.run_lengths), *key)
            self._ends = np.cumsum(source.run_lengths[self._runs])

    def items(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items at places of the line."""
        if self._full:
            return permute_at(places, len(self._source), *self._key)
        number = np.searchsorted(self._ends, places, side="right")
        run = self._runs[number]
        before = self._ends[number] - self._source.run_lengths[run]
        return np.asarray(self._source.starts[run] + places - before, np.int64)
