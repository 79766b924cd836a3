"""What an item's text allows, as rules for the geometry stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medshard.augment.spatial import Spatial
from medshard.record.conversation import Keeps

__all__ = ["FREE", "Allowed", "allowed", "is_squashed", "kept_operations"]

FREE = Keeps(mirror="free", rotate="free", crop="free", resize="free", intensity="free")
"""What a picture without text allows."""


@dataclass(frozen=True)
class Allowed:
    """What may be done to an item.

    Attributes:
        mirror, turn: whether flips are drawn; whether turns, rotation, shear and elastic displacement are.
        whole: nothing may be cut.
        regions: nothing of the item's regions may be cut.
    """

    mirror: bool = True
    turn: bool = True
    whole: bool = False
    regions: bool = False

    def without_crops(self) -> Allowed:
        """The same, with nothing cut."""
        return replace(self, whole=True, regions=False)


_ALL = Allowed()


def allowed(
    count: int, keeps: Sequence[Keeps] | None, regions_xyxy: Sequence[Sequence[Sequence[float]]] | None
) -> dict[Allowed, NDArray[np.int64]]:
    """The rows of a batch by what may be done to them."""
    everything = np.arange(count)
    if keeps is None or all(one is FREE for one in keeps):
        return {_ALL: everything}
    rules = [
        _ALL if one is FREE else _rule(one, bool(regions_xyxy is not None and regions_xyxy[row]))
        for row, one in enumerate(keeps)
    ]
    return {rule: np.array([row for row, other in enumerate(rules) if other == rule]) for rule in dict.fromkeys(rules)}


def _rule(keeps: Keeps, has_regions: bool) -> Allowed:
    # "swap" needs a family that can exchange sides in its text; none can yet.
    return Allowed(
        mirror=keeps.mirror == "free",
        turn=keeps.rotate == "free",
        whole=keeps.crop in ("refuse", "recount"),
        regions=keeps.crop == "regions" and has_regions,
    )


def is_squashed(operations: Sequence[Spatial], rule: Allowed) -> bool:
    """Whether the whole picture is brought to the output's size, because something crops and nothing may be cut."""
    return rule.whole and any(operation.crops for operation in operations)


def kept_operations(operations: tuple[Spatial, ...], rule: Allowed) -> Iterator[tuple[int, Spatial]]:
    """What is done, with its place in the list.

    Where it ``is_squashed``, the picture is turned and mirrored as allowed, and the caller resizes it.
    """
    squashed = is_squashed(operations, rule)
    for place, operation in enumerate(operations):
        if squashed and (operation.crops or operation.resamples or operation.border() is not None):
            continue
        kept = operation.kept(mirror=rule.mirror, turn=rule.turn, move=not rule.whole)
        if kept is not None:
            yield place, kept
