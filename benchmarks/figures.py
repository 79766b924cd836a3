"""Numbers of repeated measurements: median and spread, ratios within rounds, PSNR. Nothing here measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spread", "psnr_db", "ratio", "spread"]


@dataclass(frozen=True)
class Spread:
    """A median with the lowest and highest of what was measured."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 1 if self.median >= 10 else 2
        return f"{self.median:.{digits}f} [{self.lowest:.{digits}f}-{self.highest:.{digits}f}]"

    @property
    def includes_one(self) -> bool:
        """Of a ratio: nothing was shown."""
        return self.lowest <= 1 <= self.highest


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of the same rounds, in the same order: the quotient is taken within a round, since noise is shared there."""
    return spread([a / b for a, b in zip(mine, theirs, strict=True)])


def psnr_db(found: NDArray[Any], expected: NDArray[Any], peak: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak² / mean squared error); infinite for equal arrays.

    Args:
        peak: distance from the lowest to the highest value that the type of picture can have, 255 for 8 bits.
    """
    error = float(np.mean((np.asarray(found, np.float64) - np.asarray(expected, np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)
