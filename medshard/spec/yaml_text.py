"""YAML in which every scalar is text, with the line of each value.

``NO``, ``on``, ``012``, ``1e3`` and ``2020-01-01`` survive as written; the schema gives them their type. Aliases,
anchors, merge keys and tags are refused: a reader must see the whole truth in one place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import yaml

from medshard.errors import Problem, SpecError

__all__ = ["Document", "TextTree", "parse_yaml", "read_yaml"]

TextTree: TypeAlias = "str | list[TextTree] | dict[str, TextTree]"

_MAX_BYTES = 4 * 1024 * 1024  # far above any hand-written spec; bounds what a hostile file can cost
_MAX_DEPTH = 40


class Document:
    """A parsed file.

    Attributes:
        file: the path as the user gave it.
        tree: mappings, lists and text.
        lines: 1-based line of each value, by path; a mapping's entry has the line of its key.
    """

    def __init__(self, file: str, tree: TextTree, lines: dict[tuple[str | int, ...], int]) -> None:
        self.file = file
        self.tree = tree
        self.lines = lines

    def line(self, path: tuple[str | int, ...]) -> int:
        """The line of the value at ``path``, or of the nearest part that holds it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def problem(self, code: str, path: tuple[str | int, ...], message: str, **details: object) -> Problem:
        """A problem at ``path``, with file and line filled in."""
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return Problem(code, message, file=self.file, line=self.line(path), field=field, **details)  # type: ignore[arg-type]


def read_yaml(path: Path) -> Document:
    """Parse a file.

    Raises:
        SpecError: the file is absent, too large, not UTF-8, or not YAML of the allowed kind.
    """
    try:
        size_bytes = path.stat().st_size
        data = path.read_bytes() if size_bytes <= _MAX_BYTES else b""
    except OSError as error:
        raise SpecError([Problem("unreadable", f"cannot be read: {error.strerror}.", file=str(path))]) from error
    if size_bytes > _MAX_BYTES:
        message = f"has {size_bytes} bytes; a spec may have {_MAX_BYTES}."
        raise SpecError([Problem("too-large", message, file=str(path))])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: byte {error.start} cannot be decoded."
        raise SpecError([Problem("not-utf8", message, file=str(path))]) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> Document:
    """Parse YAML text; see ``read_yaml``."""
    try:
        tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
        problems = [_refuse(token, file) for token in tokens if isinstance(token, _REFUSED)]
        if problems:
            raise SpecError(problems)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "not valid YAML"
        line = mark.line + 1 if mark else 0
        raise SpecError([Problem("yaml", f"is not valid YAML: {what}.", file=file, line=line)]) from error
    except RecursionError as error:
        raise SpecError([Problem("yaml", f"is nested deeper than {_MAX_DEPTH} levels.", file=file)]) from error
    if node is None:
        raise SpecError([Problem("empty", "is empty.", file=file, line=1)])
    document = Document(file, "", {})
    problems = []
    document.tree = _convert(node, (), document, problems)
    if problems:
        raise SpecError(problems)
    return document


_REFUSED = (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken, yaml.DirectiveToken)


def _refuse(token: yaml.Token, file: str) -> Problem:
    what = {
        yaml.AliasToken: "an alias (*name)",
        yaml.AnchorToken: "an anchor (&name)",
        yaml.TagToken: "a tag (!name)",
        yaml.DirectiveToken: "a directive (%...)",
    }[type(token)]
    line = token.start_mark.line + 1
    return Problem("yaml-feature", f"{what} is not allowed here: write the value out.", file=file, line=line)


def _convert(node: yaml.Node, path: tuple[str | int, ...], document: Document, problems: list[Problem]) -> TextTree:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _MAX_DEPTH:
        problems.append(document.problem("yaml", path, f"is nested deeper than {_MAX_DEPTH} levels."))
        return ""
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, TextTree] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                problems.append(document.problem("yaml", path, "a key must be a word or text."))
                continue
            key = str(key_node.value)
            inner = (*path, key)
            line = key_node.start_mark.line + 1
            if key in mapping:
                first = document.lines[inner]
                message = f"stands twice in one mapping, first on line {first}."
                problems.append(Problem("duplicate-key", message, file=document.file, line=line, field=key))
                continue
            document.lines[inner] = line
            mapping[key] = _convert(value_node, inner, document, problems)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_convert(item, (*path, index), document, problems) for index, item in enumerate(node.value)]
    if node.value == "" and getattr(node, "style", None) is None:
        problems.append(document.problem("no-value", path, "has no value; write '' for empty text."))
    return str(node.value)
