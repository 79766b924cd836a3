"""``dicom``: one row a file, with header attributes by keyword."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from medshard.readers.dicom import dicom_header
from medshard.source.base import SourceTable, match_patterns, rows_of_files
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import DicomSource

__all__ = ["read_dicom"]


def read_dicom(name: str, source: DicomSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Allow-listed attributes as text, and ``path`` and ``size``; a file that is no DICOM is left out."""
    files = match_patterns(source.dicom, root)
    sizes = dict(zip(files["path"].to_pylist(), files["size"].to_pylist(), strict=True))

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        header = dicom_header(root.blob(path, sizes[path]))
        yield None, {**header, "path": path, "size": str(sizes[path])}

    return rows_of_files(name, files, parse, progress)
