"""Samples: how the rows of sources become samples."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medshard.spec.schema.base import Column, Expression, Node, SourceName

__all__ = ["AtMost", "Join", "Samples", "Sex", "SplitFolds", "SplitMap", "SplitRandom", "SubjectColumns"]


class Join(Node):
    """Rows of another source that belong to a row of ``from``.

    Attributes:
        using: columns of the same name on both sides.
        need: how many rows there may be: ``one`` exactly one, ``maybe`` none or one (their columns are visible in
            every expression); ``many`` one or more, ``any`` none or more (facts take them with ``of:``).
        orphans: what rows that nothing joins are: listed in the report, or an error.
    """

    using: Annotated[list[Column], Field(min_length=1)]
    need: Literal["one", "maybe", "many", "any"]
    orphans: Literal["report", "error"] = "report"


class AtMost(Node):
    """The patient is not known, but two samples that differ here may still be one patient's, and equal ones are."""

    at_most: Expression


class SplitMap(Node):
    """The split by value; closed both ways."""

    value: Expression
    map: Annotated[dict[str, str], Field(min_length=1)]


class SplitFolds(Node):
    """Cross-validation folds: the split is ``train`` and the fold is kept."""

    folds: Expression


class SplitRandom(Node):
    """Shares by keyed hash of the patient; refused while the patient is unknown."""

    random: Annotated[dict[str, Annotated[float, Field(gt=0, lt=1)]], Field(min_length=2)]


class Sex(Node):
    """The subject's sex, by value."""

    value: Expression
    map: dict[str, Literal["F", "M", "O", "unknown"]]


class SubjectColumns(Node):
    """What is kept of the person. ``age_years`` is an expression; ages over 89 are grouped."""

    sex: Sex | None = None
    age_years: Expression | None = None


class Samples(Node):
    """Which rows are samples, and how they are keyed, split and kept together.

    Attributes:
        from_: the source whose rows (or groups of rows) are samples.
        group: columns that make rows parts of one sample.
        join: other sources, by name.
        key: the sample's name within the dataset; the capture ``id`` when left out.
        patient: an expression, ``unknown``, or ``{at_most: expression}``. It has no default.
        study: the study within the patient.
        exam_date: the day of the exam, YYYY-MM-DD or YYYYMMDD; only days from the patient's first exam are kept.
        split: an expression, a constant (``train``, ``validation``, ``test``, ``none``), a map, folds or random
            shares; the capture ``split`` when left out.
        leave_out: reasons, each with the condition under which a row is no sample.
    """

    from_: SourceName = Field(alias="from")
    group: list[Column] = []
    join: dict[SourceName, Join] = {}
    key: Expression | None = None
    patient: AtMost | Expression
    study: Expression | None = None
    exam_date: Expression | None = None
    split: SplitMap | SplitFolds | SplitRandom | Expression | None = None
    subject: SubjectColumns | None = None
    leave_out: dict[str, Expression] = {}
