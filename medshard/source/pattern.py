"""Path patterns with named captures.

All characters are literal except ``{capture}`` (one path part or a piece of one), ``{capture:regex}``, ``{_}`` (any,
unnamed), ``*`` (any within a path part), ``**`` (any number of path parts) and ``!/``, which goes into an archive, as
often as needed. A capture that occurs twice must be equal. Matching is case-sensitive and linear in time (RE2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CompiledPattern", "PatternError", "compile_pattern"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class PatternError(ValueError):
    """A pattern is not well formed; the message says where."""


@dataclass(frozen=True)
class CompiledPattern:
    """A pattern, ready to match.

    Attributes:
        text: as written.
        segments: one regular expression a level: the path, then the member of each archive.
        captures: the names, in the order of their first place.
    """

    text: str
    segments: tuple[str, ...]
    captures: tuple[str, ...]

    def captures_until(self, level: int) -> list[str]:
        """The captures of all levels up to and with ``level``."""
        here = "".join(self.segments[: level + 1])
        return [name for name in self.captures if f"(?P<{name}>" in here or f"(?P<{name}__again" in here]

    def match(self, level: int, paths: pa.Array) -> pa.Table:
        """Rows of ``paths`` that level ``level`` matches.

        Args:
            level: 0 for the path itself, 1 for members of the archive that it names...
            paths: text.

        Returns:
            ``index`` (int64, into ``paths``) and one text column a capture of that level. A capture that occurs twice
            is checked for equality.
        """
        regex = self.segments[level]
        groups = list(re.compile(regex).groupindex) if "(?P<" in regex else []
        hits = pc.fill_null(pc.match_substring_regex(paths, regex), False)
        index = pc.indices_nonzero(hits)
        columns: dict[str, pa.Array] = {"index": index.cast(pa.int64())}
        if groups:
            found = pc.extract_regex(paths.take(index), regex)
            for group in groups:
                columns[group] = pc.struct_field(found, group)
        table = pa.table(columns)
        for group in [name for name in groups if "__again" in name]:
            first = group.split("__again")[0]
            if first not in table.column_names:  # it stands in an outer level; the caller compares the two
                table = table.append_column(first, table[group])
            table = table.filter(pc.equal(table[group], table[first])).drop_columns([group])
        return table


def compile_pattern(text: str) -> CompiledPattern:
    """Compile a pattern.

    Raises:
        PatternError: unbalanced braces, a bad capture name, or a regular expression that RE2 refuses.
    """
    if text.startswith("/") or text.endswith("/"):
        raise PatternError(f"pattern {text!r}: a path below the dataset's root neither starts nor ends with '/'")
    seen: dict[str, int] = {}
    segments = []
    for part in _split_archives(text):
        regex = _segment(part, text, seen)
        try:
            pc.match_substring_regex(pa.array([""]), regex)
        except pa.ArrowInvalid as error:
            reason = str(error).split("error: ")[-1]
            raise PatternError(f"pattern {text!r}: {reason}") from error
        segments.append(regex)
    return CompiledPattern(text, tuple(segments), tuple(seen))


def _split_archives(text: str) -> list[str]:
    """Split at ``!/`` outside braces."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0 and text.startswith("!/", position):
            parts.append(text[start:position])
            start = position + 2
    parts.append(text[start:])
    if any(not part for part in parts):
        raise PatternError(f"pattern {text!r}: nothing stands before or after '!/'")
    return parts


def _segment(part: str, text: str, seen: dict[str, int]) -> str:
    """One level as a regular expression; counts each capture's places in ``seen``."""
    pieces = ["^"]
    position = 0
    while position < len(part):
        if part.startswith("**/", position):
            pieces.append("(?:[^/]+/)*")
            position += 3
        elif part.startswith("**", position):
            pieces.append(".*")
            position += 2
        elif part[position] == "*":
            pieces.append("[^/]*")
            position += 1
        elif part[position] == "{":
            end = _closing_brace(part, position, text)
            name, colon, regex = part[position + 1 : end].partition(":")
            pieces.append(_capture(name, regex if colon else None, text, seen))
            position = end + 1
        elif part[position] == "}":
            raise PatternError(f"pattern {text!r}: a '}}' without '{{' at character {position + 1}")
        else:
            pieces.append(re.escape(part[position]))
            position += 1
    pieces.append("$")
    return "".join(pieces)


def _closing_brace(part: str, start: int, text: str) -> int:
    depth = 0
    for position in range(start, len(part)):
        depth += (part[position] == "{") - (part[position] == "}")
        if depth == 0:
            return position
    raise PatternError(f"pattern {text!r}: a '{{' is not closed")


def _capture(name: str, regex: str | None, text: str, seen: dict[str, int]) -> str:
    if regex is not None and ("(?P<" in regex or "(?<" in regex):
        raise PatternError(f"pattern {text!r}: groups inside a regular expression have no names; write {{name:regex}}")
    inner = "[^/]+" if regex is None else f"(?:{_without_groups(regex)})"
    if name == "_":
        return "[^/]*" if regex is None else inner
    if not _NAME.fullmatch(name) or "__again" in name:
        raise PatternError(f"pattern {text!r}: {name!r} is no capture name; use letters, digits and '_'")
    count = seen.get(name, 0)
    seen[name] = count + 1
    return f"(?P<{name}{f'__again{count}' if count else ''}>{inner})"


def _without_groups(regex: str) -> str:
    """Plain groups become non-capturing, so that only the pattern's own names capture."""
    out: list[str] = []
    in_class = escaped = False
    for position, character in enumerate(regex):
        out.append(character)
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        elif character == "(" and not in_class and regex[position + 1 : position + 2] != "?":
            out.append("?:")
    return "".join(out)
