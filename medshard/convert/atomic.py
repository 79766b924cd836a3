"""Files that are either not there or whole, and a corpus that one process at a time writes to."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medshard.errors import MedshardError

__all__ = ["Staged", "file_digest", "only_writer", "write_atomic"]

_TEMPORARY = ".*.tmp"
_OF_A_BUILD = ("", "shards/", "renditions/", "volumes/", "units/")
_FOLDERS = ("", "text/", *(f"datasets/*/*/{folder}" for folder in _OF_A_BUILD))


def write_atomic(path: Path, data: bytes) -> str:
    """Write a file under a temporary name and give it its own; gives the sha256 of the data as hex."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file, as hex."""
    state = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(4 * 2**20):
            state.update(chunk)
    return state.hexdigest()


class Staged:
    """Files of one folder that get their names together, one after another in the order in which they were begun.

    Args:
        folder: where they will be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """Where to write a file until all get their names."""
        return self._waiting.setdefault(name, self._folder / f".{name}.{os.getpid()}.tmp")

    def digests(self) -> dict[str, str]:
        """sha256 of what was written so far, by name."""
        return {name: file_digest(path) for name, path in self._waiting.items()}

    def give_names(self) -> None:
        """Replace what had these names before."""
        for name, path in self._waiting.items():
            os.replace(path, self._folder / name)
        self._waiting.clear()


@contextmanager
def only_writer(corpus: Path) -> Iterator[None]:
    """Hold a corpus for writing, and remove what writers that were killed have left under temporary names.

    The lock is the kernel's and ends with the process. On a file system that knows no locks of folders nothing is held
    and nothing removed: temporary names carry the process's number, so writers do not disturb each other's files.

    Raises:
        MedshardError: another process is writing to it.
    """
    corpus.mkdir(parents=True, exist_ok=True)
    handle = os.open(corpus, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{corpus}: another process is writing to this corpus; wait for it, or choose another folder"
            raise MedshardError(message) from None
        except OSError:
            pass
        else:
            _remove_leftovers(corpus)
        yield
    finally:
        os.close(handle)


def _remove_leftovers(corpus: Path) -> None:
    for folder in _FOLDERS:
        for path in corpus.glob(f"{folder}{_TEMPORARY}"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
