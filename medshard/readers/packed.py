"""What lies in gzip, zlib or bzip2, unpacked within bounds."""

from __future__ import annotations

import bz2
import zlib
from typing import TypeAlias

from medshard.engine import inflate_gzip, inflate_zlib
from medshard.errors import DecodeError, ReadError
from medshard.readers.limits import MAX_FILE_BYTES

__all__ = ["GZIP_MAGIC", "Content", "gzip_head", "read_gzip", "unpacked"]

GZIP_MAGIC = b"\x1f\x8b"

Content: TypeAlias = bytes | memoryview
"""Bytes of a file, wherever they lie."""

_HEAD_INPUT_BYTES = 64 * 1024


def unpacked(data: Content, wrapping: str, max_bytes: int, expected: int = 0) -> Content:
    """The whole of what was packed.

    Args:
        wrapping: ``gzip``, ``zlib`` or ``bzip2``.
        max_bytes: that it may have.
        expected: how many it is likely to have; 0 for unknown.

    Raises:
        DecodeError: damaged or cut off.
        ReadError: larger than allowed.
    """
    expected = min(max(expected, 0), max_bytes)  # it comes from a header
    if wrapping == "gzip":
        return inflate_gzip(data, max_bytes, expected=expected).data
    if wrapping == "zlib":
        return inflate_zlib(data, max_bytes, expected=expected).data
    return _unpacked_bzip2(bytes(data), max_bytes)


def _unpacked_bzip2(data: bytes, max_bytes: int) -> bytes:
    parts, size = [], 0
    while data.strip(b"\0"):
        stream = bz2.BZ2Decompressor()
        try:
            part = stream.decompress(data, max_bytes + 1 - size)
        except (OSError, ValueError) as error:
            raise DecodeError("the bzip2 stream is damaged", error_class="truncated") from error
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise ReadError(f"unpacks to more than {max_bytes} bytes", error_class="too_large")
        if not stream.eof:
            raise DecodeError("the bzip2 stream is cut off", error_class="truncated")
        data = stream.unused_data
    return b"".join(parts)


def gzip_head(data: Content, count: int) -> bytes:
    """The first bytes of what a gzip file holds; fewer when it is damaged or short."""
    try:
        return zlib.decompressobj(wbits=31).decompress(bytes(data[:_HEAD_INPUT_BYTES]), count)
    except zlib.error:
        return b""


def read_gzip(data: bytes, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A gzip file of text or a table, unpacked; see ``unpacked``."""
    return bytes(unpacked(data, "gzip", max_bytes))
