"""``dicom``: one row a file, with header attributes by keyword and the stack that the file belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pyarrow as pa

from medshard.readers.dicom import StackHeader, dicom_header, open_header, stack_header, stacks_of
from medshard.source.base import FILE_COLUMN, STACK_COLUMN, SourceTable, match_patterns, rows_of_files
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import DicomSource

__all__ = ["read_dicom"]


def read_dicom(name: str, source: DicomSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Allow-listed attributes as text, ``path``, ``size``, and of the file's stack ``stack`` and ``stack_files``.

    A file that is no DICOM is left out.
    """
    files = match_patterns(source.dicom, root)
    sizes = dict(zip(files["path"].to_pylist(), files["size"].to_pylist(), strict=True))
    headers: dict[str, StackHeader] = {}

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        dataset = open_header(root.blob(path, sizes[path]))
        headers[path] = stack_header(dataset)
        cells = {**dicom_header(dataset), "path": path, "size": str(sizes[path])}
        weighting = headers[path].further.get("b_value_s_per_mm2")
        cells["DiffusionBValue"] = f"{weighting[0]:g}" if weighting is not None else None
        yield None, cells

    rows = rows_of_files(name, files, parse, progress)
    paths = rows.table[FILE_COLUMN].to_pylist()
    stacks = stacks_of([headers[path] for path in paths], paths)
    members = Counter(stacks.names)
    columns = {STACK_COLUMN: stacks.names, "stack_files": [str(members[stack]) for stack in stacks.names]}
    for column, values in columns.items():
        if column not in rows.table.column_names:
            rows.table = rows.table.append_column(column, pa.array(values, pa.string()))
    rows.series = stacks.account
    return rows
