"""``--data``: one folder, or a YAML that names a folder a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from medshard.errors import SpecError, nearest
from medshard.spec.yaml_text import Document, read_yaml

__all__ = ["data_roots"]


def data_roots(data: Path, names: Sequence[tuple[str, str]]) -> list[Path]:
    """The folder of each dataset.

    Args:
        data: a folder, or a ``.yaml`` file that maps names of datasets, or of files of specs without ``.yaml``, to
            folders (relative to the file).
        names: of each dataset: its own, and that of its spec's file. The first goes before the second.

    Raises:
        click.BadParameter: there is no such folder, or the file does not name one; tells of all datasets at once.
    """
    if data.is_dir():
        return [data] * len(names)
    if data.suffix not in (".yaml", ".yml"):
        raise _wrong(f"{data} is a file; give the folder that holds the data, or a .yaml of folders by dataset.")
    try:
        document = read_yaml(data)
    except SpecError as error:
        raise _wrong("\n".join(str(problem) for problem in error.problems)) from error
    if not isinstance(document.tree, dict):
        raise _wrong(f"{data}: a mapping of datasets to folders is needed, such as 'bccd: /data/bccd'.")
    found = [_root(document, data, both) for both in names]
    problems = list(dict.fromkeys(root for root in found if isinstance(root, str)))
    if problems:
        raise _wrong("\n".join(problems))
    return [root for root in found if isinstance(root, Path)]


def _root(document: Document, data: Path, names: tuple[str, str]) -> Path | str:
    """A dataset's folder, or what is wrong."""
    tree = document.tree
    assert isinstance(tree, dict)
    for name in names:
        if name not in tree:
            continue
        written = tree[name]
        place = f"{data}:{document.line((name,))} {name}"
        if not isinstance(written, str):
            return f"{place}: a folder is needed."
        root = data.parent / Path(written).expanduser()
        return root if root.is_dir() else f"{place}: there is no folder {str(root)!r}."
    called = " nor ".join(repr(name) for name in dict.fromkeys(names))
    guess = nearest(names[0], list(tree)) or nearest(names[1], list(tree))
    hint = f" Did you mean {guess!r}?" if guess else ""
    return f"{data} names no folder for {called}.{hint} It names: {', '.join(sorted(tree)) or 'none'}."


def _wrong(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="--data")
