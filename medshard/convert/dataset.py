"""One dataset: read its sources, plan, cut units, run those that are missing, and sum up."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from medshard.convert.atomic import write_atomic
from medshard.convert.claims import check_claims
from medshard.convert.context import BuildContext
from medshard.convert.options import BuildOptions
from medshard.convert.pool import run_units
from medshard.convert.series import series_told
from medshard.convert.sides import check_sides
from medshard.convert.unit import UnitResult, is_done
from medshard.convert.versions import writer_versions
from medshard.errors import MedshardError, PlanError, Problem
from medshard.plan.plan import Plan, PlanOptions
from medshard.plan.planner import make_plan
from medshard.plan.units import Unit, cut_units
from medshard.privacy.remap import PUBLIC_KEY, Remapper
from medshard.source.read import read_sources
from medshard.source.root import DataRoot
from medshard.spec.catalog import specs_root
from medshard.spec.check import check_spec
from medshard.spec.load import LoadedSpec
from medshard.spec.schema.facts import BoxFact, ClassFact, FlagFact, MaskClassFact
from medshard.spec.taxonomy import Taxonomy, load_taxonomy

__all__ = ["DatasetBuild", "Progress", "build_dataset", "plan_dataset"]


class Progress(Protocol):
    """Told how a long work goes on."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins, of so many steps if that is known."""
        ...

    def step(self, count: int) -> None:
        """So many steps of the stage are done."""
        ...


