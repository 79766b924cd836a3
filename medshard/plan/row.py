"""The planned sample: everything that reading and fact-making need, and nothing of pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

__all__ = ["PLAN_SCHEMA", "STATED", "FactRow", "MediaRef", "PlannedSample"]

STATED = ("slope", "intercept", "spacing_z", "spacing_y", "spacing_x")
"""What columns may say of a volume, as a slot's ``rescale`` and ``spacing_zyx_mm`` (or ``_um``) have it."""


@dataclass(frozen=True)
class MediaRef:
    """A file of a slot.

    Attributes:
        slot: the slot.
        path: below the dataset's root.
        size_bytes: as listed.
        layer: for masks in several files, the layer of this one.
        channel: for volumes in several files, the channel of this one.
        slice: for files of one slice each, which slice this one is.
        stated: what columns say of a volume's values and distances, in the order of ``STATED``; None when the spec
            takes nothing from columns.
    """

    slot: str
    path: str
    size_bytes: int
    layer: str | None = None
    channel: str | None = None
    slice: str | None = None
    stated: tuple[str | None, ...] | None = None


@dataclass(frozen=True)
class FactRow:
    """The raw values of one fact of the spec, from one row.

    Attributes:
        fact: name of the fact in the spec.
        file, row: where the values stand.
        field: the columns that were read, for the citation.
        cells: the values as text, in the order of ``medshard.plan.cells.fact_cells``.
    """

    fact: str
    file: str
    row: int | None
    field: str
    cells: tuple[str | None, ...]


@dataclass(frozen=True)
class PlannedSample:
    """One row of the plan.

    Attributes:
        key: unique in the corpus.
        split: ``train``, ``validation``, ``test`` or ``none``.
        fold: fold of cross-validation, if the source has folds.
        group: token of the patient, or of what is at most one patient; None when unknown.
        study: token of the study within the group.
        day: days from the group's first exam; None when unknown.
        sex, age_years: of the subject, raw.
        file, row: the (first) source row that makes the sample.
        media: files, slot by slot.
        facts: raw values, fact by fact.
    """

    key: str
    split: str
    fold: str | None
    group: str | None
    study: str | None
    day: int | None
    sex: str | None
    age_years: str | None
    file: str
    row: int | None
    media: list[MediaRef] = field(default_factory=list)
    facts: list[FactRow] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """Listed bytes of all its files."""
        return sum(medium.size_bytes for medium in self.media)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> PlannedSample:
        """From one row of a table of ``PLAN_SCHEMA``."""
        media = [
            MediaRef(**{**medium, "stated": tuple(medium["stated"]) if medium["stated"] is not None else None})
            for medium in row["media"] or ()
        ]
        facts = [FactRow(**{**fact, "cells": tuple(fact["cells"])}) for fact in row["facts"] or ()]
        return cls(**{**row, "media": media, "facts": facts})


PLAN_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("split", pa.string()),
        ("fold", pa.string()),
        ("group", pa.string()),
        ("study", pa.string()),
        ("day", pa.int64()),
        ("sex", pa.string()),
        ("age_years", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        (
            "media",
            pa.list_(
                pa.struct(
                    [
                        ("slot", pa.string()),
                        ("path", pa.string()),
                        ("size_bytes", pa.int64()),
                        ("layer", pa.string()),
                        ("channel", pa.string()),
                        ("slice", pa.string()),
                        ("stated", pa.list_(pa.string())),
                    ]
                )
            ),
        ),
        (
            "facts",
            pa.list_(
                pa.struct(
                    [
                        ("fact", pa.string()),
                        ("file", pa.string()),
                        ("row", pa.int64()),
                        ("field", pa.string()),
                        ("cells", pa.list_(pa.string())),
                    ]
                )
            ),
        ),
    ]
)
"""The plan as an Arrow table, one row a sample."""
