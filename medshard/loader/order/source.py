"""A source of items, and its line in an epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.loader.order.permutation import MAX_TABLE, permutation, permute_at

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

    def describe(self) -> str:
        """What decides its part of a sequence, in one line."""
        state = hashlib.sha256(self.run_lengths.astype("<i8").tobytes())
        state.update(self.digest.encode())
        return f"{self.name!r}: {len(self)} items in {len(self.run_lengths)} runs, {state.hexdigest()[:16]}"


class Line:
    """The order of a source's items in one epoch, by random access.

    Windowed, the line is the source's runs in a drawn order, so the table has one entry a run; neighbouring places are
    neighbours in a shard, and are mixed by the window afterwards. Full, it is a permutation of all items.

    Args:
        key: seed, number of the source, epoch.
        full: whether all items are permuted.
    """

    def __init__(self, source: Source, key: tuple[int, int, int], *, full: bool) -> None:
        self._length, self._key, self._full = len(source), key, full
        if full:
            short = len(source) <= MAX_TABLE
            self._table = permutation(len(source), *key).astype(np.int32) if short else None
            return
        runs = permutation(len(source.run_lengths), *key)
        self._ends = np.cumsum(source.run_lengths[runs])
        # An item is its place in the line plus what its run was moved by.
        self._moved = source.starts[runs] + source.run_lengths[runs] - self._ends

    def items(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items at places of the line."""
        if not self._full:
            return np.asarray(places + self._moved[np.searchsorted(self._ends, places, side="right")], np.int64)
        if self._table is None:
            return permute_at(places, self._length, *self._key)
        return self._table[places].astype(np.int64)
