"""What a storage is: bytes by range, from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

__all__ = ["Bytes", "Entry", "Storage"]

Bytes: TypeAlias = "bytes | memoryview"


@dataclass(frozen=True)
class Entry:
    """An object below a prefix.

    Attributes:
        path: below the storage's root, ``/``-separated.
        size_bytes: its length.
    """

    path: str
    size_bytes: int


class Storage(Protocol):
    """Objects below one root, read by byte range.

    The contract of every implementation:

    - Paths are relative, ``/``-separated, without ``..``; anything else is a ``StorageError``.
    - Reads may come from several threads at once.
    - A read gives exactly the bytes asked for or raises ``StorageError`` with the object's path, never fewer.
    - Objects pickle as configuration. No thread, socket or client exists before the first read, and none is shared with
      another process: handles belong to a pid.
    - What fails for a passing reason is tried again, with growing pauses, within a stated time.

    Attributes:
        url: the root.
    """

    url: str

    def size(self, path: str) -> int:
        """Length of an object in bytes."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        ...

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        """``length`` bytes from ``start``, or all that follow."""
        ...

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Several (start, length) of one object; neighbouring ranges travel together."""
        ...

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All objects whose path begins with a folder, in the order of their paths."""
        ...
