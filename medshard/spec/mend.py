"""A spec with mistakes, mended as far as it takes to go on looking for more of them; never to build from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medshard.spec.yaml_text import TextTree

__all__ = ["Mistake", "mended"]

_DISPENSABLE = ("facts", "expect")
"""Sections whose entries nothing else names: one that cannot be mended is left out."""


@dataclass(frozen=True)
class Mistake:
    """What pydantic says of one place.

    Attributes:
        path: of the place in the tree.
        kind: pydantic's kind of error.
        meant: the word that was most likely meant, or one that is allowed; may be empty.
    """

    path: tuple[str | int, ...]
    kind: str
    meant: str


def mended(tree: TextTree, mistakes: Sequence[Mistake]) -> TextTree | None:
    """The tree without its mistyped words, or, when there are none, without the facts and claims that are wrong.

    Args:
        tree: of the document; is not changed.
        mistakes: all that is wrong with it.

    Returns:
        None when what is wrong cannot be taken out without making other mistakes.
    """
    tree = copy.deepcopy(tree)
    mistyped = [mistake for mistake in mistakes if mistake.kind in ("literal_error", "extra_forbidden")]
    if not mistyped and any(mistake.path[:1] not in [(name,) for name in _DISPENSABLE] for mistake in mistakes):
        return None
    for mistake in mistyped:
        parent: Any = tree
        for part in mistake.path[:-1]:
            parent = parent[part]
        last = mistake.path[-1]
        if mistake.kind == "literal_error":
            parent[last] = mistake.meant
        elif mistake.meant and mistake.meant not in parent:
            parent[mistake.meant] = parent.pop(last)
        else:
            parent.pop(last)
    if not mistyped:
        for place in sorted({mistake.path[:2] for mistake in mistakes}, key=str, reverse=True):
            section: Any = tree[place[0]]  # type: ignore[index]
            if len(place) < 2:
                return None
            del section[place[1]]
    return tree
