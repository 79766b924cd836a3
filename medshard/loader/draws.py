"""The random numbers of a batch's items: each a function of (seed, epoch, item, operation, number)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.loader.counter import fold, uniform, uniform_u64, uniform_u64_array

__all__ = ["ItemDraws", "VolumeCropDraws"]

_SALT_GEOMETRY, _SALT_CROP = 11, 15  # keep the uses of one seed apart


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


class VolumeCropDraws:
    """The random numbers of one crop of a volume; see ``medshard.augment.volume.CropDraws``.

    Args:
        item: row of the corpus's items.
        crop: number of the crop of this item.
    """

    def __init__(self, seed: int, epoch: int, item: int, crop: int) -> None:
        self._counters = (seed, _SALT_CROP, epoch, item, crop)

    def uniform(self, place: int, number: int) -> float:
        """A number in [0, 1), of the operation at ``place``."""
        return uniform(*self._counters, place, number)

    def seed(self, place: int) -> int:
        """64 bits from which further counters of the operation go on."""
        return uniform_u64(*self._counters, place)
