"""What the loader's arguments mean together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medshard.errors import LoaderError
from medshard.loader.order import OrderConfig
from medshard.loader.selection import Selection
from medshard.loader.units import Units

__all__ = ["check_choice", "check_pictures", "order_config", "total_batch"]

_LANES = 16
"""Volumes whose crops are mixed: enough for a batch, and few enough that what their crops share is kept at hand."""


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not among those that are allowed."""
    if value not in allowed:
        raise LoaderError(f"{name}={value!r}; allowed: {', '.join(allowed)}")


def check_pictures(selection: Selection, crops_per_volume: int) -> None:
    """Refuse what only a transform of volumes can do."""
    if crops_per_volume != 1:
        raise LoaderError("crops_per_volume is for a transform with a crop in 3D, such as RandomCrop3D((96, 96, 96))")
    if selection.slots is not None and len(selection.slots) > 1:
        raise LoaderError(
            f"image={list(selection.slots)}: several slots are the channels of a crop in 3D, such as RandomCrop3D; "
            "pictures are of one"
        )


def order_config(units: Units, window: int | Literal["auto"] | None) -> OrderConfig:
    """Volumes lie apart, so what is mixed are crops: of as many volumes at a time as there are lanes."""
    group = units.source.group
    if group is None:
        return OrderConfig(window_items=16_384 if window == "auto" else window)
    return OrderConfig(lanes=_LANES, window_items=_LANES * group if window == "auto" else window)


def total_batch(batch_size: int | None, global_batch_size: int | None, world_size: int) -> int:
    """Items a step over all ranks."""
    if (batch_size is None) == (global_batch_size is None):
        raise LoaderError("give batch_size (a rank) or global_batch_size (over all ranks), one of the two")
    total = batch_size * world_size if batch_size is not None else global_batch_size
    if total is None or total < 1:
        raise LoaderError(f"a batch has at least one item, not {batch_size or global_batch_size}")
    return total
