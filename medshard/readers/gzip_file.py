"""Single files in gzip, unpacked within bounds."""

from __future__ import annotations

import gzip
import io
import zlib

from medshard.errors import DecodeError, ReadError
from medshard.readers.limits import MAX_FILE_BYTES

__all__ = ["read_gzip"]


def read_gzip(data: bytes, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Unpack a single gzip file, within bounds.

    Raises:
        DecodeError: damaged or cut off.
        ReadError: larger than allowed.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DecodeError("the gzip stream is damaged or cut off", error_class="truncated") from error
    if len(unpacked) > max_bytes:
        raise ReadError(f"unpacks to more than {max_bytes} bytes", error_class="too_large")
    return unpacked
