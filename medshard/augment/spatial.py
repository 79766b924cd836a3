"""What the operations of the geometry stage have in common, and how they draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.augment.frames import Flags, Floats, Frames
from medshard.augment.operations import Operation, Stage
from medshard.errors import LoaderError

__all__ = ["Border", "Draw", "Draws", "PaddingMode", "Size", "Spatial"]

PaddingMode: TypeAlias = Literal["constant", "edge", "reflect"]
Size: TypeAlias = tuple[int, int]

_ATTEMPT = 40
"""Numbers that one attempt of one operation may draw."""


class Draws(Protocol):
    """Random numbers of the items of a batch, each a function of (seed, epoch, item, operation, number)."""

    def uniform(self, rows: NDArray[np.int64], place: int, first: int, count: int) -> Floats:
        """(len(rows), count) numbers in [0, 1): ``first`` and those after it, of the operation at ``place``."""
        ...

    def seeds(self, rows: NDArray[np.int64], place: int) -> NDArray[np.uint64]:
        """(len(rows),) the state of the counters, from which further ones go on."""
        ...


@dataclass
class Draw:
    """The numbers of one operation, for the frames of some items.

    Attributes:
        rows: of the batch.
        place: of the operation in its list.
        attempt: how often a crop was drawn before and found to cut what must stay whole.
        problems: why an item cannot be delivered, by row.
    """

    draws: Draws
    rows: NDArray[np.int64]
    place: int
    attempt: int
    problems: dict[int, str]

    def fixed(self, count: int) -> Floats:
        """Numbers that stay in every attempt."""
        return self.draws.uniform(self.rows, self.place, 0, count)

    def redrawn(self, count: int, first: int = 0, of: NDArray[np.int64] | None = None) -> Floats:
        """Numbers of this attempt; ``of`` some of the frames."""
        rows = self.rows if of is None else self.rows[of]
        return self.draws.uniform(rows, self.place, self.attempt * _ATTEMPT + first, count)

    def seeds(self) -> NDArray[np.uint64]:
        """A state for further counters, an item each."""
        return self.draws.seeds(self.rows, self.place)

    def refuse(self, which: Flags, height: Floats, width: Floats, reason: str) -> None:
        """Items that fail, with the size of their frame in the reason's braces."""
        for place in np.flatnonzero(which):
            self.problems[int(self.rows[place])] = reason.format(int(height[place]), int(width[place]))


@dataclass(frozen=True)
class Border:
    """What lies outside a picture.

    Attributes:
        padding_mode: ``constant``, ``edge``, or ``reflect`` (mirrored about the outermost pixels).
        fill: value of a constant border after the window, 0 to 1.
        mask_fill: its label in masks.
    """

    padding_mode: PaddingMode = "constant"
    fill: float = 0.0
    mask_fill: int = 0


@dataclass(frozen=True)
class Spatial(Operation):
    """Base of the operations of the geometry stage."""

    stage: ClassVar[Stage] = "geometry"
    resamples: ClassVar[bool] = False
    crops: ClassVar[bool] = False
    """Takes a part of the picture; where a text refuses that, the whole picture is resized to the output instead."""

    def output_size(self, size: Size | None) -> Size | None:
        """(height, width) after it, of a frame of a size; None where that depends on the picture."""
        return size

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Change the frames."""
        raise NotImplementedError

    def border(self) -> Border | None:
        """What it lets be seen outside the picture; None when it does not reach there."""
        return None

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """What is done to an item whose text allows mirroring, turning, and losing what is moved out, or not."""
        return self


@dataclass(frozen=True)
class Bordered(Spatial):
    """Base of those that may reach outside of the picture."""

    def border(self) -> Border:
        """As its own arguments say."""
        own: Any = self
        return Border(getattr(own, "padding_mode", "constant"), float(own.fill), int(own.mask_fill))

    def _check_border(self) -> None:
        name, own = type(self).__name__, self.border()
        if own.padding_mode not in ("constant", "edge", "reflect"):
            raise LoaderError(f"{name}: padding_mode is constant, edge or reflect; found {own.padding_mode!r}")
        if not math.isfinite(own.fill):
            raise LoaderError(f"{name}: fill is a number, 0 to 1 after the window; found {own.fill!r}")


def pair(name: str, size: int | Sequence[int]) -> Size:
    """(height, width) of a size as torchvision takes it: a number stands for a sequence of one, which is a square."""
    found = edges(size) if isinstance(size, (int, list, tuple)) else ()
    if len(found) not in (1, 2) or not all(map(is_length, found)):
        raise LoaderError(f"{name}: size is a whole number or (height, width), each at least 1; found {size!r}")
    return (found[0], found[-1])


def edges(size: int | Sequence[int]) -> tuple[int, ...]:
    """The one or two numbers of a size."""
    return (size,) if isinstance(size, int) else tuple(size)


def is_length(edge: object) -> bool:
    """Whether it is a whole number of pixels, at least one."""
    return isinstance(edge, int) and not isinstance(edge, bool) and edge >= 1


def check_bounds(name: str, argument: str, bounds: tuple[float, float]) -> None:
    """(lowest, highest), both above 0."""
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] < math.inf:
        raise LoaderError(f"{name}: {argument} is (lowest, highest), both above 0; found {bounds!r}")


def check_probability(name: str, p: float) -> None:
    """0 to 1."""
    if not 0 <= p <= 1:
        raise LoaderError(f"{name}: p lies between 0 and 1; found {p}")
