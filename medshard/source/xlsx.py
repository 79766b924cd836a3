"""``xlsx``: one row a row of a worksheet."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any
from zipfile import BadZipFile

from medshard.errors import MissingExtraError, ReadError
from medshard.source.base import SourceTable, match_patterns, rows_of_files
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import XlsxSource

__all__ = ["read_xlsx"]


def read_xlsx(name: str, source: XlsxSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Cells as text: whole numbers without a point, dates as ISO 8601, empty as null; formulas by stored value."""
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise MissingExtraError("Reading .xlsx", "openpyxl", "xlsx") from error

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        try:
            book = load_workbook(io.BytesIO(root.read(path)), read_only=True, data_only=True)
        except (InvalidFileException, BadZipFile, KeyError, ValueError, OSError) as error:
            raise ReadError("is no .xlsx workbook", error_class="xlsx") from error
        if source.sheet is not None and source.sheet not in book.sheetnames:
            raise ReadError(f"has no sheet {source.sheet!r}; sheets: {', '.join(book.sheetnames)}")
        sheet = book[source.sheet] if source.sheet is not None else book[book.sheetnames[0]]
        rows = sheet.iter_rows(min_row=source.header_row, values_only=True)
        header = [_text(cell) or f"column_{index + 1}" for index, cell in enumerate(next(rows, ()))]
        for number, row in enumerate(rows, start=1):
            cells = [_text(cell) for cell in row]
            if any(cell is not None for cell in cells):
                yield number, dict(zip(header, cells, strict=False))

    return rows_of_files(name, match_patterns(source.xlsx, root), parse, progress)


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    return str(cell)
