"""The items that a loader streams, and what it needs to know of each before it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.order import Source
from medshard.shards.sample_parts import RECORD_EXTENSION

__all__ = ["ItemLine", "MediumLine", "Part", "Selection"]

_PICTURES = ("image", "volume")
_MEDIUM_FIELDS = ["slot", "kind", "role", "present", "part", "axes", "shape", "dtype", "bits", "spacing_mm", "window"]


@dataclass(frozen=True)
class Part:
    """One part of a shard, or with a factor above 1 of its sibling whose pictures are smaller by it."""

    shard: int
    offset: int
    size_bytes: int
    crc32c: int
    factor: int = 1


@dataclass(frozen=True)
class MediumLine:
    """One medium, as the index describes it.

    Attributes:
        spacing_mm: one number an axis of space, in the order of ``axes``; None when unknown.
        part: where its bytes lie; None for a volume, which has a folder.
        volume: path of the volume below the corpus.
        levels: where its renditions lie, from the smallest picture to the largest.
    """

    slot: str
    kind: str
    axes: str
    shape: tuple[int, ...]
    dtype: str
    bits: int
    window: tuple[float, float] | None
    part: Part | None
    volume: str | None
    levels: tuple[Part, ...] = ()
    spacing_mm: tuple[float, ...] | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of a picture."""
        return self.shape[self.axes.index("Y")], self.shape[self.axes.index("X")]


@dataclass(frozen=True)
class ItemLine:
    """One item.

    Attributes:
        item: its row in the corpus's items.
        sample: its sample's row.
        id: of its conversation; empty for a sample without text.
        record: where the sample's record lies.
        picture: what is delivered as ``image``; None when there is nothing to look at. The first that is there, where
            several slots were asked for.
        mask: what is delivered as ``mask``.
        pictures: one a slot that was asked for, None where the sample has none.
    """

    item: int
    sample: int
    key: str
    id: str
    record: Part
    picture: MediumLine | None
    mask: MediumLine | None
    pictures: tuple[MediumLine | None, ...] = ()


