"""Runs one unit: all its samples into shards and volumes, under temporary names until everything is there."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medshard.convert.atomic import write_atomic
from medshard.convert.context import BuildContext
from medshard.convert.sample import MadeSample, make_sample
from medshard.errors import MedshardError, ReadError
from medshard.plan.row import PlannedSample
from medshard.plan.units import Unit
from medshard.record.facts import MeasureFact, RegionFact
from medshard.record.rows import FACT_SCHEMA, ITEM_SCHEMA, SAMPLE_SCHEMA, FactRow, ItemRow, SampleRow
from medshard.shards.sample_parts import SampleParts
from medshard.shards.write import RENDITIONS_FOLDER, SHARDS_FOLDER, ShardEntry, ShardWriter
from medshard.source.base import LeftOut
from medshard.volumes import write_volume
from medshard.volumes.foreground import FOREGROUND_SCHEMA

__all__ = ["UNIT_FILES", "UnitResult", "done_path", "is_done", "run_unit", "unit_file"]

UNIT_FILES = ("samples.parquet", "items.parquet", "facts.parquet", "foreground.parquet", "locator")
"""What a finished unit leaves beside its marker."""


@dataclass
class UnitResult:
    """What the done-marker of a unit says.

    Attributes:
        digest: the unit's digest; a marker of another digest is of another build.
        shards: file name, split, set, samples, size, sha256 and renditions of each.
        volumes: path, size and sha256 of each, and the key of its sample.
        left_out: samples that could not be made.
        counts: facts by kind and by concept, items by task and language, boxes and so on.
        notes: what readers decided, counted.
        swapped_sides: structures whose left lies at the patient's right, by sample and mask slot.
    """

    digest: str
    number: int
    split: str
    shards: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    swapped_sides: list[dict[str, str]] = field(default_factory=list)


def unit_file(folder: Path, number: int, name: str) -> Path:
    """A file that a finished unit leaves."""
    return folder / "units" / f"{number:06d}.{name}"


def done_path(folder: Path, number: int) -> Path:
    """The done-marker of a unit: it exists only when everything else does."""
    return unit_file(folder, number, "json")


def is_done(context: BuildContext, unit: Unit, newest_source_s: float) -> UnitResult | None:
    """The result of a unit that is finished and whose files are there; None when it must run.

    Args:
        newest_source_s: modification time of its newest source file; a file changed since is read again.
    """
    marker = done_path(context.folder, unit.number)
    try:
        result = UnitResult(**json.loads(marker.read_bytes()))
        fresh = marker.stat().st_mtime >= newest_source_s
    except (OSError, ValueError, TypeError):
        return None
    shards = all(_is_there(context.folder, shard) for shard in result.shards)
    volumes = all((context.folder / volume["path"]).is_dir() for volume in result.volumes)
    tables = all(unit_file(context.folder, unit.number, name).is_file() for name in UNIT_FILES)
    return result if fresh and shards and volumes and tables and result.digest == unit.digest else None


def _is_there(folder: Path, shard: dict[str, Any]) -> bool:
    return _has_size(folder / SHARDS_FOLDER / shard["name"], shard["size_bytes"]) and all(
        _has_size(folder / RENDITIONS_FOLDER / level["name"], level["size_bytes"])
        for level in shard.get("renditions", ())
    )


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def run_unit(context: BuildContext, unit: Unit, progress: Callable[[int], None] = lambda _: None) -> UnitResult:
    """Make a unit's samples and store them.

    Determined by the unit alone: the same bytes in any process, in any order of units, after any crash.
    """
    done_path(context.folder, unit.number).unlink(missing_ok=True)
    done_path(context.folder, unit.number).parent.mkdir(parents=True, exist_ok=True)
    rows = pq.read_table(context.plan_path).slice(unit.first, unit.count).to_pylist()
    result = UnitResult(unit.digest, unit.number, unit.split)
    writer = ShardWriter(context.folder / SHARDS_FOLDER, unit.split, unit.number)
    tally = _Tally()
    by_set: dict[str, list[MadeSample]] = {}
    try:
        for row in rows:
            planned = PlannedSample.from_row(row)
            made = _make(context, planned, result)
            if made is not None:
                result.volumes += _store_volumes(context, made)
                parts = SampleParts(made.sample, made.media.parts, made.media.levels)
                writer.add(parts)
                by_set.setdefault(parts.set_name, []).append(_without_pixels(made))
                tally.add(made)
            progress(1)
        shards = writer.finish()
    finally:
        writer.discard()
    result.counts, result.notes = tally.counts(), dict(sorted(tally.notes.items()))
    result.swapped_sides = tally.swapped
    result.shards = [_described(shard) for shard in shards]
    _remove_others(context.folder, unit.number, shards)
    _write_tables(context.folder, unit.number, shards, by_set)
    write_atomic(done_path(context.folder, unit.number), json.dumps(asdict(result), indent=1).encode())
    return result


def _remove_others(folder: Path, number: int, shards: list[ShardEntry]) -> None:
    """Shards of an earlier run of this unit, when a source file has changed since and parts with it."""
    names = {shard.name for shard in shards} | {level.name for shard in shards for level in shard.renditions}
    for pattern in (f"{SHARDS_FOLDER}/*-{number:06d}.tar", f"{RENDITIONS_FOLDER}/*-{number:06d}.r*.tar"):
        for path in folder.glob(pattern):
            if path.name not in names:
                path.unlink()


def _make(context: BuildContext, planned: PlannedSample, result: UnitResult) -> MadeSample | None:
    """The sample, or None with its reason in the result. A defect of a reader costs one sample, not the build."""
    try:
        return make_sample(context, planned)
    except ReadError as error:
        error_class, message = error.error_class, error.reason
    except MedshardError:
        raise
    except Exception as error:  # noqa: BLE001 - third-party text may quote the file's metadata, so only its type is kept
        place = traceback.extract_tb(error.__traceback__)[-1]
        error_class = "defect"
        file = "/".join(Path(place.filename).parts[-2:])
        message = f"{type(error).__name__} in {file}, line {place.lineno}; please report it"
    source = context.loaded.spec.samples.from_
    path = planned.media[0].path if planned.media else planned.file
    result.left_out.append(asdict(LeftOut(source, path, planned.row, "read", error_class, message)))
    return None


def _without_pixels(made: MadeSample) -> MadeSample:
    """Only the record is needed for the tables; pixels of a whole shard would not fit."""
    made.media.parts.clear()
    made.media.levels.clear()
    made.media.volumes.clear()
    made.media.labels.clear()
    made.media.masks.clear()
    return made


def _store_volumes(context: BuildContext, made: MadeSample) -> list[dict[str, Any]]:
    """Write the sample's volumes and put their digests into its record."""
    stored = []
    for slot, volume in made.media.volumes.items():
        medium = made.sample.medium(slot)
        assert medium.part is not None
        labels = made.media.labels.get(slot, {})
        entry = write_volume(context.folder / medium.part, volume, labels=labels, name=slot)
        medium.digest = f"sha256:{entry.sha256}"
        for label in labels:
            made.sample.medium(label).digest = medium.digest
        stored.append(
            {
                "path": medium.part,
                "key": made.sample.key,
                "size_bytes": entry.size_bytes,
                "sha256": entry.sha256,
            }
        )
    return stored


