"""Byte ranges: which of them to read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medshard.errors import StorageError

__all__ = ["Fetch", "check_path", "coalesce", "cut"]


@dataclass(frozen=True)
class Fetch:
    """One read that serves several ranges.

    Attributes:
        start, length: what to read.
        members: places of the served ranges in the list that was asked for.
    """

    start: int
    length: int
    members: tuple[int, ...]


def coalesce(ranges: Sequence[tuple[int, int]], *, max_gap_bytes: int, max_bytes: int) -> list[Fetch]:
    """Reads that cover all ranges, in the order of their start.

    Args:
        ranges: (start, length), in any order, overlapping or not.
        max_gap_bytes: bytes that may be read in vain between two ranges.
        max_bytes: length beyond which a read is not extended; a single range may be longer.
    """
    order = sorted(range(len(ranges)), key=lambda place: ranges[place])
    fetches: list[Fetch] = []
    members: list[int] = []
    start = end = 0
    for place in order:
        first, length = ranges[place]
        last = first + length
        joins = members and first - end <= max_gap_bytes and max(end, last) - start <= max_bytes
        if members and not joins:
            fetches.append(Fetch(start, end - start, tuple(members)))
            members = []
        if not members:
            start, end = first, last
        end = max(end, last)
        members.append(place)
    if members:
        fetches.append(Fetch(start, end - start, tuple(members)))
    return fetches


def cut(
    ranges: Sequence[tuple[int, int]], fetches: Sequence[Fetch], data: Sequence[bytes | memoryview]
) -> list[memoryview]:
    """The bytes of each range, as views into what was read."""
    found: list[memoryview] = [memoryview(b"")] * len(ranges)
    for fetch, buffer in zip(fetches, data, strict=True):
        view = memoryview(buffer)
        for place in fetch.members:
            start, length = ranges[place]
            found[place] = view[start - fetch.start : start - fetch.start + length]
    return found


def check_path(url: str, path: str) -> str:
    """The path itself.

    Raises:
        StorageError: it is absolute or leaves the root.
    """
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise StorageError(f"{url}: the path {path!r} leaves the storage's root")
    return path
