"""One planned sample → media, facts, conversations."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from medshard.convert.context import BuildContext
from medshard.convert.media import read_media
from medshard.convert.slot_media import ReadMedia
from medshard.errors import ReadError
from medshard.facts.build import build_facts, sample_axes
from medshard.facts.labels import MAX_AGE_YEARS
from medshard.facts.sides import SideComparison, compare_sides
from medshard.plan.row import MediaRef, PlannedSample
from medshard.record.check import check_sample
from medshard.record.sample import Sample, Subject
from medshard.tasks.base import View
from medshard.tasks.write import write_conversations
from medshard.volumes.foreground import index_foreground

__all__ = ["MadeSample", "make_sample"]


@dataclass
class MadeSample:
    """A sample ready to be stored.

    Attributes:
        sample: the record.
        media: parts and volumes.
        notes: what was decided on the way, for the report.
        foreground: rows of the foreground index, one table a 3D mask.
        sides: structures whose left and right were compared with the patient's.
    """

    sample: Sample
    media: ReadMedia
    notes: list[str]
    foreground: list[pa.Table] = field(default_factory=list)
    sides: list[SideComparison] = field(default_factory=list)


def make_sample(context: BuildContext, planned: PlannedSample) -> MadeSample:
    """Read, state facts, write text, and check the whole.

    Raises:
        ReadError: a file cannot be read or contradicts the spec.
    """
    spec = context.loaded.spec
    files: dict[str, list[MediaRef]] = {}
    for ref in planned.media:
        files.setdefault(ref.slot, []).append(ref)
    media = read_media(
        planned.key,
        spec.media,
        files,
        context.layer_order,
        context.taxonomy,
        context.root.read,
        context.renditions,
    )
    for medium in media.media.values():
        medium.study = planned.study
        medium.day = planned.day
    found = build_facts(context.facts, planned, media.media, media.masks, media.volumes)
    for row in found.sources:
        row.digest = row.digest or media.digests.get(row.file)
    for path in media.digests:
        row_id = found.source(path, None)
        next(row for row in found.sources if row.id == row_id).digest = media.digests[path]
    sample = Sample(
        key=planned.key,
        dataset=spec.name,
        split=planned.split,
        group=planned.group,
        licence=spec.licence.id,
        axes=sample_axes(context.facts, found),
        subject=_subject(context, planned),
        media=list(media.media.values()),
        scopes=found.scopes,
        facts=found.facts,
        source=found.sources,
    )
    sample.conversations = write_conversations(View(sample, context.facts), context.text)
    problems = check_sample(sample)
    if problems:
        raise ReadError(f"the record contradicts itself: {problems[0]}", error_class="inconsistent_record")
    foreground = [
        index_foreground(mask.labels).to_table(planned.key, slot, mask.grid)
        for slot, mask in media.masks.items()
        if mask.space == 3
    ]
    sides = compare_sides(found.facts, media.masks, media.media)
    return MadeSample(sample, media, found.notes + media.notes, foreground, sides)


def _subject(context: BuildContext, planned: PlannedSample) -> Subject | None:
    stated = context.loaded.spec.samples.subject
    if stated is None:
        return None
    sex = None
    if stated.sex is not None and planned.sex not in (None, ""):
        if planned.sex not in stated.sex.map:
            raise ReadError(
                "the subject's sex has a value that samples.subject.sex.map lacks",
                error_class="unmapped_value",
            )
        mapped = stated.sex.map[planned.sex]
        sex = None if mapped == "unknown" else mapped
    age = None
    if planned.age_years not in (None, ""):
        try:
            age = min(float(str(planned.age_years)), float(MAX_AGE_YEARS))
        except ValueError as error:
            raise ReadError("the subject's age is no number", error_class="bad_number") from error
    return Subject(sex=sex, age_years=age)