@dataclass
class DatasetBuild:
    """A finished build of one dataset, as it stands in ``build.json``.

    Attributes:
        slug, digest: name the folder ``datasets/<slug>/<digest>``.
        shards: of all units, in the order of units and names.
        volumes: likewise.
        counts: samples, items and facts, by what they are.
        account: rows of the samples' own source, in samples and left out.
        left_out: how many by source, stage and class; the rows themselves are in ``quarantine.parquet``.
        series: of each ``dicom`` source, what became of its series by their headers.
        failed_claims: claims of the spec that the data do not meet.
        concept_sets: concepts that a scope's set holds.
    """

    slug: str
    digest: str
    title: str
    licence: dict[str, str]
    spec_digest: str
    id_key_id: str
    split_policy: str
    shards: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    units: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    account: dict[str, int] = field(default_factory=dict)
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    joins: dict[str, dict[str, int]] = field(default_factory=dict)
    series: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    split_conflicts: dict[str, int] = field(default_factory=dict)
    failed_claims: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    concept_sets: dict[str, list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Below the corpus."""
        return f"datasets/{self.slug}/{self.digest[:16]}"


def plan_dataset(
    loaded: LoadedSpec, data: Path, options: BuildOptions, taxonomy: Taxonomy, progress: Progress
) -> tuple[Plan, DataRoot]:
    """Everything before the first pixel.

    Raises:
        SpecError: the spec is wrong, or the data contradict it; holds all problems of the stage that found them.
    """
    problems = [p for p in check_spec(loaded, taxonomy) if p.severity == "error"]
    if problems:
        raise PlanError(problems)
    if loaded.spec.licence.access == "private" and options.id_key == PUBLIC_KEY:
        message = "private data need a key of your own for identity tokens: --id-key FILE (see medshard build --help)."
        raise PlanError([loaded.problem("id-key", ("licence", "access"), message)])
    root = DataRoot(data)
    progress.stage(f"{loaded.spec.name}: listing")
    root.listing()
    progress.stage(f"{loaded.spec.name}: reading sources")
    tables, warnings = read_sources(loaded, root, progress.step)
    progress.stage(f"{loaded.spec.name}: planning")
    plan_options = PlanOptions(Remapper(options.id_key), options.split_policy, options.partial)
    plan = make_plan(loaded, tables, taxonomy, plan_options, lambda _: progress.step(1))
    plan.warnings[:0] = warnings
    return plan, root


def build_dataset(
    loaded: LoadedSpec, data: Path, corpus: Path, options: BuildOptions, progress: Progress
) -> DatasetBuild:
    """Build one dataset below ``corpus``; what is there already and unchanged is kept.

    Raises:
        SpecError: see ``plan_dataset``.
        MedshardError: more samples failed than ``max_failures`` allows, or a worker died.
    """
    taxonomy_root = specs_root() / "taxonomy"
    taxonomy = load_taxonomy(taxonomy_root)
    plan, root = plan_dataset(loaded, data, options, taxonomy, progress)
    seen = _seen_values(plan)
    digests = _table_digests(plan, root)
    build_digest = _build_digest(plan, options, taxonomy_root, digests)
    ordered, units = cut_units(plan, options.limits, build_digest)
    folder = corpus / f"datasets/{loaded.spec.name}/{build_digest[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    plan_path = folder / "plan.parquet"
    write_atomic(plan_path, _parquet(ordered))
    context = BuildContext(
        loaded, data.absolute(), folder.absolute(), plan_path.absolute(), options.id_key, seen, digests, options.text,
        taxonomy_root.absolute(), options.renditions,
    )  # fmt: skip
    results = _run(context, ordered, units, options, progress)
    build = _summed(plan, build_digest, units, results, options, context)
    quarantine = [asdict(entry) for entry in plan.left_out] + [row for result in results for row in result.left_out]
    listed = [{"dataset": loaded.spec.name, **row} for row in quarantine]
    write_atomic(folder / "quarantine.parquet", _parquet(pa.Table.from_pylist(listed, _QUARANTINE)))
    kept = {"spec": loaded.document.tree, "seen": seen, "id_key_id": build.id_key_id}
    write_atomic(folder / "spec.json", _json(kept))
    write_atomic(folder / "build.json", _json(asdict(build)))
    return build


def _run(
    context: BuildContext, ordered: pa.Table, units: list[Unit], options: BuildOptions, progress: Progress
) -> list[UnitResult]:
    results: dict[int, UnitResult] = {}
    failed: list[dict[str, Any]] = []
    bounds = [bound for bound in (options.max_failures,) if bound is not None]
    planned = sum(unit.count for unit in units)
    bounds += [int(options.max_failure_share * planned)] if options.max_failure_share is not None else []
    allowed = min(bounds, default=planned)

    def finished(result: UnitResult) -> None:
        results[result.number] = result
        failed.extend(result.left_out)
        if len(failed) > allowed:
            last = f"{failed[-1]['file']}: {failed[-1]['message']}"
            raise MedshardError(
                f"{len(failed)} samples could not be read, --max-failures allows {allowed}; the last: {last}"
            )
        if result.swapped_sides:
            check_sides(context.loaded, list(results.values()))

    missing = []
    for unit in units:
        done = is_done(context, unit, _newest_source_s(context, ordered, unit))
        if done is not None:
            finished(done)
        else:
            missing.append(unit)
    total = sum(unit.count for unit in missing)
    progress.stage(f"{context.loaded.spec.name}: building", total)
    run_units(
        context,
        missing,
        workers=options.workers,
        start_method=options.start_method,
        progress=progress.step,
        finished=finished,
    )
    return [results[unit.number] for unit in units]


def _newest_source_s(context: BuildContext, ordered: pa.Table, unit: Unit) -> float:
    """When the newest of a unit's files was changed; an archive stands for its members."""
    newest = 0.0
    for media in ordered["media"].slice(unit.first, unit.count).to_pylist():
        for ref in media or ():
            try:
                newest = max(newest, (context.data / ref["path"].partition("!/")[0]).stat().st_mtime)
            except OSError:
                continue
    return newest


def _seen_values(plan: Plan) -> dict[str, list[str]]:
    """The raw values of each fact that has a map, sorted."""
    wanted = {
        name
        for name, fact in plan.loaded.spec.facts.items()
        if isinstance(fact, (ClassFact, BoxFact)) and fact.value is not None
    }
    layered = {
        name: fact.of
        for name, fact in plan.loaded.spec.facts.items()
        if isinstance(fact, MaskClassFact) and plan.loaded.spec.media[fact.of].layers is not None
    }
    seen: dict[str, set[str]] = {name: set() for name in (*wanted, *layered)}
    for row in plan.samples():
        for fact in row.facts:
            if fact.fact in wanted and fact.cells[0] not in (None, ""):
                seen[fact.fact].add(str(fact.cells[0]))
        for name, slot in layered.items():
            seen[name] |= {ref.layer for ref in row.media if ref.slot == slot and ref.layer is not None}
    flags = {name: fact.columns for name, fact in plan.loaded.spec.facts.items() if isinstance(fact, FlagFact)}
    return {**{name: sorted(values) for name, values in sorted(seen.items())}, **flags}


def _table_digests(plan: Plan, root: DataRoot) -> dict[str, str]:
    """Digests of the tables that facts cite; media get theirs when they are read."""
    media = {ref.path for row in plan.samples() for ref in row.media}
    tables = {fact.file for row in plan.samples() for fact in row.facts} | {row.file for row in plan.samples()}
    found = {}
    for path in sorted(tables - media):
        found[path] = f"sha256:{hashlib.sha256(root.read(path)).hexdigest()}"
    return found


def _build_digest(plan: Plan, options: BuildOptions, taxonomy_root: Path, digests: dict[str, str]) -> str:
    """Over everything that decides the bytes of the shards."""
    state = hashlib.sha256(plan.digest.encode())
    for path in sorted(taxonomy_root.glob("*.yaml")):
        state.update(path.read_bytes())
    chosen = {
        "versions": writer_versions(),
        "limits": asdict(options.limits),
        "text": asdict(options.text),
        "key": Remapper(options.id_key).key_id,
        "renditions": options.renditions.model_dump() if options.renditions is not None else None,
        "tables": digests,
    }
    state.update(json.dumps(chosen, sort_keys=True).encode())
    return state.hexdigest()


def _summed(
    plan: Plan,
    digest: str,
    units: list[Unit],
    results: list[UnitResult],
    options: BuildOptions,
    context: BuildContext,
) -> DatasetBuild:
    spec = plan.loaded.spec
    counts: dict[str, Counter[str]] = {}
    notes: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    for result in results:
        for name, counted in result.counts.items():
            counts.setdefault(name, Counter()).update(counted)
        notes.update(result.notes)
        splits[result.split] += sum(shard["samples"] for shard in result.shards)
    counts["samples"] = splits
    failed = sum(len(result.left_out) for result in results)
    left_out: Counter[tuple[str, str, str]] = Counter()
    for entry in plan.left_out:
        left_out[(entry.source, entry.stage, entry.error_class)] += 1
    for result in results:
        for row in result.left_out:
            left_out[(row["source"], row["stage"], row["error_class"])] += 1
    build = DatasetBuild(
        slug=spec.name,
        digest=digest,
        title=spec.about.title,
        licence={
            "id": spec.licence.id,
            "access": spec.licence.access,
            "redistribute": spec.licence.redistribute,
        },
        spec_digest=plan.loaded.digest,
        id_key_id=Remapper(options.id_key).key_id,
        split_policy=options.split_policy,
        shards=[{**shard, "unit": result.number} for result in results for shard in result.shards],
        volumes=[volume for result in results for volume in result.volumes],
        units=len(units),
        counts={name: dict(sorted(counted.items())) for name, counted in sorted(counts.items())},
        account={
            "rows": plan.base_rows,
            "rows_in_planned_samples": plan.member_rows,
            "planned_samples": len(plan),
            "samples": sum(splits.values()),
            "failed_samples": failed,
        },
        sources={name: {"files": plan.source_files[name], "rows": plan.source_rows[name]} for name in plan.source_rows},
        joins=plan.joins,
        series={name: series_told(account) for name, account in plan.series.items()},
        left_out=[
            {"source": source, "stage": stage, "error_class": kind, "count": count}
            for (source, stage, kind), count in sorted(left_out.items())
        ],
        split_conflicts=plan.split_conflicts,
        warnings=[_without_folder(problem) for problem in plan.warnings],
        notes=dict(sorted(notes.items())),
        concept_sets=context.facts.concept_sets,
    )
    build.failed_claims = [_without_folder(problem) for problem in check_claims(plan, build.counts)]
    return build


def _without_folder(problem: Problem) -> str:
    """A message that is the same on every machine."""
    return str(replace(problem, file=Path(problem.file).name))


_QUARANTINE = pa.schema(
    [
        ("dataset", pa.string()),
        ("source", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("stage", pa.string()),
        ("error_class", pa.string()),
        ("message", pa.string()),
    ]
)


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
