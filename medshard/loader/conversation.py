"""An item's conversation: the augmentation it allows, the regions it cites, and its text once geometry is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medshard.augment.geometry import FREE
from medshard.families.base import Delivered, Family, render_blocks
from medshard.record.conversation import Conversation, Keeps, RegionBlock
from medshard.record.facts import MaskRef, RegionFact
from medshard.record.sample import Sample

__all__ = ["ItemText", "item_text"]


@dataclass(frozen=True)
class ItemText:
    """A conversation that waits for its geometry.

    Attributes:
        keeps: what augmentation may do.
        regions_xyxy: boxes of the regions that it cites, in stored pixels.
    """

    sample: Sample
    conversation: Conversation | None
    keeps: Keeps
    regions_xyxy: tuple[tuple[float, ...], ...]

    def render(self, family: Family, delivered: Mapping[str, Delivered]) -> list[dict[str, str]]:
        """The messages, with places in the delivered picture."""
        if self.conversation is None:
            return []
        return [
            {"role": turn.role, "content": render_blocks(turn.blocks, self.sample, family, delivered).strip()}
            for turn in self.conversation.turns
        ]


def item_text(sample: Sample, conversation: Conversation | None) -> ItemText:
    """What a sample's conversation asks of the geometry; a sample without one allows everything."""
    if conversation is None:
        return ItemText(sample, None, FREE, ())
    facts = {fact.id: fact for fact in sample.facts}
    cited = {
        fact
        for turn in conversation.turns
        for block in turn.blocks
        if isinstance(block, RegionBlock)
        for fact in block.facts
    }
    boxes: list[tuple[float, ...]] = []
    for name in sorted(cited):
        fact = facts[name]
        if isinstance(fact, RegionFact):
            boxes += _boxes(fact, sample)
    return ItemText(sample, conversation, conversation.keeps, tuple(boxes))


def _boxes(fact: RegionFact, sample: Sample) -> list[tuple[float, ...]]:
    """The box of a region; of a mask, the boxes that were derived from it."""
    if fact.shape == "box" and isinstance(fact.coords, list):
        return [tuple(float(edge) for edge in fact.coords)]  # type: ignore[arg-type]
    if isinstance(fact.coords, MaskRef):
        return [
            tuple(float(edge) for edge in other.coords)  # type: ignore[arg-type]
            for other in sample.facts
            if isinstance(other, RegionFact) and fact.id in other.from_ and other.shape == "box"
            if isinstance(other.coords, list)
        ]
    return []
