"""Rows of results as a table in a terminal, a table in Markdown and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["COLUMNS", "cells", "fill_in", "markdown", "parsed", "plot", "section", "text"]

COLUMNS = (
    ("contestant", "contestant"),
    ("version", "version"),
    ("decoding", "decoding"),
    ("threads", "threads"),
    ("rate", "samples/s"),
    ("ratio", "Loader / it"),
    ("per_core", "per core-s"),
    ("memory", "own / RSS, MB"),
    ("first", "first batch, s"),
    ("fidelity", "PSNR median / worst, dB"),
)
"""Key of a row's cell, heading."""


def cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Of each row, a text a column; a row that failed says why where its rate would be."""
    return [[str(row.get(key, "")) for key, _ in COLUMNS] for row in rows]


def text(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns aligned by spaces."""
    widths = [max(len(line[place]) for line in (headings, *lines)) for place in range(len(headings))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (headings, ["-" * width for width in widths], *lines)
    )


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; a bar in a cell is escaped."""
    every = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in every)


def parsed(table: str) -> list[list[str]]:
    """The lines of a table of ``markdown``, headings first."""
    lines = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.replace("\\|", "|") for cell in line[2:-2].split(" | ")] for line in lines]


def section(page: Path, name: str) -> str:
    """What stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``.

    Raises:
        ValueError: the page has no such pair.
    """
    return _around(page, name)[1]


def fill_in(page: Path, name: str, content: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``.

    Raises:
        ValueError: the page has no such pair.
    """
    before, _, after = _around(page, name)
    page.write_text(f"{before}\n\n{content.strip()}\n\n{after}")


def _around(page: Path, name: str) -> tuple[str, str, str]:
    """The page up to the section, the section, and the page after it; the marks are in the outer two."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.read_text().partition(begin)
    content, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no {begin} ... {end}")
    return before + begin, content, end + after


def plot(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Horizontal bars of the medians with whiskers to the lowest and highest window, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text, so the file stays small
    mpl.rcParams["svg.hashsalt"] = "medshard"
    from matplotlib import pyplot as plt

    shown = sorted((row for row in rows if row.get("rates")), key=lambda row: row["median"])
    figure, axes = plt.subplots(figsize=(9, 0.6 + 0.28 * len(shown)))
    medians = [row["median"] for row in shown]
    whiskers = [
        [max(0.0, row["median"] - min(row["rates"])) for row in shown],
        [max(0.0, max(row["rates"]) - row["median"]) for row in shown],
    ]
    colours = ["#1f6f8b" if row["contestant"].startswith("medshard") else "#b0b7bd" for row in shown]
    axes.barh(range(len(shown)), medians, xerr=whiskers, color=colours, error_kw={"lw": 1})
    labels = [f"{row['contestant']}, {row['decoding']}" for row in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=8)
    for place, row in enumerate(shown):
        axes.text(0.01 * max(medians), place, f"{row['fidelity']} dB", va="center", fontsize=7, color="white")
    axes.set_xlabel("samples a second, 2 threads or workers")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
