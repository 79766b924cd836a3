"""Outline it: the mask of one concept."""

from __future__ import annotations

from medshard.record.conversation import Answer
from medshard.record.facts import LabelFact, RegionFact
from medshard.tasks.base import Draft, View, in_each
from medshard.tasks.words import Region

__all__ = ["TASK"]


class SegmentationTask:
    """Asks for the mask of a class as a whole; the reply names the region of the mask slot, not its pixels."""

    name = "segmentation"
    family = "segmentation"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """One for each concept with a class mask on a picture."""
        found: list[Draft] = []
        pictures = {medium.slot for medium in view.sample.pictures}
        for label in view.labels():
            regions = [
                fact
                for fact in view.sample.facts
                if isinstance(fact, RegionFact)
                and fact.of == label.id
                and fact.shape == "mask"
                and fact.instance is None
            ]
            if len(regions) == 1 and set(label.slots) <= pictures and view.only_one(label):
                found.append(self._draft(view, label, regions[0]))
        return found

    def _draft(self, view: View, label: LabelFact, region: RegionFact) -> Draft:
        return Draft(
            task=self.name,
            variant="outline",
            about=label.id,
            slots=label.slots,
            asks=[region.id],
            offered=in_each(
                lambda lang: {
                    "thing": view.term(label.concept or "", [label.id], lang),
                    "mask": Region([region.id], "mask"),
                }
            ),
            answer=in_each(lambda _: Answer(type="free", value=[region.id])),
        )


TASK = SegmentationTask()
