"""The embedded database in which a plan is made: no file access, bounded, and locked before any expression runs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from medshard.errors import PlanError, Problem
from medshard.source.base import FILE_COLUMN, ROW_COLUMN, LeftOut, SourceTable
from medshard.spec.load import LoadedSpec

__all__ = ["INDEX", "Session", "quote", "within"]

INDEX = "_index"
"""Hidden column of every source's table: the place of the row."""

_MEMORY_LIMIT = "4GB"
_TIMEOUT_S = 900.0


def quote(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def within(source: str, hidden: str) -> str:
    """The hidden column of a source, unique among joined sources."""
    return f"{hidden}__{source}"


class Session:
    """Tables of all sources, with their ``unpivot``, ``unnest``, ``derive`` and ``where`` applied.

    Attributes:
        columns: visible columns of each source.
        left_out: rows that ``where`` took out.
    """

    def __init__(self, loaded: LoadedSpec, tables: Mapping[str, SourceTable], remap_uid: Callable[[str], str]) -> None:
        self.loaded = loaded
        self.columns: dict[str, list[str]] = {}
        self.left_out: list[LeftOut] = []
        config = {
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": _MEMORY_LIMIT,
            "threads": "2",
        }
        self._connection = duckdb.connect(":memory:", config=config)

        def remap_column(column: pa.Array) -> pa.Array:
            return pa.array([None if uid is None else remap_uid(uid) for uid in column.to_pylist()], pa.string())

        self._connection.create_function("remap_uid", remap_column, ["VARCHAR"], "VARCHAR", type="arrow")
        for name, source in tables.items():
            arrow = source.table.append_column(INDEX, pa.array(np.arange(len(source.table))))
            self._connection.register(f"arrow_{name}", arrow)
            self._connection.execute(f"CREATE TABLE {quote(name)} AS SELECT * FROM arrow_{name}")
            self._connection.unregister(f"arrow_{name}")
        self._connection.execute("SET lock_configuration = true")
        problems: list[Problem] = []
        for name in tables:
            self._shape(name, problems)
        if problems:
            raise PlanError(problems)

    def close(self) -> None:
        """Free the tables."""
        self._connection.close()

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        timer = threading.Timer(_TIMEOUT_S, self._connection.interrupt)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def run(self, sql: str) -> None:
        """Execute a statement that medshard composed."""
        with self._bounded():
            self._connection.execute(sql).fetchall()

    def table(self, sql: str) -> pa.Table:
        """The result of a query that medshard composed."""
        with self._bounded():
            return self._connection.sql(sql).to_arrow_table()

    def one(self, sql: str) -> int:
        """A single whole number."""
        with self._bounded():
            rows = self._connection.execute(sql).fetchall()
        return int(rows[0][0] or 0) if rows else 0

    def explain(self, error: Exception) -> str:
        """DuckDB's message in one line, without the values that it quotes: they may be a patient's."""
        text = str(error).split("\n")[0].split(": ", 1)[-1]
        if isinstance(error, duckdb.ConversionException):
            text = re.sub(r"'[^']*'", "a value", text)
        if isinstance(error, duckdb.InterruptException):
            text = f"takes longer than {_TIMEOUT_S:.0f} s"
        return text.rstrip("!. ") + "."

    def _shape(self, name: str, problems: list[Problem]) -> None:
        """Apply the verbs of one source, in the order unpivot, unnest, derive, where."""
        source = self.loaded.spec.sources[name]
        table = quote(name)
        visible = self._names(name)
        folded = [column.lower() for column in visible]
        twice = next((column for column in visible if folded.count(column.lower()) > 1), None)
        if twice is not None:
            message = f"two columns differ only in case ({twice!r}); name the columns with columns:."
            problems.append(self.loaded.problem("columns", ("sources", name), message))
            return
        try:
            if source.unpivot is not None:
                verb = source.unpivot
                keep = [quote(column) for column in self._all(name) if column not in verb.columns]
                parts = [
                    f"SELECT {', '.join(keep)}, {_text(column)} AS {quote(verb.name)}, "
                    f"{quote(column)} AS {quote(verb.value)}, {place} AS _place FROM {table}"
                    for place, column in enumerate(verb.columns)
                ]
                self._replace(
                    name,
                    f"SELECT * EXCLUDE (_place) FROM ({' UNION ALL '.join(parts)}) ORDER BY {INDEX}, _place",
                )
            if source.unnest is not None:
                items = f"json_extract_string({quote(source.unnest.column)}, '$[*]')"
                sql = (
                    f"SELECT *, unnest({items}) AS {quote(source.unnest.into)}, "
                    f"generate_subscripts({items}, 1) AS _place FROM {table}"
                )
                self._replace(name, f"SELECT * EXCLUDE (_place) FROM ({sql}) ORDER BY {INDEX}, _place")
            for column, text in source.derive.items():
                if column.lower() in (known.lower() for known in self._names(name)):
                    sql = f"SELECT * REPLACE (({text}\n)::VARCHAR AS {quote(column)}) FROM {table}"
                else:
                    sql = f"SELECT *, ({text}\n)::VARCHAR AS {quote(column)} FROM {table}"
                self._replace(name, f"{sql} ORDER BY {INDEX}")
            if source.where is not None:
                true = f"coalesce(({source.where}\n), false)"
                rows = self.table(f"SELECT {FILE_COLUMN}, {ROW_COLUMN} FROM {table} WHERE NOT {true} ORDER BY {INDEX}")
                message = "where: is not true of it"
                self.left_out += [
                    LeftOut(name, file, row, "plan", "where", message)
                    for file, row in zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True)
                ]
                self._replace(name, f"SELECT * FROM {table} WHERE {true} ORDER BY {INDEX}")
        except duckdb.Error as error:
            message = f"the source's verbs cannot be applied: {self.explain(error)}"
            problems.append(self.loaded.problem("expression", ("sources", name), message))
        self.columns[name] = self._names(name)
        renames = ", ".join(
            f"{quote(hidden)} AS {quote(within(name, hidden))}" for hidden in (INDEX, FILE_COLUMN, ROW_COLUMN)
        )
        hidden = f"{INDEX}, {FILE_COLUMN}, {ROW_COLUMN}"
        self._replace(name, f"SELECT * EXCLUDE ({hidden}), {renames} FROM {table} ORDER BY {INDEX}", renumber=False)

    def _replace(self, name: str, sql: str, *, renumber: bool = True) -> None:
        """Make the query's rows the source's table."""
        numbered = f"SELECT * REPLACE (row_number() OVER () - 1 AS {INDEX}) FROM ({sql})"
        self.run(f"CREATE OR REPLACE TABLE _shaped AS {numbered if renumber else sql}")
        self.run(f"DROP TABLE {quote(name)}")
        self.run(f"ALTER TABLE _shaped RENAME TO {quote(name)}")

    def _all(self, name: str) -> list[str]:
        return [str(column) for column in self._connection.table(quote(name)).columns]

    def _names(self, name: str) -> list[str]:
        hidden = (INDEX, FILE_COLUMN, ROW_COLUMN)
        return [column for column in self._all(name) if column not in hidden]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
