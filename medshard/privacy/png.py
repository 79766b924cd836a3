"""PNG streams without metadata: the chunks that the pixels need, each checked.

Source: PNG, third edition (W3C 2023), 11.2 (critical chunks) and 11.3.1 (tRNS).
"""

from __future__ import annotations

import struct
import zlib

from medshard.errors import DecodeError

__all__ = ["strip_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_MAX_CHUNK = 2**31 - 1


def strip_png(data: bytes) -> bytes:
    """The stream with header, palette, transparency and pixels only; bytes after its end are dropped.

    Raises:
        DecodeError: damaged, cut off, or a chunk that must be understood is not.
    """
    if data[:8] != _SIGNATURE:
        raise DecodeError("is no PNG stream")
    out = [_SIGNATURE]
    position = 8
    seen_pixels = False
    while True:
        if position + 12 > len(data):
            raise DecodeError("the PNG stream is cut off", error_class="truncated")
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        if length > _MAX_CHUNK or end > len(data):
            raise DecodeError("the PNG stream is cut off inside a chunk", error_class="truncated")
        if kind in _KEPT:
            (stated,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(data[position + 4 : end - 4]) != stated:
                raise DecodeError("a PNG chunk fails its checksum", error_class="checksum")
            seen_pixels = seen_pixels or kind == b"IDAT"
            out.append(data[position:end])
        elif not kind[:1].islower():
            raise DecodeError("the PNG has a critical chunk that is not known")
        if kind == b"IEND":
            break
        position = end
    if not seen_pixels:
        raise DecodeError("the PNG has no pixels")
    return b"".join(out)
