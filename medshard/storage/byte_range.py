"""Byte ranges: which of them to read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medshard.errors import StorageError

__all__ = ["Fetch", "check_ranges", "coalesce", "cut", "disjoint", "past_the_end", "split"]


@dataclass(frozen=True)
class Fetch:
    """One read that serves several ranges.

    Attributes:
        start: first byte, from the object's beginning.
        length: bytes to read, at least 1.
        members: places of the served ranges in the list that was asked for.
    """

    start: int
    length: int
    members: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """The byte after the last."""
        return self.start + self.length


def check_ranges(where: str, ranges: Sequence[tuple[int, int]]) -> None:
    """Raises ``StorageError`` for a negative start or length; ``where`` names the object."""
    for start, length in ranges:
        if start < 0 or length < 0:
            raise StorageError(f"{where}: ({start}, {length}) is no (start, length) of bytes; both are 0 or more")


def past_the_end(where: str, start: int, length: int, size: int) -> StorageError:
    """The error of a range that an object does not have.

    Args:
        where: names the object.
        start: first byte asked for.
        length: bytes asked for; 0 for all that follow.
        size: bytes that it has.
    """
    asked = f"{length} bytes from byte {start}" if length else f"all bytes from byte {start}"
    return StorageError(
        f"{where}: {asked} were asked for, but it has {size}; it is cut off, or the index is of another version of it"
    )


def disjoint(fetches: Sequence[Fetch]) -> list[list[int]]:
    """Places of reads in groups in which no two touch or overlap.

    For a reader that would join touching reads again. Reads in the order of their start, as ``coalesce`` and ``split``
    give them, make two groups unless single ranges overlap.
    """
    groups: list[list[int]] = []
    for place, fetch in enumerate(fetches):
        for group in groups:
            if fetches[group[-1]].end < fetch.start:
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def coalesce(ranges: Sequence[tuple[int, int]], max_gap_bytes: int, max_bytes: int) -> list[Fetch]:
    """Reads that cover all ranges.

    Args:
        ranges: (start, length), in any order, overlapping or not. Empty ranges are in no read.
        max_gap_bytes: bytes that may be read in vain between two ranges.
        max_bytes: length beyond which a read is not extended. A longer range is a read of its own, shared only by
            ranges inside it.

    Returns:
        Reads in the order of their start. Each range that is not empty is a member of one read and lies inside it.
    """
    order = sorted((place for place, (_, length) in enumerate(ranges) if length), key=lambda place: ranges[place])
    fetches: list[Fetch] = []
    members: list[int] = []
    start = end = 0
    for place in order:
        first, length = ranges[place]
        last = max(end, first + length)
        if members and last != end and (first - end > max_gap_bytes or last - start > max_bytes):
            fetches.append(Fetch(start, end - start, tuple(members)))
            members = []
        if members:
            end = last
        else:
            start, end = first, first + length
        members.append(place)
    if members:
        fetches.append(Fetch(start, end - start, tuple(members)))
    return fetches


def split(start: int, length: int, max_bytes: int) -> list[Fetch]:
    """A long range as reads of at most ``max_bytes``, end to end."""
    return [Fetch(place, min(max_bytes, start + length - place)) for place in range(start, start + length, max_bytes)]


def cut(
    ranges: Sequence[tuple[int, int]], fetches: Sequence[Fetch], data: Sequence[bytes | memoryview]
) -> list[memoryview]:
    """The bytes of each range, as views into what was read.

    Args:
        ranges: as given to ``coalesce``.
        fetches: what it returned.
        data: the bytes of each read.
    """
    found: list[memoryview] = [memoryview(b"")] * len(ranges)
    for fetch, buffer in zip(fetches, data, strict=True):
        view = memoryview(buffer)
        for place in fetch.members:
            start, length = ranges[place]
            found[place] = view[start - fetch.start : start - fetch.start + length]
    return found
