"""What the operations on volumes draw from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medshard.augment.steps import Draws

__all__ = ["CropDraws", "PlacedDraws"]


class CropDraws(Protocol):
    """Random numbers of one crop, each a function of (seed, epoch, item, crop, place of the operation, number)."""

    def uniform(self, place: int, number: int) -> float:
        """A number in [0, 1)."""
        ...

    def seed(self, place: int) -> int:
        """64 bits from which further counters go on."""
        ...


@dataclass(frozen=True)
class PlacedDraws:
    """The numbers of one operation.

    Attributes:
        place: of the operation in its list.
        channels: of the crop; each may have numbers of its own.
    """

    draws: CropDraws
    place: int
    channels: int

    def uniform(self, number: int) -> float:
        """A number in [0, 1)."""
        return self.draws.uniform(self.place, number)

    def between(self, number: int, low: float, high: float) -> float:
        """A number from ``low`` to ``high``."""
        return low + self.uniform(number) * (high - low)

    def log_between(self, number: int, low: float, high: float) -> float:
        """A number of which the logarithm is uniform."""
        return math.exp(self.between(number, math.log(low), math.log(high)))

    def about_one(self, number: int, low: float, high: float) -> float:
        """A factor from ``low`` to ``high``: as often below 1 as above, where both are within."""
        if low >= 1 or high <= 1:
            return self.between(number, low, high)
        share = self.uniform(number) * 2
        return low + share * (1 - low) if share < 1 else 1 + (share - 1) * (high - 1)

    def whole(self, number: int, count: int) -> int:
        """A whole number below ``count``."""
        return min(int(self.uniform(number) * count), count - 1)

    @property
    def seed(self) -> int:
        """64 bits from which further counters go on."""
        return self.draws.seed(self.place)

    def of_one(self, *, intensity: bool) -> Draws:
        """The same numbers, as steps on pictures ask for them: a batch of one."""
        return Draws(
            uniform=lambda number: np.array([self.uniform(number)]),
            height=1,
            width=1,
            channels=self.channels,
            intensity=np.array([intensity]),
            cover=np.array([True]),
        )
