"""One sample of a corpus; nothing is read before it is looked at."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter

from medshard.engine import decode_image
from medshard.errors import CorpusError
from medshard.families import FAMILIES
from medshard.families.base import render_blocks
from medshard.readers.base import Array
from medshard.record.conversation import Conversation
from medshard.record.sample import Media, Sample
from medshard.shards.sample_parts import RECORD_EXTENSION, parse_record, stored_size
from medshard.volumes import VolumeReader

if TYPE_CHECKING:
    from medshard.corpus.corpus import Corpus

__all__ = ["CorpusSample"]

_CONVERSATIONS: TypeAdapter[list[Conversation]] = TypeAdapter(list[Conversation])


class CorpusSample:
    """A sample with its record, pixels and text.

    Attributes:
        row: its row in the corpus's index.
    """

    def __init__(self, corpus: Corpus, row: int) -> None:
        self._corpus, self.row = corpus, row

    def __repr__(self) -> str:
        slots = ", ".join(f"{m.slot} {m.kind}" for m in self.record.media if m.present)
        return (
            f"<{self.key}: {slots or 'text'}; {len(self.record.facts)} facts, {len(self.conversations)} conversations>"
        )

    @cached_property
    def key(self) -> str:
        """Unique in the corpus."""
        return str(self._corpus.samples["key"][self.row].as_py())

    @cached_property
    def record(self) -> Sample:
        """The full record as it was built."""
        return parse_record(bytes(self._corpus.read_part(self.row, RECORD_EXTENSION)))

    @cached_property
    def conversations(self) -> list[Conversation]:
        """The conversations of the corpus's current text set."""
        newer = self._corpus.text_lines([self.row])
        return self.record.conversations if newer is None else _CONVERSATIONS.validate_json(newer[0])

    def medium(self, slot: str) -> Media:
        """What is in a slot.

        Raises:
            CorpusError: there is no such slot.
        """
        try:
            return self.record.medium(slot)
        except KeyError:
            slots = ", ".join(medium.slot for medium in self.record.media)
            raise CorpusError(f"{self.key} has no slot {slot!r}; slots: {slots or 'none'}") from None

    def array(self, slot: str) -> Array:
        """The values of a slot: (Y, X), (Y, X, C), (Z, Y, X)...; int16 pictures as they were before storing.

        Raises:
            CorpusError: the slot is empty, or its bytes are damaged.
        """
        medium = self.medium(slot)
        if not medium.present or medium.part is None:
            raise CorpusError(f"{self.key}: the slot {slot!r} is empty: {medium.absent_reason}")
        if ".ome.zarr" in medium.part:
            return self.volume(slot).read()
        pixels = decode_image(self._corpus.read_part(self.row, medium.part))
        if medium.dtype == "int16":
            return (pixels.astype(np.int32) - 32768).astype(np.int16)
        return pixels

    def volume(self, slot: str) -> VolumeReader:
        """A reader of a volume's boxes and levels."""
        medium = self.medium(slot)
        if medium.part is None or ".ome.zarr" not in medium.part:
            raise CorpusError(f"{self.key}: the slot {slot!r} is no stored volume")
        return self._corpus.volume(f"{self._corpus.folder_of(self.row)}/{medium.part}")

    def text(self, conversation: Conversation, family: str = "plain") -> list[dict[str, str]]:
        """A conversation as messages, with places in pixels of the stored pictures."""
        grammar = FAMILIES.get(family)
        seen = stored_size(self.record)
        return [
            {"role": turn.role, "content": render_blocks(turn.blocks, self.record.facts, grammar, seen).strip()}
            for turn in conversation.turns
        ]
