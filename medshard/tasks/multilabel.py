"""Which of several findings are there?"""

from __future__ import annotations

from medshard.record.conversation import Answer
from medshard.record.facts import LabelFact
from medshard.spec.schema.facts import ClassFact
from medshard.tasks.base import Draft, View, in_each
from medshard.tasks.words import Joined

__all__ = ["TASK"]

_MAX_LISTED = 16


class MultilabelTask:
    """Asks which of the concepts whose state is known are present; what was not annotated is not mentioned."""

    name = "multilabel"
    family = "classification"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """At most one for each fact with several concepts."""
        found: list[Draft] = []
        for name, fact in view.context.loaded.spec.facts.items():
            listed = view.context.concept_sets.get(view.context.set_name(name), [])
            if isinstance(fact, ClassFact) or fact.scope != "media" or not 2 <= len(listed) <= _MAX_LISTED:
                continue
            draft = self._of(view, name, listed)
            if draft is not None:
                found.append(draft)
        return found

    def _of(self, view: View, name: str, listed: list[str]) -> Draft | None:
        labels = [label for label in view.sample.facts if isinstance(label, LabelFact) and label.concept in listed]
        slots = labels[0].slots if labels else [medium.slot for medium in view.pictures()]
        stated = {label.concept: label.state for label in labels if label.slots == slots}
        complete = view.complete(slots)
        known = [concept for concept in listed if stated.get(concept) in ("present", "absent") or concept in complete]
        known = [concept for concept in known if stated.get(concept) != "uncertain"]
        if len(known) < 2 or not slots:
            return None
        present = [label for label in labels if label.state == "present" and label.concept in known]
        cited = [label.id for label in labels if label.concept in known]
        return Draft(
            task=self.name,
            variant="some" if present else "none",
            about=name,
            slots=slots,
            asks=cited,
            offered=in_each(
                lambda lang: {
                    "listed": Joined.sentence([view.term(concept, [], lang) for concept in known], lang),
                    "present": Joined.sentence(
                        [view.term(label.concept or "", [label.id], lang) for label in present], lang
                    ),
                }
            ),
            answer=in_each(
                lambda lang: Answer(
                    type="set",
                    value=[view.word(label.concept or "", lang) for label in present],
                    check="set@1",
                )
            ),
        )


TASK = MultilabelTask()
