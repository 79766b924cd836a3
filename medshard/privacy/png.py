"""PNG streams without metadata: the chunks that the pixels need, each checked.

Source: PNG, third edition (W3C 2023), 10.3 (zlib streams), 11.2 (critical chunks) and 11.3.1 (tRNS).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from medshard.errors import DecodeError

__all__ = ["strip_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_MAX_CHUNK = 2**31 - 1
_PART_BYTES = 2**20
_INDEXED = 3
_SAMPLES = {0: 1, 2: 3, _INDEXED: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), _INDEXED: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CLEAR_BYTES = {0: 2, 2: 6}
"""Length of tRNS for the colour types where it names one colour."""

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, step of columns, step of rows of each pass (8.1)."""


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def raw_bytes(self) -> int:
        """Length of the rows, each with its filter's byte, that the pixels inflate to (7.2)."""
        total = 0
        for x, y, dx, dy in _ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            columns, rows = -(-(self.width - x) // dx), -(-(self.height - y) // dy)
            if columns > 0 and rows > 0:
                total += rows * (1 + -(-columns * _SAMPLES[self.colour] * self.depth // 8))
        return total


def strip_png(data: bytes) -> bytes | None:
    """The stream with header, palette, transparency and pixels only.

    A palette of a picture that is not indexed is advice for displays and dropped. Bytes after the end of the stream or
    of its compressed pixels are dropped.

    Returns:
        None where the compressed pixels are more than the picture, or lack their end: the rest of it is nobody's
        picture, and it cannot be taken away without compressing anew.

    Raises:
        DecodeError: damaged, cut off, or a chunk that must be understood is not.
    """
    if data[:8] != _SIGNATURE:
        raise DecodeError("is no PNG stream")
    header: _Header | None = None
    before: list[bytes] = [_SIGNATURE]
    pixels: list[bytes] = []
    entries = 0
    position, kind = 8, b""
    while kind != b"IEND":
        kind, body, position = _chunk(data, position)
        if kind not in _KEPT:
            if not kind[:1].islower():
                raise DecodeError("the PNG has a critical chunk that is not known")
            continue
        if (kind == b"IHDR") != (header is None):
            raise DecodeError("the PNG does not begin with its only header")
        if header is None:
            header = _header(body)
            before.append(_written(kind, body))
        elif kind == b"IDAT":
            pixels.append(body)
        elif kind == b"PLTE" and header.colour == _INDEXED:
            entries, rest = divmod(len(body), 3)
            if rest or not 0 < entries <= 1 << header.depth or pixels or len(before) > 2:
                raise DecodeError("the PNG's palette has a wrong length or place")
            before.append(_written(kind, body))
        elif kind == b"tRNS" and header.colour in (0, 2, _INDEXED):
            fits = len(body) <= entries if header.colour == _INDEXED else len(body) == _CLEAR_BYTES[header.colour]
            if not fits or pixels:
                raise DecodeError("the PNG's transparency has a wrong length or place")
            before.append(_written(kind, body))
    if not pixels:
        raise DecodeError("the PNG has no pixels")
    assert header is not None
    if header.colour == _INDEXED and not entries:
        raise DecodeError("the PNG has no palette")
    used = _used(pixels, header.raw_bytes)
    if used is None:
        return None
    return b"".join([*before, *(_written(b"IDAT", body) for body in used), _written(b"IEND", b"")])


def _chunk(data: bytes, position: int) -> tuple[bytes, bytes, int]:
    """Kind and body of a chunk, and the place after it; the checksum is proved for the kinds that are kept."""
    if position + 12 > len(data):
        raise DecodeError("the PNG stream is cut off", error_class="truncated")
    (length,) = struct.unpack_from(">I", data, position)
    kind, end = data[position + 4 : position + 8], position + 12 + length
    if length > _MAX_CHUNK or end > len(data):
        raise DecodeError("the PNG stream is cut off inside a chunk", error_class="truncated")
    body = data[position + 8 : end - 4]
    if kind in _KEPT and zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end], "big"):
        raise DecodeError("a PNG chunk fails its checksum", error_class="checksum")
    return kind, body, end


def _written(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _header(body: bytes) -> _Header:
    if len(body) != 13:
        raise DecodeError("the PNG header has a wrong length")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", body)
    known = depth in _DEPTHS.get(colour, ()) and compression == filtering == 0 and interlace in (0, 1)
    if not known or not 0 < width <= _MAX_CHUNK or not 0 < height <= _MAX_CHUNK:
        raise DecodeError("the PNG header is damaged")
    return _Header(width, height, depth, colour, bool(interlace))


def _used(pixels: list[bytes], raw_bytes: int) -> list[bytes] | None:
    """The bodies without what follows the end of the zlib stream; see ``strip_png``."""
    inflate = zlib.decompressobj()
    used: list[bytes] = []
    found = 0
    try:
        for body in pixels:
            rest = body
            while rest and not inflate.eof and found <= raw_bytes:
                found += len(inflate.decompress(rest, _PART_BYTES))
                rest = inflate.unconsumed_tail
            used.append(body[: len(body) - len(inflate.unused_data)] if inflate.eof else body)
            if inflate.eof:
                break
        while not inflate.eof and found <= raw_bytes and (part := inflate.decompress(b"", _PART_BYTES)):
            found += len(part)
    except zlib.error as error:
        raise DecodeError("the PNG's compressed pixels are damaged") from error
    if found < raw_bytes:
        raise DecodeError("the PNG's compressed pixels are cut off", error_class="truncated")
    return used if inflate.eof and found == raw_bytes else None
