"""A number that stands in a cell."""

from __future__ import annotations

import math

__all__ = ["cell_number"]


def cell_number(cell: str | None) -> float:
    """The number, or NaN where the cell is empty or holds something else; the caller says what that means."""
    try:
        return float(cell) if cell is not None else math.nan
    except ValueError:
        return math.nan
