"""An item's conversation: the augmentation it allows, the regions it cites, and its text once geometry is drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from medshard.augment.geometry import FREE
from medshard.errors import LoaderError
from medshard.families.base import Delivered, Family, render_blocks
from medshard.readers.base import Affine
from medshard.record.conversation import Conversation, Keeps, RegionBlock
from medshard.record.facts import Fact, LabelFact, MaskRef, RegionFact

__all__ = ["Box3D", "ItemText", "no_text", "read_item_text"]

_FACTS: TypeAdapter[list[Fact]] = TypeAdapter(list[Fact])


@dataclass(frozen=True)
class Box3D:
    """A box of a volume that a text cites.

    Attributes:
        corners_xyz: (x0, y0, z0) and (x1, y1, z1).
        frame: ``px``, continuous pixels of the stored volume, or ``ras_mm``.
    """

    corners_xyz: tuple[tuple[float, float, float], tuple[float, float, float]]
    frame: Literal["px", "ras_mm"]

    @classmethod
    def of(cls, fact: RegionFact) -> Box3D:
        """Of a region of shape ``box3d``."""
        x0, y0, z0, x1, y1, z1 = (float(edge) for edge in fact.coords)  # type: ignore[arg-type]
        return cls(((x0, y0, z0), (x1, y1, z1)), fact.frame)

    def in_voxels(self, affine_ijk_to_ras: Affine | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest (z, y, x), in voxel indices of the stored volume: 0 is the middle of the first voxel.

        Raises:
            LoaderError: it is in millimetres, and the volume's affine is unknown.
        """
        corners = np.asarray(self.corners_xyz, np.float64)
        if self.frame == "px":
            points = corners - 0.5  # pixels of a record begin at the outer corner of the first voxel
        elif affine_ijk_to_ras is None:
            raise LoaderError("its text cites a place in millimetres, and where its axes point is unknown")
        else:
            picked = np.stack(np.meshgrid(*corners.T, indexing="ij"), -1).reshape(-1, 3)
            inverse = np.linalg.inv(affine_ijk_to_ras)
            points = picked @ inverse[:3, :3].T + inverse[:3, 3]
        return points.min(0)[::-1], points.max(0)[::-1]


@dataclass(frozen=True)
class ItemText:
    """A conversation that waits for its geometry.

    Attributes:
        conversation: None for a sample without text, or delivered without it.
        facts: those that the conversation cites, and what was derived from them.
        keeps: what augmentation may do.
        regions_xyxy: boxes of the regions that it cites, in stored pixels.
        boxes_3d: of those that lie in a volume.
    """

    conversation: Conversation | None
    facts: Sequence[Fact]
    keeps: Keeps
    regions_xyxy: tuple[tuple[float, ...], ...]
    boxes_3d: tuple[Box3D, ...] = ()

    @property
    def names_image_side(self) -> bool:
        """Whether it cites a side of the picture, not of the patient."""
        return any(isinstance(fact, LabelFact) and fact.side_frame == "image" for fact in self.facts)

    def render(self, family: Family, delivered: Mapping[str, Delivered]) -> list[dict[str, str]]:
        """The messages, with places in the delivered picture."""
        if self.conversation is None:
            return []
        return [
            {"role": turn.role, "content": render_blocks(turn.blocks, self.facts, family, delivered).strip()}
            for turn in self.conversation.turns
        ]


def no_text() -> ItemText:
    """Of an item without a conversation: augmentation may do everything."""
    return ItemText(None, (), FREE, ())


def read_item_text(record: bytes, newer: bytes | None, name: str) -> ItemText:
    """One conversation of a record.

    A record holds all that is known of its sample, most of it for other items. Only the conversation and the facts that
    it cites are checked and made into objects, which takes a tenth of the time of the whole.

    Args:
        record: the sample's record, JSON.
        newer: its conversations in the corpus's text set, JSON, where those of the record are not in use.
        name: the conversation's id.

    Raises:
        LoaderError: there is no conversation of that id.
    """
    tree = json.loads(record)
    listed = tree["conversations"] if newer is None else json.loads(newer)
    raw = next((conversation for conversation in listed if conversation["id"] == name), None)
    if raw is None:
        raise LoaderError(f"{tree['key']} has no conversation {name}: index and text disagree; run medshard verify")
    conversation = Conversation.model_validate(raw)
    cited = _cited(raw)
    facts = _FACTS.validate_python(
        [fact for fact in tree["facts"] if fact["id"] in cited or not cited.isdisjoint(fact.get("from", ()))]
    )
    regions = _regions(conversation, facts)
    flat = [box for fact in regions for box in _boxes(fact, facts)]
    volumes = [Box3D.of(fact) for fact in regions if fact.shape == "box3d"]
    return ItemText(conversation, facts, conversation.keeps, tuple(flat), tuple(volumes))


def _cited(conversation: Mapping[str, Any]) -> set[str]:
    return {fact for turn in conversation["turns"] for block in turn["blocks"] for fact in block.get("facts", ())}


def _regions(conversation: Conversation, facts: Sequence[Fact]) -> list[RegionFact]:
    """The regions that a conversation cites."""
    cited = {
        fact
        for turn in conversation.turns
        for block in turn.blocks
        if isinstance(block, RegionBlock)
        for fact in block.facts
    }
    return [fact for fact in facts if fact.id in cited and isinstance(fact, RegionFact)]


def _boxes(fact: RegionFact, facts: Sequence[Fact]) -> list[tuple[float, ...]]:
    """The box of a region; of a mask, the boxes that were derived from it."""
    if fact.shape == "box" and isinstance(fact.coords, list):
        return [tuple(float(edge) for edge in fact.coords)]  # type: ignore[arg-type]
    if isinstance(fact.coords, MaskRef):
        return [
            tuple(float(edge) for edge in other.coords)  # type: ignore[arg-type]
            for other in facts
            if isinstance(other, RegionFact) and fact.id in other.from_ and other.shape == "box"
            if isinstance(other.coords, list)
        ]
    return []
