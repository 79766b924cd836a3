"""Where specs and the taxonomy lie, and how a name finds its spec."""

from __future__ import annotations

import os
from pathlib import Path

from medshard.errors import Problem, SpecError, nearest

__all__ = ["dataset_specs", "find_spec", "specs_root"]


def specs_root() -> Path:
    """The folder with ``datasets/`` and ``taxonomy/``.

    ``MEDSHARD_SPECS`` when set; beside the package in a checkout; inside the package when installed.
    """
    named = os.environ.get("MEDSHARD_SPECS")
    if named:
        return Path(named)
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "specs"
    return beside if (beside / "taxonomy").is_dir() else package / "_specs"


def dataset_specs() -> dict[str, Path]:
    """Every shipped spec, by the stem of its file."""
    return {path.stem: path for path in sorted((specs_root() / "datasets").rglob("*.yaml"))}


def find_spec(name: str) -> Path:
    """The file that ``name`` means: a path, or the name of a shipped spec.

    Raises:
        SpecError: neither exists; names the nearest.
    """
    if name.endswith((".yaml", ".yml")) or os.sep in name:
        path = Path(name)
        if path.is_file():
            return path
        raise SpecError([Problem("no-spec", "there is no such file.", file=name)])
    shipped = dataset_specs()
    if name in shipped:
        return shipped[name]
    guess = nearest(name, list(shipped))
    message = f"no shipped spec is called {name!r}; give a name or the path of a .yaml file."
    raise SpecError([Problem("no-spec", message, found=name, allowed=tuple(sorted(shipped)), nearest=guess)])
