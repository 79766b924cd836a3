"""Which organ a finding lies in, from masks of both on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.facts.collect import Collector
from medshard.facts.mask_labels import MaskLabels
from medshard.record.facts import MaskRef, RegionFact, RelationFact
from medshard.spec.taxonomy import Taxonomy

__all__ = ["WITHIN", "add_places"]

WITHIN = "relation/within"

_ORGANS = ("anatomy", "structure")
_MOST = 0.5


@dataclass(frozen=True)
class _Outlined:
    """A region of a 3D mask."""

    fact: RegionFact
    mask: MaskLabels
    value: int

    def inside(self, window: tuple[slice, ...]) -> NDArray[np.bool_]:
        """Where it is, in a window of the grid."""
        z, y, x = window
        hit = self.mask.labels[..., z, y, x] == self.value
        return np.asarray(hit.any(axis=0) if hit.ndim > 3 else hit)


def add_places(taxonomy: Taxonomy, masks: Mapping[str, MaskLabels], out: Collector) -> None:
    """A relation from each outlined finding to the organ that holds it, in volumes.

    That is the organ or structure which has most of the voxels that are marked as any, among those of the finding
    itself (where masks overlap) and those that touch it by a face, an edge or a corner (where it was cut out of the
    organ's mask). None where no organ has more than half: a finding between two lies in neither.
    """
    findings: list[_Outlined] = []
    organs: list[_Outlined] = []
    for fact in out.facts:
        if isinstance(fact, RegionFact) and isinstance(fact.coords, MaskRef) and fact.concept is not None:
            outlined = _Outlined(fact, masks[fact.coords.slot], fact.coords.value)
            category = taxonomy[fact.concept].category
            if outlined.mask.space == 3 and category == "finding":
                findings.append(outlined)
            elif outlined.mask.space == 3 and category in _ORGANS:
                organs.append(outlined)
    for finding in findings:
        others = [organ for organ in organs if _one_grid(finding.mask, organ.mask)]
        if not others:
            continue
        box = next(region.box for region in finding.mask.regions if region.value == finding.value)
        assert box is not None  # an empty region is no fact
        window = tuple(
            slice(max(0, low - 1), min(size, high + 1)) for low, high, size in zip(*box, finding.mask.grid, strict=True)
        )
        near = _grown(finding.inside(window))
        counts = [int(np.count_nonzero(near & organ.inside(window))) for organ in others]
        most = int(np.argmax(counts))
        if counts[most] > _MOST * sum(counts):
            out.add(
                RelationFact,
                concept=WITHIN,
                slots=list(finding.fact.slots),
                subject=finding.fact.id,
                object=others[most].fact.id,
                by="derived",
                from_=[finding.fact.id, others[most].fact.id],
                rule="touches_most@1",
            )


def _one_grid(one: MaskLabels, other: MaskLabels) -> bool:
    if one.grid != other.grid:
        return False
    if one.affine_ijk_to_ras is None or other.affine_ijk_to_ras is None:
        return one is other
    return bool(np.allclose(one.affine_ijk_to_ras, other.affine_ijk_to_ras, atol=1e-3))


def _grown(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With all 26 neighbours of its voxels."""
    grown: NDArray[np.bool_] = np.array(inside)
    for axis in range(3):
        ahead = np.moveaxis(grown, axis, 0)  # a view
        before = ahead.copy()
        ahead[1:] |= before[:-1]
        ahead[:-1] |= before[1:]
    return grown
