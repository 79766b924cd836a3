"""From a raw value to a concept: ``map``, then ``match``, then ``drop``.

Regular expressions are RE2 (linear time), since a spec is untrusted input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from medshard.spec.schema.facts import ConceptRef
from medshard.spec.schema.facts import ValueMap as SpecMap
from medshard.spec.taxonomy import Taxonomy

__all__ = ["DROPPED", "Meaning", "UnmappedValueError", "ValueMap", "regex_problem"]


class UnmappedValueError(ValueError):
    """A value that no line of the map covers."""


@dataclass(frozen=True)
class Meaning:
    """What a raw value says.

    Attributes:
        concept: id of the concept.
        side, side_frame: the side that the value names, and whose.
    """

    concept: str
    side: Literal["left", "right", "both", "midline"] | None = None
    side_frame: Literal["patient", "image"] | None = None


DROPPED = Meaning("")
"""The value is no fact, for the reason that ``drop`` gives."""


class ValueMap:
    """A fact's map with its concepts resolved.

    Raises:
        KeyError: a concept of the map is not in the taxonomy; see ``Taxonomy.find``.
    """

    def __init__(
        self,
        mapping: SpecMap,
        match: Mapping[str, str | ConceptRef],
        drop: Mapping[str, str],
        taxonomy: Taxonomy,
    ) -> None:
        self._taxonomy = taxonomy
        self._same_name = mapping == "same_name"
        named = mapping if isinstance(mapping, dict) else {}
        self._named = {value: self._meaning(target) for value, target in named.items()}
        self._match = dict(match)
        self._drop = dict(drop)
        self._known: dict[str, Meaning] = {}
        for target in match.values():
            name = target if isinstance(target, str) else target.concept
            if "{" not in name:
                taxonomy.find(name)

    def _meaning(self, target: str | ConceptRef) -> Meaning:
        if isinstance(target, str):
            return Meaning(self._taxonomy.find(target).id)
        if target.side == "{1}" or target.side == "{2}":
            raise KeyError(f"the side {target.side} is a group of a pattern, which only a line of match has")
        return Meaning(self._taxonomy.find(target.concept).id, target.side, target.side_frame)

    def __call__(self, raw: str) -> Meaning:
        """What a value says; ``DROPPED`` when it is no fact.

        Raises:
            UnmappedValueError: no line covers it.
        """
        if raw not in self._known:
            self._known[raw] = self._resolve(raw)
        return self._known[raw]

    def _resolve(self, raw: str) -> Meaning:
        if raw in self._named:
            return self._named[raw]
        for pattern, target in self._match.items():
            if _matches(pattern, raw):
                return self._meaning(_filled(pattern, raw, target))
        if raw in self._drop or any(_matches(pattern, raw) for pattern in self._drop):
            return DROPPED
        if self._same_name:
            try:
                return Meaning(self._taxonomy.find(raw).id)
            except KeyError as error:
                raise UnmappedValueError(str(error.args[0])) from error
        raise UnmappedValueError(f"the value {raw!r} is not mapped")

    def unmatched_lines(self, seen: set[str]) -> list[str]:
        """The values and patterns of the map that none of ``seen`` uses."""
        lines = [value for value in self._named if value not in seen]
        lines += [pattern for pattern in self._match if not any(_matches(pattern, value) for value in seen)]
        return lines + [
            line for line in self._drop if line not in seen and not any(_matches(line, value) for value in seen)
        ]

    @property
    def values(self) -> list[str]:
        """The values that are mapped by name."""
        return list(self._named)

    def concepts(self, seen: set[str]) -> list[str]:
        """Ids of all concepts that the map can give: those named, and those that ``seen`` leads to; sorted."""
        found = {meaning.concept for meaning in self._named.values()}
        found |= {self(value).concept for value in seen}
        return sorted(found - {""})


def regex_problem(pattern: str) -> str | None:
    """Why RE2 refuses a pattern; None when it does not."""
    try:
        pc.match_substring_regex(pa.array([""]), f"^(?:{pattern})$")
    except pa.ArrowInvalid as error:
        return str(error).split("error: ")[-1]
    return None


def _matches(pattern: str, value: str) -> bool:
    return bool(pc.match_substring_regex(pa.array([value]), f"^(?:{pattern})$")[0].as_py())


def _filled(pattern: str, raw: str, target: str | ConceptRef) -> str | ConceptRef:
    """``{1}`` in a concept's name, or as a side, is the first group of the pattern."""
    if isinstance(target, str):
        return _replaced(pattern, raw, target)
    filled = {"concept": _replaced(pattern, raw, target.concept)}
    if target.side is not None:
        filled["side"] = _replaced(pattern, raw, target.side)
    try:
        return ConceptRef.model_validate({**target.model_dump(), **filled})
    except ValidationError as error:
        raise UnmappedValueError(f"the value {raw!r} gives the side {filled['side']!r}, which is none") from error


def _replaced(pattern: str, raw: str, name: str) -> str:
    if "{" not in name:
        return name
    replacement = name.replace("\\", "\\\\").replace("{", "\\").replace("}", "")
    return str(pc.replace_substring_regex(pa.array([raw]), f"^(?:{pattern})$", replacement)[0].as_py())
