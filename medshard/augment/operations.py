"""The operations, each a small frozen record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from medshard.errors import LoaderError

__all__ = [
    "CenterCrop",
    "Operation",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "Resize",
    "TakeSlice",
]

Stage = Literal["volume", "geometry", "neighbourhood", "pointwise"]


@dataclass(frozen=True)
class Operation:
    """Base of all operations.

    Attributes:
        stage: what it works on: a volume, where pixels lie, a pixel with those around it, a value by itself.
    """

    stage: ClassVar[Stage]


def _pair(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    edges = _edges(size) if isinstance(size, (int, list, tuple)) else ()
    if len(edges) not in (1, 2) or not all(map(_is_length, edges)):
        raise LoaderError(f"{name}: size is a whole number or (height, width), each at least 1; found {size!r}")
    return (edges[0], edges[-1])


def _edges(size: int | Sequence[int]) -> tuple[int, ...]:
    """A size as torchvision takes it: a number stands for a sequence of one."""
    return (size,) if isinstance(size, int) else tuple(size)


def _is_length(edge: object) -> bool:
    return isinstance(edge, int) and not isinstance(edge, bool) and edge >= 1


def _bounds(name: str, argument: str, bounds: tuple[float, float]) -> None:
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] < math.inf:
        raise LoaderError(f"{name}: {argument} is (lowest, highest), both above 0; found {bounds!r}")


@dataclass(frozen=True)
class TakeSlice(Operation):
    """One plane of a volume as a picture; pictures pass unchanged.

    Args:
        axis: ``z``, ``y`` or ``x`` of the stored array.
        index: ``middle``, or ``random`` for another plane an epoch.
    """

    axis: Literal["z", "y", "x"] = "z"
    index: Literal["middle", "random"] = "middle"
    stage: ClassVar[Stage] = "volume"

    def __post_init__(self) -> None:
        if self.axis not in ("z", "y", "x") or self.index not in ("middle", "random"):
            raise LoaderError(f"TakeSlice: axis is z, y or x and index middle or random; found {self}")


@dataclass(frozen=True)
class Resize(Operation):
    """To a size, antialiased.

    Args:
        size: (height, width), or the length of the shorter edge.
        max_size: longest that the longer edge may become, with a single ``size``.
    """

    size: int | Sequence[int]
    max_size: int | None = None
    stage: ClassVar[Stage] = "geometry"

    def __post_init__(self) -> None:
        _pair("Resize", self.size)
        if self.max_size is None:
            return
        edges = _edges(self.size)
        if len(edges) == 2:
            raise LoaderError("Resize: max_size goes with a single size, not with (height, width)")
        if not _is_length(self.max_size) or self.max_size <= edges[0]:
            raise LoaderError(
                f"Resize: max_size bounds the longer edge and is above size, {edges[0]}; found {self.max_size!r}"
            )

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Output size of a picture, as torchvision computes it."""
        edges = _edges(self.size)
        if len(edges) == 2:
            return (edges[0], edges[1])
        short, long = min(height, width), max(height, width)
        new_short, new_long = edges[0], int(edges[0] * long / short)
        if self.max_size is not None and new_long > self.max_size:
            # A line of pixels would become none, which torchvision refuses.
            new_short, new_long = max(1, int(self.max_size * new_short / new_long)), self.max_size
        return (new_short, new_long) if height <= width else (new_long, new_short)


@dataclass(frozen=True)
class CenterCrop(Operation):
    """The middle of the picture; it must be at least as large."""

    size: int | Sequence[int]
    stage: ClassVar[Stage] = "geometry"

    def __post_init__(self) -> None:
        _pair("CenterCrop", self.size)

    @property
    def pair(self) -> tuple[int, int]:
        """(height, width)."""
        return _pair("CenterCrop", self.size)


@dataclass(frozen=True)
class RandomResizedCrop(Operation):
    """A part of random area and shape, brought to a size, antialiased.

    Args:
        size: (height, width), or both.
        scale: bounds of the part's area, as a share of the picture's.
        ratio: bounds of the part's width over height.
    """

    size: int | Sequence[int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0)
    stage: ClassVar[Stage] = "geometry"

    def __post_init__(self) -> None:
        _pair("RandomResizedCrop", self.size)
        _bounds("RandomResizedCrop", "scale", self.scale)
        _bounds("RandomResizedCrop", "ratio", self.ratio)
        if self.scale[1] > 1:
            raise LoaderError(f"RandomResizedCrop: scale is a share of the area, at most 1; found {self.scale}")

    @property
    def pair(self) -> tuple[int, int]:
        """(height, width)."""
        return _pair("RandomResizedCrop", self.size)


@dataclass(frozen=True)
class RandomHorizontalFlip(Operation):
    """Left becomes right, with probability ``p``; never where an item's text says that it refuses."""

    p: float = 0.5
    stage: ClassVar[Stage] = "geometry"

    def __post_init__(self) -> None:
        _probability("RandomHorizontalFlip", self.p)


@dataclass(frozen=True)
class RandomVerticalFlip(Operation):
    """Top becomes bottom, with probability ``p``; never where an item's text says that it refuses."""

    p: float = 0.5
    stage: ClassVar[Stage] = "geometry"

    def __post_init__(self) -> None:
        _probability("RandomVerticalFlip", self.p)


def _probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise LoaderError(f"{name}: p lies between 0 and 1; found {p}")
