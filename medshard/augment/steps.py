"""What neighbourhood and pointwise operations share: a step on the sampled crop, and what it may draw from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from medshard.augment.operations import Operation
from medshard.errors import LoaderError

__all__ = ["Draws", "Floats", "Step", "checked_p", "columns", "span"]

Floats = NDArray[np.float64]

Role = Literal["maps", "unit", "any", "ends"]
Refusal = Literal["never", "intensity", "cover"]


@dataclass(frozen=True)
class Draws:
    """What one step of one batch draws from.

    Attributes:
        uniform: (N,) numbers in [0, 1) for a number of the draw; 0 decides whether the step is applied.
        height, width, channels: of every crop.
        intensity: (N,) bool: the item's text allows other intensities.
        cover: (N,) bool: the item's text allows that a part is covered.
        regions: by item, boxes x0 y0 x1 y1 of the delivered picture that must stay to be seen.
    """

    uniform: Callable[[int], Floats]
    height: int
    width: int
    channels: int
    intensity: NDArray[np.bool_]
    cover: NDArray[np.bool_]
    regions: dict[int, Sequence[Sequence[float]]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of items."""
        return len(self.intensity)

    def between(self, number: int, low: float, high: float) -> Floats:
        """(N,) numbers from ``low`` to ``high``."""
        return low + self.uniform(number) * (high - low)

    def log_between(self, number: int, low: float, high: float) -> Floats:
        """(N,) numbers of which the logarithm is uniform."""
        return np.exp(self.between(number, math.log(low), math.log(high)))


@dataclass(frozen=True)
class Step(Operation):
    """An operation on the values of the sampled crop.

    Attributes:
        kind: its name in the native engine (csrc/pipeline/program.hpp).
        refused: which rule of an item's text keeps it from being applied.
        mirrors: the result of a mirrored picture is the mirrored result, so that a flip may stand after it.
    """

    kind: ClassVar[str]
    refused: ClassVar[Refusal] = "intensity"
    mirrors: ClassVar[bool] = True

    @property
    def role(self) -> Role:
        """``maps`` stored values to 0..1; works on ``unit`` values or on ``any``; ``ends`` with values of any range."""
        return "unit"

    @property
    def probability(self) -> float:
        """That an item is changed."""
        return float(getattr(self, "p", 1.0))

    @property
    def whole(self) -> bool:
        """It asks for statistics of the whole stored picture."""
        return getattr(self, "statistics", "crop") == "file"

    @property
    def channels(self) -> int:
        """How many channels its arguments name; 1 when they are of all alike."""
        return 1

    def params(self, draws: Draws) -> Floats:
        """(N, count) parameters of the native step, without the first, which says whether it is applied."""
        return np.zeros((draws.count, 0))

    def applied(self, draws: Draws) -> NDArray[np.bool_]:
        """(N,) whether each item is changed."""
        whole = self.probability >= 1
        chosen = np.ones(draws.count, bool) if whole else draws.uniform(0) < self.probability
        if self.refused == "intensity":
            return chosen & draws.intensity
        return chosen & draws.cover if self.refused == "cover" else chosen


def columns(count: int, *values: Floats | float) -> Floats:
    """(N, number of values) from arrays (N,) and constants."""
    return np.stack([np.broadcast_to(np.asarray(value, np.float64), (count,)) for value in values], 1)


def span(
    name: str, argument: str, value: float | Sequence[float], lowest: float, highest: float = math.inf
) -> tuple[float, float]:
    """A number, or (low, high), as a pair within bounds.

    Raises:
        LoaderError: neither, or out of bounds.
    """
    pair = (value, value) if isinstance(value, (int, float)) else value
    good = isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(end, (int, float)) for end in pair)
    if not good or not lowest <= pair[0] <= pair[1] <= highest or math.isinf(pair[1]):
        bounds = f"at least {lowest:g}" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
        raise LoaderError(f"{name}: {argument} is a number or (low, high), {bounds}; found {value!r}")
    return (float(pair[0]), float(pair[1]))


def checked_p(name: str, p: float) -> None:
    """Refuse what is no probability."""
    if not 0 <= p <= 1:
        raise LoaderError(f"{name}: p lies between 0 and 1; found {p}")
