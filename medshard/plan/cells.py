"""Which expressions each kind of fact has, in the order of ``FactRow.cells``."""

from __future__ import annotations

from medshard.plan.session import quote
from medshard.spec.schema import SpecFact
from medshard.spec.schema.facts import (
    BoxFact,
    ClassFact,
    FlagFact,
    NumberFact,
    QaColumnsFact,
    TextColumnFact,
)

__all__ = ["fact_cells", "source_of"]


def fact_cells(fact: SpecFact) -> list[tuple[tuple[str | int, ...], str]]:
    """(path within the fact, expression) of each cell; empty for facts that are made from pixels."""
    if isinstance(fact, (ClassFact, NumberFact, TextColumnFact)):
        return [(("value",), fact.value)]
    if isinstance(fact, FlagFact):
        return [(("columns", index), quote(column)) for index, column in enumerate(fact.columns)]
    if isinstance(fact, BoxFact):
        form = "corners" if fact.corners else "corner_size" if fact.corner_size else "centre_size"
        numbers = fact.corners or fact.corner_size or fact.centre_size or ()
        places: list[tuple[tuple[str | int, ...], str]] = [((form, index), text) for index, text in enumerate(numbers)]
        return [(("value",), fact.value or "NULL"), *places]
    if isinstance(fact, QaColumnsFact):
        names = ("question", "answer", "answer_type", "options")
        return [((name,), getattr(fact, name) or "NULL") for name in names]
    return []


def source_of(fact: SpecFact) -> str | None:
    """The joined source whose rows the fact takes; None for the samples' own rows or for pixels."""
    if isinstance(fact, (ClassFact, FlagFact, NumberFact, BoxFact, TextColumnFact, QaColumnsFact)):
        return fact.of
    return None
