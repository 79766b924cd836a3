"""Step 4: the raw values of each fact, with the file and row in which they stand."""

from __future__ import annotations

from medshard.plan.cells import fact_cells, source_of
from medshard.plan.session import INDEX, quote, within
from medshard.plan.values import check_values
from medshard.plan.visible import Visible
from medshard.plan.work import Expressions, Work
from medshard.source.base import FILE_COLUMN, ROW_COLUMN
from medshard.spec.expression import parse_expression
from medshard.spec.schema.facts import MaskClassFact

__all__ = ["list_facts"]


def list_facts(work: Work) -> None:
    """``_fact_NAME``: (sample, file, row, field, _order, _place, c0, c1...) for facts that are not made of pixels."""
    for name, fact in work.spec.facts.items():
        if not fact_cells(fact):
            if isinstance(fact, MaskClassFact) and f"media {fact.of}" not in work.unchecked:
                check_values(work, name)
            continue
        source = source_of(fact)
        visible = work.visible
        if source is not None and source not in visible.sources:
            join = work.spec.samples.join.get(source)
            if source in work.spec.sources and source not in work.tables:
                work.unchecked.append(f"fact {name}")
                continue
            if join is None or source not in work.join_counts:
                message = f"{source!r} is not joined; name it under samples.join."
                allowed = tuple(work.spec.samples.join)
                work.problem("not-joined", ("facts", name, "of"), message, found=source, allowed=allowed)
                continue
            visible = visible.joined(source, work.session.columns[source], join.using)
        _list_fact(work, name, source or work.base, visible)


def _list_fact(work: Work, name: str, source: str, visible: Visible) -> None:
    fact = work.spec.facts[name]
    cells = fact_cells(fact)
    expressions: Expressions = {f"c{i}": (("facts", name, *path), text) for i, (path, text) in enumerate(cells)}
    order = getattr(fact, "order", None)
    if order is not None:
        expressions["_order"] = (("facts", name, "order"), order)
    if len(work.computable(expressions, visible)) < len(expressions):
        work.unchecked.append(f"fact {name}")
        return
    if not work.fit(expressions, visible):
        return
    texts = [text for _, text in cells]
    holder = _holder(visible, texts) or source
    field = _columns_read(texts).replace("'", "''")
    file, row, place = (quote(within(holder, column)) for column in (FILE_COLUMN, ROW_COLUMN, INDEX))
    head = f"DISTINCT _sample AS sample, {file} AS file, {row} AS row, '{field}' AS field, {place} AS _place"
    tail = f"FROM {visible.sql()} JOIN _member ON _i = {work.base_index}"
    table = f"_fact_{name}"
    if not work.compute(table, expressions, head, tail):
        return
    if order is None:
        work.session.run(f"ALTER TABLE {quote(table)} ADD COLUMN _order VARCHAR")
    check_values(work, name)
    if fact.kind in ("class", "number", "flags"):
        _one_value_a_sample(work, name, table, len(cells))


def _one_value_a_sample(work: Work, name: str, table: str, cells: int) -> None:
    differing = " OR ".join(f"count(DISTINCT c{i}) > 1" for i in range(cells))
    contradictory = f"SELECT sample FROM {quote(table)} GROUP BY sample HAVING {differing}"
    work.drop_samples(contradictory, "contradiction", f"the fact {name!r} has several values within one sample")
    work.session.run(
        f"DELETE FROM {quote(table)} WHERE (sample, _place) NOT IN "
        f"(SELECT (sample, min(_place)) FROM {quote(table)} GROUP BY sample)"
    )


def _holder(visible: Visible, texts: list[str]) -> str | None:
    """The source whose row holds the (first) value."""
    for names in (names for text in texts for names in parse_expression(text).columns):
        found = names[0] if len(names) == 2 else visible.holder(names[0])
        if found is not None:
            return found
    return None


def _columns_read(texts: list[str]) -> str:
    names = [names[-1] for text in texts for names in parse_expression(text).columns]
    return ", ".join(dict.fromkeys(names))
