"""The parameters of a batch's steps, drawn for all its items at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medshard.augment.stages import Compiled
from medshard.augment.steps import Draws, Floats
from medshard.engine import StepParams

__all__ = ["DrawnValues", "draw_values"]


@dataclass(frozen=True)
class DrawnValues:
    """What steps do to each item of a batch.

    Attributes:
        steps: the layout of ``params``.
        params: (N, P) float32.
        noise_seeds: (N,) uint64.
        windows: (N, 2) low and high of the list's window; None for each file's own.
    """

    steps: tuple[StepParams, ...]
    params: NDArray[np.float32]
    noise_seeds: NDArray[np.uint64]
    windows: Floats | None


def draw_values(
    compiled: Compiled,
    draws: Draws,
    uniform: Callable[[int, int], Floats],
    noise_seeds: NDArray[np.uint64],
) -> DrawnValues:
    """Draw the parameters of every step for every item.

    Args:
        draws: what the items allow; its numbers are not used.
        uniform: (N,) numbers in [0, 1) for (place of the operation, number of the draw).
        noise_seeds: of each item.
    """

    def drawn_at(place: int) -> Draws:
        return replace(draws, uniform=lambda number: uniform(place, number))

    blocks: list[Floats] = []
    layout: list[StepParams] = []
    first = 0
    for placed in compiled.steps:
        own = drawn_at(placed.place)
        params = placed.step.params(own)
        blocks += [placed.step.applied(own)[:, None].astype(np.float64), params]
        layout.append(StepParams(placed.step.kind, first, 1 + params.shape[1], placed.place))
        first += 1 + params.shape[1]
    stacked = np.concatenate(blocks, 1) if blocks else np.zeros((draws.count, 0))
    window = compiled.window
    bounds = window.bounds(drawn_at(compiled.window_place)) if window is not None else None
    return DrawnValues(tuple(layout), np.ascontiguousarray(stacked, np.float32), noise_seeds, bounds)
