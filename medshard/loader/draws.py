"""The random numbers of a batch's items: each a function of (seed, epoch, item, operation, number)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.loader.counter import fold, uniform_u64_array

__all__ = ["ItemDraws"]

_SALT_GEOMETRY = 11  # keeps the uses of one seed apart


class ItemDraws:
    """``uniform(seed, 11, epoch, item, place, number)`` of ``counter``, for many items at a time.

    Args:
        items: (n,) rows of the corpus's items.
    """

    def __init__(self, seed: int, epoch: int, items: NDArray[np.int64]) -> None:
        self._states = uniform_u64_array(seed, _SALT_GEOMETRY, epoch, items)

    def uniform(self, rows: NDArray[np.int64], place: int, first: int, count: int) -> NDArray[np.float64]:
        """(len(rows), count) numbers in [0, 1): ``first`` and those after it, of the operation at ``place``."""
        numbers = np.arange(first, first + count, dtype=np.uint64)
        bits = fold(self.seeds(rows, place)[:, None], numbers)
        drawn: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return drawn

    def seeds(self, rows: NDArray[np.int64], place: int) -> NDArray[np.uint64]:
        """(len(rows),) the state of the counters, from which further ones go on."""
        states = self._states if len(rows) == len(self._states) else self._states[rows]
        return fold(states, place)
