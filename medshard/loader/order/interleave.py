"""Which source a lane draws from in a column, and its how many-th draw from it that is.

A stage has T columns, the sum of its quotas; in each, every lane draws once, and each lane draws ``quotas[s]``
times from source s. σ lists the sources by ideal time (k + ½)/Q_s, ties by s. Lane c plays σ turned by ⌊c·T/C⌋ and
then mixed within blocks of 64 columns: without both, all lanes would draw from the same source in the same column.
Nothing here knows what quotas mean, so a weighted stage only brings others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.errors import LoaderError
from medshard.loader.counter import uniform_u64_array

__all__ = ["BLOCK", "Draws", "Interleave"]

BLOCK = 64
"""Columns within which a lane's sources are mixed; rounds are a multiple of it."""

_SALT_COLUMNS = 3  # keeps this use of the seed apart from the others
_MAX_QUOTA = 2**30


@dataclass(frozen=True)
class Draws:
    """The draws of all lanes in some columns, each lane's sorted by (source, number).

    Attributes:
        columns: (C, width) int64, counted from the first of the columns.
        sources: (C, width) int64.
        numbers: (C, width) int64, how often the lane drew from the source before, in this stage.
    """

    columns: NDArray[np.int64]
    sources: NDArray[np.int64]
    numbers: NDArray[np.int64]


class Interleave:
    """The plan of a stage, for any quotas.

    Args:
        quotas: draws of each lane from each source, below 2^30.
        lanes: C.
        seed, stage: the key of the mixing.

    Raises:
        LoaderError: a quota is too large for the arithmetic.
    """

    def __init__(self, quotas: Sequence[int], lanes: int, seed: int, stage: int) -> None:
        if max(quotas, default=0) >= _MAX_QUOTA:
            raise LoaderError(f"a lane would draw {max(quotas)} times from one source; take more lanes")
        self.columns, self._seed, self._stage = sum(quotas), seed, stage
        self._quotas = np.array(quotas, np.int64)
        self._shifts = np.arange(lanes, dtype=np.int64) * self.columns // lanes
        # A small type, since numpy sorts 16 bits by radix.
        numbers = np.arange(len(quotas)).astype(np.uint16 if len(quotas) <= 2**16 else np.int64)
        times = np.concatenate([np.zeros(0, np.uint64), *(_ideal_times(quota) for quota in quotas)])
        self._sequence = np.repeat(numbers, self._quotas)[np.argsort(times, kind="stable")]  # ties by source
        # The columns of σ in which each source stands, source after source, one sorted array by adding T a source.
        self._first = np.cumsum(self._quotas) - self._quotas
        by_source = np.argsort(self._sequence, kind="stable")
        self._standing = by_source + np.repeat(np.arange(len(quotas)), self._quotas) * self.columns

    def draws(self, first: int, last: int) -> Draws:
        """The draws of all lanes in the columns ``first`` to ``last``, multiples of 64 but for the stage's end."""
        width = last - first
        here = np.arange(width, dtype=np.int64)
        sources = self._sequence[(first + here + self._shifts[:, None]) % self.columns]
        if len(self._quotas) > 1:
            sources = np.take_along_axis(sources, self._mixed(first, width), 1)
        columns = np.argsort(sources, axis=1, kind="stable")
        sources = np.take_along_axis(sources, columns, 1).astype(np.int64)
        begins = np.ones(sources.shape, bool)
        begins[:, 1:] = sources[:, 1:] != sources[:, :-1]
        group_starts = np.maximum.accumulate(np.where(begins, here, 0), axis=1)
        before = np.take_along_axis(self._drawn_before(first), sources, 1)
        return Draws(columns.astype(np.int64, copy=False), sources, before + here - group_starts)

    def last_draws(self, back: int = 0) -> NDArray[np.int64]:
        """(C, S) int64: a column in the block of each lane's last draw from each source; quotas are at least 1.

        Args:
            back: of the draw that is so many before the last.
        """
        # The last one played stands just before the turn, or at σ's end if there is none before it.
        last = self._first + (self._count(self._shifts) - 1 - back) % self._quotas
        place = self._standing[last] - np.arange(len(self._quotas)) * self.columns
        return np.asarray((place - self._shifts[:, None]) % self.columns, np.int64)

    def _mixed(self, first: int, width: int) -> NDArray[np.int64]:
        """(C, width): the column, counted from ``first``, whose source a lane plays in each column."""
        lanes, blocks = len(self._shifts), np.arange(-(-width // BLOCK), dtype=np.int64)
        lane, within = np.arange(lanes, dtype=np.int64)[:, None, None], np.arange(BLOCK, dtype=np.int64)
        drawn = uniform_u64_array(
            self._seed, _SALT_COLUMNS, self._stage, lane, first // BLOCK + blocks[:, None], within
        )
        # Columns past the stage's end sort behind the others of the last block, and are cut off.
        drawn.reshape(lanes, -1)[:, width:] = np.iinfo(np.uint64).max
        order = np.argsort(drawn, axis=2, kind="stable") + blocks[:, None] * BLOCK
        return np.asarray(order.reshape(lanes, -1)[:, :width], np.int64)

    def _drawn_before(self, column: int) -> NDArray[np.int64]:
        """(C, S): how often each lane drew from each source before a column that begins a block."""
        high = self._shifts + column
        turned = self._count(high % self.columns) + np.where((high >= self.columns)[:, None], self._quotas, 0)
        return np.asarray(turned - self._count(self._shifts), np.int64)

    def _count(self, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        """(C, S): entries of each source in σ before each of (C,) columns, which are below T."""
        wanted = np.arange(len(self._quotas), dtype=np.int64) * self.columns + columns[:, None]
        return np.asarray(np.searchsorted(self._standing, wanted) - self._first, np.int64)


def _ideal_times(quota: int) -> NDArray[np.uint64]:
    """(2k + 1)/(2Q) for k < Q in units of 2^-64, rounded down.

    Two of these fractions that differ do so by at least 1/(2·Q·Q'), more than the unit for Q and Q' below 2^30. So
    their order is that of the exact fractions.
    """
    numerators = 2 * np.arange(quota, dtype=np.uint64) + np.uint64(1)
    denominator, half = np.uint64(max(2 * quota, 1)), np.uint64(32)
    high, rest = np.divmod(numerators << half, denominator)
    return np.asarray((high << half) | ((rest << half) // denominator), np.uint64)
