"""Facts: one statement of the source each, or one derived from such by a named rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medshard.record.base import Part, State

__all__ = [
    "Attribution",
    "Citation",
    "Fact",
    "IntervalFact",
    "LabelFact",
    "MaskRef",
    "MeasureFact",
    "QaFact",
    "RegionFact",
    "RelationFact",
    "Scale",
    "Span",
    "TextFact",
]

Attribution = Literal["expert", "crowd", "report_nlp", "device", "derived", "model", "unknown"]


class Citation(Part):
    """Where a fact was read.

    Attributes:
        id: the ``id`` of one of the sample's source rows.
        field: the column, element or mask value that was read.
        raw: what stood there, as text; null where the text itself is the fact, or where it is identifying.
    """

    id: str
    field: str
    raw: str | None = None


class _Fact(Part):
    """What every fact says.

    Attributes:
        id: name within the sample (``f1``).
        concept: concept id such as ``finding/nodule``; null only where the text alone says it (``qa``).
        state: what the source says of the concept.
        slots: the media slots that the fact is about.
        of: the fact that this one describes.
        source: what was read; empty only for derived facts.
        by: who said it.
        rater: name of the reader where there are several.
        confidence: 0 to 1 where the source states one.
        from_: the facts that a derived fact was computed from (``from`` in JSON).
        rule: ``name@version`` of the computation.
    """

    id: str
    concept: str | None = None
    state: State = "present"
    slots: list[str] = []
    of: str | None = None
    source: list[Citation] = []
    by: Attribution = "unknown"
    rater: str | None = None
    confidence: float | None = None
    from_: list[str] = Field(default=[], alias="from")
    rule: str | None = None


class Scale(Part):
    """An ordinal scale and the place on it."""

    id: str
    value: float
    of: int


class LabelFact(_Fact):
    """A concept is present, absent or uncertain."""

    kind: Literal["label"] = "label"
    side: Literal["left", "right", "both", "midline"] | None = None
    side_frame: Literal["patient", "image"] | None = None
    scale: Scale | None = None


class MaskRef(Part):
    """A region that is stored as values of a mask slot.

    Attributes:
        slot: the mask slot.
        value: the value that marks the class, or the layer's index in a layered mask.
        instance: the instance number within the class; null for the class as a whole.
    """

    slot: str
    value: int
    instance: int | None = None


class RegionFact(_Fact):
    """Where something is.

    Attributes:
        shape: what ``coords`` holds. ``box`` x0 y0 x1 y1; ``point`` x y; ``polygon`` and ``polyline`` a list of
            x y; ``ellipse`` cx cy rx ry angle_rad; ``mask`` a reference; ``box3d`` x0 y0 z0 x1 y1 z1; ``tube`` a
            list of t x0 y0 x1 y1.
        frame: ``px``, continuous pixels of the slot, (0, 0) the outer corner of the first pixel, width = x1 - x0;
            or ``ras_mm``.
        instance: number of the thing among those of its concept, from 1.
    """

    kind: Literal["region"] = "region"
    shape: Literal["point", "box", "polygon", "polyline", "ellipse", "mask", "box3d", "tube"]
    frame: Literal["px", "ras_mm"]
    coords: list[float] | list[list[float]] | MaskRef
    instance: int | None = None


class MeasureFact(_Fact):
    """A number with its unit.

    Attributes:
        value: the number.
        unit: UCUM code such as ``mm``, ``mm2``, ``mL``, ``[hnsf'U]``, ``a``; null for a plain count.
        resolution: the step below which digits mean nothing; null when unknown.
        horizon_years: of a risk, the time that it is about; null for what is so now.
    """

    kind: Literal["measure"] = "measure"
    value: float
    unit: str | None = None
    resolution: float | None = None
    horizon_years: float | None = None


class RelationFact(_Fact):
    """A relation between facts or between two studies.

    Attributes:
        subject: of two studies the earlier fact, if the source names one; else what the relation is said of.
        object: of two studies the later fact; else what it is said to.
        days: days between the two studies.
    """

    kind: Literal["relation"] = "relation"
    subject: str | None = None
    object: str | None = None
    days: int | None = None


class Span(Part):
    """A stretch of a text that names a concept: ``text[start:end]``, in code points."""

    start: int
    end: int
    concept: str
    state: State = "present"
    facts: list[str] = []


class TextFact(_Fact):
    """A text of the source: a report section, a caption, a note.

    Attributes:
        lang: BCP 47 tag of the text.
        about_prior: the text compares with an earlier study that is not in the sample.
        redacted: the source has blanked words in it.
    """

    kind: Literal["text"] = "text"
    lang: str
    text: str
    spans: list[Span] = []
    about_prior: bool = False
    redacted: bool = False


class IntervalFact(_Fact):
    """Something that holds from one time of a clip to another."""

    kind: Literal["interval"] = "interval"
    start_s: float
    end_s: float


class QaFact(_Fact):
    """A question and answer that the source itself gives."""

    kind: Literal["qa"] = "qa"
    lang: str
    question: str
    answer: str
    answer_type: Literal["yesno", "choice", "number", "open"] = "open"
    options: list[str] = []


Fact = Annotated[
    LabelFact | RegionFact | MeasureFact | RelationFact | TextFact | IntervalFact | QaFact,
    Field(discriminator="kind"),
]
"""Any fact, told apart by ``kind``."""
