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

__all__ = ["only_writer", "write_atomic"]

_TEMPORARY = ".*.tmp"
_FOLDERS = ("", "text/", "datasets/*/*/", "datasets/*/*/shards/", "datasets/*/*/volumes/", "datasets/*/*/units/")


def write_atomic(path: Path, data: bytes) -> str:
    """Write a file under a temporary name and give it its own; gives the sha256 of the data as hex."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
    return hashlib.sha256(data).hexdigest()


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
