"""All facts of one sample."""

from __future__ import annotations

from collections.abc import Mapping

from medshard.errors import ReadError
from medshard.facts.boxes import add_boxes
from medshard.facts.collect import Collector
from medshard.facts.context import FactContext
from medshard.facts.labels import add_class, add_flags, add_number
from medshard.facts.mask_labels import MaskLabels
from medshard.facts.masks import add_mask_classes, add_mask_instances
from medshard.facts.measure_facts import HOUNSFIELD, MeasuredMask
from medshard.facts.places import add_places
from medshard.facts.texts import add_qa, add_text
from medshard.plan.row import FactRow, PlannedSample
from medshard.readers.base import Volume
from medshard.record.base import Axes
from medshard.record.facts import LabelFact
from medshard.record.sample import Media
from medshard.spec.schema import SpecFact
from medshard.spec.schema.facts import (
    BoxFact,
    ClassFact,
    FlagFact,
    InstanceFact,
    MaskClassFact,
    NumberFact,
    QaColumnsFact,
    TextColumnFact,
)

__all__ = ["build_facts", "sample_axes"]


def build_facts(
    context: FactContext,
    planned: PlannedSample,
    media: Mapping[str, Media],
    masks: Mapping[str, MaskLabels],
    volumes: Mapping[str, Volume],
) -> Collector:
    """Facts, scopes and cited rows of a sample.

    Args:
        planned: raw values.
        media: what is in each slot, absent ones included.
        masks: decoded masks, by slot.
        volumes: volumes, by slot, for what is measured under masks.

    Raises:
        ReadError: values contradict the spec or the pixels; the sample is quarantined.
    """
    out = Collector({**context.digests, context.spec_file: f"sha256:{context.loaded.digest}"})
    out.source(planned.file, planned.row)
    _add_stated(context, media, out)
    rows: dict[str, list[FactRow]] = {}
    for row in planned.facts:
        rows.setdefault(row.fact, []).append(row)
    for name, fact in context.loaded.spec.facts.items():
        slots = _slots(context, fact, media)
        values = rows.get(name, [])
        if isinstance(fact, ClassFact):
            add_class(context, name, fact, values, slots, out)
        elif isinstance(fact, FlagFact):
            add_flags(context, name, fact, values, slots, out)
        elif isinstance(fact, NumberFact):
            add_number(context, fact, values, slots, out)
        elif isinstance(fact, BoxFact):
            add_boxes(context, name, fact, values, slots, _size_xy(name, slots, media), out)
        elif isinstance(fact, TextColumnFact):
            add_text(context, fact, values, slots, out)
        elif isinstance(fact, QaColumnsFact):
            add_qa(context, fact, values, slots, out)
        elif isinstance(fact, (MaskClassFact, InstanceFact)):
            _add_mask(context, name, fact, slots, media, masks, volumes, out)
    add_places(context.taxonomy, masks, out)
    return out


def _add_stated(context: FactContext, media: Mapping[str, Media], out: Collector) -> None:
    """What the spec states of every sample: its modality and part of the body, where there is one only."""
    about = context.loaded.spec.about
    refined = {context.taxonomy[concept].category for concepts in context.concept_sets.values() for concept in concepts}
    slots = [slot for slot, medium in media.items() if medium.is_picture]
    for axis in ("modality", "anatomy"):
        words = getattr(about, axis)
        if slots and isinstance(words, str) and axis not in refined:
            concept = context.taxonomy.find(words, (axis,)).id
            source = out.cite_file(context.spec_file, f"about.{axis}", words)
            out.add(LabelFact, concept=concept, slots=slots, source=source, by="unknown")


def _add_mask(
    context: FactContext,
    name: str,
    fact: MaskClassFact | InstanceFact,
    slots: list[str],
    media: Mapping[str, Media],
    masks: Mapping[str, MaskLabels],
    volumes: Mapping[str, Volume],
    out: Collector,
) -> None:
    medium = context.loaded.spec.media[fact.of]
    if fact.of not in masks:
        # No file: where the source looked and found nothing, the absence is itself a statement.
        if medium.no_file == "absent" and fact.covers == "all":
            out.scope(slots, context.set_name(name), instances=isinstance(fact, InstanceFact))
        return
    spacing_mm = media[fact.of].spacing_mm
    measured = MeasuredMask(
        masks[fact.of],
        fact.measures,
        tuple(spacing_mm) if spacing_mm is not None else None,
        media[fact.of].spacing_region_px,
        _in_hounsfield(medium.like, media, volumes),
    )
    if isinstance(fact, InstanceFact):
        add_mask_instances(context, name, fact, measured, slots, out)
    else:
        add_mask_classes(context, name, fact, measured, slots, out)


def _in_hounsfield(slot: str | None, media: Mapping[str, Media], volumes: Mapping[str, Volume]) -> Volume | None:
    """The volume whose grid the mask shares, where its values are Hounsfield units."""
    volume = volumes.get(slot or "")
    if slot is None or volume is None or media[slot].unit != HOUNSFIELD or volume.voxels.ndim != 3:
        return None
    return volume


def _slots(context: FactContext, fact: SpecFact, media: Mapping[str, Media]) -> list[str]:
    """The media that a fact is about; none for what is said of a study or a patient, which a picture need not show."""
    if fact.scope != "media" and isinstance(fact, (ClassFact, FlagFact, NumberFact)):
        return []
    if fact.slots is not None:
        return [slot for slot in fact.slots if media[slot].present]
    pictures = [slot for slot, medium in media.items() if medium.is_picture]
    if isinstance(fact, (MaskClassFact, InstanceFact)):
        like = context.loaded.spec.media[fact.of].like
        if like is not None and like in pictures:
            return [like]
        return pictures if pictures else [fact.of]
    return pictures


def _size_xy(name: str, slots: list[str], media: Mapping[str, Media]) -> tuple[int, int]:
    if len(slots) != 1:
        raise ReadError(
            f"the boxes of {name!r} need one picture, there are {len(slots)}; say slots:", error_class="box"
        )
    shape, axes = media[slots[0]].shape, media[slots[0]].axes
    if shape is None or axes is None:
        raise ReadError(f"the boxes of {name!r} need a picture of known size", error_class="box")
    return shape[axes.index("X")], shape[axes.index("Y")]


def sample_axes(context: FactContext, out: Collector) -> Axes:
    """Modality, anatomy and department: what the facts of the sample say, else what the dataset says."""
    about = context.loaded.spec.about
    found: dict[str, list[str]] = {}
    for axis in ("modality", "anatomy", "department"):
        stated = getattr(about, axis)
        words = [stated] if isinstance(stated, str) else stated
        said = {
            context.taxonomy[fact.concept].name
            for fact in out.facts
            if isinstance(fact, LabelFact)
            and fact.state == "present"
            and fact.concept is not None
            and context.taxonomy[fact.concept].category == axis
        }
        found[axis] = sorted(said) or sorted(context.taxonomy.find(word, (axis,)).name for word in words)
    return Axes(**found)
