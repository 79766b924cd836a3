"""Masks become labels, regions, boxes and measures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medshard.errors import ReadError
from medshard.facts.boxes import add_counts
from medshard.facts.collect import Collector
from medshard.facts.components import connected_boxes
from medshard.facts.context import FactContext, attribution
from medshard.facts.mask_labels import MaskLabels, MaskPoint, MaskRegion
from medshard.facts.measure_facts import MeasuredMask
from medshard.record.facts import LabelFact, MaskRef, RegionFact
from medshard.spec.schema.facts import InstanceFact, MaskClassFact
from medshard.spec.value_map import DROPPED, Meaning, UnmappedValueError

__all__ = ["add_mask_classes", "add_mask_instances"]

_BACKGROUND = "0"  # of a mask whose values are instances; instances in files of their own have no value's name


def add_mask_classes(
    context: FactContext,
    name: str,
    fact: MaskClassFact,
    measured: MeasuredMask,
    slots: list[str],
    out: Collector,
) -> None:
    """A label, a region and its measures for every class that is there; a scope where all classes were looked for.

    Pixels of an ``ignore`` value may hold any class, so with such pixels no class is known to be absent.

    Args:
        slots: the pictures that the mask lies on.

    Raises:
        ReadError: the mask holds a value that the spec does not map.
    """
    mask = measured.mask
    labels: dict[str, LabelFact] = {}
    ignored = False
    for region in mask.regions:
        if not mask.named and region.value == fact.background:
            continue
        if not mask.named and region.value in fact.ignore:
            ignored = True
            continue
        meaning = _meaning(context, name, fact, region.raw, f"ROI {region.value}" if mask.free_names else None)
        if meaning is DROPPED or region.size_px == 0:
            continue
        source = out.cite_file(region.file, fact.of, _quoted(context, name, mask, region.raw))
        label = out.label(
            meaning.concept,
            slots,
            source=source,
            by=attribution(fact),
            side=meaning.side,
            side_frame=meaning.side_frame,
        )
        labels[region.raw] = label
        shape = _add_region(fact.of, region, label, slots, source, attribution(fact), out)
        measured.add(region, shape, out)
        if mask.space == 2 and fact.boxes != "none":
            _add_boxes(mask, region, shape, slots, out, split=fact.boxes == "component")
    for point in mask.points:
        _add_point(context, name, fact, mask, point, slots, out)
    for union, members in fact.unions.items():
        present = [labels[member] for member in members if member in labels]
        if present:
            concept = context.taxonomy.find(union).id
            out.add(
                LabelFact,
                concept=concept,
                slots=list(slots),
                by="derived",
                from_=[label.id for label in present],
                rule="union_of_classes@1",
            )
    if fact.covers == "all" and not ignored and mask.covers_image:
        out.scope(slots, context.set_name(name), instances=False)


def _meaning(context: FactContext, name: str, fact: MaskClassFact, raw: str, instead: str | None) -> Meaning:
    """What the map makes of a name; ``instead`` stands in the message for a name that may not be quoted."""
    try:
        return context.maps[name](raw)
    except UnmappedValueError as error:
        said = str(error) if instead is None else f"the name of {instead} is not mapped; it is free text, so look it up"
        raise ReadError(f"mask {fact.of}: {said}", error_class="unmapped_value") from (None if instead else error)


def _quoted(context: FactContext, name: str, mask: MaskLabels, raw: str) -> str | None:
    """A name as a record may cite it: free text only where the spec itself has it, word for word."""
    return raw if not mask.free_names or raw in context.maps[name].values else None


def _add_point(
    context: FactContext,
    name: str,
    fact: MaskClassFact,
    mask: MaskLabels,
    point: MaskPoint,
    slots: list[str],
    out: Collector,
) -> None:
    """A landmark in the patient's millimetres, with the label of its name."""
    meaning = _meaning(context, name, fact, point.raw, "a point" if mask.free_names else None)
    if meaning is DROPPED:
        return
    source = out.cite_file(point.file, fact.of, _quoted(context, name, mask, point.raw))
    label = out.label(
        meaning.concept,
        slots,
        source=source,
        by=attribution(fact),
        side=meaning.side,
        side_frame=meaning.side_frame,
    )
    out.add(
        RegionFact,
        concept=meaning.concept,
        of=label.id,
        slots=list(slots),
        shape="point",
        frame="ras_mm",
        coords=list(point.ras_mm),
        source=source,
        by=attribution(fact),
    )


def add_mask_instances(
    context: FactContext,
    name: str,
    fact: InstanceFact,
    measured: MeasuredMask,
    slots: list[str],
    out: Collector,
) -> None:
    """A region, a box and its measures for every instance, and their count where all were looked for."""
    mask = measured.mask
    concept = context.taxonomy.find(fact.concept).id
    count = 0
    for region in mask.regions:
        if region.raw == _BACKGROUND:
            continue
        if region.size_px == 0:
            if fact.empty == "absent":
                continue
            raise ReadError(
                "an instance's mask is empty; where that says that there is no instance, say empty: absent",
                error_class="empty_instance",
            )
        count += 1
        region = replace(region, instance=count) if region.instance is None else region  # a value is an instance
        source = out.cite_file(region.file, fact.of, None)
        label = out.label(concept, slots, source=source, by=attribution(fact))
        shape = _add_region(fact.of, region, label, slots, source, attribution(fact), out)
        measured.add(region, shape, out)
        if mask.space == 2:
            _add_boxes(mask, region, shape, slots, out, split=False)
    if fact.covers == "all" and mask.covers_image:
        out.scope(slots, context.set_name(name), instances=True)
        if count:
            add_counts(out, slots, {concept: count})


def _add_region(
    mask_slot: str,
    region: MaskRegion,
    label: LabelFact,
    slots: list[str],
    source: list[Any],
    by: str,
    out: Collector,
) -> RegionFact:
    return out.add(
        RegionFact,
        concept=label.concept,
        of=label.id,
        slots=list(slots),
        shape="mask",
        frame="px",
        coords=MaskRef(slot=mask_slot, value=region.value, instance=region.instance),
        instance=region.instance,
        source=source,
        by=by,
    )


def _add_boxes(
    mask: MaskLabels, region: MaskRegion, shape: RegionFact, slots: list[str], out: Collector, *, split: bool
) -> None:
    """The tight box of a region, or one of each of its connected parts."""
    if split:
        boxes = connected_boxes(mask.region(region.value))
    else:
        assert region.box is not None
        (y0, x0), (y1, x1) = region.box
        boxes = [(x0, y0, x1, y1)]
    for number, box in enumerate(boxes, start=1):
        out.add(
            RegionFact,
            concept=shape.concept,
            of=shape.of,
            slots=list(slots),
            shape="box",
            frame="px",
            coords=[float(edge) for edge in box],
            instance=region.instance if region.instance is not None else number,
            by="derived",
            from_=[shape.id],
            rule="component_box@1" if split else "mask_box@1",
        )
