"""Files in memory for the tests of readers."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from medshard.readers.base import Blob

CANARY = "Zyxwv^Qanary"
"""A patient's name that must not leave a reader."""


def blob(data: bytes, path: str = "a.bin") -> Blob:
    return Blob(path, len(data), lambda: data)


def blob_of(path: Path) -> Blob:
    return blob(path.read_bytes(), path.name)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """A picture as Pillow writes it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()