class _Tally:
    """Counts of what was made, for claims and the report."""

    def __init__(self) -> None:
        self.facts: Counter[str] = Counter()
        self.concepts: Counter[str] = Counter()
        self.tasks: Counter[str] = Counter()
        self.volumes: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.sides: Counter[str] = Counter()
        self.swapped: list[dict[str, str]] = []

    def add(self, made: MadeSample) -> None:
        for fact in made.sample.facts:
            kind = f"region.{fact.shape}" if isinstance(fact, RegionFact) else fact.kind
            self.facts[kind] += 1
            if fact.state == "present" and fact.concept is not None and not isinstance(fact, MeasureFact):
                self.concepts[f"{fact.concept} {kind}"] += 1
        for conversation in made.sample.conversations:
            self.tasks[f"{conversation.task}.{conversation.lang}"] += 1
        for medium in made.sample.media:
            if medium.kind == "volume" and medium.axes is not None:
                self.volumes[medium.axes] += 1
        for note in made.notes:
            self.notes[note] += 1
        for slot in {found.slot for found in made.sides}:
            self.sides[f"{slot} compared"] += 1
        for found in made.sides:
            self.sides[f"{found.slot} {found.concept} {'agrees' if found.agrees else 'contradicts'}"] += 1
            if not found.agrees:
                row = {"key": made.sample.key, "slot": found.slot, "concept": found.concept, "said": str(found)}
                self.swapped.append(row)

    def counts(self) -> dict[str, dict[str, int]]:
        counted = {"facts": self.facts, "concepts": self.concepts, "items": self.tasks}
        counted |= {"volumes": self.volumes} if self.volumes else {}
        counted |= {"sides": self.sides} if self.sides else {}
        return {name: dict(sorted(counter.items())) for name, counter in counted.items()}


def _described(shard: ShardEntry) -> dict[str, Any]:
    return {
        "name": shard.name,
        "split": shard.split,
        "set": shard.set,
        "samples": shard.samples,
        "size_bytes": shard.size_bytes,
        "sha256": shard.sha256,
        "parts": list(shard.parts.extensions),
        "renditions": [
            {
                "name": level.name,
                "factor": level.factor,
                "size_bytes": level.size_bytes,
                "sha256": level.sha256,
                "parts": list(level.parts.extensions),
            }
            for level in shard.renditions
        ],
    }


def _write_tables(folder: Path, number: int, shards: list[ShardEntry], by_set: dict[str, list[MadeSample]]) -> None:
    """Index tables of the unit; ``shard`` counts within the unit until the corpus is put together."""
    samples: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    facts: list[dict[str, Any]] = []
    foreground: list[pa.Table] = []
    for place, shard in enumerate(shards):
        for row, made in enumerate(by_set[shard.set]):
            foreground += made.foreground
            samples.append(SampleRow.of(made.sample, place, row).model_dump())
            items += [item.model_dump() for item in ItemRow.of(made.sample, place, row)]
            facts += [fact.model_dump() for fact in FactRow.of(made.sample)]
    for name, table in (
        ("samples", pa.Table.from_pylist(samples, SAMPLE_SCHEMA)),
        ("items", pa.Table.from_pylist(items, ITEM_SCHEMA)),
        ("facts", pa.Table.from_pylist(facts, FACT_SCHEMA)),
        ("foreground", pa.concat_tables([FOREGROUND_SCHEMA.empty_table(), *foreground])),
    ):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_atomic(unit_file(folder, number, f"{name}.parquet"), sink.getvalue().to_pybytes())
    # Those of the shards, then those of their siblings, both in the order of the marker.
    places = [shard.parts for shard in shards] + [level.parts for shard in shards for level in shard.renditions]
    packed = b"".join(parts.records.tobytes() for parts in places)
    write_atomic(unit_file(folder, number, "locator"), packed)
