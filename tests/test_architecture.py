"""Data flows one way: a room imports only rooms before it in the list of ``docs/architecture.md``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import medshard

PACKAGE = Path(medshard.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"

BASE = ("errors", "registry", "engine")
"""Modules below all rooms."""

TOP = ("doctor", "cli", "__init__")

ASKED = {("spec", "source"), ("spec", "tasks")}
"""``spec/check.py`` asks, when it runs, whether a pattern, a path or a task's name is one."""


def rooms() -> list[str]:
    """Rooms in the order of the page's table."""
    return [name for line in PAGE.read_text().splitlines() for name in re.findall(r"^\| `(\w+)/` \|", line)]


def imports() -> Iterator[tuple[str, str, Path]]:
    """(room that imports, room that is imported, file)."""
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("medshard."):
                yield room, node.module.split(".")[1], path


def test_the_page_lists_every_room() -> None:
    there = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert sorted(set(rooms()) - {"csrc"}) == sorted(there)


def test_no_room_imports_one_after_it() -> None:
    order = [*BASE, *(room for room in rooms() if room not in ("cli", "csrc")), *TOP]
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {imported}"
        for room, imported, path in imports()
        if imported not in (room, "_engine") and (room, imported) not in ASKED
        if order.index(imported) > order.index(room)
    ]
    assert not wrong
