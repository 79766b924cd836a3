"""JPEG streams without metadata: only the segments that the pixels need, rewritten one by one.

Source: ITU-T T.81 (segments, B.1), JFIF 1.02 (APP0), Adobe TN 5116 (APP14, which decides the colour transform).
"""

from __future__ import annotations

import struct

from medshard.errors import DecodeError

__all__ = ["strip_jpeg"]

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _DAC = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xCC
_ALONE = (0x01, *range(0xD0, 0xD8))  # TEM and restart marks: no length follows
_APP0, _APP14 = 0xE0, 0xEE
_PASSED_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended sequential, progressive; all Huffman coded
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_ADOBE_BYTES = 12
_ADOBE = b"Adobe\0\x64\0\0\0\0"  # version 100, no flags; the byte of the colour transform follows
_JFIF_BYTES = 14
_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"  # density 1:1 without unit, no thumbnail


def strip_jpeg(data: bytes) -> bytes | None:
    """The stream with tables, frame, scans and colour marks only; bytes after its end are dropped.

    Tables and scans are passed as they are. What a writer hid in a table that nothing uses, or between the last block
    of a scan and the marker after it, would be passed with them.

    Returns:
        None for kinds that not every trainer reads: 12 bits, arithmetic, lossless, hierarchical, four components.

    Raises:
        DecodeError: damaged, or cut off before its end.
    """
    if data[:2] != b"\xff\xd8":
        raise DecodeError("is no JPEG stream")
    out = [b"\xff\xd8"]
    position = 2
    while True:
        marker, position = _marker(data, position)
        if marker == _EOI:
            out.append(b"\xff\xd9")
            return b"".join(out)
        if marker in _ALONE:
            continue
        if marker == _SOI:
            raise DecodeError("the JPEG stream begins anew before its end")
        body = _segment(data, position)
        end = position + 2 + len(body)
        if marker in _OTHER_FRAMES or marker == _DAC:
            return None
        if marker in _PASSED_FRAMES:
            if len(body) < 6 or body[0] != 8 or body[5] == 4:
                return None
            out.append(data[position - 2 : end])
        elif marker in (_DQT, _DHT, _DRI):
            out.append(data[position - 2 : end])
        elif marker == _APP14 and body[:5] == b"Adobe" and len(body) >= _ADOBE_BYTES:
            out.append(
                b"\xff\xee" + struct.pack(">H", _ADOBE_BYTES + 2) + _ADOBE + body[_ADOBE_BYTES - 1 : _ADOBE_BYTES]
            )
        elif marker == _APP0 and body[:5] == b"JFIF\0" and len(body) >= _JFIF_BYTES:
            out.append(b"\xff\xe0" + struct.pack(">H", len(_JFIF) + 2) + _JFIF)
        elif marker == _SOS:
            scan_end = _end_of_scan(data, end)
            out.append(data[position - 2 : scan_end])
            end = scan_end
        position = end


def _marker(data: bytes, position: int) -> tuple[int, int]:
    """The next marker's code and the place after it; fill bytes are passed over."""
    if position >= len(data) or data[position] != 0xFF:
        raise DecodeError("the JPEG stream is damaged or cut off", error_class="truncated")
    while position < len(data) and data[position] == 0xFF:
        position += 1
    if position >= len(data):
        raise DecodeError("the JPEG stream is cut off", error_class="truncated")
    return data[position], position + 1


def _segment(data: bytes, position: int) -> bytes:
    if position + 2 > len(data):
        raise DecodeError("the JPEG stream is cut off", error_class="truncated")
    (length,) = struct.unpack_from(">H", data, position)
    if length < 2 or position + length > len(data):
        raise DecodeError("the JPEG stream is cut off inside a segment", error_class="truncated")
    return data[position + 2 : position + length]


def _end_of_scan(data: bytes, position: int) -> int:
    """The place of the marker after the entropy-coded data; stuffed bytes and restart marks belong to the data."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            raise DecodeError("the JPEG stream is cut off inside its pixels", error_class="truncated")
        following = data[position + 1]
        if following != 0x00 and not 0xD0 <= following <= 0xD7 and following != 0xFF:
            return position
        position += 1 if following == 0xFF else 2
