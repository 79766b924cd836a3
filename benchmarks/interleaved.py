"""Contestants side by side.

Every round runs all of them, in an order that turns, so that what slows the machine down for a while slows all of them
down. Ratios are taken within a round; what is told is their median and their spread.

Run by itself it does nothing: the benchmarks beside it use it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

__all__ = ["Rates", "race", "versions"]


@dataclass(frozen=True)
class Rates:
    """Items a second of each contestant, one number a round."""

    of: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        return statistics.median(self.of[name])

    def ratio(self, name: str, peer: str) -> dict[str, float]:
        """How many times as fast ``name`` is as ``peer``: median, lowest and highest of all rounds."""
        ratios = [mine / theirs for mine, theirs in zip(self.of[name], self.of[peer], strict=True)]
        return {
            "median": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        }


def race(
    contestants: Mapping[str, Callable[[], tuple[int, float]]],
    *,
    budget_s: float,
    least_rounds: int = 3,
    most_rounds: int = 15,
) -> Rates:
    """Run all contestants in rounds, until the time is used up; a first round warms up and is not counted.

    Args:
        contestants: each does its work once, and returns how many items that were and the seconds that they took.
    """
    names = list(contestants)
    for name in names:
        contestants[name]()
    rates: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + budget_s
    for number in range(most_rounds):
        if number >= least_rounds and time.perf_counter() > end:
            break
        first = number % len(names)
        for name in names[first:] + names[:first]:
            items, seconds = contestants[name]()
            rates[name].append(items / seconds)
    return Rates(rates)


def versions(*packages: str) -> dict[str, str]:
    """Python's version and those of packages; ``absent`` where one is not installed."""
    told = {"python": sys.version.split()[0]}
    for package in packages:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            told[package] = "absent"
    return told
