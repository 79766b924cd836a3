"""Closed maps: every value seen is mapped, and every value mapped is seen."""

from __future__ import annotations

from medshard.errors import Problem, nearest
from medshard.plan.session import Session, quote
from medshard.plan.work import Path, Work
from medshard.spec.load import LoadedSpec
from medshard.spec.schema import SpecFact
from medshard.spec.schema.facts import (
    BoxFact,
    ClassFact,
    FlagFact,
    MaskClassFact,
    NumberFact,
    QaColumnsFact,
    TextColumnFact,
)
from medshard.spec.value_map import UnmappedValueError, ValueMap

__all__ = ["check_values", "compare_values"]


def check_values(work: Work, name: str) -> None:
    """Compare the values in the data with the map of one fact; they stand in ``_fact_NAME``, or are a mask's layers."""
    fact = work.spec.facts[name]
    path: Path = ("facts", name)
    partial = work.options.partial
    if isinstance(fact, FlagFact):
        seen: dict[str, int] = {}
        for place in range(len(fact.columns)):
            for value, count in _counts(work.session, f"_fact_{name}", f"c{place}").items():
                seen[value] = seen.get(value, 0) + count
        work.problems += _compare_states(work.loaded, (*path, "states"), fact, seen, partial=partial)
        return
    if isinstance(fact, MaskClassFact) and work.spec.media[fact.of].layers is not None:
        seen = _counts(work.session, f"_media_{fact.of}", "layer")
    elif isinstance(fact, (ClassFact, BoxFact)) and fact.value is not None:
        seen = _counts(work.session, f"_fact_{name}", "c0")
    elif isinstance(fact, (NumberFact, TextColumnFact, QaColumnsFact)):
        column = "c1" if isinstance(fact, QaColumnsFact) else "c0"
        blank = work.session.one(
            f"SELECT count(*) FROM {quote('_fact_' + name)} WHERE coalesce(trim({column}), '') = ''"
        )
        _check_empty(work, path, fact, blank)
        return
    else:
        return  # values of pixels are seen when those are read
    _check_empty(work, path, fact, seen.pop("", 0))
    values = ValueMap(fact.map, fact.match, fact.drop, work.taxonomy)
    work.problems += compare_values(work.loaded, (*path, "map"), values, seen, partial=partial)


def _check_empty(work: Work, path: Path, fact: SpecFact, empty: int) -> None:
    """What an empty value means is never guessed."""
    if empty and getattr(fact, "no_value", None) in (None, "error"):
        said = "no_value: error forbids that." if getattr(fact, "no_value", None) else ""
        message = f"{empty} values are empty; {said or 'say no_value: absent, not_annotated or missing.'}"
        work.problem("no-value", path, message)


def _counts(session: Session, table: str, column: str) -> dict[str, int]:
    rows = session.table(
        f"SELECT coalesce({quote(column)}, '') AS v, count(*) AS n FROM {quote(table)} GROUP BY 1 ORDER BY 1"
    )
    return {str(row["v"]): int(row["n"]) for row in rows.to_pylist()}


def compare_values(
    loaded: LoadedSpec, path: tuple[str | int, ...], values: ValueMap, seen: dict[str, int], *, partial: bool
) -> list[Problem]:
    """What is wrong between a map and the values seen, each with its count."""
    problems = []
    for value, count in sorted(seen.items()):
        try:
            values(value)
        except UnmappedValueError as error:
            message = f"{error.args[0]}; it stands {count} times in the data."
            guess = nearest(value, values.values)
            problems.append(
                loaded.problem(
                    "unmapped-value", path, message, found=value, allowed=tuple(values.values), nearest=guess
                )
            )
    for line in values.unmatched_lines(set(seen)):
        problems.append(_never_seen(loaded, (*path, line), line, partial=partial))
    return problems


def _compare_states(
    loaded: LoadedSpec,
    path: tuple[str | int, ...],
    fact: FlagFact,
    seen: dict[str, int],
    *,
    partial: bool,
) -> list[Problem]:
    problems = []
    for value, count in sorted(seen.items()):
        if value not in fact.states:
            message = f"the cell {value!r} stands {count} times in the data and has no state."
            allowed = tuple(fact.states)
            problems.append(
                loaded.problem(
                    "unmapped-value",
                    path,
                    message,
                    found=value,
                    allowed=allowed,
                    nearest=nearest(value, allowed),
                )
            )
    never = [value for value in fact.states if value not in seen]
    return problems + [_never_seen(loaded, (*path, value), value, partial=partial) for value in never]


def _never_seen(loaded: LoadedSpec, path: tuple[str | int, ...], line: str, *, partial: bool) -> Problem:
    message = f"{line!r} is declared and never seen in the data."
    if not partial:
        message += " Take it out, or use --partial if the data are known to be a part of the release."
    return loaded.problem("unseen-value", path, message, severity="warning" if partial else "error")
