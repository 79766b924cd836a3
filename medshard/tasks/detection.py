"""Where is it? Boxes of one concept."""

from __future__ import annotations

from medshard.record.conversation import Answer
from medshard.record.facts import LabelFact, RegionFact
from medshard.tasks.base import Draft, View, in_each
from medshard.tasks.words import Joined, Region

__all__ = ["TASK"]

_MAX_BOXES = 40
_BETWEEN = {"en": "; ", "zh": "；"}


class DetectionTask:
    """Asks for the box of a single thing, for all boxes of a kind, or for the box around a region.

    "All" and "the" need a source that marked every instance; the box around a mask needs only the mask.
    """

    name = "detection"
    family = "detection"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """One for each concept with boxes."""
        found: list[Draft] = []
        for label in view.labels():
            boxes = view.boxes(label)
            if not boxes or len(label.slots) != 1 or len(boxes) > _MAX_BOXES or not view.only_one(label):
                continue
            every_one = label.concept in view.complete(label.slots, "instances")
            around_mask = len(boxes) == 1 and boxes[0].rule == "mask_box@1"
            if len(boxes) == 1 and (every_one or around_mask):
                found.append(self._draft(view, label, boxes, "one" if every_one else "around"))
            elif every_one:
                found.append(self._draft(view, label, boxes, "all"))
        return found

    def _draft(self, view: View, label: LabelFact, boxes: list[RegionFact], variant: str) -> Draft:
        concept = label.concept or ""
        ids = [box.id for box in boxes]
        return Draft(
            task=self.name,
            variant=variant,
            about=label.id,
            slots=label.slots,
            asks=ids,
            offered=in_each(
                lambda lang: {
                    "thing": view.term(concept, [label.id], lang),
                    "boxes": Joined([Region([box]) for box in ids], between=_BETWEEN[lang], last=_BETWEEN[lang]),
                }
            ),
            answer=in_each(
                lambda _: Answer(
                    type="boxes" if variant == "all" else "box",
                    value=ids,
                    tolerance={"iou": 0.5},
                    check="boxes@1" if variant == "all" else "box@1",
                )
            ),
        )


TASK = DetectionTask()
