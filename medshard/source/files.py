"""``files``: one row a file."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from medshard.source.base import FILE_COLUMN, ROW_COLUMN, SourceTable, match_patterns
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import FilesSource

__all__ = ["read_files"]


def read_files(name: str, source: FilesSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Captures and constants, ``path``, ``name``, ``stem`` (the name up to its first dot), ``size``."""
    table = match_patterns(source.files, root)
    paths = table["path"]
    names = pc.struct_field(pc.extract_regex(paths, r"(?P<name>[^/]*)$"), "name").cast(pa.string())
    stems = pc.struct_field(pc.extract_regex(names, r"^(?P<stem>[^.]*)"), "stem").cast(pa.string())
    columns = {column: table[column] for column in table.column_names}
    for column, values in (("name", names), ("stem", stems)):
        columns.setdefault(column, values)
    columns[FILE_COLUMN] = paths
    columns[ROW_COLUMN] = pa.nulls(len(table), pa.int64())
    progress(len(table))
    return SourceTable(name, pa.table(columns), [], len(table))
