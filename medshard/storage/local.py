"""Files on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from medshard.errors import StorageError
from medshard.storage.base import Bytes, Entry
from medshard.storage.byte_range import check_path, coalesce, cut

__all__ = ["LocalStorage"]

_GAP_BYTES = 64 * 1024  # reading on is cheaper than another system call up to about here
_FETCH_BYTES = 16 * 2**20
_OPEN_FILES = 128


class LocalStorage:
    """A folder. Files are opened at their first read and kept open, a few at a time; symbolic links are followed."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()
        self.url = str(self.root)
        self._handles: dict[str, int] = {}
        self._pid = -1

    def __reduce__(self) -> tuple[type[LocalStorage], tuple[str]]:
        return (LocalStorage, (self.url,))

    def __del__(self) -> None:
        for handle in getattr(self, "_handles", {}).values():
            with suppress(OSError):
                os.close(handle)

    def _handle(self, path: str) -> int:
        if self._pid != os.getpid():  # file descriptors of a parent stay usable, but their bookkeeping is not shared
            self._handles, self._pid = {}, os.getpid()
        handle = self._handles.get(path)
        if handle is None:
            try:
                handle = os.open(self.root / check_path(self.url, path), os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise StorageError(f"{self.root / path}: cannot be opened: {error.strerror}") from error
            if len(self._handles) < _OPEN_FILES:
                handle = self._keep(path, handle)
        return handle

    def _keep(self, path: str, handle: int) -> int:
        kept = self._handles.setdefault(path, handle)  # two threads may have opened it at once
        if kept != handle:
            os.close(handle)
        return kept

    def _release(self, path: str, handle: int) -> None:
        if self._handles.get(path) != handle:
            os.close(handle)

    def size(self, path: str) -> int:
        """Length of a file."""
        try:
            return os.stat(self.root / check_path(self.url, path)).st_size
        except OSError as error:
            raise StorageError(f"{self.root / path}: {error.strerror}") from error

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self.root / check_path(self.url, path)).is_file()

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        """By pread, so that threads do not disturb each other."""
        handle = self._handle(path)
        try:
            wanted = os.fstat(handle).st_size - start if length is None else length
            pieces = []
            while wanted > 0:
                piece = os.pread(handle, wanted, start)
                if not piece:
                    raise StorageError(f"{self.root / path}: {wanted} bytes are missing from byte {start}")
                pieces.append(piece)
                start, wanted = start + len(piece), wanted - len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except OSError as error:
            raise StorageError(f"{self.root / path}: cannot be read: {error.strerror}") from error
        finally:
            self._release(path, handle)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Neighbouring ranges by one call."""
        fetches = coalesce(ranges, max_gap_bytes=_GAP_BYTES, max_bytes=_FETCH_BYTES)
        return list(cut(ranges, fetches, [self.read(path, fetch.start, fetch.length) for fetch in fetches]))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Files below a folder."""
        top = self.root / check_path(self.url, prefix)
        found = []
        for folder, _, names in os.walk(top):
            for name in names:
                full = Path(folder) / name
                found.append(Entry(full.relative_to(self.root).as_posix(), full.stat().st_size))
        yield from sorted(found, key=lambda entry: entry.path)
