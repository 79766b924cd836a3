"""A stage that goes once through its sources: which item every lane draws in every column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.loader.counter import uniform_u64_array
from medshard.loader.order.interleave import Interleave
from medshard.loader.order.permutation import permutation
from medshard.loader.order.source import Line, Source

__all__ = ["HOLE", "OnceStage"]

HOLE = -1
"""Stands where a lane draws but has nothing left of the source."""

_SALT_RUNS, _SALT_WINDOW = 1, 2  # keep the uses of one seed apart
_SHORT = 1024


class OnceStage:
    """Every item of every source once.

    The quota of a source is ⌈N/C⌉. Of its line, lanes take one span each, one after another by their offset f: lane c
    draws ⌊(N + f)/C⌋ items, f = (c + length of the earlier sources) mod C. Draws past that are holes, at most one a
    lane and source. Of a source with groups, all of this counts groups, and a lane draws a group's items one by one.

    Args:
        sources: each with at least one item.
        seed, epoch: the key of all draws.
        lanes: C.
        window: shuffle window K of each source, in items a lane, whole groups; None permutes all items instead.
    """

    def __init__(
        self, sources: Sequence[Source], seed: int, epoch: int, lanes: int, window: Sequence[int] | None
    ) -> None:
        self.sources, self.seed, self.epoch, self.lanes = list(sources), seed, epoch, lanes
        self.window = None if window is None else np.array(window, np.int64)
        items = np.array([len(source) for source in self.sources], np.int64)
        self._first_item = np.cumsum(items) - items
        groups = np.array([source.group or 1 for source in self.sources], np.int64)
        blocks = items // groups
        quotas = -(-blocks // lanes) * groups
        self._interleave = Interleave(quotas.tolist(), lanes, seed, epoch)
        self.columns = self._interleave.columns
        whole, rest = np.divmod(blocks, lanes)
        offset = (np.arange(lanes, dtype=np.int64)[:, None] + np.cumsum(blocks) - blocks) % lanes
        self._share = (blocks + offset) // lanes * groups
        self._start = (offset * whole + np.maximum(0, offset + rest - lanes)) * groups
        left = self._share < quotas
        self._holes: NDArray[np.int64] = np.concatenate(
            [self._interleave.last_draws(back)[left & (back < groups)] for back in range(int(groups.max()))]
        )
        self._lines: dict[int, Line] = {}

    def holes(self) -> NDArray[np.int64]:
        """For each hole a column of the block of 64 in which it lies."""
        return self._holes

    def draw(self, first: int, last: int) -> NDArray[np.int64]:
        """What each lane draws in the columns ``first`` to ``last``, multiples of 64 except for the stage's end.

        Returns:
            (C, last - first) int64, items counted through all sources, ``HOLE`` where there is none.
        """
        draws = self._interleave.draws(first, last)
        there = draws.numbers < np.take_along_axis(self._share, draws.sources, 1)
        lane = np.nonzero(there)[0]
        source, number = draws.sources[there], draws.numbers[there]
        places = self._start[lane, source] + self._shuffled(lane, source, number)
        drawn = np.full(draws.sources.shape, HOLE, np.int64)
        drawn[lane, draws.columns[there]] = self._items(source, places)
        return drawn

    def _shuffled(
        self, lane: NDArray[np.int64], source: NDArray[np.int64], number: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Places in the lanes' spans: a lane goes through its windows, each in a drawn order.

        Arguments are (n,), sorted by all three, so that draws of one window are neighbours. A window that the columns
        only touch is sorted whole: at most two windows' worth more than was asked for.
        """
        if self.window is None or not len(number):
            return number
        window, within = np.divmod(number, self.window[source])
        begins = np.ones(len(number), bool)
        begins[1:] = (np.diff(lane) != 0) | (np.diff(source) != 0) | (np.diff(window) != 0)
        owner, head = np.cumsum(begins) - 1, np.flatnonzero(begins)
        before = window[head] * self.window[source[head]]
        lengths = np.minimum(self.window[source[head]], self._share[lane[head], source[head]] - before)
        # All windows one after another, each sorted by its own draws: short ones in one call, long ones singly.
        starts = np.cumsum(lengths) - lengths
        mixed = np.empty(int(lengths.sum()), np.int64)
        short = np.flatnonzero(lengths <= _SHORT)
        listed = np.repeat(short, lengths[short])
        inside = np.arange(len(listed), dtype=np.int64) - np.repeat(
            np.cumsum(lengths[short]) - lengths[short], lengths[short]
        )
        of = head[listed]
        drawn = uniform_u64_array(self.seed, _SALT_WINDOW, source[of], self.epoch, lane[of], window[of], inside)
        mixed[starts[listed] + inside] = inside[np.lexsort((drawn, listed))]
        for at in np.flatnonzero(lengths > _SHORT).tolist():
            key = (int(source[head[at]]), self.epoch, int(lane[head[at]]), int(window[head[at]]))
            length = int(lengths[at])
            mixed[starts[at] : starts[at] + length] = permutation(length, self.seed, _SALT_WINDOW, *key)
        return np.asarray(before[owner] + mixed[starts[owner] + within], np.int64)

    def _items(self, source: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Items at places of the sources' lines."""
        found = np.empty(len(places), np.int64)
        by_source = np.argsort(source, kind="stable")
        ends = np.cumsum(np.bincount(source, minlength=len(self.sources)))
        for number in np.unique(source).tolist():
            if number not in self._lines:
                key = (self.seed ^ _SALT_RUNS, number, self.epoch)
                self._lines[number] = Line(self.sources[number], key, full=self.window is None)
            here = by_source[ends[number - 1] if number else 0 : ends[number]]
            found[here] = self._first_item[number] + self._lines[number].items(places[here])
        return found
