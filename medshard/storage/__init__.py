"""Bytes by range, from this machine or from S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medshard.errors import StorageError
from medshard.registry import Entry, Registry
from medshard.storage.base import Storage

__all__ = ["STORAGES", "Storage", "open_storage"]

STORAGES: Registry[Any] = Registry(
    "storage",
    {
        "file": Entry("medshard.storage.local:LocalStorage"),
        "s3": Entry("medshard.storage.s3:S3Storage", extra="s3"),
    },
)
"""Makers of storages, by the scheme of their address."""


def open_storage(url: str | Path, **options: Any) -> Storage:
    """The storage at an address: a folder, ``file://...`` or ``s3://bucket/prefix``.

    Nothing is read yet.

    Raises:
        StorageError: the address has a scheme that no storage serves.
    """
    text = str(url)
    scheme, separator, rest = text.partition("://")
    if not separator:
        storage: Storage = STORAGES.get("file")(text)
        return storage
    if scheme not in STORAGES:
        raise StorageError(f"{text}: no storage serves {scheme}://; schemes: {', '.join(STORAGES)}, or a folder")
    maker = STORAGES.get(scheme)
    opened: Storage = maker(rest) if scheme == "file" else maker(text, **options)
    return opened
