"""Which columns an expression may name, and the FROM clause that makes them visible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medshard.errors import Problem, nearest
from medshard.plan.session import quote
from medshard.spec.expression import ExpressionError, parse_expression
from medshard.spec.load import LoadedSpec

__all__ = ["Visible"]

_MADE_LATER = frozenset({"current_date", "current_timestamp", "current_time", "localtime", "localtimestamp"})


@dataclass(frozen=True)
class Visible:
    """Joined sources, as an expression sees them.

    Attributes:
        sources: name → columns, in the order of joining.
        joins: (source, columns it is joined on, whether rows without a partner stay) after the first.
    """

    sources: Mapping[str, Sequence[str]]
    joins: tuple[tuple[str, tuple[str, ...], bool], ...] = ()

    def joined(self, source: str, columns: Sequence[str], using: Sequence[str], *, keep: bool = False) -> Visible:
        """With one more source."""
        return Visible({**self.sources, source: columns}, (*self.joins, (source, tuple(using), keep)))

    def sql(self) -> str:
        """The FROM clause."""
        first = next(iter(self.sources))
        text = quote(first)
        for source, using, keep in self.joins:
            columns = ", ".join(quote(column) for column in using)
            text += f" {'LEFT ' if keep else ''}JOIN {quote(source)} USING ({columns})"
        return text

    def _shared(self) -> set[str]:
        return {column.lower() for _, using, _ in self.joins for column in using}

    def names(self) -> list[str]:
        """All columns, for messages."""
        return sorted({column for columns in self.sources.values() for column in columns})

    def holder(self, column: str) -> str | None:
        """The source that an unqualified column comes from; the first one when it is joined on."""
        for source, columns in self.sources.items():
            if column.lower() in (known.lower() for known in columns):
                return source
        return None

    def check(
        self, loaded: LoadedSpec, path: tuple[str | int, ...], text: str, *, grouped: bool = False
    ) -> list[Problem]:
        """What is wrong with an expression here: its form, what it calls, the columns it names.

        Args:
            grouped: whether rows are reduced to one, so that aggregates may stand.
        """
        try:
            expression = parse_expression(text)
        except ExpressionError as error:
            return [loaded.problem("expression", path, f"{error}.".replace("..", "."), found=text)]
        problems = []
        if expression.aggregate and not grouped:
            message = "an aggregate stands only in what is said of a whole sample, under samples.group."
            problems.append(loaded.problem("aggregate", path, message, found=text))
        for names in expression.columns:
            problem = self._check_column(loaded, path, names)
            if problem is not None:
                problems.append(problem)
        return problems

    def _check_column(self, loaded: LoadedSpec, path: tuple[str | int, ...], names: tuple[str, ...]) -> Problem | None:
        column = names[-1]
        if len(names) == 2:
            source = names[0]
            if source not in self.sources:
                message = f"{source!r} is no source that is joined here."
                return loaded.problem("unknown-source", path, message, found=source, allowed=tuple(self.sources))
            holders = [source] if self._has(source, column) else []
        else:
            holders = [source for source in self.sources if self._has(source, column)]
        if not holders:
            known = self.names()
            message = f"the column {'.'.join(names)!r} is not there."
            if column.lower() in _MADE_LATER:
                message = f"{column} is the clock; an expression gives the same result at any time."
            guess = nearest(column, known)
            return loaded.problem("unknown-column", path, message, found=column, allowed=tuple(known), nearest=guess)
        if len(holders) > 1 and column.lower() not in self._shared():
            choices = " or ".join(f"{source}.{column}" for source in holders)
            return loaded.problem("ambiguous-column", path, f"the column {column!r} may mean {choices}; write which.")
        return None

    def _has(self, source: str, column: str) -> bool:
        return column.lower() in (known.lower() for known in self.sources[source])
