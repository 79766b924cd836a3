"""Facts: what the source says of the media, and what it looked for."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from medshard.record.facts import Attribution
from medshard.spec.schema.base import Column, Evidence, Expression, Name, Node
from medshard.spec.schema.media import Absence

__all__ = [
    "BoxFact",
    "By",
    "ClassFact",
    "ConceptRef",
    "Covers",
    "FlagFact",
    "InstanceFact",
    "MaskClassFact",
    "Measure",
    "NumberFact",
    "QaColumnsFact",
    "SpecFact",
    "TextColumnFact",
    "ValueMap",
]


class ConceptRef(Node):
    """A concept with a side. ``side_frame`` says whose side: the patient's or the picture's.

    In ``match``, ``{1}`` stands for the first group of the pattern, in the concept and in the side.
    """

    concept: str
    side: Literal["left", "right", "both", "midline", "{1}", "{2}"] | None = None
    side_frame: Literal["patient", "image"] | None = None

    @model_validator(mode="after")
    def _framed(self) -> ConceptRef:
        if (self.side is None) != (self.side_frame is None):
            raise ValueError("a side states its frame: give side and side_frame (patient or image) together")
        return self


ValueMap = Literal["same_name"] | dict[str, str | ConceptRef]
"""Raw value → concept, closed both ways; ``same_name`` when values are the concepts' names."""


class NamedOnly(Node):
    """Only some of what is there was named; the text says which."""

    named_only: str


class Sampled(Node):
    """Looked for at some places or times only; the text says which."""

    sampled: str


Covers = Literal["all", "named_only"] | NamedOnly | Sampled
"""What the source looked for. Only ``all`` lets absence, counts and "all" be asked."""


class By(Node):
    """Who says it, and how."""

    kind: Attribution
    name: str | None = None


class _Fact(Node):
    """What every fact may say.

    Attributes:
        slots: the media that the fact is about; all image and volume slots when left out.
        scope: what the label is a label of.
        by: who says it.
        note: for the reader of the spec.
    """

    slots: list[Name] | None = None
    scope: Literal["media", "study", "patient"] = "media"
    by: By | Attribution = "unknown"
    evidence: Evidence | dict[str, Evidence] | None = None
    note: str | None = None


class _Mapped(_Fact):
    """A fact whose raw values become concepts.

    Attributes:
        map: value → concept.
        match: regular expression over the whole value → concept, tried after ``map``, in order.
        drop: value or regular expression → why it is no fact.
    """

    map: ValueMap = {}
    match: dict[str, str | ConceptRef] = {}
    drop: dict[str, str] = {}

    @model_validator(mode="after")
    def _maps(self) -> _Mapped:
        if not self.map and not self.match:
            raise ValueError("needs map (value -> concept), match (regular expression -> concept) or map: same_name")
        return self


class ClassFact(_Mapped):
    """One value a sample, out of a closed set.

    Attributes:
        of: a joined source whose rows hold the value; the samples' own rows when left out.
        value: the raw value.
        no_value: what an empty or missing value means.
    """

    kind: Literal["class"]
    of: Name | None = None
    value: Expression
    covers: Covers
    no_value: Absence | None = None


class FlagFact(_Fact):
    """One column a concept, its cell a state.

    Attributes:
        columns: the columns; with ``map`` other than ``same_name``, column → concept.
        states: cell → state, closed both ways.
    """

    kind: Literal["flags"]
    of: Name | None = None
    columns: Annotated[list[Column], Field(min_length=1)]
    states: Annotated[dict[str, Literal["present", "absent", "uncertain", "not_annotated"]], Field(min_length=1)]
    map: ValueMap = "same_name"
    covers: Covers | None = None


class NumberFact(_Fact):
    """A quantity of the sample.

    Attributes:
        value: an expression that gives a number.
        concept: which quantity.
        unit: UCUM code; ``1`` for none.
        resolution: the step below which digits mean nothing.
        horizon_years: of a risk, the time that it is about.
        quasi_identifier: ``age`` groups values over 89.
    """

    kind: Literal["number"]
    of: Name | None = None
    value: Expression
    concept: str
    unit: str
    resolution: float | None = None
    horizon_years: Annotated[float, Field(gt=0)] | None = None
    no_value: Absence | None = None
    quasi_identifier: Literal["age"] | None = None


