"""Every kind of source, by name, and the reading of all sources of a spec."""

from __future__ import annotations

from collections.abc import Callable

from medshard.errors import PlanError, Problem, ReadError
from medshard.registry import Entry, Registry
from medshard.source.base import SourceReader, SourceTable
from medshard.source.root import DataRoot
from medshard.spec.load import LoadedSpec

__all__ = ["SOURCES", "kind_of", "read_sources"]

SOURCES: Registry[SourceReader] = Registry(
    "source",
    {
        "files": Entry("medshard.source.files:read_files"),
        "csv": Entry("medshard.source.delimited:read_csv"),
        "tsv": Entry("medshard.source.delimited:read_tsv"),
        "xlsx": Entry("medshard.source.xlsx:read_xlsx", extra="xlsx"),
        "json": Entry("medshard.source.json_rows:read_json"),
        "jsonl": Entry("medshard.source.json_rows:read_jsonl"),
        "xml": Entry("medshard.source.xml_rows:read_xml"),
        "coco": Entry("medshard.source.coco:read_coco"),
        "dicom": Entry("medshard.source.dicom:read_dicom"),
    },
)


def kind_of(source: object) -> str:
    """The kind's name of a typed source."""
    return type(source).__name__.removesuffix("Source").lower()


def read_sources(
    loaded: LoadedSpec, root: DataRoot, progress: Callable[[int], None] = lambda _: None
) -> tuple[dict[str, SourceTable], list[Problem]]:
    """The tables of all sources, and warnings; without bytes, only those sources that list files.

    Raises:
        PlanError: a source cannot be read at all; holds the problems of all sources.
    """
    tables: dict[str, SourceTable] = {}
    problems: list[Problem] = []
    for name, source in loaded.spec.sources.items():
        kind = kind_of(source)
        if not root.has_bytes and kind != "files":
            continue
        try:
            tables[name] = SOURCES.get(kind)(name, source, root, progress)
        except ReadError as error:
            problems.append(loaded.problem("source", ("sources", name), error.reason))
            continue
        if tables[name].files == 0:
            message = "no file below the data root matches."
            problems.append(loaded.problem("no-files", ("sources", name), message, severity="warning"))
    if any(problem.severity == "error" for problem in problems):
        raise PlanError(problems)
    return tables, problems
