"""JPEG 2000 files, code streams and JP2, through OpenJPEG.

Source: ITU-T T.800, annex A (code stream) and I (JP2).
"""

from __future__ import annotations

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array
from medshard.readers.limits import check_plane

__all__ = ["MAGIC", "decode_jpeg2000"]

MAGIC = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ")

_COLOURS = ("unknown", "unspecified", "sRGB", "monochrome")


def decode_jpeg2000(data: bytes) -> tuple[Array, int]:
    """Pixels, (Y, X) or (Y, X, 3 or 4), uint8, uint16 or int16, and their significant bits.

    Values of fewer than eight bits are spread to 0..255, as those of other pictures are.

    Raises:
        ReadError: damaged, too large, or of a kind that has no place here.
    """
    from openjpeg import decode, get_parameters

    try:
        told = get_parameters(data)
    except Exception as error:
        raise DecodeError(f"cannot be decoded ({type(error).__name__})") from error
    check_plane(told["columns"], told["rows"])
    bits, signed, channels = int(told["precision"]), bool(told["is_signed"]), int(told["samples_per_pixel"])
    if told["colourspace"] not in _COLOURS or channels not in (1, 3, 4):
        kind = f"{channels} channels of colour space {told['colourspace']}"
        raise ReadError(f"a JPEG 2000 of {kind} is not read", error_class="unsupported")
    if len(set(_components(data))) != 1 or _components(data)[0][1:] != (1, 1):
        raise ReadError("a JPEG 2000 whose channels differ in size or bits is not read", error_class="unsupported")
    if bits > 16:
        raise ReadError(f"has {bits} bits, which do not fit 16", error_class="pixel_type")
    try:
        pixels = decode(data)
    except Exception as error:
        raise DecodeError(f"cannot be decoded ({type(error).__name__})") from error
    if pixels.shape[:2] != (told["rows"], told["columns"]):
        raise DecodeError("was decoded to another size than its header says")
    if signed:
        return pixels.astype(np.int16), bits
    if bits < 8:
        return (pixels.astype(np.uint16) * 255 // ((1 << bits) - 1)).astype(np.uint8), 8
    return pixels.astype(np.uint8 if bits == 8 else np.uint16), bits


def _components(data: bytes) -> list[tuple[int, int, int]]:
    """Bits with sign, and step of columns and of rows, of each channel (A.5.1)."""
    place = data.find(b"\xffO\xffQ") + 40  # where the number of channels stands
    count = int.from_bytes(data[place : place + 2], "big")
    found = data[place + 2 : place + 2 + 3 * count]
    if place < 40 or not count or len(found) < 3 * count:
        raise DecodeError("is cut off", error_class="truncated")
    return list(zip(found[0::3], found[1::3], found[2::3], strict=True))
