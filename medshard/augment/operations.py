"""What all operations are: small frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = ["Operation"]

Stage = Literal["volume", "geometry", "neighbourhood", "pointwise"]


@dataclass(frozen=True)
class Operation:
    """Base of all operations.

    Attributes:
        stage: what it works on: a volume, where pixels lie, a pixel with those around it, a value by itself.
    """

    stage: ClassVar[Stage]
