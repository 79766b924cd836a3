"""Sources: listings of what lies on disk, as tables. No pixels are read here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from medshard.spec.schema.base import Column, Expression, Node

__all__ = [
    "CocoSource",
    "CsvSource",
    "DicomSource",
    "FilePattern",
    "FilesSource",
    "FirstOf",
    "JsonSource",
    "JsonlSource",
    "Pattern",
    "Patterns",
    "Source",
    "TsvSource",
    "Unnest",
    "Unpivot",
    "XlsxSource",
    "XmlColumn",
    "XmlSource",
]

Pattern = Annotated[str, Field(min_length=1, max_length=1000)]
"""A path pattern: literal but for ``{capture}``, ``{capture:regex}``, ``{_}``, ``*``, ``**`` and ``!/``."""


class FilePattern(Node):
    """A pattern with constants for its rows.

    Attributes:
        pattern: what to match.
        set: columns that every matched file gets.
        exclude: patterns of files that are not meant.
    """

    pattern: Pattern
    set: dict[Column, str] = {}
    exclude: list[Pattern] = []


class FirstOf(Node):
    """Packagings of one release; exactly one may match."""

    first_of: Annotated[list[Pattern | FilePattern], Field(min_length=2)]


Patterns = Pattern | FilePattern | FirstOf | list[Pattern | FilePattern]


class Unnest(Node):
    """One row becomes one row an element of a JSON list in ``column``, placed in ``into`` as text."""

    column: Column
    into: Column


class Unpivot(Node):
    """One row becomes one row a listed column: its name in ``name``, its cell in ``value``."""

    columns: Annotated[list[Column], Field(min_length=1)]
    name: Column
    value: Column


class _Source(Node):
    """What every source may say.

    Attributes:
        unpivot: wide to long, before anything else.
        unnest: lists to rows, after ``unpivot``.
        derive: further columns, each an expression over the row.
        where: rows for which this is not true are not of this source.
        note: for the reader of the spec.
    """

    unpivot: Unpivot | None = None
    unnest: Unnest | None = None
    derive: dict[Column, Expression] = {}
    where: Expression | None = None
    note: str | None = None


class FilesSource(_Source):
    """One row a file: captures, ``path``, ``name``, ``stem``, ``size``."""

    files: Patterns


class _Delimited(_Source):
    """One row a record of a text table; all cells are text.

    Attributes:
        encoding: Python codec name.
        columns: names of the columns when the file has no header line.
        skip_lines: lines before the header (or before the first record).
    """

    encoding: str = "utf-8"
    columns: list[Column] | None = None
    skip_lines: Annotated[int, Field(ge=0)] = 0


class CsvSource(_Delimited):
    """Separated by commas, or by ``delimiter``; quoted with ``"``, or with ``quote`` (``none`` for no quoting)."""

    csv: Patterns
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: str = '"'


class TsvSource(_Delimited):
    """Separated by tabs, without quoting unless ``quote`` is given."""

    tsv: Patterns
    quote: str = "none"


class XlsxSource(_Source):
    """One row a row of a worksheet; cells as their stored text.

    Attributes:
        sheet: name of the worksheet; the first when left out.
        header_row: 1-based row that holds the column names.
    """

    xlsx: Patterns
    sheet: str | None = None
    header_row: Annotated[int, Field(ge=1)] = 1


class JsonSource(_Source):
    """One row an element that ``rows`` selects.

    ``rows`` is a path: ``$`` the document, ``.name`` a member, ``[*]`` all elements of a list, ``.*`` all members,
    ``.{capture}`` all members with the member's name in a column. Scalars become text as written; lists and objects
    stay JSON text; a row that is itself a scalar has the column ``value``.
    """

    json_: Patterns = Field(alias="json")
    rows: str = "$[*]"
    encoding: str = "utf-8"


class JsonlSource(_Source):
    """One row a line, each a JSON object."""

    jsonl: Patterns
    encoding: str = "utf-8"


class XmlColumn(Node):
    """A column that takes all matches, as a JSON list of text."""

    all: str


class XmlSource(_Source):
    """One row an element that ``rows`` selects, ``.`` for one row a document.

    Paths are ElementTree's XPath subset, relative to the row's element or, with a leading ``/``, to the root; the
    last step may be ``@attribute``. A column's path must match at most once, else write ``{all: path}``.
    """

    xml: Patterns
    rows: str = "."
    columns: dict[Column, str | XmlColumn]


class CocoSource(_Source):
    """COCO JSON: one row an image, or one an annotation with the columns of its image and category.

    Columns of images: all scalar members. Of annotations: ``annotation_id``, ``category``, ``category_id``,
    ``bbox_x``, ``bbox_y``, ``bbox_w``, ``bbox_h``, ``area``, ``iscrowd``, ``segmentation``, and the image's members.
    """

    coco: Patterns
    rows: Literal["images", "annotations"]


class DicomSource(_Source):
    """One row a DICOM file: captures, ``path`` and header attributes by keyword, as text."""

    dicom: Patterns


_KINDS = ("files", "csv", "tsv", "xlsx", "json", "jsonl", "xml", "coco", "dicom")


def _kind_of_source(value: Any) -> str | None:
    if isinstance(value, dict):
        found = [kind for kind in _KINDS if kind in value]
        return found[0] if len(found) == 1 else None
    return type(value).__name__.removesuffix("Source").lower()


Source = Annotated[
    Annotated[FilesSource, Tag("files")]
    | Annotated[CsvSource, Tag("csv")]
    | Annotated[TsvSource, Tag("tsv")]
    | Annotated[XlsxSource, Tag("xlsx")]
    | Annotated[JsonSource, Tag("json")]
    | Annotated[JsonlSource, Tag("jsonl")]
    | Annotated[XmlSource, Tag("xml")]
    | Annotated[CocoSource, Tag("coco")]
    | Annotated[DicomSource, Tag("dicom")],
    Discriminator(
        _kind_of_source,
        custom_error_type="source_kind",
        custom_error_message=f"a source has exactly one of: {', '.join(_KINDS)}",
    ),
]
"""Any source, told apart by which listing it names."""
