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
        group: so many neighbours are of one file, such as the crops of a volume. They stay in one window, and groups
            are mixed all with all, since their files are apart from one another anyway. None where it does not matter.
    """

    def __init__(
        self,
        name: str,
        run_lengths: Sequence[int] | NDArray[np.int64],
        digest: str = "",
        *,
        group: int | None = None,
    ) -> None:
        lengths = np.asarray(run_lengths, np.int64)
        if (lengths < 0).any():
            raise ValueError(f"source {name!r}: a run has a negative length")
        if group is not None and (group < 1 or (lengths % group).any()):
            raise ValueError(f"source {name!r}: its runs are not made of groups of {group}")
        self.name, self.digest, self.group = name, digest, group
        self.run_lengths = lengths[lengths > 0]
        self.starts = np.concatenate([[0], np.cumsum(self.run_lengths)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def describe(self) -> str:
        """What decides its part of a sequence, in one line."""
        state = hashlib.sha256(self.run_lengths.astype("<i8").tobytes())
        state.update(self.digest.encode())
        grouped = f", groups of {self.group}" if self.group is not None else ""
        return f"{self.name!r}: {len(self)} items in {len(self.run_lengths)} runs{grouped}, {state.hexdigest()[:16]}"


class Line:
    """The order of a source's items in one epoch, by random access.

    Windowed, the line is the source's runs in a drawn order, so the table has one entry a run; neighbouring places are
    neighbours in a shard, and are mixed by the window afterwards. Full, it is a permutation of all items; with groups
    and a window, of all groups.

    Args:
        key: seed, number of the source, epoch.
        full: whether all items are permuted.
    """

    def __init__(self, source: Source, key: tuple[int, int, int], *, full: bool) -> None:
        self._key, self._full = key, full or source.group is not None
        self._group = 1 if full else source.group or 1
        self._length = len(source) // self._group
        if self._full:
            short = self._length <= MAX_TABLE
            self._table = permutation(self._length, *key).astype(np.int32) if short else None
            return
        runs = permutation(len(source.run_lengths), *key)
        self._ends = np.cumsum(source.run_lengths[runs])
        # An item is its place in the line plus what its run was moved by.
        self._moved = source.starts[runs] + source.run_lengths[runs] - self._ends

    def items(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items at places of the line."""
        if not self._full:
            return np.asarray(places + self._moved[np.searchsorted(self._ends, places, side="right")], np.int64)
        groups, within = np.divmod(places, self._group)
        if self._table is None:
            found = permute_at(groups, self._length, *self._key)
        else:
            found = self._table[groups].astype(np.int64)
        return np.asarray(found * self._group + within, np.int64)
