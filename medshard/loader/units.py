"""What a loader orders and counts: items, or several crops of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.loader.order import Source
from medshard.loader.selection import Selection

__all__ = ["Units"]


@dataclass(frozen=True)
class Units:
    """The units of a selection, those of an item one after another.

    Attributes:
        source: of an order.
        each: units of every item; or
        ends: (items,) the number of units up to the end of each item, where items have different numbers.
    """

    source: Source
    each: int = 1
    ends: NDArray[np.int64] | None = None

    @classmethod
    def items(cls, selection: Selection) -> Units:
        """Each item once."""
        return cls(selection.source)

    @classmethod
    def crops(cls, selection: Selection, each: int) -> Units:
        """Each item so often, near one another, so that what its crops share is read once."""
        source = selection.source
        grouped = Source(source.name, source.run_lengths * each, source.digest, group=each)
        return cls(grouped, each)

    @classmethod
    def counted(cls, selection: Selection, counts: NDArray[np.int64]) -> Units:
        """Each item as often as said, at least once."""
        source = selection.source
        ends = np.cumsum(counts)
        lengths = np.diff(ends[source.starts[1:] - 1], prepend=0)
        digest = hashlib.sha256(source.digest.encode() + np.ascontiguousarray(counts, "<i8").tobytes()).hexdigest()
        return cls(Source(source.name, lengths, digest), 0, ends)

    def split(self, units: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(places of the selection, which crop of its item) of units."""
        if self.ends is None:
            places, numbers = np.divmod(units, self.each)
            return places, numbers
        places = np.searchsorted(self.ends, units, side="right")
        before = np.where(places > 0, self.ends[places - 1], 0)
        return places.astype(np.int64), units - before
