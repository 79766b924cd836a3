"""Several crops of one volume beside one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from medshard.augment.operations import Operation
from medshard.errors import LoaderError

__all__ = ["Views3D"]


@dataclass(frozen=True)
class Views3D(Operation):
    """Several crops of each item in one batch, as contrastive learning compares them; all else is drawn for each anew.

    The loader delivers ``batch["views"]``, a list with a tensor (B, C, D, H, W) a view, and ``mask_views`` likewise;
    other fields of a crop have an axis of views after the first. Text speaks of the first view.

    Args:
        count: of views.
    """

    count: int = 2
    stage: ClassVar[Literal["volume"]] = "volume"

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or isinstance(self.count, bool) or not 2 <= self.count <= 64:
            raise LoaderError(f"Views3D: count is a whole number from 2 to 64; found {self.count!r}")
