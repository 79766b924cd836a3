"""Bytes by range, from this machine or from S3."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from medshard.errors import StorageError
from medshard.registry import Entry, Registry
from medshard.storage.base import Storage

__all__ = ["STORAGES", "Storage", "open_storage"]

STORAGES: Registry[Callable[..., Storage]] = Registry(
    "storage",
    {
        "file": Entry("medshard.storage.local:open_local"),
        "s3": Entry("medshard.storage.s3:S3Storage", extra="s3"),
    },
)
"""Makers of storages by the scheme of their address: ``maker(address, **options)``."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")


def open_storage(url: str | Path, **options: Any) -> Storage:
    """The storage at an address. Nothing is read yet.

    Args:
        url: a folder, ``file:///folder`` or ``s3://bucket/prefix``.
        options: of the storage: ``follow_links`` for a folder, the fields of ``S3Options`` for S3.

    Raises:
        StorageError: the address has a scheme that no storage serves, or is none.
        MissingExtraError: the storage needs a package that is not installed.
    """
    text = str(url)
    scheme = _SCHEME.match(text)
    if isinstance(url, PurePath):
        if scheme and scheme[1] in STORAGES:
            raise StorageError(f"{text}: pass the address of a storage as text; pathlib takes slashes out of it")
        scheme = None
    if not text:
        raise StorageError("the address of a storage is empty; name a folder or s3://bucket/prefix")
    if scheme is None or not text.startswith(scheme[0] + "/"):
        return STORAGES.get("file")(text, **options)
    if scheme[1].lower() not in STORAGES:
        schemes = ", ".join(f"{name}://" for name in STORAGES)
        raise StorageError(
            f"No storage serves addresses that begin with {scheme[1]}://. There are {schemes}, or a folder."
        )
    return STORAGES.get(scheme[1].lower())(text, **options)
