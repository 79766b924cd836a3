"""JPEG XL files through libjxl, which the extra ``jxl`` brings.

Source: ISO/IEC 18181-1 (code stream, D.2 the size) and 18181-2 (container).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medshard.errors import DecodeError, MissingExtraError, ReadError
from medshard.readers.base import Array
from medshard.readers.limits import check_plane

__all__ = ["MAGIC", "decode_jpeg_xl", "jpeg_xl_size"]

MAGIC = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, by the number that stands in the size (table D.2)."""


def decode_jpeg_xl(data: bytes) -> tuple[Array, int]:
    """Pixels, (Y, X) or (Y, X, 3 or 4), uint8 or uint16, turned as they are to be seen, and their bits.

    Raises:
        ReadError: damaged, too large, animated, or of floating-point values.
        MissingExtraError: the extra is not installed.
    """
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError("Reading JPEG XL", "imagecodecs", "jxl") from error
    check_plane(*jpeg_xl_size(data))
    try:
        pixels = imagecodecs.jpegxl_decode(data)
    except Exception as error:
        raise DecodeError(f"cannot be decoded ({type(error).__name__})") from error
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ReadError(f"pixels of type {pixels.dtype} are not read", error_class="pixel_type")
    if pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[2] > 4):
        raise ReadError("has several frames; a picture has one", error_class="several_frames")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    elif pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    return np.ascontiguousarray(pixels), pixels.dtype.itemsize * 8


def jpeg_xl_size(data: bytes) -> tuple[int, int]:
    """Width and height as the code stream's first bits say, before anything is decoded.

    Raises:
        DecodeError: there is no code stream.
    """
    bits = _Bits(_code_stream(data))
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height
    return (8 * (bits.take(5) + 1) if small else bits.take((9, 13, 18, 30)[bits.take(2)]) + 1), height


class _Bits:
    """Bits of a code stream after its marker, the least significant of each byte first."""

    def __init__(self, stream: bytes) -> None:
        self._value, self._left = int.from_bytes(stream[2:18], "little"), 8 * len(stream[2:18])

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise DecodeError("is cut off", error_class="truncated")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        return found


def _code_stream(data: bytes) -> bytes:
    """Its first bytes: the file itself, or what its first box of pixels holds."""
    if data[:2] == MAGIC[0]:
        return data[:18]
    for kind, body in _boxes(data):
        if kind == b"jxlc" and body[:2] == MAGIC[0]:
            return body
        if kind == b"jxlp" and body[4:6] == MAGIC[0]:
            return body[4:]
    raise DecodeError("has no JPEG XL code stream")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and first bytes of each box of a container."""
    place = 0
    while place + 8 <= len(data):
        size, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        size = size or len(data) - place  # 0: to the end of the file
        if size < head:
            return
        yield kind, data[place + head : min(place + size, place + head + 32)]
        place += size
