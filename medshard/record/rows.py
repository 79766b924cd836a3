"""Rows of the index: one a sample, a conversation, a fact."""

from __future__ import annotations

from medshard.record.base import Part
from medshard.record.conversation import Conversation, QuoteBlock, TermBlock, TextBlock, ValueBlock
from medshard.record.facts import MeasureFact, RegionFact
from medshard.record.parquet import arrow_schema
from medshard.record.sample import Sample

__all__ = ["FACT_SCHEMA", "ITEM_SCHEMA", "SAMPLE_SCHEMA", "FactRow", "ItemRow", "MediaRow", "SampleRow"]


class MediaRow(Part):
    """What the loader needs of one medium before it reads anything."""

    slot: str
    kind: str
    role: str
    part: str | None
    present: bool
    axes: str | None
    shape: list[int]
    dtype: str | None
    bits: int | None
    spacing_mm: list[float]
    window: list[float]
    digest: str | None


class SampleRow(Part):
    """One row of ``samples.parquet``.

    ``modality`` and ``anatomy`` are one word, several joined with ``+``; the lists stand beside them.

    Attributes:
        day: days from the group's first exam; null when unknown.
        shard: number of the shard in the corpus.
        row: place of the sample in its shard.
    """

    key: str
    dataset: str
    split: str
    group: str | None
    day: int | None
    licence: str
    modality: str
    anatomy: str
    department: str
    modalities: list[str]
    anatomies: list[str]
    sex: str | None
    age_years: float | None
    media: list[MediaRow]
    concepts: list[str]
    n_facts: int
    n_items: int
    shard: int
    row: int

    @classmethod
    def of(cls, sample: Sample, shard: int, row: int) -> SampleRow:
        """The row of a sample."""
        axes = sample.axes
        return cls(
            key=sample.key,
            dataset=sample.dataset,
            split=sample.split,
            group=sample.group,
            day=next((medium.day for medium in sample.media if medium.day is not None), None),
            licence=sample.licence,
            modality="+".join(axes.modality),
            anatomy="+".join(axes.anatomy),
            department="+".join(axes.department),
            modalities=axes.modality,
            anatomies=axes.anatomy,
            sex=sample.subject.sex if sample.subject else None,
            age_years=sample.subject.age_years if sample.subject else None,
            media=[
                MediaRow(
                    slot=medium.slot,
                    kind=medium.kind,
                    role=medium.role,
                    part=medium.part,
                    present=medium.present,
                    axes=medium.axes,
                    shape=medium.shape or [],
                    dtype=medium.dtype,
                    bits=medium.bits,
                    spacing_mm=medium.spacing_mm or [],
                    window=medium.window or [],
                    digest=medium.digest,
                )
                for medium in sample.media
            ],
            concepts=sorted({f.concept for f in sample.facts if f.concept is not None and f.state == "present"}),
            n_facts=len(sample.facts),
            n_items=len(sample.conversations),
            shard=shard,
            row=row,
        )


class ItemRow(Part):
    """One row of ``items.parquet``: a conversation, the thing that is ordered, weighted, packed and counted.

    Attributes:
        id: the conversation's id in its sample; empty for a sample without text, which is one item.
        concepts: concepts of the facts that are asked.
        question_chars, answer_chars: bounds of the rendered text, in characters.
        shard, row: where the sample lies.
    """

    key: str
    id: str
    dataset: str
    split: str
    task: str
    lang: str
    twin: str | None
    modality: str
    anatomy: str
    slots: list[str]
    concepts: list[str]
    answer_type: str
    difficulty: float | None
    weight: float
    question_chars: int
    answer_chars: int
    shard: int
    row: int

    @classmethod
    def of(cls, sample: Sample, shard: int, row: int) -> list[ItemRow]:
        """The items of a sample."""
        concepts = {fact.id: fact.concept for fact in sample.facts}
        conversations: list[Conversation | None] = list(sample.conversations) or [None]
        rows = []
        for conversation in conversations:
            turns = conversation.turns if conversation else []
            asked = {concept for turn in turns for fact in turn.asks if (concept := concepts[fact]) is not None}
            answers = [turn.answer.type for turn in turns if turn.answer is not None]
            rows.append(
                cls(
                    key=sample.key,
                    id=conversation.id if conversation else "",
                    dataset=sample.dataset,
                    split=sample.split,
                    task=conversation.task if conversation else "",
                    lang=conversation.lang if conversation else "",
                    twin=conversation.twin if conversation else None,
                    modality="+".join(sample.axes.modality),
                    anatomy="+".join(sample.axes.anatomy),
                    slots=conversation.slots if conversation else [medium.slot for medium in sample.pictures],
                    concepts=sorted(asked),
                    answer_type=answers[-1] if answers else "",
                    difficulty=None,
                    weight=conversation.weight if conversation else 1.0,
                    question_chars=_chars(conversation, "user"),
                    answer_chars=_chars(conversation, "assistant"),
                    shard=shard,
                    row=row,
                )
            )
        return rows


_PLACE_CHARS = 64  # a box with its brackets in any family's grammar


def _chars(conversation: Conversation | None, role: str) -> int:
    """An upper bound of the characters of one side: texts as they are, places by their longest form."""
    total = 0
    for turn in conversation.turns if conversation else []:
        if turn.role == role:
            for block in turn.blocks:
                if isinstance(block, (TextBlock, TermBlock, ValueBlock, QuoteBlock)):
                    total += len(block.text)
                else:
                    total += _PLACE_CHARS * max(1, len(getattr(block, "facts", ())))
    return total


class FactRow(Part):
    """One row of ``facts.parquet``."""

    key: str
    id: str
    dataset: str
    split: str
    kind: str
    concept: str | None
    state: str
    slots: list[str]
    by: str
    value: float | None
    unit: str | None
    shape: str | None
    file: str | None
    source_row: int | None
    field: str | None
    rule: str | None

    @classmethod
    def of(cls, sample: Sample) -> list[FactRow]:
        """The facts of a sample."""
        places = {row.id: row for row in sample.source}
        rows = []
        for fact in sample.facts:
            citation = fact.source[0] if fact.source else None
            place = places[citation.id] if citation else None
            rows.append(
                cls(
                    key=sample.key,
                    id=fact.id,
                    dataset=sample.dataset,
                    split=sample.split,
                    kind=fact.kind,
                    concept=fact.concept,
                    state=fact.state,
                    slots=fact.slots,
                    by=fact.by,
                    value=fact.value if isinstance(fact, MeasureFact) else None,
                    unit=fact.unit if isinstance(fact, MeasureFact) else None,
                    shape=fact.shape if isinstance(fact, RegionFact) else None,
                    file=place.file if place else None,
                    source_row=place.row if place else None,
                    field=citation.field if citation else None,
                    rule=fact.rule,
                )
            )
        return rows


SAMPLE_SCHEMA = arrow_schema(SampleRow)
ITEM_SCHEMA = arrow_schema(ItemRow)
FACT_SCHEMA = arrow_schema(FactRow)
