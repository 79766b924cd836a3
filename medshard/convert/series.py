"""What became of the series of a DICOM source, as a person reads it."""

from __future__ import annotations

from medshard.readers.dicom import SeriesAccount

__all__ = ["series_told"]


def series_told(account: SeriesAccount) -> dict[str, int]:
    """Lines of a table: what, and how many."""
    told = {"series": account.series, "stacks": account.stacks}
    told |= {f"series split by {reason}": count for reason, count in account.split.items()}
    told |= {f"stacks with several volumes {_by(name)}": count for name, count in account.merged.items()}
    if account.copies:
        told["files that are there twice"] = account.copies
    if account.unnamed:
        told["files without SeriesInstanceUID, taken by folder"] = account.unnamed
    return told


def _by(name: str) -> str:
    return "of one place, told apart by pixels if at all" if name == "(by pixels)" else f"by {name}"
