"""Holes in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from medshard.augment.steps import Draws, Floats, Role, Step, checked_p, span
from medshard.errors import LoaderError

__all__ = ["RandomErasing"]

_SHAPE_ATTEMPTS = 10  # torchvision draws a hole's shape as often
_PLACE_ATTEMPTS = 8


@dataclass(frozen=True)
class RandomErasing(Step):
    """Holes of random area and shape, filled with one value.

    A hole that would cover a region which the item's text cites is drawn elsewhere, then left out; a text that refuses
    cropping has no holes.

    Args:
        p: probability that an item has holes.
        scale: bounds of a hole's area, as a share of the picture's.
        ratio: bounds of a hole's height over width.
        value: what fills it, or one number a channel, in the range that values have at this place of the list.
        holes: how many.
    """

    p: float = 0.5
    scale: Sequence[float] = (0.02, 0.33)
    ratio: Sequence[float] = (0.3, 3.3)
    value: float | Sequence[float] = 0.0
    holes: int = 1
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "erase"
    refused: ClassVar[Literal["cover"]] = "cover"
    mirrors: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_p("RandomErasing", self.p)
        span("RandomErasing", "scale", self.scale, 0.0, 1.0)
        span("RandomErasing", "ratio", self.ratio, 0.01, 100.0)
        if not isinstance(self.holes, int) or not 1 <= self.holes <= 64:
            raise LoaderError(f"RandomErasing: holes is a whole number from 1 to 64; found {self.holes!r}")
        if self.channels not in (1, 3):
            raise LoaderError(f"RandomErasing: value is a number, or one a channel (three); found {self.value!r}")

    @property
    def role(self) -> Role:
        """Any range."""
        return "any"

    @property
    def channels(self) -> int:
        """How many it names."""
        return len(self._values())

    def _values(self) -> tuple[float, ...]:
        return (self.value,) if isinstance(self.value, (int, float)) else tuple(self.value)

    def params(self, draws: Draws) -> Floats:
        """Three values, then top, left, bottom, right of each hole; a hole left out is empty."""
        given = self._values()
        values = np.broadcast_to(np.asarray(given, np.float64), (draws.count, 3 if len(given) == 3 else 1))
        values = np.broadcast_to(values, (draws.count, 3))
        return np.concatenate([values, *(self._hole(draws, number) for number in range(self.holes))], 1)

    def _hole(self, draws: Draws, hole: int) -> Floats:
        first = 1 + hole * 100
        found = np.zeros((draws.count, 2))
        missing = np.ones(draws.count, bool)
        area = draws.height * draws.width
        for attempt in range(_SHAPE_ATTEMPTS):
            share = draws.between(first + 2 * attempt, *span("RandomErasing", "scale", self.scale, 0.0, 1.0))
            shape = draws.log_between(first + 2 * attempt + 1, *span("RandomErasing", "ratio", self.ratio, 0.01, 100))
            size = np.round(np.sqrt(np.stack([area * share * shape, area * share / shape], 1)))
            fits = missing & (size[:, 0] < draws.height) & (size[:, 1] < draws.width)
            found[fits], missing[fits] = size[fits], False
            if not missing.any():
                break
        holes = self._placed(draws, first + 50, found)
        for item, regions in draws.regions.items():
            for attempt in range(1, _PLACE_ATTEMPTS + 1):
                if not _covers(holes[item], regions):
                    break
                holes[item] = self._placed(draws, first + 50 + 2 * attempt, found)[item]
            if _covers(holes[item], regions):
                holes[item] = 0
        return holes

    @staticmethod
    def _placed(draws: Draws, number: int, size: Floats) -> Floats:
        room = np.array([draws.height, draws.width]) - size + 1
        begin = np.floor(np.stack([draws.uniform(number), draws.uniform(number + 1)], 1) * room)
        return np.concatenate([begin, begin + size], 1)


def _covers(hole: Floats, regions: Sequence[Sequence[float]]) -> bool:
    top, left, bottom, right = hole
    return any(
        left < box[2] and right > box[0] and top < box[3] and bottom > box[1] and bottom > top and right > left
        for box in regions
    )
