"""From tables to one row a sample.

Each step leaves a table in the session: rows of ``from`` that their joins allow (``_rows``), the sample that each row
belongs to (``_member``), what the rows say of it (``_said``), the files of each slot, the raw values of each fact.
Everything that has no place is named with a reason: rows of ``from`` = rows in samples + rows left out, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from medshard.errors import PlanError
from medshard.plan.cells import fact_cells
from medshard.plan.facts import list_facts
from medshard.plan.joins import join_rows
from medshard.plan.keys import sample_keys
from medshard.plan.media import list_media
from medshard.plan.members import assign_members, describe_samples
from medshard.plan.plan import Plan, PlanOptions
from medshard.plan.row import PLAN_SCHEMA
from medshard.plan.session import quote, within
from medshard.plan.splits import apply_split_policy
from medshard.plan.work import Work
from medshard.source.base import FILE_COLUMN, ROW_COLUMN, SourceTable
from medshard.spec.load import LoadedSpec
from medshard.spec.taxonomy import Taxonomy

__all__ = ["make_plan"]

_STEPS: tuple[tuple[str, Callable[[Work], None]], ...] = (
    ("joining", join_rows),
    ("grouping", assign_members),
    ("describing", describe_samples),
    ("listing media", list_media),
    ("listing facts", list_facts),
)


def make_plan(
    loaded: LoadedSpec,
    tables: Mapping[str, SourceTable],
    taxonomy: Taxonomy,
    options: PlanOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Plan a dataset.

    Args:
        tables: a table a source; sources that could not be listed (a plain list of paths has no CSV) are absent, and
            what needs them is skipped and named in ``Plan.unchecked``.
        progress: told the name of each step.

    Raises:
        PlanError: the spec and the data contradict each other; holds all problems of the step that found them.
    """
    work = Work(loaded, tables, taxonomy, options)
    try:
        for name, step in _STEPS:
            progress(name)
            step(work)
            if work.failed:
                raise PlanError(work.problems)
        return _finish(work)
    finally:
        work.session.close()


def _finish(work: Work) -> Plan:
    """Key the samples, apply the split policy, and put all in one table."""
    keyed, clashes = sample_keys(work.loaded, _nested(work), work.options.remapper)
    work.problems += clashes
    if work.failed:
        raise PlanError(work.problems)
    listed = not any(path.startswith("samples.split") for path in work.unchecked)
    planned, conflicts, moved = apply_split_policy(work.loaded, keyed, work.options, work.problems, listed=listed)
    work.left_out += moved
    if work.failed:
        raise PlanError(work.problems)
    return Plan(
        loaded=work.loaded,
        table=planned.cast(PLAN_SCHEMA),
        left_out=work.left_out,
        warnings=work.problems,
        unchecked=work.unchecked,
        base_rows=work.session.one(f"SELECT count(*) FROM {quote(work.base)}")
        + sum(entry.source == work.base for entry in work.session.left_out),
        member_rows=work.session.one("SELECT count(*) FROM _member"),
        source_rows={name: len(table.table) for name, table in work.tables.items()},
        source_files={name: table.files for name, table in work.tables.items()},
        layer_files=_layer_files(work),
        joins=work.join_counts,
        series={name: table.series for name, table in work.tables.items() if table.series is not None},
        split_conflicts=conflicts,
    )


def _nested(work: Work) -> pa.Table:
    """One row a sample: what is said of it, with its media and facts as lists."""
    media = [
        f"SELECT sample, {place} AS slot_place, '{slot}' AS slot, path, size_bytes, layer, channel, slice, stated "
        f"FROM {quote('_media_' + slot)}"
        for place, (slot, medium) in enumerate(work.spec.media.items())
        if medium.from_ in work.tables
    ]
    facts = [
        f"SELECT sample, {place} AS fact_place, _order::DOUBLE AS _order, _place, '{name}' AS fact, file, row, field, "
        f"[{', '.join(f'c{i}' for i in range(len(fact_cells(fact))))}] AS cells FROM {quote('_fact_' + name)}"
        for place, (name, fact) in enumerate(work.spec.facts.items())
        if fact_cells(fact) and f"fact {name}" not in work.unchecked
    ]
    work.session.run(
        "CREATE TABLE _media AS SELECT sample, list({'slot': slot, 'path': path, 'size_bytes': size_bytes, "
        "'layer': layer, 'channel': channel, 'slice': slice, 'stated': stated} "
        "ORDER BY slot_place, layer, channel, path) AS media "
        f"FROM ({' UNION ALL '.join(media)}) GROUP BY sample"
        if media
        else "CREATE TABLE _media (sample BIGINT, media STRUCT(slot VARCHAR, path VARCHAR, size_bytes BIGINT, "
        "layer VARCHAR, channel VARCHAR, slice VARCHAR, stated VARCHAR[])[])"
    )
    work.session.run(
        "CREATE TABLE _facts AS SELECT sample, list({'fact': fact, 'file': file, 'row': row, 'field': field, "
        "'cells': cells} ORDER BY fact_place, _order, _place) AS facts "
        f"FROM ({' UNION ALL '.join(facts)}) GROUP BY sample"
        if facts
        else 'CREATE TABLE _facts (sample BIGINT, facts STRUCT(fact VARCHAR, file VARCHAR, "row" BIGINT, '
        "field VARCHAR, cells VARCHAR[])[])"
    )
    said = work.session.table("SELECT * FROM _said LIMIT 0").column_names
    columns = ", ".join(
        f"min({quote(name)}) AS {quote(name)}" if name in said else f"NULL::VARCHAR AS {quote(name)}"
        for name in ("key", "split", "fold", "patient", "study", "exam_date", "sex", "age_years")
    )
    file, row = (quote(within(work.base, column)) for column in (FILE_COLUMN, ROW_COLUMN))
    return work.session.table(
        "SELECT s.* EXCLUDE (first), b.* EXCLUDE (place), media, facts "
        f"FROM (SELECT sample, min(_i) AS first, {columns} FROM _said WHERE _i IN (SELECT _i FROM _member) "
        "GROUP BY sample) s "
        f"JOIN (SELECT {work.base_index} AS place, {file} AS file, {row} AS row FROM {quote(work.base)}) b "
        "ON first = place "
        "LEFT JOIN _media USING (sample) LEFT JOIN _facts USING (sample) ORDER BY s.sample"
    )


def _layer_files(work: Work) -> dict[str, int]:
    """Files by ``source.layer``, for claims."""
    counts: dict[str, int] = {}
    for slot, medium in work.spec.media.items():
        if medium.layers is not None and medium.from_ in work.tables:
            rows = work.session.table(f"SELECT layer, count(*) AS n FROM {quote('_media_' + slot)} GROUP BY layer")
            counts.update({f"{medium.from_}.{row['layer']}": int(row["n"]) for row in rows.to_pylist()})
    return counts
