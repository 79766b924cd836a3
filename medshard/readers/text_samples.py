"""Samples that are written as text."""

from __future__ import annotations

import math

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array
from medshard.readers.packed import Content

__all__ = ["hex_bytes", "text_samples"]

_MAX_SAMPLES = 2**23
"""Numbers in text take tens of bytes each while they are read."""
_MAX_CHARACTERS = 2**27


def text_samples(data: Content, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Array:
    """Decimal numbers, divided by blanks or commas; slowest axis first.

    Raises:
        ReadError: more of them than are read as text.
        DecodeError: too few, or no numbers of that type.
    """
    count = math.prod(shape)
    if count > _MAX_SAMPLES or len(data) > _MAX_CHARACTERS:
        raise ReadError(f"{count} samples as text are not read; convert them to raw", error_class="too_large")
    words = bytes(data).replace(b",", b" ").split(None, count)[:count]
    if len(words) < count:
        raise DecodeError("the samples are cut off", error_class="truncated")
    try:
        numbers = [int(word) if dtype.kind in "ui" else float(word) for word in words]
        return np.array(numbers, dtype.newbyteorder("=")).reshape(shape)
    except (ValueError, OverflowError):  # their text would quote the file
        raise DecodeError("a sample is no number of its type", error_class="damaged") from None


def hex_bytes(data: Content, size: int) -> bytes:
    """Bytes written as two hexadecimal digits each, with blanks between them or not.

    Raises:
        ReadError: more of them than are read as text.
        DecodeError: too few, or other characters.
    """
    if len(data) > _MAX_CHARACTERS:
        raise ReadError(f"{size} bytes as text are not read; convert them to raw", error_class="too_large")
    digits = b"".join(bytes(data).split())[: 2 * size]
    try:
        found = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        raise DecodeError("the samples are no hexadecimal digits", error_class="damaged") from None
    if len(found) < size:
        raise DecodeError("the samples are cut off", error_class="truncated")
    return found
