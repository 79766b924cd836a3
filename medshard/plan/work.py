"""The state of one planning run, and what every step does with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import duckdb

from medshard.errors import PlanError, Problem, nearest
from medshard.plan.plan import PlanOptions
from medshard.plan.session import INDEX, Session, quote, within
from medshard.plan.visible import Visible
from medshard.source.base import FILE_COLUMN, ROW_COLUMN, STACK_COLUMN, LeftOut, SourceTable
from medshard.spec.expression import ExpressionError, parse_expression
from medshard.spec.load import LoadedSpec
from medshard.spec.schema.sources import DicomSource
from medshard.spec.taxonomy import Taxonomy

__all__ = ["Expressions", "Path", "Work"]

Path: TypeAlias = "tuple[str | int, ...]"
Expressions: TypeAlias = "dict[str, tuple[Path, str]]"
"""Column name → (path in the spec, expression)."""


class Work:
    """What the steps of a plan share.

    Attributes:
        base: the samples' own source.
        visible: ``from`` and the sources that are joined to each of its rows.
        problems: found so far; the run stops after the step that finds an error.
        left_out: source rows and files without a sample.
        unchecked: what needs a source that could not be listed.
        join_counts: for each join, rows of ``from`` with no, one, and more partners.
    """

    def __init__(
        self, loaded: LoadedSpec, tables: Mapping[str, SourceTable], taxonomy: Taxonomy, options: PlanOptions
    ) -> None:
        self.loaded, self.spec, self.options, self.taxonomy = loaded, loaded.spec, options, taxonomy
        self.tables = tables
        self.problems: list[Problem] = []
        self.left_out: list[LeftOut] = [entry for table in tables.values() for entry in table.left_out]
        self.unchecked: list[str] = []
        self.join_counts: dict[str, dict[str, int]] = {}
        self.base = self.spec.samples.from_
        if self.base not in tables:
            self.problem("unlisted", ("samples", "from"), f"the source {self.base!r} cannot be listed without data.")
            raise PlanError(self.problems)
        self.session = Session(loaded, tables, options.remapper.uid)
        self.left_out += self.session.left_out
        self.visible = Visible({self.base: self.session.columns[self.base]})

    @property
    def failed(self) -> bool:
        """Whether any problem so far stops the build."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def group(self) -> list[str]:
        """Columns that make rows parts of one sample.

        Where neither group nor key is stated, files of a ``dicom`` source that fill a volume are grouped by stack.
        """
        samples = self.spec.samples
        if samples.group or samples.key is not None or not isinstance(self.spec.sources[self.base], DicomSource):
            return samples.group
        volumes = any(slot.kind == "volume" and slot.from_ == self.base for slot in self.spec.media.values())
        return [STACK_COLUMN] if volumes else []

    @property
    def base_index(self) -> str:
        """SQL name of the place of a row of ``from``."""
        return quote(within(self.base, INDEX))

    def problem(self, code: str, path: Path, message: str, **details: Any) -> None:
        """Note a problem."""
        self.problems.append(self.loaded.problem(code, path, message, **details))

    def place_columns(self, source: str) -> str:
        """SQL names of the file and row of a source's row."""
        return f"{quote(within(source, FILE_COLUMN))}, {quote(within(source, ROW_COLUMN))}"

    def leave_out(self, sql: str, source: str, error_class: str, message: str) -> int:
        """Name every row that the query gives as (file, row)."""
        rows = self.session.table(sql)
        for file, row in zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True):
            self.left_out.append(LeftOut(source, file, row, "plan", error_class, message))
        return len(rows)

    def columns_exist(self, path: Path, source: str, columns: Sequence[str]) -> bool:
        """Whether a source has the columns; a problem for each that it lacks."""
        known = self.session.columns[source]
        folded = {name.lower() for name in known}
        missing = [column for column in columns if column.lower() not in folded]
        for column in missing:
            message = f"the source {source!r} has no column {column!r}."
            guess = nearest(column, known)
            self.problem("unknown-column", path, message, found=column, allowed=tuple(known), nearest=guess)
        return not missing

    def both_have(self, path: Path, source: str, using: Sequence[str]) -> bool:
        """Whether ``from`` and another source both have the columns that they are joined on."""
        missing = [side for side in (self.base, source) if not self.columns_exist(path, side, using)]
        return not missing

    def fit(self, expressions: Expressions, visible: Visible | None = None, *, group_by: Sequence[str] = ()) -> bool:
        """Check each expression's form and columns, and let the database resolve its types.

        Args:
            group_by: columns of the group, where aggregates may stand.
        """
        visible = visible or self.visible
        fits = True
        grouping = f" GROUP BY {', '.join(quote(column) for column in group_by)}" if group_by else ""
        for path, text in expressions.values():
            found = visible.check(self.loaded, path, text, grouped=bool(group_by))
            self.problems += found
            if not found:
                reduced = grouping if parse_expression(text).aggregate else ""
                try:
                    self.session.table(f"SELECT ({text}\n) FROM {visible.sql()}{reduced} LIMIT 0")
                except duckdb.Error as error:
                    self.problem("expression", path, self.session.explain(error), found=text)
                    fits = False
            fits = fits and not found
        return fits

    def computable(self, expressions: Expressions, visible: Visible | None = None) -> Expressions:
        """The expressions whose columns are there; the rest is named in ``unchecked``.

        With all sources listed nothing is left out here: a column that is not there is then a problem.
        """
        if len(self.tables) == len(self.spec.sources):
            return expressions
        known = {column.lower() for column in (visible or self.visible).names()}
        found: Expressions = {}
        for name, (path, text) in expressions.items():
            try:
                columns = parse_expression(text).columns
            except ExpressionError:
                columns = ()
            if all(names[-1].lower() in known for names in columns):
                found[name] = (path, text)
            else:
                self.unchecked.append(".".join(str(part) for part in path))
        return found

    def compute(self, table: str, expressions: Expressions, head: str, tail: str) -> bool:
        """``table`` := head, the expressions as text, tail; a failing expression is found and named."""
        columns = [f"({text}\n)::VARCHAR AS {quote(name)}" for name, (_, text) in expressions.items()]
        try:
            self.session.run(f"CREATE TABLE {quote(table)} AS SELECT {', '.join([head, *columns])} {tail}")
        except duckdb.Error as failure:
            for path, text in expressions.values():
                try:
                    self.session.table(f"SELECT ({text}\n)::VARCHAR {tail}")
                except duckdb.Error as error:
                    message = f"cannot be computed for some row: {self.session.explain(error)}"
                    self.problem("expression", path, message, found=text)
            if not self.failed:
                raise failure
            return False
        return True

    def drop_samples(self, sql: str, error_class: str, message: str) -> int:
        """Leave out all rows of the samples that the query gives; gives their number."""
        self.session.run(f"CREATE OR REPLACE TABLE _drop AS {sql}")
        self.leave_out(
            f"SELECT {self.place_columns(self.base)} FROM {quote(self.base)} JOIN _member ON _i = {self.base_index} "
            f"WHERE _sample IN (SELECT sample FROM _drop) ORDER BY _i",
            self.base,
            error_class,
            message,
        )
        self.session.run("DELETE FROM _member WHERE _sample IN (SELECT sample FROM _drop)")
        return self.session.one("SELECT count(*) FROM _drop")
