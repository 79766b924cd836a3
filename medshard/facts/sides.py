"""``left_is_left``: whether what a mask calls left lies at the patient's left.

A map with left and right exchanged passes every other check: shapes agree, losses fall, and each answer is wrong. Where
a structure has regions of both sides and the grid says where the patient's axes are, their centroids are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medshard.facts.mask_labels import MaskLabels
from medshard.record.facts import LabelFact, MaskRef, RegionFact
from medshard.record.sample import Media

__all__ = ["SideComparison", "compare_sides"]


@dataclass(frozen=True)
class SideComparison:
    """The two sides of a structure in one mask.

    Attributes:
        slot: of the mask.
        concept: of the structure.
        left, right: what the source calls the regions of each side.
        left_at, right_at: where their centroids lie, in ``unit`` towards the patient's right.
        unit: ``mm`` in a volume, ``px`` in a picture whose sides are known.
    """

    slot: str
    concept: str
    left: str
    right: str
    left_at: float
    right_at: float
    unit: str

    @property
    def agrees(self) -> bool:
        """Whether left lies at the left."""
        return self.left_at < self.right_at

    def __str__(self) -> str:
        return (
            f"{self.left!r} lies at {self.left_at:.1f} {self.unit} and {self.right!r} at {self.right_at:.1f} "
            f"{self.unit} towards the patient's right"
        )


def compare_sides(
    facts: Sequence[Any], masks: Mapping[str, MaskLabels], media: Mapping[str, Media]
) -> list[SideComparison]:
    """Every structure of a sample that has a left and a right one in one mask of known sides.

    Args:
        facts: of the sample; the labels of its mask regions name the sides.
        masks: decoded, by slot.
        media: by slot.
    """
    labels = {fact.id: fact for fact in facts if isinstance(fact, LabelFact) and fact.side_frame == "patient"}
    found: dict[tuple[str, str], dict[str, list[tuple[float, int, str]]]] = {}
    for fact in facts:
        if not isinstance(fact, RegionFact) or not isinstance(fact.coords, MaskRef) or fact.of not in labels:
            continue
        label, slot = labels[fact.of], fact.coords.slot
        if label.side not in ("left", "right") or slot not in masks or label.concept is None:
            continue
        place = _rightwards(masks[slot], fact.coords.value, media[slot])
        if place is not None:
            raw = next((citation.raw for citation in fact.source if citation.raw is not None), str(fact.coords.value))
            found.setdefault((slot, label.concept), {}).setdefault(label.side, []).append((*place, raw))
    compared = []
    for (slot, concept), sides in found.items():
        if len(sides) == 2:
            left, right = (_together(sides[side]) for side in ("left", "right"))
            unit = "mm" if masks[slot].space == 3 else "px"
            compared.append(SideComparison(slot, concept, left[1], right[1], left[0], right[0], unit))
    return compared


def _together(regions: list[tuple[float, int, str]]) -> tuple[float, str]:
    """The centroid of all regions, and the names of the first few."""
    size = sum(voxels for _, voxels, _ in regions)
    names = [name for _, _, name in regions]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return sum(place * voxels for place, voxels, _ in regions) / size, shown


def _rightwards(mask: MaskLabels, value: int, medium: Media) -> tuple[float, int] | None:
    """How far towards the patient's right a region's centroid lies, and its size; None where sides are not known."""
    region = next((region for region in mask.regions if region.value == value), None)
    if region is None or region.box is None:
        return None
    low, high = region.box
    box = tuple(slice(first, stop) for first, stop in zip(low, high, strict=True))
    lead = (slice(None),) if mask.space == 3 and mask.labels.ndim == 4 else ()
    inside = mask.labels[lead + box] == value
    if inside.ndim > mask.space:
        inside = inside.any(axis=0 if mask.space == 3 else -1)
    size = int(inside.sum())
    centroid = [
        float(np.arange(inside.shape[axis]) @ inside.sum(axis=tuple(a for a in range(mask.space) if a != axis))) / size
        + low[axis]
        for axis in range(mask.space)
    ]
    if mask.space == 3 and mask.affine_ijk_to_ras is not None:
        return float(mask.affine_ijk_to_ras[0] @ [*centroid[::-1], 1.0]), size
    if mask.space == 2 and medium.patient_left in ("image_left", "image_right"):
        return centroid[1] if medium.patient_left == "image_left" else -centroid[1], size
    return None
