"""Numbers with their nouns."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 file``, ``2 files``; ``plural`` where an s is not enough."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
