"""``variants``: a table of parameters over one layout, expanded before anything is typed.

``{param}`` inside a text takes the parameter's text; a text that is nothing but ``{param}`` takes the parameter as it
is, list or mapping. A parameter that a row lacks is null, and a line whose value is null is as if not written.
"""

from __future__ import annotations

import re

from medshard.errors import Problem, SpecError
from medshard.spec.yaml_text import Document, TextTree

__all__ = ["expand_variants"]

_PARAMETER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class _Null:
    """A value that is as if not written."""


_NULL = _Null()


def expand_variants(document: Document) -> list[Document]:
    """One document a row of ``variants``, or the document itself when it has none."""
    tree = document.tree
    if not isinstance(tree, dict) or "variants" not in tree:
        return [document]
    rows = tree["variants"]
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        message = "is a list of rows, each a mapping of parameters."
        raise SpecError([document.problem("variants", ("variants",), message)])
    table = [row for row in rows if isinstance(row, dict)]
    parameters = sorted({name for row in table for name in row})
    body = {key: value for key, value in tree.items() if key != "variants"}
    problems = _check(document, table, body)
    if problems:
        raise SpecError(problems)
    expanded = []
    for row in table:
        values = {name: row.get(name, _NULL) for name in parameters}
        filled = _fill(body, values)
        assert isinstance(filled, dict)
        expanded.append(Document(document.file, filled, document.lines))
    return expanded


def _check(document: Document, rows: list[dict[str, TextTree]], body: TextTree) -> list[Problem]:
    """Two rows that give one spec, and parameters that nothing uses, are mistakes."""
    problems = []
    used = set(_PARAMETER.findall(_all_text(body)))
    for index, row in enumerate(rows):
        for name in row:
            if name not in used:
                message = f"the parameter {name!r} is used nowhere; write {{{name}}} where it belongs."
                problems.append(document.problem("variants", ("variants", index, name), message))
    if isinstance(body, dict):
        written = body.get("name")
        names = [str(_fill(written, row)) for row in rows] if isinstance(written, str) else []
        if len(set(names)) != len(rows):
            message = "two rows give the same dataset name; put a parameter such as {slug} into name."
            problems.append(document.problem("variants", ("name",), message))
    return problems


def _all_text(tree: TextTree) -> str:
    if isinstance(tree, dict):
        return "\n".join([*tree.keys(), *(_all_text(value) for value in tree.values())])
    if isinstance(tree, list):
        return "\n".join(_all_text(item) for item in tree)
    return tree


def _fill(tree: TextTree, values: dict[str, TextTree | _Null] | dict[str, TextTree]) -> TextTree | _Null:
    if isinstance(tree, dict):
        filled = {_fill_key(key, values): _fill(value, values) for key, value in tree.items()}
        return {key: value for key, value in filled.items() if not isinstance(value, _Null)}
    if isinstance(tree, list):
        items = [_fill(item, values) for item in tree]
        return [item for item in items if not isinstance(item, _Null)]
    whole = _PARAMETER.fullmatch(tree)
    if whole and whole[1] in values:
        return values[whole[1]]
    names = [name for name in _PARAMETER.findall(tree) if name in values]
    text = tree
    for name in names:
        value = values[name]
        if not isinstance(value, str):
            return _NULL
        text = text.replace(f"{{{name}}}", value)
    return text


def _fill_key(key: str, values: dict[str, TextTree | _Null] | dict[str, TextTree]) -> str:
    filled = _fill(key, values)
    return filled if isinstance(filled, str) else key
