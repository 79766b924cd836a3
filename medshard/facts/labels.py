"""Classes, flags and numbers."""

from __future__ import annotations

import math

from medshard.errors import ReadError
from medshard.facts.cell_number import cell_number
from medshard.facts.collect import Collector
from medshard.facts.context import FactContext, attribution
from medshard.plan.row import FactRow
from medshard.record.facts import LabelFact, MeasureFact
from medshard.spec.schema.facts import ClassFact, FlagFact, NumberFact
from medshard.spec.value_map import DROPPED

__all__ = ["MAX_AGE_YEARS", "add_class", "add_flags", "add_number"]

MAX_AGE_YEARS = 90
"""Ages over 89 are one group (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C))."""


def add_class(
    context: FactContext, name: str, fact: ClassFact, rows: list[FactRow], slots: list[str], out: Collector
) -> None:
    """One label, and the scope of all classes when the source looked for all of them."""
    values = [(row, row.cells[0]) for row in rows if row.cells[0] not in (None, "")]
    for row, value in values:
        meaning = context.maps[name](str(value))
        if meaning is DROPPED:
            return
        out.label(
            meaning.concept,
            slots,
            source=out.cite(row, value),
            by=attribution(fact),
            side=meaning.side,
            side_frame=meaning.side_frame,
        )
    # A label of a study is not a complete account of one of its pictures: a view need not show it.
    looked = bool(values) or fact.no_value == "absent"
    if looked and fact.covers == "all" and fact.scope == "media":
        out.scope(slots, context.set_name(name), instances=False)


def add_flags(
    context: FactContext, name: str, fact: FlagFact, rows: list[FactRow], slots: list[str], out: Collector
) -> None:
    """One label a column that has a state."""
    for row in rows:
        for column, cell in zip(fact.columns, row.cells, strict=True):
            state = fact.states[cell or ""]
            if state == "not_annotated":
                continue
            meaning = context.maps[name](column)
            citation = out.cite(row, cell)
            citation[0].field = column
            out.add(
                LabelFact,
                concept=meaning.concept,
                state=state,
                slots=list(slots),
                source=citation,
                by=attribution(fact),
                side=meaning.side,
                side_frame=meaning.side_frame,
            )
    if rows and fact.covers == "all" and fact.scope == "media":
        out.scope(slots, context.set_name(name), instances=False)


def add_number(context: FactContext, fact: NumberFact, rows: list[FactRow], slots: list[str], out: Collector) -> None:
    """One measure."""
    concept = context.taxonomy.find(fact.concept, ("quantity",))
    for row in rows:
        cell = row.cells[0]
        if cell in (None, ""):
            continue
        value = cell_number(cell)
        if not math.isfinite(value):
            raise ReadError(f"the quantity {concept.name} is not a finite number", error_class="bad_number")
        if concept.plausible is not None and not concept.plausible[0] <= value <= concept.plausible[1]:
            low, high = concept.plausible
            raise ReadError(
                f"the quantity {concept.name} lies outside its plausible range {low:g} to {high:g}",
                error_class="implausible",
            )
        if fact.quasi_identifier == "age" and value >= MAX_AGE_YEARS:
            value, cell = float(MAX_AGE_YEARS), None
        out.add(
            MeasureFact,
            concept=concept.id,
            slots=list(slots),
            value=value,
            unit=None if fact.unit == "1" else fact.unit,
            resolution=fact.resolution,
            horizon_years=fact.horizon_years,
            source=out.cite(row, cell),
            by=attribution(fact),
        )
