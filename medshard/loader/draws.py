"""The random numbers of a batch's items: each a function of (seed, epoch, item, operation, number)."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class VolumeCropDraws:
    """The random numbers of one crop of a volume; see ``medshard.augment.volume.CropDraws``.

    Each is a function of (seed, epoch, item, crop, view, attempt, place of the operation, number).

    Attributes:
        item: row of the corpus's items.
        crop: number of the crop of this item.
        view: which of the crops that stand beside one another.
        attempt: counts on where a crop is drawn again, since it had cut off what the item's text cites.
    """

    seed_of_loader: int
    epoch: int
    item: int
    crop: int
    view: int = 0
    attempt: int = 0

    @property
    def _key(self) -> tuple[int, ...]:
        return self.seed_of_loader, _SALT_CROP, self.epoch, self.item, self.crop, self.view, self.attempt

    def uniform(self, place: int, number: int) -> float:
        """A number in [0, 1)."""
        return uniform(*self._key, place, number)

    def seed(self, place: int) -> int:
        """64 bits from which further counters go on."""
        return uniform_u64(*self._key, place)
