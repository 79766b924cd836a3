"""Questions whose answer is the one label of a category: modality, anatomy."""

from __future__ import annotations

from medshard.facts.context import SPEC_FILE_PREFIX
from medshard.record.conversation import Answer
from medshard.tasks.base import Draft, View, in_each

__all__ = ["axis_drafts"]


def axis_drafts(view: View, task: str, category: str) -> list[Draft]:
    """One question, when there is exactly one present label of the category and a picture to look at."""
    pictures = [medium.slot for medium in view.sample.pictures]
    labels = [label for label in view.labels() if view.concept(label.concept or "").category == category]
    if not pictures or len(labels) != 1:
        return []
    label = labels[0]
    slots = [slot for slot in pictures if slot in label.slots] if label.slots else pictures
    if not slots:
        return []
    files = {row.id: row.file for row in view.sample.source}
    # What the spec says of the whole dataset is the same for every sample.
    constant = all(files[citation.id].startswith(SPEC_FILE_PREFIX) for citation in label.source)
    concept = label.concept or ""
    return [
        Draft(
            task=task,
            variant="name",
            about=concept,
            slots=slots,
            asks=[label.id],
            offered=in_each(lambda lang: {"thing": view.term(concept, [label.id], lang)}),
            answer=in_each(lambda lang: Answer(type="text", value=view.word(concept, lang), check="term@1")),
            varies=not constant,
        )
    ]
