"""Which of several findings are there?"""

from __future__ import annotations

from medshard.record.base import State
from medshard.record.conversation import Answer
from medshard.record.facts import LabelFact
from medshard.spec.schema import SpecFact
from medshard.spec.schema.facts import ClassFact, FlagFact
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
            draft = self._of(view, name, listed, says_absent=_says_absent(fact))
            if draft is not None:
                found.append(draft)
        return found

    def _of(self, view: View, name: str, listed: list[str], *, says_absent: bool) -> Draft | None:
        labels = [label for label in view.sample.facts if isinstance(label, LabelFact) and label.concept in listed]
        slots = next((label.slots for label in labels if label.slots), [medium.slot for medium in view.sample.pictures])
        labels = [label for label in labels if label.slots == slots]
        states = {concept: {label.state for label in labels if label.concept == concept} for concept in listed}
        complete = view.complete(slots)
        # A source that names only what it sees would be asked of nothing but what is there.
        known = [
            concept
            for concept in listed
            if states[concept] == {"absent"}
            or (states[concept] == {"present"} and (says_absent or concept in complete))
            or (not states[concept] and concept in complete and not self._follows(view, concept, states))
        ]
        if len(known) < 2 or not slots:
            return None
        present = {
            concept: [label.id for label in labels if label.concept == concept]
            for concept in known
            if states[concept] == {"present"}
        }
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
                        [view.term(concept, ids, lang) for concept, ids in present.items()], lang
                    ),
                }
            ),
            answer=in_each(
                lambda lang: Answer(
                    type="set",
                    value=[view.word(concept, lang) for concept in present],
                    check="set@1",
                )
            ),
        )

    @staticmethod
    def _follows(view: View, concept: str, states: dict[str, set[State]]) -> bool:
        """Whether an unstated concept may be there since a narrower one is, or is in doubt."""
        return any(
            concept in view.taxonomy.ancestors(other) and found & {"present", "uncertain"}
            for other, found in states.items()
        )


def _says_absent(fact: SpecFact) -> bool:
    return isinstance(fact, FlagFact) and "absent" in fact.states.values()


TASK = MultilabelTask()
