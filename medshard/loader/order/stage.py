"""A stage: which source each lane draws from in each column, and where the draw lands.

T columns; in each, every lane draws once, and each lane draws ``quota[s]`` times from source s. In a ``once`` stage the
quota is the ceiling of N/C, every item is drawn exactly once, and the draws past a lane's share are holes. A weighted
stage differs in its quotas and in its epochs going on, and in nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.loader.order.permutation import permutation
from medshard.loader.order.source import Line, Source

__all__ = ["OnceStage"]

_BLOCK = 64
"""Columns within which a lane's sources are mixed; rounds are a multiple of it."""

_SALT_RUNS, _SALT_WINDOW, _SALT_COLUMNS = 1, 2, 3  # keep the uses of one seed apart


class OnceStage:
    """Every item of every source once.

    Args:
        sources: with at least one item in all.
        seed, epoch: the key of all draws.
        lanes: C.
        window: shuffle window K of each source, in items a lane; None permutes all items instead.
    """

    def __init__(
        self, sources: Sequence[Source], seed: int, epoch: int, lanes: int, window: Sequence[int] | None
    ) -> None:
        self.sources, self.seed, self.epoch, self.lanes = list(sources), seed, epoch, lanes
        self.window = list(window) if window is not None else None
        self.quota = [-(-len(source) // lanes) for source in self.sources]
        self.columns = sum(self.quota)
        self._first_item = np.concatenate([[0], np.cumsum([len(s) for s in self.sources])]).astype(np.int64)
        self._phase = [int(first) % lanes for first in self._first_item[:-1]]
        self._lines: dict[int, Line] = {}
        self._places = self._interleave()

    def _interleave(self) -> list[NDArray[np.int64]]:
        """For each source, the columns of the unrotated sequence in which it stands: sorted by ideal time (k + 1/2)/Q."""
        largest = max(self.quota, default=1)
        shift = 62 - (2 * largest).bit_length()  # keys of 62 bits: exact but for ties below 2^-shift, broken by source
        keys = [((2 * np.arange(quota, dtype=np.int64) + 1) << shift) // max(quota, 1) for quota in self.quota]
        number = np.concatenate([np.full(quota, s, np.int64) for s, quota in enumerate(self.quota)])
        sequence = number[np.lexsort((number, np.concatenate(keys)))]
        return [np.flatnonzero(sequence == s).astype(np.int64) for s in range(len(self.sources))]

    def share(self, source: int, lane: int) -> int:
        """Items of a source that a lane draws."""
        return (len(self.sources[source]) + self._offset(source, lane)) // self.lanes

    def _offset(self, source: int, lane: int) -> int:
        # Lanes begin elsewhere for each source, so that remainders of small sources fall on different lanes.
        return (lane + self._phase[source]) % self.lanes

    def _start(self, source: int, lane: int) -> int:
        """First place of a lane's share in the source's line: what lanes of smaller offset take together."""
        whole, rest = divmod(len(self.sources[source]), self.lanes)
        offset = self._offset(source, lane)
        return offset * whole + max(0, offset + rest - self.lanes)

    def _rotation(self, lane: int) -> int:
        return lane * self.columns // self.lanes

    def sequence(self, lane: int, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Source and draw number of a lane in the columns ``first`` to ``last`` (multiples of 64, but for the end).

        The unrotated sequence is turned by the lane's share of a full turn, then mixed in blocks: without this all lanes
        would draw from the same source in the same column.
        """
        shift = self._rotation(lane)
        rotated = (np.arange(first, last, dtype=np.int64) + shift) % self.columns
        source = np.zeros(last - first, np.int64)
        for number, places in enumerate(self._places[1:], start=1):
            here = np.searchsorted(places, rotated)
            source[(here < len(places)) & (places[np.minimum(here, len(places) - 1)] == rotated)] = number
        if len(self.sources) > 1:
            for block in range(first // _BLOCK, -(-last // _BLOCK)):
                low, high = max(block * _BLOCK, first) - first, min((block + 1) * _BLOCK, last) - first
                mixed = permutation(high - low, self.seed, _SALT_COLUMNS, self.epoch, lane, block)
                source[low:high] = source[low:high][mixed]
        draws = np.zeros(last - first, np.int64)
        for number in range(len(self.sources)):
            mine = source == number
            draws[mine] = self._drawn_before(number, shift, first) + np.arange(int(mine.sum()))
        return source, draws

    def _drawn_before(self, source: int, shift: int, column: int) -> int:
        """How often a lane has drawn from a source before a column that begins a block."""
        places = self._places[source]
        low, high = shift, shift + column
        count = int(np.searchsorted(places, min(high, self.columns)) - np.searchsorted(places, low))
        return count + int(np.searchsorted(places, max(0, high - self.columns)))

    def items(self, lane: int, first: int, last: int) -> NDArray[np.int64]:
        """Items that a lane draws in columns, in order; holes are left out."""
        source, draws = self.sequence(lane, first, last)
        found = np.full(last - first, -1, np.int64)
        for number in range(len(self.sources)):
            share = self.share(number, lane)
            mine = (source == number) & (draws < share)
            if mine.any():
                found[mine] = self._first_item[number] + self._land(number, lane, draws[mine], share)
        return found[found >= 0]

    def _land(self, source: int, lane: int, draws: NDArray[np.int64], share: int) -> NDArray[np.int64]:
        """Items of draws: within its share a lane goes through windows, each in a drawn order."""
        places = draws
        if self.window is not None:
            window = self.window[source]
            places = draws.copy()
            for number in np.unique(draws // window):
                here = draws // window == number
                length = min(window, share - int(number) * window)
                mixed = permutation(length, self.seed, _SALT_WINDOW, source, self.epoch, lane, int(number))
                places[here] = number * window + mixed[draws[here] - number * window]
        if source not in self._lines:
            key = (self.seed ^ _SALT_RUNS, source, self.epoch)
            self._lines[source] = Line(self.sources[source], key, full=self.window is None)
        return self._lines[source].items(self._start(source, lane) + places)

    def holes(self) -> NDArray[np.int64]:
        """The columns, over all lanes, in which a lane has nothing left of a source; at most one a lane and source."""
        found = []
        for source, quota in enumerate(self.quota):
            for lane in range(self.lanes):
                if self.share(source, lane) < quota:
                    found.append(self._column_of_last(source, lane))
        return np.array(sorted(found), np.int64)

    def _column_of_last(self, source: int, lane: int) -> int:
        """The column of a lane's last draw from a source."""
        shift = self._rotation(lane)
        turned = (self._places[source] - shift) % self.columns
        block = int(turned.max()) // _BLOCK
        first, last = block * _BLOCK, min((block + 1) * _BLOCK, self.columns)
        sources, _ = self.sequence(lane, first, last)
        return first + int(np.flatnonzero(sources == source)[-1])
