"""What a task is: it looks at a sample's facts and drafts what could be asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from medshard.facts.context import FactContext
from medshard.record.base import Language
from medshard.record.conversation import Answer, MadeBy
from medshard.record.facts import LabelFact, RegionFact
from medshard.record.sample import Sample
from medshard.spec.taxonomy import Concept
from medshard.tasks.words import Media as MediaWord
from medshard.tasks.words import Term

__all__ = ["LANGUAGES", "Draft", "Task", "View", "draw", "in_each", "language_of"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")
"""The languages that templates are written in."""

T = TypeVar("T")


def in_each(make: Callable[[Language], T]) -> dict[Language, T]:
    """The same thing said in every language."""
    return {lang: make(lang) for lang in LANGUAGES}


def language_of(tag: str) -> Language | None:
    """The language of templates that a BCP 47 tag such as ``en-GB`` is of; None when there is none."""
    return next((lang for lang in LANGUAGES if tag.lower().split("-")[0] == lang), None)


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but ``parts``."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


@dataclass
class Draft:
    """One conversation that could be held.

    Attributes:
        task: the task.
        variant: which templates of its pack.
        about: what tells it from other drafts of the variant (a concept, a fact id).
        slots: the media that it shows.
        asks: facts that the answer gives.
        offered: what the templates may insert, by language.
        answer: how the reply is checked; may differ by language in its texts.
        languages: the languages in which it can be said.
        made_by: ``source`` when the words are the source's own.
        varies: whether the answer differs between samples of the source; a constant one is asked rarely.
    """

    task: str
    variant: str
    about: str
    slots: list[str]
    asks: list[str]
    offered: Mapping[Language, Mapping[str, Any]]
    answer: Mapping[Language, Answer] = field(default_factory=dict)
    languages: Sequence[Language] = LANGUAGES
    made_by: MadeBy = field(default_factory=lambda: MadeBy(kind="template"))
    varies: bool = True

    @property
    def id(self) -> str:
        """Names the draft within its sample."""
        return f"{self.task}/{self.variant}/{self.about}"


class View:
    """A sample as tasks look at it."""

    def __init__(self, sample: Sample, context: FactContext) -> None:
        self.sample = sample
        self.context = context
        self.taxonomy = context.taxonomy

    def labels(self, state: str = "present") -> list[LabelFact]:
        """Labels of a state, in the order of the facts."""
        return [fact for fact in self.sample.facts if isinstance(fact, LabelFact) and fact.state == state]

    def boxes(self, label: LabelFact) -> list[RegionFact]:
        """Boxes of a label, in the order of the facts."""
        return [
            fact
            for fact in self.sample.facts
            if isinstance(fact, RegionFact) and fact.of == label.id and fact.shape == "box" and fact.frame == "px"
        ]

    def complete(self, slots: Sequence[str], of: str = "presence") -> set[str]:
        """Concepts that the source looked for in all of these slots."""
        found: set[str] = set()
        for scope in self.sample.scopes:
            if slots and scope.of == of and scope.complete and set(slots) <= set(scope.slots):
                found |= set(self.context.concept_sets.get(scope.concepts, [scope.concepts]))
        return found

    def related(self, concept: str, other: str) -> bool:
        """Whether one is the other or lies under it: a kidney tumour is a tumour, so neither rules out the other."""
        return (
            concept == other or concept in self.taxonomy.ancestors(other) or other in self.taxonomy.ancestors(concept)
        )

    def only_one(self, label: LabelFact) -> bool:
        """Whether no other present label on these media is of the concept, of a side of it, or of a kind of it.

        Without this "the kidney" is not the left one, and "all lesions" are more than those called so.
        """
        concept = label.concept or ""
        return not any(
            other.id != label.id
            and not other.rule
            and set(other.slots) & set(label.slots)
            and (other.concept == concept or concept in self.taxonomy.ancestors(other.concept or ""))
            for other in self.labels()
        )

    def term(self, concept: str, facts: Sequence[str], lang: Language) -> Term:
        """A concept for a template, with the facts that say it; none in a question that does not give it away."""
        return Term(self.concept(concept), facts, lang)

    def word(self, concept: str, lang: Language) -> str:
        """A concept's word, for an answer to be checked against."""
        return self.concept(concept).en if lang == "en" else self.concept(concept).zh

    def concept(self, concept: str) -> Concept:
        """The concept of that id."""
        return self.taxonomy[concept]

    def media_words(self, slots: Sequence[str]) -> list[MediaWord]:
        """The pictures for a template, in order."""
        shown = {"image": "image", "volume": "frames", "video": "video"}
        return [MediaWord(slot, shown[self.sample.medium(slot).kind]) for slot in slots]  # type: ignore[arg-type]


class Task(Protocol):
    """Drafts what could be asked of a sample.

    A task claims nothing that no fact says: absence, counts and "all" need a complete scope; a fact that the question
    gives away is not asked. It is a pure function of the sample and the dataset's context.

    Attributes:
        name: as in records, templates and docs.
        family: tasks of one family share a place in the budget.
        trivial: whether it counts among the at most two trivial items a sample.
    """

    name: str
    family: str
    trivial: bool

    def drafts(self, view: View) -> list[Draft]:
        """All that could be asked; the budget chooses."""
        ...
