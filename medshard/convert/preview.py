"""What a spec would make of data, or of a plain list of paths, without reading a pixel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medshard.convert.claims import check_claims
from medshard.convert.series import series_told
from medshard.errors import Problem, SpecError
from medshard.plan.plan import Plan, PlanOptions
from medshard.plan.planner import make_plan
from medshard.privacy.remap import Remapper
from medshard.source.base import LeftOut, SourceTable
from medshard.source.read import read_sources
from medshard.source.root import DataRoot
from medshard.spec.load import LoadedSpec
from medshard.spec.taxonomy import load_taxonomy

__all__ = ["preview"]

_EXAMPLES = 3


def preview(
    loaded: LoadedSpec, data: Path | None, paths: Iterable[str] | None, *, partial: bool
) -> tuple[dict[str, Any], list[Problem]]:
    """Plan as far as the data at hand allow.

    Args:
        data: the dataset's folder; or
        paths: a list of the files that there would be.

    Returns:
        What would be made (plain types, for ``--json``), and problems.
    """
    root = DataRoot(data, paths)
    shown: dict[str, Any] = {
        "name": loaded.spec.name,
        "sources": {},
        "series": {},
        "splits": {},
        "left_out": [],
        "split_conflicts": {},
        "failed_claims": [],
        "unchecked": [],
        "unmatched": 0,
        "unmatched_examples": [],
    }
    try:
        tables, problems = read_sources(loaded, root)
    except SpecError as error:
        return shown, error.problems
    shown["sources"] = {name: {"files": table.files, "rows": len(table.table)} for name, table in tables.items()}
    shown["series"] = {name: series_told(table.series) for name, table in tables.items() if table.series is not None}
    listed = [name for name in loaded.spec.sources if name not in tables]
    shown["unchecked"] = [f"source {name}" for name in listed]
    _add_unmatched(shown, root, tables, complete=not listed)
    if loaded.spec.samples.from_ not in tables:
        return shown, problems
    try:
        plan = make_plan(
            loaded, tables, load_taxonomy(), PlanOptions(Remapper(), partial=partial or not root.has_bytes)
        )
    except SpecError as error:
        return shown, problems + error.problems
    _add_plan(shown, plan, claims=root.has_bytes)
    return shown, problems + plan.warnings


def _add_plan(shown: dict[str, Any], plan: Plan, *, claims: bool) -> None:
    shown["samples"] = len(plan)
    shown["splits"] = plan.splits()
    shown["split_conflicts"] = plan.split_conflicts
    shown["unchecked"] += plan.unchecked
    shown["left_out"] = _grouped(plan.left_out)
    if claims:
        shown["failed_claims"] = [str(problem) for problem in check_claims(plan, None)]


def _grouped(left_out: list[LeftOut]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str], list[LeftOut]] = {}
    for entry in left_out:
        groups.setdefault((entry.source, entry.error_class, entry.message), []).append(entry)
    rows = []
    for (source, error_class, message), entries in groups.items():
        first = entries[0]
        example = first.file if first.row is None else f"{first.file} row {first.row}"
        rows.append(
            {
                "source": source,
                "error_class": error_class,
                "message": message,
                "count": len(entries),
                "example": example,
            }
        )
    return sorted(rows, key=lambda row: -int(row["count"]))


def _add_unmatched(shown: dict[str, Any], root: DataRoot, tables: dict[str, SourceTable], *, complete: bool) -> None:
    """Files that no source takes; not told while some sources could not be listed."""
    if not complete:
        return
    taken: set[str] = set()
    for table in tables.values():
        taken |= {str(path) for path in table.table["_file"].to_pylist()}
        taken |= {str(entry.file) for entry in table.left_out}
    outer = {path.partition("!/")[0] for path in taken}
    rest = [path for path in root.listing().paths.to_pylist() if path not in taken and path not in outer]
    shown["unmatched"], shown["unmatched_examples"] = len(rest), rest[:_EXAMPLES]
