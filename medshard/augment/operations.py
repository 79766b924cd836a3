"""The operations, each a small frozen record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from medshard.errors import LoaderError

__all__ = [
    "CenterCrop",
    "Normalize",
    "Operation",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "Resize",
    "TakeSlice",
    "Window",
]

Stage = Literal["volume", "geometry", "pointwise"]


@dataclass(frozen=True)
class Operation:
    """Base of all operations.

    Attributes:
        stage: where it stands in the fixed order volume → geometry → pointwise.
    """

    stage: ClassVar[Stage]


def _pair(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or any(not isinstance(edge, int) or edge < 1 for edge in pair):
        raise LoaderError(f"{name}: size is a whole number or (height, width), each at least 1; found {size!r}")
    return (pair[0], pair[1])


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
        single = isinstance(self.size, int) or len(self.size) == 1
        if not single:
            _pair("Resize", self.size)
        if self.max_size is not None and not single:
            raise LoaderError("Resize: max_size goes with a single size, not with (height, width)")

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Output size of a picture, as torchvision computes it."""
        if not isinstance(self.size, int) and len(self.size) == 2:
            return (self.size[0], self.size[1])
        edge = self.size if isinstance(self.size, int) else self.size[0]
        short, long = min(height, width), max(height, width)
        new_short, new_long = edge, int(edge * long / short)
        if self.max_size is not None and new_long > self.max_size:
            new_short, new_long = int(self.max_size * new_short / new_long), self.max_size
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
        for name, (low, high) in (("scale", self.scale), ("ratio", self.ratio)):
            if not (0 < low <= high and math.isfinite(high)):
                raise LoaderError(f"RandomResizedCrop: {name} is (lowest, highest), both above 0; found {(low, high)}")
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


@dataclass(frozen=True)
class Window(Operation):
    """Values from ``low`` to ``high`` become 0 to 1; what lies outside is clipped.

    Without it, 8-bit values are divided by 255, and values of more bits take the window that the file asks for, or else
    the whole range of their significant bits.
    """

    low: float
    high: float
    stage: ClassVar[Stage] = "pointwise"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise LoaderError(f"Window: low is below high; found {self.low}, {self.high}")


@dataclass(frozen=True)
class Normalize(Operation):
    """(value - mean) / std, a channel each, of values from 0 to 1."""

    mean: Sequence[float]
    std: Sequence[float]
    stage: ClassVar[Stage] = "pointwise"

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise LoaderError("Normalize: mean and std have one number, or one a channel (three)")
        if any(not deviation > 0 for deviation in self.std):
            raise LoaderError(f"Normalize: std is above 0; found {tuple(self.std)}")
