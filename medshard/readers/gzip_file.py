"""Single files in gzip, unpacked within bounds."""

from __future__ import annotations

import gzip
import io
import zlib

from medshard.errors import DecodeError, ReadError
from medshard.readers.limits import MAX_FILE_BYTES

__all__ = ["read_gzip"]

_PART_BYTES = 2**20


def read_gzip(data: bytes, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Unpack a single gzip file, within bounds.

    Raises:
        DecodeError: damaged or cut off.
        ReadError: larger than allowed.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = io.BytesIO()
            while unpacked.tell() <= max_bytes:  # one read of max_bytes would allocate that much at once
                part = stream.read(min(_PART_BYTES, max_bytes + 1 - unpacked.tell()))
                if not part:
                    break
                unpacked.write(part)
    except (OSError, EOFError, zlib.error) as error:
        raise DecodeError("the gzip stream is damaged or cut off", error_class="truncated") from error
    if unpacked.tell() > max_bytes:
        raise ReadError(f"unpacks to more than {max_bytes} bytes", error_class="too_large")
    return unpacked.getvalue()
