"""The spec as a whole: identity, licence, sources, samples, media, facts, expect."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medshard.spec.schema.base import Evidence, Name, Node
from medshard.spec.schema.facts import SpecFact
from medshard.spec.schema.media import MediaSlot
from medshard.spec.schema.samples import Samples
from medshard.spec.schema.sources import Source

__all__ = ["About", "Claim", "Licence", "Spec", "TaskChoice"]

_Words = str | list[str]
_Yes = Literal["yes", "no", "unknown"]


class About(Node):
    """What the dataset is. ``modality``, ``anatomy`` and ``department`` are concepts of the taxonomy."""

    title: str
    modality: _Words
    anatomy: _Words = []
    department: _Words = []
    home: str | None = None
    paper: str | None = None
    version: str | None = None
    note: str | None = None


class Licence(Node):
    """Under which terms the data are had.

    Attributes:
        id: SPDX identifier, ``LicenseRef-...``, or ``unknown``, which permits local building only.
        access: how one gets the data. ``private`` needs an id key, since nothing of it may be guessed.
    """

    id: str
    access: Literal["open", "registration", "agreement", "private", "unknown"] = "unknown"
    redistribute: _Yes = "unknown"
    derivatives: _Yes = "unknown"
    commercial: _Yes = "unknown"
    evidence: Evidence


class Claim(Node):
    """What is known of the release; every claim that fails is reported, and none changes the data.

    Attributes:
        samples: number of samples.
        split: samples a split.
        facts: number of facts, by the fact's name in the spec.
        files: files a source (``masks``) or a layer of it (``masks.SE``).
        evidence: how it is known, for all or by part.
    """

    samples: int | None = None
    split: dict[str, int] = {}
    facts: dict[str, int] = {}
    files: dict[str, int] = {}
    evidence: Evidence | dict[str, Evidence]
    note: str | None = None


class TaskChoice(Node):
    """Narrows or weights the tasks that apply.

    Attributes:
        only: the tasks that may be asked.
        never: the tasks that may not.
        weight: task → weight in the draw of the budget.
    """

    only: list[str] = []
    never: list[str] = []
    weight: dict[str, Annotated[float, Field(ge=0)]] = {}


class Spec(Node):
    """One dataset."""

    spec: Literal["1"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
    about: About
    licence: Licence
    sources: Annotated[dict[Name, Source], Field(min_length=1)]
    samples: Samples
    media: dict[Name, MediaSlot] = {}
    facts: dict[Name, SpecFact] = {}
    tasks: TaskChoice = TaskChoice()
    expect: list[Claim] = []
