"""``xml``: one row an element; columns by ElementTree's XPath subset."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from medshard.errors import ReadError
from medshard.readers.packed import read_gzip
from medshard.source.base import SourceTable, match_patterns, rows_of_files
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import XmlColumn, XmlSource

__all__ = ["read_xml"]


def read_xml(name: str, source: XmlSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """Rows as ``XmlSource`` says. Entities, external or internal, are refused."""

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        data = root.read(path)
        if path.lower().endswith(".gz"):
            data = read_gzip(data)
        try:
            document = ElementTree.fromstring(data)
        except ParseError as error:
            raise ReadError(f"is not well-formed XML near line {error.position[0]}", error_class="xml") from error
        except DefusedXmlException as error:
            raise ReadError("declares entities, which are not read", error_class="xml") from error
        except (ValueError, LookupError) as error:
            raise ReadError("is in an encoding that cannot be read", error_class="encoding") from error
        elements = [document] if source.rows == "." else document.findall(source.rows)
        for number, element in enumerate(elements, start=1):
            cells = {column: _cell(document, element, path) for column, path in source.columns.items()}
            yield (None if source.rows == "." else number), cells

    return rows_of_files(name, match_patterns(source.xml, root), parse, progress)


def _cell(document: Element, element: Element, column: str | XmlColumn) -> str | None:
    path = column if isinstance(column, str) else column.all
    found = _find(document, element, path)
    if isinstance(column, XmlColumn):
        return json.dumps(found, ensure_ascii=False)
    if len(found) > 1:
        raise ReadError(f"the path {path!r} matches {len(found)} times; write {{all: {path}}}", error_class="xml")
    return found[0] if found else None


def _find(document: Element, element: Element, path: str) -> list[str]:
    if path.startswith("/"):
        element, path = document, path[1:]
    steps, _, attribute = path.rpartition("@") if "@" in path and not path.endswith("]") else (path, "", "")
    steps = steps.rstrip("/")
    try:
        elements = [element] if steps in ("", ".") else element.findall(steps)
    except (SyntaxError, KeyError) as error:
        raise ReadError(f"the path {path!r} is not of ElementTree's XPath subset", error_class="xml") from error
    if attribute:
        return [value for item in elements if (value := item.get(attribute)) is not None]
    return ["".join(item.itertext()) for item in elements]
