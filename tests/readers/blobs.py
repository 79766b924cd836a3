"""Files in memory for the tests of readers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from medshard.errors import ReadError
from medshard.readers.base import Blob

CANARY = "Zyxwv^Qanary"
"""A patient's name that must not leave a reader."""


def blob(data: bytes, path: str = "a.bin") -> Blob:
    return Blob(path, len(data), lambda: data)


def blob_of(path: Path) -> Blob:
    """A file, with those beside it."""
    return Blob(path.name, path.stat().st_size, lambda: _bytes_of(path), beside=lambda name: blob_of_name(path, name))


def blob_of_name(path: Path, name: str) -> Blob:
    beside = path.parent / name
    return Blob(name, 0, lambda: _bytes_of(beside))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReadError("cannot be read", error_class="missing") from error


def blob_beside(files: Mapping[str, bytes], name: str) -> Blob:
    """One of the files of a folder."""

    def content() -> bytes:
        if name not in files:
            raise ReadError("is not there")
        return files[name]

    return Blob(name, len(files.get(name, b"")), content, beside=lambda other: blob_beside(files, other))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as Pillow writes it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
