"""Several windows of one grey picture at once, a channel each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from medshard.augment.pointwise import Window
from medshard.augment.steps import Draws, Floats, Role, Step, columns
from medshard.errors import LoaderError

__all__ = ["MultiWindow"]


@dataclass(frozen=True)
class MultiWindow(Step):
    """Three windows of a grey picture as the red, green and blue channel; each becomes 0 to 1 and is clipped.

    It stands in the place of ``Window``. Of a picture that has colours, each channel has its own window.

    Args:
        windows: three of them: a name of ``CT_WINDOWS``, or (low, high) in stored units, HU in CT.
    """

    windows: Sequence[str | tuple[float, float]] = ("lung", "mediastinum", "bone")
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "multi_window"
    refused: ClassVar[Literal["never"]] = "never"

    def __post_init__(self) -> None:
        if isinstance(self.windows, str) or len(self.windows) != 3:
            raise LoaderError(f"MultiWindow: windows are three, one a channel; found {self.windows!r}")
        for given in self.windows:
            if not isinstance(given, str) and (len(given) != 2 or not given[0] < given[1]):
                raise LoaderError(f"MultiWindow: a window is a name or (low, high), low below high; found {given!r}")
        _ = self.bounds_of_each

    @property
    def bounds_of_each(self) -> Floats:
        """(3, 2): low and high of each channel."""
        named = [Window.ct(given) if isinstance(given, str) else Window(*given) for given in self.windows]
        return np.array([(window.low, window.high) for window in named], np.float64)

    @property
    def low(self) -> float:
        """The lowest value that any channel tells from lower ones."""
        return float(self.bounds_of_each[:, 0].min())

    @property
    def high(self) -> float:
        """The highest value that any channel tells from higher ones."""
        return float(self.bounds_of_each[:, 1].max())

    @property
    def role(self) -> Role:
        """Maps stored values to 0..1."""
        return "maps"

    @property
    def channels(self) -> int:
        """One a window."""
        return 3

    def bounds(self, draws: Draws) -> Floats:
        """(N, 2): the range that all windows lie in, which the engine maps to 0..1 before the channels part.

        So the border of 0 that a padded picture has is black in every channel, and that of 1 white.
        """
        return columns(draws.count, self.low, self.high)

    def params(self, draws: Draws) -> Floats:
        """Scale and bias of each channel, of values that ``bounds`` brought to 0..1."""
        low, high = self.bounds_of_each.T
        scale = (self.high - self.low) / (high - low)
        bias = (self.low - low) / (high - low)
        return columns(draws.count, *np.stack([scale, bias], 1).ravel().tolist())
