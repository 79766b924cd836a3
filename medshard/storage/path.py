"""Paths of objects below a storage's root."""

from __future__ import annotations

import re

from medshard.errors import StorageError

__all__ = ["check_path", "check_prefix"]

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _wrong(path: str) -> str:
    """What is wrong with a path, or an empty string."""
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "is absolute"
    segments = path.split("/")
    if ".." in segments:
        return "has the segment '..'"
    if "." in segments or "" in segments:
        return "has an empty segment or the segment '.'"
    if _CONTROL.search(path):
        return "has a control character"
    if _SURROGATE.search(path):
        return "is not valid Unicode"
    return ""


def check_path(url: str, path: str) -> str:
    """The path itself.

    Every storage takes the same paths, so that a corpus that was written to one can be copied to any other.

    Args:
        url: the storage's root, for the message.
        path: of an object.

    Raises:
        StorageError: it could leave the root, or a storage could not hold it.
    """
    wrong = _wrong(path)
    if wrong:
        raise StorageError(
            f"{url}: the path {path!r} {wrong}. Paths are relative to the root, '/'-separated, with plain segments."
        )
    return path


def check_prefix(url: str, prefix: str) -> str:
    """A folder's path without the slash at its end; empty for the root.

    Raises:
        StorageError: as in ``check_path``.
    """
    return check_path(url, prefix.removesuffix("/")) if prefix else ""
