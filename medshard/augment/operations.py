"""The operations, each a small frozen record; those of the geometry stage are in files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from medshard.errors import LoaderError

__all__ = ["Operation", "TakeSlice"]

Stage = Literal["volume", "geometry", "neighbourhood", "pointwise"]


@dataclass(frozen=True)
class Operation:
    """Base of all operations.

    Attributes:
        stage: what it works on: a volume, where pixels lie, a pixel with those around it, a value by itself.
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
