"""``csv`` and ``tsv``: one row a record; cells are text as they stand."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

from medshard.errors import ReadError
from medshard.source.base import LeftOut, SourceTable, match_patterns, rows_of_files, text_of
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import CsvSource, TsvSource

__all__ = ["read_csv", "read_tsv"]

csv.field_size_limit(64 * 2**20)  # a report may be long; a cell of more is a file that is no table


def read_csv(name: str, source: CsvSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Columns by the header line, or by ``columns``; rows counted from 1 after the header."""
    return _read(name, source, source.csv, source.delimiter, root, progress)


def read_tsv(name: str, source: TsvSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """As ``csv``, separated by tabs and unquoted unless ``quote`` is given."""
    return _read(name, source, source.tsv, "\t", root, progress)


def _read(
    name: str,
    source: CsvSource | TsvSource,
    patterns: object,
    delimiter: str,
    root: DataRoot,
    progress: Callable[[int], None],
) -> SourceTable:
    ragged: list[LeftOut] = []

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        stream = io.StringIO(text_of(root, path, source.encoding), newline="")
        for _ in range(source.skip_lines):
            stream.readline()
        quoted = source.quote != "none"
        reader = csv.reader(
            stream,
            delimiter=delimiter,
            quotechar=source.quote if quoted else None,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=True,
        )
        header = list(source.columns) if source.columns is not None else None
        number = 0
        try:
            for record in reader:
                if not record:
                    continue
                if header is None:
                    header = _header(record)
                    continue
                number += 1
                if len(record) != len(header):
                    message = f"the record has {len(record)} cells, the header {len(header)}"
                    ragged.append(LeftOut(name, path, number, "source", "ragged_row", message))
                    continue
                yield number, dict(zip(header, record, strict=True))
        except csv.Error as error:
            raise ReadError(f"is no table of that form near line {reader.line_num}: {error}") from error

    files = match_patterns(patterns, root)  # type: ignore[arg-type]
    table = rows_of_files(name, files, parse, progress)
    table.left_out += ragged
    return table


def _header(record: list[str]) -> list[str]:
    twice = {column for column in record if record.count(column) > 1 and column}
    if twice:
        raise ReadError(
            f"the header names {sorted(twice)[0]!r} twice; name the columns with columns: and skip_lines: 1"
        )
    return [column or f"column_{index + 1}" for index, column in enumerate(record)]
