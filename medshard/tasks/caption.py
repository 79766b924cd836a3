"""What does the picture show, in a sentence? The source's caption, or one made of labels."""

from __future__ import annotations

from medshard.record.base import Language
from medshard.record.conversation import Answer, MadeBy
from medshard.record.facts import RegionFact, TextFact
from medshard.tasks.base import LANGUAGES, Draft, View, in_each, language_of
from medshard.tasks.words import Joined, Quote, Words

__all__ = ["TASK"]

_NOT_SHOWN = ("modality", "anatomy", "view", "department", "device")


class CaptionTask:
    """Asks for a description. A redacted caption is not used; a caption of labels names every present label."""

    name = "caption"
    family = "caption"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """One a caption of the source, and one of labels."""
        pictures = [medium.slot for medium in view.sample.pictures]
        if not pictures:
            return []
        captions = [
            fact
            for fact in view.sample.facts
            if isinstance(fact, TextFact) and fact.concept == "section/caption" and not fact.redacted
        ]
        found = [self._quoted(fact, lang, pictures) for fact in captions if (lang := language_of(fact.lang))]
        labelled = self._of_labels(view, pictures)
        return [*found, labelled] if labelled is not None else found

    def _quoted(self, fact: TextFact, lang: Language, pictures: list[str]) -> Draft:
        return Draft(
            task=self.name,
            variant="given",
            about=fact.id,
            slots=fact.slots or pictures,
            asks=[fact.id],
            offered={lang: {"text": Quote(fact.text, [fact.id])}},
            answer={lang: Answer(type="free", value=fact.text)},
            languages=(lang,),
            made_by=MadeBy(kind="source"),
        )

    def _of_labels(self, view: View, pictures: list[str]) -> Draft | None:
        labels = {label.concept: label for label in view.labels() if label.slots == pictures and not label.rule}
        by_category: dict[str, list[str]] = {}
        for concept in labels:
            by_category.setdefault(view.concept(concept or "").category, []).append(concept or "")
        shown = [concept or "" for concept in labels if view.concept(concept or "").category not in _NOT_SHOWN]
        modality = by_category.get("modality", [])
        anatomy = by_category.get("anatomy", [])
        if len(modality) != 1 or len(anatomy) > 1 or not shown:
            return None
        if any(
            view.word(part, lang) == view.word(thing, lang) for part in anatomy for thing in shown for lang in LANGUAGES
        ):
            anatomy = []  # "the spinal cord showing the spinal cord"
        used = [labels[concept].id for concept in (*modality, *anatomy, *shown)]
        several = {concept for concept in shown if _instances(view, concept, pictures) > 1}
        variant = "labels_of_part" if anatomy else "labels"

        def offered(lang: Language) -> dict[str, object]:
            words = {
                concept: view.term(concept, [labels[concept].id], lang) for concept in (*modality, *anatomy, *shown)
            }
            things: list[Words] = [
                words[concept] if lang == "zh" else words[concept].many if concept in several else words[concept].a
                for concept in shown
            ]
            part = {"part": words[anatomy[0]]} if anatomy else {}
            return {"modality": words[modality[0]], "shown": Joined.sentence(things, lang), **part}

        return Draft(
            task=self.name,
            variant=variant,
            about="labels",
            slots=pictures,
            asks=used,
            offered=in_each(offered),
            answer=in_each(lambda _: Answer(type="free", value=shown)),
        )


def _instances(view: View, concept: str, slots: list[str]) -> int:
    """How many single things of a concept the source marked."""
    return sum(
        isinstance(fact, RegionFact) and fact.concept == concept and fact.slots == slots and fact.by != "derived"
        and fact.instance is not None
        for fact in view.sample.facts
    )  # fmt: skip


TASK = CaptionTask()
