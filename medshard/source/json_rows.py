"""``json`` and ``jsonl``: one row an element that a path selects; scalars as they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from medshard.errors import ReadError
from medshard.source.base import SourceTable, match_patterns, rows_of_files, text_of
from medshard.source.root import DataRoot
from medshard.spec.schema.sources import JsonlSource, JsonSource

__all__ = ["JsonPathError", "cell_text", "parse_json", "parse_rows_path", "read_json", "read_jsonl"]


class JsonPathError(ValueError):
    """A ``rows`` path is not well formed."""


class _Number(str):
    """A JSON number, as written; told apart from JSON text only where lists are written back."""

    __slots__ = ()


_STEP = re.compile(r"\[\*\]|\.\*|\.\{([A-Za-z_][A-Za-z0-9_]*)\}|\.([^.\[{*]+)")


def parse_rows_path(path: str) -> list[tuple[str, str]]:
    """``$.name[*].{capture}`` as steps: (``member``, name), (``elements``, ''), (``members``, capture or '')."""
    if not path.startswith("$"):
        raise JsonPathError(f"rows: {path!r} starts with '$', the document")
    steps, position = [], 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise JsonPathError(
                f"rows: {path!r}: after '$' come .name, [*], .* or .{{capture}}; see {path[position:]!r}"
            )
        capture, member = match.groups()
        if match[0] == "[*]":
            steps.append(("elements", ""))
        elif member is not None:
            steps.append(("member", member))
        else:
            steps.append(("members", capture or ""))
        position = match.end()
    return steps


def parse_json(text: str) -> Any:
    """JSON with numbers kept as written.

    Raises:
        ReadError: not JSON, or nested too deep.
    """
    try:
        return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
    except json.JSONDecodeError as error:
        raise ReadError(f"is not JSON: {error.msg} in line {error.lineno}", error_class="json") from error
    except RecursionError as error:
        raise ReadError("is nested too deep", error_class="json") from error


def cell_text(value: Any) -> str | None:
    """A JSON value as a cell: text and numbers as written, true and false as words, lists and objects as JSON."""
    if value is None:
        return None
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, _Number):
        try:
            return int(value)
        except ValueError:
            return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _cells(element: Any, captured: dict[str, str]) -> dict[str, str | None]:
    if isinstance(element, dict):
        return {**{key: cell_text(value) for key, value in element.items()}, **captured}
    return {"value": cell_text(element), **captured}


def _select(
    element: Any, steps: list[tuple[str, str]], captured: dict[str, str]
) -> Iterator[tuple[Any, dict[str, str]]]:
    if not steps:
        yield element, captured
        return
    (kind, name), rest = steps[0], steps[1:]
    if kind == "elements":
        if not isinstance(element, list):
            raise ReadError("the rows path says [*], but there is no list in that place", error_class="json")
        for item in element:
            yield from _select(item, rest, captured)
        return
    if not isinstance(element, dict):
        raise ReadError(f"the rows path wants a member ({kind}), but there is no object", error_class="json")
    if kind == "members":
        for key, item in element.items():
            yield from _select(item, rest, {**captured, name: key} if name else captured)
    elif name in element:
        yield from _select(element[name], rest, captured)
    else:
        raise ReadError(f"the rows path wants the member {name!r}, which is not there", error_class="json")


def read_json(name: str, source: JsonSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """One row an element that ``rows`` selects."""
    steps = parse_rows_path(source.rows)

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        document = parse_json(text_of(root, path, source.encoding))
        for number, (element, captured) in enumerate(_select(document, steps, {}), start=1):
            yield number, _cells(element, captured)

    return rows_of_files(name, match_patterns(source.json_, root), parse, progress)


def read_jsonl(name: str, source: JsonlSource, root: DataRoot, progress: Callable[[int], None]) -> SourceTable:
    """One row a line."""

    def parse(path: str) -> Iterator[tuple[int | None, dict[str, str | None]]]:
        for number, line in enumerate(text_of(root, path, source.encoding).split("\n"), start=1):
            if line.strip():
                yield number, _cells(parse_json(line), {})

    return rows_of_files(name, match_patterns(source.jsonl, root), parse, progress)
