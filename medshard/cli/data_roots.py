"""``--data``: one folder, or a YAML that names a folder a dataset."""

from __future__ import annotations

from pathlib import Path

import click

from medshard.spec.yaml_text import read_yaml

__all__ = ["data_root"]


def data_root(data: Path, name: str) -> Path:
    """The folder of a dataset.

    Args:
        data: a folder, or a ``.yaml`` file that maps names of datasets to folders (relative to the file).
        name: of the dataset, or of the spec's file.

    Raises:
        click.UsageError: the file does not name the dataset.
    """
    if data.suffix not in (".yaml", ".yml"):
        return data
    tree = read_yaml(data).tree
    roots = tree if isinstance(tree, dict) else {}
    root = roots.get(name)
    if not isinstance(root, str):
        named = ", ".join(sorted(roots)) or "none"
        raise click.UsageError(f"{data} names no folder for {name!r}; it names: {named}")
    return data.parent / root
