"""What every source gives: a table of text, and what could not be a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from medshard.errors import ReadError
from medshard.readers.packed import read_gzip
from medshard.source.pattern import compile_pattern
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import FilePattern, FirstOf, Patterns

if TYPE_CHECKING:
    from medshard.readers.dicom import SeriesAccount

__all__ = [
    "FILE_COLUMN",
    "ROW_COLUMN",
    "STACK_COLUMN",
    "LeftOut",
    "RowTable",
    "SourceReader",
    "SourceTable",
    "match_patterns",
    "text_of",
]

FILE_COLUMN = "_file"
"""Hidden column of every source table: the file that the row was read from."""

ROW_COLUMN = "_row"
"""Hidden column: 1-based row, element or record in that file; null when the row is the file."""

STACK_COLUMN = "stack"
"""Column of a ``dicom`` source: files with one value of it are one volume."""


@dataclass(frozen=True)
class LeftOut:
    """Something of the source that is in no sample.

    Attributes:
        source: name of the source in the spec.
        file: path below the root; null when no file exists.
        row: 1-based row in the file; null for the file as a whole.
        stage: where it was left out: ``source``, ``plan``, ``read``, ``facts``, ``write``.
        error_class: short word to count by.
        message: the reason; never quotes metadata of the file.
    """

    source: str
    file: str | None
    row: int | None
    stage: str
    error_class: str
    message: str


@dataclass
class SourceTable:
    """The rows of one source.

    Attributes:
        name: the source's name in the spec.
        table: columns of text, ``size`` int64, and the hidden columns ``_file`` and ``_row``.
        left_out: what could not be a row.
        files: how many files were matched.
        series: of a ``dicom`` source, what became of its series.
    """

    name: str
    table: pa.Table
    left_out: list[LeftOut] = field(default_factory=list)
    files: int = 0
    series: SeriesAccount | None = None


class SourceReader(Protocol):
    """Lists one kind of source.

    Raises:
        ReadError: never for a single damaged file or row, which goes to ``left_out``.
    """

    def __call__(self, name: str, source: Any, root: DataRoot, progress: Callable[[int], None]) -> SourceTable: ...


class RowTable:
    """Collects rows whose columns are not known beforehand, as text."""

    def __init__(self, first_columns: list[str]) -> None:
        self._columns: dict[str, list[str | None]] = {name: [] for name in first_columns}
        self._files: list[str] = []
        self._rows: list[int | None] = []

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file: str, row: int | None, cells: dict[str, str | None]) -> None:
        """Append one row; a column that is new is null in all rows before."""
        count = len(self._files)
        for name in cells:
            if name not in self._columns:
                self._columns[name] = [None] * count
        for name, column in self._columns.items():
            column.append(cells.get(name))
        self._files.append(file)
        self._rows.append(row)

    def table(self) -> pa.Table:
        """All rows, with the hidden columns last."""
        columns = {name: pa.array(values, pa.string()) for name, values in self._columns.items()}
        columns[FILE_COLUMN] = pa.array(self._files, pa.string())
        columns[ROW_COLUMN] = pa.array(self._rows, pa.int64())
        return pa.table(columns)


def _pattern_list(patterns: Patterns) -> list[FilePattern]:
    items = patterns if isinstance(patterns, list) else [patterns]
    return [
        FilePattern(pattern=item) if isinstance(item, str) else item for item in items if not isinstance(item, FirstOf)
    ]


def match_patterns(patterns: Patterns, root: DataRoot) -> pa.Table:
    """Files that any of the patterns matches: captures and constants as text, ``path``, ``size``; sorted by path.

    Raises:
        ReadError: two patterns match one file, or several packagings of ``first_of`` are there.
    """
    if isinstance(patterns, FirstOf):
        found = [match_patterns(choice, root) for choice in patterns.first_of]
        there = [index for index, table in enumerate(found) if len(table)]
        if len(there) > 1:
            names = [choice if isinstance(choice, str) else choice.pattern for choice in patterns.first_of]
            listed = " and ".join(repr(names[index]) for index in there)
            raise ReadError(f"first_of: {listed} both match files; keep one packaging below the root")
        return found[there[0]] if there else found[0]
    tables = []
    for entry in _pattern_list(patterns):
        table = root.match(compile_pattern(entry.pattern))
        for unwanted in entry.exclude:
            excluded = set(root.match(compile_pattern(unwanted))["path"].to_pylist())
            table = table.filter(pa.array([path not in excluded for path in table["path"].to_pylist()], pa.bool_()))
        for column, value in entry.set.items():
            if column in table.column_names:
                table = table.drop_columns([column])
            table = table.append_column(column, pa.array([value] * len(table), pa.string()))
        tables.append(table)
    whole = pa.concat_tables(tables, promote_options="default").sort_by("path")
    paths = whole["path"].to_pylist()
    twice = next((path for path, following in itertools.pairwise(paths) if path == following), None)
    if twice is not None:
        raise ReadError(f"two patterns of one source match the same file {twice!r}; use exclude or narrower patterns")
    return whole


def text_of(root: DataRoot, path: str, encoding: str) -> str:
    """A file as text; ``.gz`` is unpacked.

    Raises:
        ReadError: unreadable, or not of that encoding (says where and what to write instead).
    """
    data = root.read(path)
    if path.lower().endswith(".gz"):
        data = read_gzip(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        hint = "name another with encoding: (latin-1, utf-16, gb18030...)"
        raise ReadError(f"byte {error.start} is not {encoding}; {hint}", error_class="encoding") from error
    except LookupError as error:
        raise ReadError(f"{encoding!r} is no encoding that Python knows", error_class="encoding") from error
    return text.removeprefix("\ufeff")


def rows_of_files(
    name: str,
    files: pa.Table,
    parse: Callable[[str], Iterator[tuple[int | None, dict[str, str | None]]]],
    progress: Callable[[int], None],
) -> SourceTable:
    """Parse each file into rows that also carry the file's captures; a file that fails is left out whole.

    Args:
        parse: gives (row number, cells) for a path; may raise ``ReadError``. A cell's column stands over a capture
            of the same name only when the two are equal; otherwise the row is left out.
    """
    captures = [column for column in files.column_names if column not in ("path", "size")]
    rows = RowTable(captures)
    left_out: list[LeftOut] = []
    for entry in files.to_pylist():
        path = entry["path"]
        constant = {column: entry[column] for column in captures}
        try:
            parsed = list(parse(path))
        except ReadError as error:
            left_out.append(LeftOut(name, path, None, "source", error.error_class, error.reason))
            progress(1)
            continue
        for number, cells in parsed:
            clash = [column for column in cells if column in constant and cells[column] != constant[column]]
            if clash:
                message = f"the column {clash[0]!r} differs from the capture of that name in the file's path"
                left_out.append(LeftOut(name, path, number, "source", "contradiction", message))
                continue
            rows.add(path, number, {**constant, **cells})
        progress(1)
    return SourceTable(name, rows.table(), left_out, len(files))
