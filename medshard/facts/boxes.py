"""Boxes that the source gives, in one frame: continuous pixels, (0, 0) the outer corner of the first pixel."""

from __future__ import annotations

import math

from medshard.errors import ReadError
from medshard.facts.cell_number import cell_number
from medshard.facts.collect import Collector
from medshard.facts.context import FactContext, attribution
from medshard.plan.row import FactRow
from medshard.record.facts import LabelFact, MeasureFact, RegionFact
from medshard.spec.schema.facts import BoxFact
from medshard.spec.value_map import DROPPED

__all__ = ["add_boxes", "add_counts", "box_in_pixels"]

_SLACK_PX = 0.5  # rounding in the source's own conversion; more is another picture or another frame


def box_in_pixels(fact: BoxFact, numbers: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 from the four numbers of the source.

    A corner in the frame with ``origin`` o names a pixel's centre when o is 1 (VOC: the first pixel is 1) and a
    pixel's edge or index when it is 0; ``inclusive`` corners name the last pixel inside. So x0 = xmin - o, and
    x1 = xmax - o + 1 when inclusive.
    """
    a, b, c, d = numbers
    shift = float(fact.origin)
    if fact.corners is not None:
        more = 1.0 if fact.inclusive == "yes" else 0.0
        return (a - shift, b - shift, c - shift + more, d - shift + more)
    if fact.corner_size is not None:
        return (a - shift, b - shift, a - shift + c, b - shift + d)
    return (a - c / 2 - shift, b - d / 2 - shift, a + c / 2 - shift, b + d / 2 - shift)


def add_boxes(
    context: FactContext,
    name: str,
    fact: BoxFact,
    rows: list[FactRow],
    slots: list[str],
    size_xy: tuple[int, int],
    out: Collector,
) -> None:
    """One region a row, a label a concept, and, where every instance was looked for, counts.

    Args:
        size_xy: width and height of the slot in pixels.

    Raises:
        ReadError: a box is empty, or lies outside and the spec does not say ``outside: clip``.
    """
    number: dict[str, int] = {}
    clipped = 0
    for row in rows:
        value, *cells = row.cells
        if fact.concept is not None:
            concept, side, side_frame = context.taxonomy.find(fact.concept).id, None, None
        else:
            meaning = context.maps[name](value or "")
            if meaning is DROPPED:
                continue
            concept, side, side_frame = meaning.concept, meaning.side, meaning.side_frame
        numbers = tuple(cell_number(cell) for cell in cells)
        box, outside = _inside(box_in_pixels(fact, numbers), size_xy)  # type: ignore[arg-type]
        if outside and fact.outside != "clip":
            raise ReadError("a box lies outside its picture; say outside: clip if that is known", error_class="box")
        clipped += outside
        source = out.cite(row, " ".join(cell or "" for cell in row.cells).strip())
        label = out.label(concept, slots, source=source, by=attribution(fact), side=side, side_frame=side_frame)
        number[concept] = number.get(concept, 0) + 1
        out.add(
            RegionFact,
            concept=concept,
            of=label.id,
            slots=list(slots),
            shape="box",
            frame="px",
            coords=list(box),
            instance=number[concept],
            source=source,
            by=attribution(fact),
        )
    if clipped:
        out.notes.append(f"{clipped} boxes clipped to the picture")
    if fact.covers == "all":
        out.scope(slots, context.set_name(name), instances=True)
        add_counts(out, slots, number)


def _inside(
    box: tuple[float, float, float, float], size_xy: tuple[int, int]
) -> tuple[tuple[float, float, float, float], bool]:
    """The box within the picture, and whether it reached outside by more than rounding."""
    if not all(math.isfinite(number) for number in box):
        raise ReadError("a box has a coordinate that is no number", error_class="box")
    width, height = size_xy
    x0, y0, x1, y1 = box
    inside = (
        min(max(x0, 0.0), width),
        min(max(y0, 0.0), height),
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
    )
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        raise ReadError("a box is empty or lies wholly outside its picture", error_class="box")
    return inside, max(abs(a - b) for a, b in zip(box, inside, strict=True)) > _SLACK_PX


def add_counts(out: Collector, slots: list[str], number: dict[str, int]) -> None:
    """How many instances of each concept there are, where all of them were looked for."""
    for concept, count in number.items():
        regions = [
            fact.id
            for fact in out.facts
            if isinstance(fact, RegionFact) and fact.concept == concept and fact.slots == slots and fact.by != "derived"
        ]
        label = _whole_label(out, concept, slots)
        out.add(
            MeasureFact,
            concept="quantity/count",
            of=label.id,
            slots=list(slots),
            value=float(count),
            resolution=1.0,
            by="derived",
            from_=regions,
            rule="count_regions@1",
        )


def _whole_label(out: Collector, concept: str, slots: list[str]) -> LabelFact:
    """The concept's label of no side, which follows from those of its sides where the source names sides only."""
    same = [
        fact
        for fact in out.facts
        if isinstance(fact, LabelFact)
        and (fact.concept, fact.slots, fact.state) == (concept, slots, "present")
        and fact.side is not None
    ]
    return out.label(concept, slots, by="derived", from_=[fact.id for fact in same], rule="any_side@1")