class Selection:
    """Items of a corpus, listed by (shard, row).

    Args:
        image: slot that is delivered as ``image``, or several; None for the only picture of each item.
        mask: slot that is delivered as ``mask``; None for none.
        by: ``item`` for one a conversation, ``sample`` for one a sample.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        image: str | Sequence[str] | None,
        mask: str | None,
        by: Literal["item", "sample"],
    ) -> None:
        self.corpus, self._mask, self._by = corpus, mask, by
        self.slots: tuple[str, ...] | None = (image,) if isinstance(image, str) else tuple(image) if image else None
        items = corpus.items
        rows = corpus.item_rows
        if by == "sample":
            _, first = np.unique(items["sample"].to_numpy()[rows], return_index=True)
            rows = rows[first]
        self.rows = rows
        self.samples: NDArray[np.int64] = items["sample"].to_numpy()[rows]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def has_pictures(self) -> bool:
        """Whether any item has something to look at."""
        if self._by == "item" and self.slots is None:
            shown = pc.list_value_length(self.corpus.items["slots"].take(self.rows))
            return bool((pc.sum(shown).as_py() or 0) > 0)
        media = self.corpus.samples["media"].take(np.unique(self.samples)).combine_chunks().flatten()
        seen = pc.and_(media.field("present"), pc.is_in(media.field("kind"), pa.array(_PICTURES)))
        if self.slots is not None:
            seen = pc.and_(seen, pc.is_in(media.field("slot"), pa.array(self.slots)))
        return bool(pc.any(seen).as_py())

    @cached_property
    def source(self) -> Source:
        """The items as one source of an order, one run a shard."""
        shards = self.corpus.items["shard"].to_numpy()[self.rows]
        if (np.diff(shards) < 0).any():
            raise LoaderError("the index does not list items by shard; build the corpus again")
        _, lengths = np.unique(shards, return_counts=True)
        state = hashlib.sha256()
        manifest = self.corpus.manifest
        state.update(manifest.index["items.parquet"].encode())
        state.update(f"{manifest.text.digest} {self._by}".encode())
        state.update(np.ascontiguousarray(self.rows, "<i8").tobytes())
        return Source(self._by, lengths, state.hexdigest())

    @cached_property
    def _samples(self) -> pa.Table:
        """Of the index what a line needs; a step makes Python objects of its rows, so every field counts."""
        media = self.corpus.samples["media"].combine_chunks()
        parts = media.values
        fields = pa.StructArray.from_arrays([parts.field(name) for name in _MEDIUM_FIELDS], _MEDIUM_FIELDS)
        listed = pa.ListArray.from_arrays(media.offsets, fields)
        return self.corpus.samples.select(["key", "shard", "row"]).append_column("media", listed)

    def lines(self, places: NDArray[np.int64]) -> list[ItemLine]:
        """The items at places of the selection."""
        items = self.corpus.items.select(["id", "slots"]).take(self.rows[places]).to_pylist()
        samples = self._samples.take(self.samples[places]).to_pylist()
        return [
            self._line(int(self.rows[place]), int(self.samples[place]), item, sample)
            for place, item, sample in zip(places, items, samples, strict=True)
        ]

    def _line(self, item_row: int, sample_row: int, item: dict[str, Any], sample: dict[str, Any]) -> ItemLine:
        shard, row = int(sample["shard"]), int(sample["row"])
        media = {medium["slot"]: medium for medium in sample["media"] if medium["present"]}
        shown = self._shown(item, media, sample["key"])
        pictures = tuple(self._medium(medium, shard, row) if medium is not None else None for medium in shown)
        mask = media.get(self._mask) if self._mask is not None else None
        return ItemLine(
            item=item_row,
            sample=sample_row,
            key=str(sample["key"]),
            id=str(item["id"]) if self._by == "item" else "",
            record=self._part(shard, row, RECORD_EXTENSION),
            picture=next((medium for medium in pictures if medium is not None), None),
            mask=self._medium(mask, shard, row) if mask is not None else None,
            pictures=pictures,
        )

    def _shown(self, item: dict[str, Any], media: dict[str, Any], key: str) -> list[dict[str, Any] | None]:
        """The media that the item shows, one a slot that was asked for; several need a choice."""
        if self.slots is not None:
            return [media.get(slot) for slot in self.slots]
        shown = [slot for slot in item["slots"] if slot in media and media[slot]["kind"] in _PICTURES]
        if not shown and self._by == "sample":
            shown = [slot for slot, m in media.items() if m["kind"] in _PICTURES and m["role"] == "input"]
        if len(shown) > 1:
            raise LoaderError(f"{key} shows several pictures ({', '.join(shown)}); choose one with image=")
        return [media[shown[0]] if shown else None]

    def _part(self, shard: int, row: int, extension: str) -> Part:
        parts = self.corpus.manifest.shards[shard].parts
        offset, size, checksum = self.corpus.locator.place(shard, row, parts.index(extension))
        return Part(shard, offset, size, checksum)

    def _levels(self, shard: int, row: int, extension: str) -> tuple[Part, ...]:
        found = [
            Part(shard, *self.corpus.rendition_place(shard, row, place, level.parts.index(extension)), level.factor)
            for place, level in enumerate(self.corpus.manifest.shards[shard].renditions)
            if extension in level.parts
        ]
        return tuple(sorted(found, key=lambda part: -part.factor))

    def _medium(self, medium: dict[str, Any], shard: int, row: int) -> MediumLine:
        part = str(medium["part"])
        volume = None
        if ".ome.zarr" in part:
            folder = self.corpus.manifest.shards[shard].path.rsplit("/shards/", 1)[0]
            volume = f"{folder}/{part}"
        window = medium["window"]
        return MediumLine(
            slot=str(medium["slot"]),
            kind=str(medium["kind"]),
            axes=str(medium["axes"]),
            shape=tuple(medium["shape"]),
            dtype=str(medium["dtype"]),
            bits=int(medium["bits"] or 8),
            spacing_mm=tuple(float(step) for step in medium["spacing_mm"]) or None,
            window=(float(window[0]), float(window[1])) if window else None,
            part=None if volume is not None else self._part(shard, row, part),
            volume=volume,
            levels=self._levels(shard, row, part) if volume is None else (),
        )
