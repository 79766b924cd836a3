"""What a family decides, and what it is told of the media that the model sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from medshard.families.image_rule import ImageRule
from medshard.record.conversation import Block, MediaBlock, RegionBlock, TimeBlock
from medshard.record.facts import Fact, IntervalFact, RegionFact

__all__ = ["Delivered", "Family", "render_blocks"]


@dataclass(frozen=True)
class Delivered:
    """A picture as the model sees it.

    Attributes:
        width, height: pixels.
        scale_x, offset_x: a stored pixel x is delivered at x * scale_x + offset_x; a mirrored picture has a negative
            scale.
        scale_y, offset_y: likewise.
    """

    width: int
    height: int
    scale_x: float = 1.0
    offset_x: float = 0.0
    scale_y: float = 1.0
    offset_y: float = 0.0

    def box(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        """A box x0 y0 x1 y1 of stored pixels, in delivered pixels, within the picture."""
        xs = sorted(x * self.scale_x + self.offset_x for x in (box[0], box[2]))
        ys = sorted(y * self.scale_y + self.offset_y for y in (box[1], box[3]))
        return (
            min(max(xs[0], 0.0), float(self.width)),
            min(max(ys[0], 0.0), float(self.height)),
            min(max(xs[1], 0.0), float(self.width)),
            min(max(ys[1], 0.0), float(self.height)),
        )


class Family(Protocol):
    """The grammar of one model family.

    Attributes:
        name: as in ``Loader(family=...)``.
        image: what becomes of pictures; None where the transform alone says it.
    """

    name: str
    image: ImageRule | None

    def media(self, block: MediaBlock) -> str:
        """The placeholder of a medium."""
        ...

    def box(self, box: tuple[float, float, float, float], delivered: Delivered) -> str:
        """A box in delivered pixels, as the family writes it."""
        ...

    def mask(self) -> str:
        """What stands for a mask in text."""
        ...

    def interval(self, start_s: float, end_s: float) -> str:
        """A time of a clip."""
        ...


def render_blocks(
    blocks: Sequence[Block], facts: Sequence[Fact], family: Family, delivered: Mapping[str, Delivered]
) -> str:
    """A message as text.

    Args:
        facts: at least those that the blocks cite.
        delivered: how each slot that a region lies on is seen.

    Raises:
        ValueError: a block cites a fact that it cannot be written from, such as a label as a place.
    """
    by_id = {fact.id: fact for fact in facts}
    pieces: list[str] = []
    for block in blocks:
        if isinstance(block, MediaBlock):
            pieces.append(family.media(block) + "\n")
        elif isinstance(block, RegionBlock):
            pieces.append(", ".join(_region(by_id[fact], family, delivered) for fact in block.facts))
        elif isinstance(block, TimeBlock):
            pieces.append(", ".join(_time(by_id[fact], family) for fact in block.facts))
        else:
            pieces.append(block.text)
    return "".join(pieces)


def _region(region: Fact, family: Family, delivered: Mapping[str, Delivered]) -> str:
    if isinstance(region, RegionFact) and region.shape == "mask":
        return family.mask()
    if isinstance(region, RegionFact) and region.shape == "box" and isinstance(region.coords, list):
        seen = delivered[region.slots[0]]
        return family.box(seen.box([float(edge) for edge in region.coords]), seen)  # type: ignore[arg-type]
    raise ValueError(f"the fact {region.id} is no box and no mask, so it cannot be written as a place")


def _time(interval: Fact, family: Family) -> str:
    if isinstance(interval, IntervalFact):
        return family.interval(interval.start_s, interval.end_s)
    raise ValueError(f"the fact {interval.id} is no interval, so it cannot be written as a time")