class BoxFact(_Mapped):
    """One box a row.

    Attributes:
        of: the joined source, one row a box; the samples' own rows when left out.
        value: the raw class of the box; not needed with ``concept``.
        concept: the concept of every box, when there is one class only.
        corners: x0, y0, x1, y1 as expressions; or ``centre_size`` or ``corner_size``.
        corner_size: x0, y0, width, height.
        centre_size: x, y of the centre, width, height.
        frame: pixels of the slot.
        origin: coordinate of the first pixel's centre (VOC 1) or of its outer corner (COCO 0).
        inclusive: whether ``corners`` name the last pixel inside (VOC) rather than the first outside.
    """

    kind: Literal["boxes"]
    of: Name | None = None
    value: Expression | None = None
    concept: str | None = None
    corners: tuple[Expression, Expression, Expression, Expression] | None = None
    corner_size: tuple[Expression, Expression, Expression, Expression] | None = None
    centre_size: tuple[Expression, Expression, Expression, Expression] | None = None
    frame: Literal["pixel_xy"]
    origin: Annotated[int, Field(ge=0, le=1)]
    inclusive: Literal["yes", "no"]
    outside: Literal["clip", "quarantine"] = "quarantine"
    covers: Covers

    @model_validator(mode="after")
    def _maps(self) -> BoxFact:
        if (self.value is None) == (self.concept is None):
            raise ValueError("needs either value (with map) or concept, not both")
        if self.value is not None and not self.map and not self.match:
            raise ValueError("value needs map, match or map: same_name")
        if sum(form is not None for form in (self.corners, self.corner_size, self.centre_size)) != 1:
            raise ValueError("needs exactly one of corners, corner_size, centre_size")
        if self.inclusive == "yes" and self.corners is None:
            raise ValueError("inclusive: yes only says something of corners")
        return self


Measure = Literal["area", "volume", "axial_diameter", "longest_diameter", "extent", "centroid", "parts", "attenuation"]
"""What is measured of a mask's regions: ``area`` in a plane, the others in a volume."""


class LeftIsLeft(Node):
    """How many samples may have a left part that lies at the patient's right.

    Every sample of a mask whose sides are mapped is compared, also without this line: then none may.

    Attributes:
        at_most: so many may, such as patients whose organs are mirrored or have crossed over.
        reason: why they do.
    """

    at_most: Annotated[int, Field(ge=1)]
    reason: str


class MaskClassFact(_Mapped):
    """The classes of a mask: its values, or its layers.

    Attributes:
        of: the mask's slot.
        background: the value that is nothing; 0 unless said otherwise.
        ignore: values that say nothing either way.
        unions: concept → the values that make it up.
        boxes: whether each connected part, or each class, is also a region with a box.
        measures: what is measured of each class; all that the grid and the unit allow when left out.
        left_is_left: samples in which left and right may be the other way round; see ``LeftIsLeft``.
    """

    kind: Literal["mask_classes"]
    of: Name
    background: int = 0
    ignore: list[int] = []
    unions: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    boxes: Literal["component", "class", "none"] = "class"
    measures: list[Measure] = list(get_args(Measure))
    left_is_left: LeftIsLeft | None = None
    covers: Covers


class InstanceFact(_Fact):
    """The instances of a mask: one file each, or one value each.

    Attributes:
        of: the mask's slot.
        empty: ``absent`` where a file without any pixel of the object says that there is none; without it such a
            sample is refused.
        measures: what is measured of each instance; all that the grid and the unit allow when left out.
    """

    kind: Literal["mask_instances"]
    of: Name
    concept: str
    empty: Literal["absent"] | None = None
    measures: list[Measure] = list(get_args(Measure))
    covers: Covers


class TextColumnFact(_Fact):
    """A text of the source.

    Attributes:
        section: what the text is: ``caption``, ``findings``, ``impression``, ``indication``, ``note``...
        value: the text.
        language: BCP 47 tag.
        redaction: the literal that stands for blanked words.
    """

    kind: Literal["text"]
    of: Name | None = None
    section: str
    value: Expression
    language: str
    redaction: str | None = None
    no_value: Absence | None = None


class QaColumnsFact(_Fact):
    """Questions and answers of the source.

    Attributes:
        question: the question.
        answer: the answer, in the source's words.
        answer_type: an expression that gives ``yesno``, ``choice``, ``number`` or ``open``.
        options: a JSON list of text, for ``choice``.
        order: a number that orders the questions of a sample.
        language: BCP 47 tag.
        no_value: what an empty answer means.
    """

    kind: Literal["qa"]
    of: Name | None = None
    question: Expression
    answer: Expression
    answer_type: Expression | None = None
    options: Expression | None = None
    order: Expression | None = None
    language: str
    no_value: Absence | None = None


_KINDS = ("class", "flags", "number", "boxes", "mask_classes", "mask_instances", "text", "qa")


def _kind_of_fact(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if kind in _KINDS else None


SpecFact = Annotated[
    Annotated[ClassFact, Tag("class")]
    | Annotated[FlagFact, Tag("flags")]
    | Annotated[NumberFact, Tag("number")]
    | Annotated[BoxFact, Tag("boxes")]
    | Annotated[MaskClassFact, Tag("mask_classes")]
    | Annotated[InstanceFact, Tag("mask_instances")]
    | Annotated[TextColumnFact, Tag("text")]
    | Annotated[QaColumnsFact, Tag("qa")],
    Discriminator(
        _kind_of_fact,
        custom_error_type="fact_kind",
        custom_error_message=f"a fact has a kind: one of {', '.join(_KINDS)}",
    ),
]
"""Any fact of a spec, told apart by ``kind``."""
