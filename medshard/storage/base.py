"""What a storage is: bytes by range, from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

__all__ = ["Bytes", "Entry", "Storage"]

Bytes: TypeAlias = "bytes | memoryview"
"""Read-only bytes. A view may share its buffer with others: copy (``bytes(view)``) what is kept for long."""


@dataclass(frozen=True)
class Entry:
    """An object below a prefix.

    Attributes:
        path: below the storage's root, ``/``-separated.
        size_bytes: its length.
    """

    path: str
    size_bytes: int


@runtime_checkable
class Storage(Protocol):
    """Objects below one root, read by byte range.

    The contract of every implementation (``medshard.testing.storage.StorageConformance`` tests it):

    - Paths are relative and ``/``-separated. Absolute and empty paths, empty segments, ``.``, ``..`` and control
      characters are a ``StorageError`` (``medshard.storage.path.check_path``).
    - A read gives exactly the bytes asked for, or raises ``StorageError`` with the object's path, never fewer. A range
      that reaches past the end is an error. ``start`` may be the object's size when ``length`` is None: no bytes.
    - A range of length 0 is no bytes, and nobody is asked whether the object exists.
    - Reads may come from several threads at once.
    - Objects are taken not to change while they are read. Content is proved by the corpus's checksums, not here.
    - A storage pickles as configuration. No thread, client or socket exists before the first read, and none is shared
      with another process: handles belong to a pid.
    - What fails for a passing reason is tried again, with growing pauses, within a time that the class states.
    - Messages name the object and what to check, never credentials.

    Attributes:
        url: the root, as ``open_storage`` takes it.
    """

    url: str

    def open(self) -> None:
        """Makes what reading needs now, instead of at the first read.

        Raises:
            StorageError: this process cannot read from here; says what to do instead.
        """
        ...

    def size(self, path: str) -> int:
        """Length of an object in bytes."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such an object; a folder is none."""
        ...

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        """``length`` bytes from ``start``, or all that follow."""
        ...

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Several (start, length) of one object, in the order asked; neighbouring ranges travel together."""
        ...

    def child(self, prefix: str) -> Storage:
        """The storage of a folder below this one, which need not exist."""
        ...

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All objects below a folder, at any depth, in the order of their paths (by code point).

        ``a`` lists ``a/b`` but neither ``a`` itself nor ``ab``. A folder that does not exist lists nothing; a root that
        does not exist is a ``StorageError``. Errors come while iterating.
        """
        ...
