"""Which of the known classes is it? Open, yes or no, and multiple choice."""

from __future__ import annotations

from typing import Any

from medshard.record.base import Language
from medshard.record.conversation import Answer, Option
from medshard.record.facts import LabelFact
from medshard.spec.schema.facts import ClassFact
from medshard.spec.value_map import DROPPED
from medshard.tasks.base import Draft, View, draw, in_each
from medshard.tasks.words import Joined, Lettered

__all__ = ["TASK"]

_NOT_A_CLASS = ("modality", "anatomy", "view", "department", "device")  # these have tasks of their own
_LETTERS = "ABCDE"


class ClassificationTask:
    """Asks for the value of a class fact; negatives and choices need a source that looked for all classes."""

    name = "classification"
    family = "classification"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """Two to four forms for each class fact of the sample's own media."""
        found: list[Draft] = []
        for name, fact in view.context.loaded.spec.facts.items():
            if not isinstance(fact, ClassFact) or fact.scope != "media":
                continue
            concepts = view.context.concept_sets[view.context.set_name(name)]
            present = [label for label in view.labels() if label.concept in concepts and label.slots and not label.rule]
            if len(present) != 1:
                continue
            if view.concept(present[0].concept or "").category not in _NOT_A_CLASS:
                found += self._forms(view, name, present[0], concepts)
        return found

    def _forms(self, view: View, name: str, label: LabelFact, concepts: list[str]) -> list[Draft]:
        key = label.concept or ""
        varies = _varies(view, name)

        def draft(variant: str, offered: Any, answer: Any) -> Draft:
            return Draft(
                task=self.name,
                variant=variant,
                about=name,
                slots=label.slots,
                asks=[label.id],
                offered=in_each(offered),
                answer=in_each(answer),
                varies=varies,
            )

        found = [
            draft(
                "open",
                lambda lang: {"thing": view.term(key, [label.id], lang)},
                lambda lang: Answer(type="text", value=view.word(key, lang), check="term@1"),
            ),
            draft(
                "yes",
                lambda lang: {"thing": view.term(key, [], lang), "key": view.term(key, [label.id], lang)},
                lambda _: Answer(type="yesno", value="yes", check="yesno@1"),
            ),
        ]
        doubted = {fact.concept for state in ("uncertain", "present") for fact in view.labels(state)}
        others = [concept for concept in concepts if not view.related(concept, key) and concept not in doubted]
        if others and set(concepts) <= view.complete(label.slots):
            # A class that the source looked for and did not give is absent; the label given is what it found instead.
            other = others[int(draw("negative", view.sample.key, name) * len(others))]
            options = _options(view, name, key, others)
            letter = _LETTERS[options.index(key)]
            found += [
                draft(
                    "no",
                    lambda lang: {
                        "thing": view.term(other, [], lang),
                        "key": view.term(key, [label.id], lang),
                    },
                    lambda _: Answer(type="yesno", value="no", check="yesno@1"),
                ),
                draft(
                    "choice",
                    lambda lang: {
                        "options": _listed(view, options, lang),
                        "key": Lettered(letter, view.term(key, [label.id], lang)),
                    },
                    lambda lang: _choice_answer(view, options, key, lang),
                ),
            ]
        return found


def _varies(view: View, name: str) -> bool:
    """Whether the source gives more than one class; unknown counts as yes."""
    values = view.context.seen.get(name, ())
    return len({view.context.maps[name](value).concept for value in values} - {DROPPED.concept}) != 1


def _options(view: View, name: str, key: str, others: list[str]) -> list[str]:
    """The key among up to four siblings, in an order that is drawn."""
    drawn = sorted(others, key=lambda concept: draw("distractor", view.sample.key, name, concept))
    shown = [key, *drawn[: len(_LETTERS) - 1]]
    return sorted(shown, key=lambda concept: draw("option", view.sample.key, name, concept))


def _listed(view: View, options: list[str], lang: Language) -> Joined:
    items = [Lettered(_LETTERS[place], view.term(option, [], lang)) for place, option in enumerate(options)]
    return Joined(items, between="\n", last="\n")


def _choice_answer(view: View, options: list[str], key: str, lang: Language) -> Answer:
    letter = _LETTERS[options.index(key)]
    listed = [
        Option(
            letter=_LETTERS[place],
            concept=option,
            text=view.word(option, lang),
            why="key" if option == key else "sibling",
        )
        for place, option in enumerate(options)
    ]
    return Answer(type="choice", value=letter, options=listed, key=[letter], check="choice@1")


TASK = ClassificationTask()
