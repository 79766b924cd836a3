"""Conversations: text as a list of blocks that cite facts, never a finished string."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from medshard.record.base import Language, Part

__all__ = [
    "Answer",
    "Block",
    "Conversation",
    "Keeps",
    "MadeBy",
    "MediaBlock",
    "Option",
    "QuoteBlock",
    "RegionBlock",
    "Rejected",
    "SpacingBlock",
    "TermBlock",
    "TextBlock",
    "TimeBlock",
    "Turn",
    "ValueBlock",
]


class TextBlock(Part):
    """A literal of the template."""

    type: Literal["text"] = "text"
    text: str


class TermBlock(Part):
    """A concept in words, and the facts that say it."""

    type: Literal["term"] = "term"
    concept: str
    text: str
    facts: list[str]


class ValueBlock(Part):
    """A number in words, and the facts that say it."""

    type: Literal["value"] = "value"
    facts: list[str]
    text: str


class QuoteBlock(Part):
    """A source's own text."""

    type: Literal["quote"] = "quote"
    facts: list[str]
    text: str


class RegionBlock(Part):
    """Coordinates; rendered for each model once the geometry is drawn."""

    type: Literal["region"] = "region"
    facts: list[str]
    as_: Literal["box", "point", "polygon", "mask"] = Field(default="box", alias="as")


class TimeBlock(Part):
    """A time or an interval of a clip; rendered for each model."""

    type: Literal["time"] = "time"
    facts: list[str]


class SpacingBlock(Part):
    """How far the pixels of a medium are apart as it is delivered; rendered once the geometry is drawn.

    Attributes:
        spacing_mm: of the stored medium, in the order of its axes, at most three numbers.
    """

    type: Literal["spacing"] = "spacing"
    slot: str
    spacing_mm: list[float]


class MediaBlock(Part):
    """A medium, at its place in the text."""

    type: Literal["media"] = "media"
    slot: str
    as_: Literal["image", "frames", "video", "montage", "tokens"] = Field(default="image", alias="as")


Block = Annotated[
    TextBlock | TermBlock | ValueBlock | QuoteBlock | RegionBlock | TimeBlock | SpacingBlock | MediaBlock,
    Field(discriminator="type"),
]
"""Any block, told apart by ``type``."""


class Option(Part):
    """One option of a choice question, and why it is among them."""

    letter: str
    concept: str | None = None
    text: str
    why: Literal["key", "sibling", "same_anatomy", "same_modality", "lookalike", "given"]


class Answer(Part):
    """What a reply is checked against.

    Attributes:
        type: how the reply is read.
        value: fact ids for regions and intervals, else the answer itself in JSON types.
        options: for ``choice`` and ``choices``.
        key: the letters of the right options.
        tolerance: by name, such as ``{"iou": 0.5}`` or ``{"abs": 1.0}``.
        check: ``name@version`` of the shipped checker; null for ``free``.
    """

    type: Literal[
        "choice",
        "choices",
        "yesno",
        "number",
        "set",
        "box",
        "boxes",
        "point",
        "interval",
        "sequence",
        "text",
        "free",
    ]
    value: Any = None
    options: list[Option] = []
    key: list[str] = []
    tolerance: dict[str, float] = {}
    check: str | None = None


class Turn(Part):
    """One message.

    Attributes:
        role: who speaks.
        template: ``task/name@version`` of the template; null for a source's own words.
        loss: weight of the turn's tokens in training; null on the user's side.
        asks: the facts that the reply to this turn's question gives.
        blocks: the message.
        answer: how the reply is checked; null when it cannot be.
    """

    role: Literal["user", "assistant"]
    template: str | None = None
    loss: float | None = None
    asks: list[str] = []
    blocks: list[Block]
    answer: Answer | None = None


class Keeps(Part):
    """What augmentation may do before the text stops being true; the default is the strictest."""

    mirror: Literal["free", "swap", "refuse"] = "refuse"
    rotate: Literal["free", "refuse"] = "refuse"
    crop: Literal["free", "regions", "recount", "refuse"] = "refuse"
    resize: Literal["free", "restate", "refuse"] = "free"
    intensity: Literal["free", "refuse"] = "free"


class MadeBy(Part):
    """How the words came about; ``record`` names a side record for ``model``."""

    kind: Literal["template", "source", "model"]
    record: str | None = None


class Rejected(Part):
    """A worse reply to one turn, for preference training."""

    of_turn: int
    kind: str
    weight: float = 1.0
    media: str | None = None
    blocks: list[Block]


class Conversation(Part):
    """One training item over some of the sample's slots.

    Attributes:
        id: name within the sample (``c1``).
        twin: shared by the same conversation in other languages.
        task: name of the task that wrote it.
        lang: language of the words.
        slots: the media that it shows.
    """

    id: str
    twin: str | None = None
    task: str
    lang: Language
    slots: list[str] = []
    system: str | None = None
    weight: float = 1.0
    made_by: MadeBy = MadeBy(kind="template")
    keeps: Keeps = Keeps()
    turns: list[Turn]
    rejected: list[Rejected] = []
