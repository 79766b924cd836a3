"""Step 1: which rows of ``from`` have the partners that their joins need."""

from __future__ import annotations

from typing import Any

from medshard.plan.session import INDEX, quote, within
from medshard.plan.work import Path, Work
from medshard.spec.schema.samples import Join

__all__ = ["join_rows", "report_orphans"]


def join_rows(work: Work) -> None:
    """``_rows``: the places of the rows of ``from`` that stay; the others are left out by name."""
    conditions = []
    for source, join in work.spec.samples.join.items():
        path: Path = ("samples", "join", source)
        if source not in work.tables:
            work.unchecked.append(f"join with {source}")
            continue
        if not work.both_have((*path, "using"), source, join.using):
            continue
        _count_matches(work, source, join)
        orphans = report_orphans(work, source, join.using)
        if orphans and join.orphans == "error":
            work.problem("orphans", (*path, "orphans"), f"{orphans} rows of {source} belong to no row of {work.base}.")
        if join.need in ("one", "maybe"):
            columns = work.session.columns[source]
            work.visible = work.visible.joined(source, columns, join.using, keep=join.need == "maybe")
            _refuse_several(work, source, join)
        if join.need in ("one", "many"):
            condition = f"{work.base_index} IN (SELECT i FROM {quote('_match_' + source)} WHERE n > 0)"
            conditions.append(condition)
            work.leave_out(
                f"SELECT {work.place_columns(work.base)} FROM {quote(work.base)} WHERE NOT {condition} "
                f"ORDER BY {work.base_index}",
                work.base,
                f"no_{source}",
                f"no row of {source} has this {', '.join(join.using)}",
            )
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    work.session.run(f"CREATE TABLE _rows AS SELECT {work.base_index} AS _i FROM {quote(work.base)}{where}")


def report_orphans(work: Work, source: str, using: list[str]) -> int:
    """Name the rows of a source that no row of ``from`` is tied to; gives their number."""
    columns = ", ".join(quote(column) for column in using)
    return work.leave_out(
        f"SELECT {work.place_columns(source)} FROM {quote(source)} ANTI JOIN {quote(work.base)} USING ({columns}) "
        f"ORDER BY {quote(within(source, INDEX))}",
        source,
        "orphan",
        f"no row of {work.base} has this {', '.join(using)}",
    )


def _count_matches(work: Work, source: str, join: Join) -> None:
    base, other = quote(work.base), quote(source)
    other_index = f"{other}.{quote(within(source, INDEX))}"
    using = ", ".join(quote(column) for column in join.using)
    match = quote(f"_match_{source}")
    work.session.run(
        f"CREATE TABLE {match} AS SELECT {base}.{work.base_index} AS i, count({other_index}) AS n "
        f"FROM {base} LEFT JOIN {other} USING ({using}) GROUP BY 1"
    )
    counts = work.session.table(
        "SELECT count(*) FILTER (n = 0) AS no_partner, count(*) FILTER (n = 1) AS one_partner, "
        f"count(*) FILTER (n > 1) AS several FROM {match}"
    )
    work.join_counts[source] = {name: int(counts[name][0].as_py()) for name in counts.column_names}


def _refuse_several(work: Work, source: str, join: Join) -> None:
    several = work.join_counts[source]["several"]
    if not several:
        return
    places = work.session.table(
        f"SELECT {work.place_columns(work.base)} FROM {quote(work.base)} WHERE {work.base_index} IN "
        f"(SELECT i FROM {quote('_match_' + source)} WHERE n > 1) ORDER BY {work.base_index} LIMIT 3"
    )
    shown = "; ".join(_shown(row) for row in zip(*(column.to_pylist() for column in places.columns), strict=True))
    message = (
        f"need: {join.need}, but {several} rows of {work.base} match several rows of {source} (such as {shown}). "
        "Join on more columns, or say need: any and use of: in the facts."
    )
    work.problem("cardinality", ("samples", "join", source, "need"), message)


def _shown(row: tuple[Any, ...]) -> str:
    file, number = row
    return str(file) if number is None else f"{file} row {number}"
