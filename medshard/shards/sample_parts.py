"""A sample as the parts of a tar: media, the full record, and a plain view for other tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medshard.families import FAMILIES
from medshard.families.base import Delivered, render_blocks
from medshard.record.sample import Sample
from medshard.shards.renditions import set_suffix

__all__ = [
    "INT16_OFFSET",
    "PLAIN_EXTENSION",
    "RECORD_EXTENSION",
    "SampleParts",
    "parse_record",
    "plain_view",
    "record_bytes",
]

RECORD_EXTENSION = "record"
PLAIN_EXTENSION = "json"

INT16_OFFSET = 32768
"""int16 values in a PNG are stored as value + 32768, since PNG samples are unsigned (PNG 3rd edition, 4.1)."""


@dataclass(frozen=True)
class SampleParts:
    """What is written for one sample.

    Attributes:
        sample: the record.
        media: extension (``image.png``) → bytes, in the order of the record's media.
        levels: factor → extension → bytes of renditions, which go to sibling shards.
    """

    sample: Sample
    media: Mapping[str, bytes]
    levels: Mapping[int, Mapping[str, bytes]] = field(default_factory=dict)

    def parts(self) -> list[tuple[str, bytes]]:
        """Extension and bytes of every part, in the order of writing."""
        return [
            *self.media.items(),
            (RECORD_EXTENSION, record_bytes(self.sample)),
            (PLAIN_EXTENSION, plain_view(self.sample)),
        ]

    def _factors(self, extension: str) -> list[int]:
        return [factor for factor, parts in self.levels.items() if extension in parts]

    @property
    def set_name(self) -> str:
        """Names the set of shards that samples with these parts go to.

        ``datasets`` takes its schema from the first five samples and loses or refuses what differs, so the names of
        parts, and whether there is text, must be the same in all samples of a shard; so must their levels.
        """
        volume = any(medium.part is not None and medium.part not in self.media for medium in self.sample.media)
        words = [extension.replace(".", "-") + set_suffix(self._factors(extension)) for extension in self.media]
        words += ["volume"] if volume else []
        words += ["text"] if self.sample.conversations else []
        return "_".join(words) or "record"


def record_bytes(sample: Sample) -> bytes:
    """The full record as JSON, UTF-8, fields in the order of the model."""
    return sample.model_dump_json(by_alias=True).encode()


def parse_record(data: bytes) -> Sample:
    """The record from its bytes; unknown fields are refused."""
    return Sample.model_validate_json(data)


def plain_view(sample: Sample) -> bytes:
    """The record for other tools: one fixed shape, strings only, nothing null, no empty list."""
    view: dict[str, Any] = {
        "id": sample.key,
        "dataset": sample.dataset,
        "split": sample.split,
        "licence": sample.licence,
    }
    if sample.conversations:
        family = FAMILIES.get("plain")
        seen = stored_size(sample)
        view["conversations"] = [
            {
                "id": f"{sample.key}/{conversation.id}",
                "task": conversation.task,
                "lang": conversation.lang,
                "messages": [
                    {"role": turn.role, "content": render_blocks(turn.blocks, sample.facts, family, seen).strip()}
                    for turn in conversation.turns
                ],
            }
            for conversation in sample.conversations
        ]
    return json.dumps(view, ensure_ascii=False, separators=(",", ":")).encode()


def stored_size(sample: Sample, slots: Sequence[str] | None = None) -> dict[str, Delivered]:
    """Pictures as they are stored, which is how the plain view speaks of them."""
    found = {}
    for medium in sample.media:
        if medium.shape is not None and medium.axes is not None and (slots is None or medium.slot in slots):
            width, height = medium.shape[medium.axes.index("X")], medium.shape[medium.axes.index("Y")]
            found[medium.slot] = Delivered(width, height)
    return found
