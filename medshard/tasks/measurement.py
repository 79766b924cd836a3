"""How large is it? Measures of what a mask outlines, and the number of things."""

from __future__ import annotations

import math
from collections.abc import Iterator

from medshard.facts.places import WITHIN
from medshard.record.conversation import Answer
from medshard.record.facts import LabelFact, MeasureFact, RegionFact, RelationFact
from medshard.tasks.base import LANGUAGES, Draft, View, in_each
from medshard.tasks.words import Number, Spacing

__all__ = ["TASK", "written"]

_UNITS = {"mm": "mm", "mL": "mL", "[hnsf'U]": "HU"}
_IN_MILLIMETRES = ("mm", "mL")


def written(value: float, resolution: float | None) -> str:
    """A number with the digits that its resolution bears."""
    if resolution is None or resolution <= 0:
        return f"{value:g}"
    return f"{value:.{max(0, math.ceil(-math.log10(resolution)))}f}"


class MeasurementTask:
    """Asks of volumes: a volume, a longest axial diameter, a mean attenuation, a number of things, a finding's organ.

    Lengths and volumes are asked only where the spacing is known, and the question says it. A diameter is asked of what
    is one connected part, since "the" diameter of several is nobody's. Questions that combine measures (the largest of
    several, the share of an organ) are not asked here.
    """

    name = "measurement"
    family = "measurement"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """One for each quantity and place of a concept that has one outlined region, and one for each count."""
        found: list[Draft] = []
        volumes = {medium.slot for medium in view.sample.pictures if medium.kind == "volume"}
        for label in view.labels():
            if len(label.slots) != 1 or not set(label.slots) <= volumes or not view.only_one(label):
                continue
            found += self._counted(view, label)
            regions = [fact for fact in _regions(view) if fact.of == label.id]
            if len(regions) == 1:
                found += self._measured(view, label, regions[0])
                found += self._placed(view, label, regions[0])
        return found

    def _counted(self, view: View, label: LabelFact) -> Iterator[Draft]:
        for fact in _measures(view, label.id):
            if fact.concept == "quantity/count" and label.concept in view.complete(label.slots, "instances"):
                yield self._number(view, label, fact, "count")

    def _measured(self, view: View, label: LabelFact, region: RegionFact) -> Iterator[Draft]:
        measures = {(fact.concept or "").partition("/")[2]: fact for fact in _measures(view, region.id)}
        one_part = "parts" in measures and measures["parts"].value == 1
        spaced = view.sample.medium(label.slots[0]).spacing_mm is not None
        for quantity in ("volume", "axial_diameter", "mean_attenuation"):
            fact = measures.get(quantity)
            if fact is None or (fact.unit in _IN_MILLIMETRES and not spaced):
                continue
            if quantity != "axial_diameter" or one_part:
                yield self._number(view, label, fact, quantity)

    def _number(self, view: View, label: LabelFact, fact: MeasureFact, variant: str) -> Draft:
        text = written(fact.value, fact.resolution)
        spacing_mm = view.sample.medium(label.slots[0]).spacing_mm or []
        unit = _UNITS.get(fact.unit or "")
        return Draft(
            task=self.name,
            variant=variant,
            about=fact.id,
            slots=label.slots,
            asks=[fact.id],
            offered=in_each(
                lambda lang: {
                    "thing": view.term(label.concept or "", [label.id], lang),
                    "number": Number(f"{text} {unit}" if unit else text, [fact.id]),
                    "spacing": Spacing(label.slots[0], spacing_mm),
                }
            ),
            answer=in_each(
                lambda _: Answer(
                    type="number",
                    value={"number": float(text), "unit": unit},
                    tolerance={"abs": fact.resolution or 0.0},
                    check="number@1",
                )
            ),
        )

    def _placed(self, view: View, label: LabelFact, region: RegionFact) -> Iterator[Draft]:
        by_id = {fact.id: fact for fact in view.sample.facts}
        for fact in view.sample.facts:
            if isinstance(fact, RelationFact) and fact.concept == WITHIN and fact.subject == region.id:
                organ = by_id[fact.object or ""].concept or ""
                # A kidney tumour gives its organ away.
                if all(view.word(organ, lang) not in view.word(label.concept or "", lang) for lang in LANGUAGES):
                    yield self._organ(view, label, fact, organ)

    def _organ(self, view: View, label: LabelFact, fact: RelationFact, organ: str) -> Draft:
        return Draft(
            task=self.name,
            variant="organ",
            about=fact.id,
            slots=label.slots,
            asks=[fact.id],
            offered=in_each(
                lambda lang: {
                    "thing": view.term(label.concept or "", [label.id], lang),
                    "organ": view.term(organ, [fact.id], lang),
                }
            ),
            answer=in_each(lambda lang: Answer(type="text", value=view.word(organ, lang), check="term@1")),
        )


def _regions(view: View) -> Iterator[RegionFact]:
    for fact in view.sample.facts:
        if isinstance(fact, RegionFact) and fact.shape == "mask":
            yield fact


def _measures(view: View, of: str) -> Iterator[MeasureFact]:
    for fact in view.sample.facts:
        if isinstance(fact, MeasureFact) and fact.of == of:
            yield fact


TASK = MeasurementTask()
