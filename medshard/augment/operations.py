"""The operations, each a small frozen record; those of the geometry stage are in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from medshard.errors import LoaderError

__all__ = ["Normalize", "Operation", "TakeSlice", "Window"]

Stage = Literal["volume", "geometry", "pointwise"]


@dataclass(frozen=True)
class Operation:
    """Base of all operations.

    Attributes:
        stage: where it stands in the fixed order volume → geometry → pointwise.
    """

    stage: ClassVar[Stage]


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
