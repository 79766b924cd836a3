"""JPEG and PNG streams taken apart and put together by the words of the standards, with a canary in every place."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from png_writer import chunk

CANARY = b"Zyxwv^Qanary"


def smooth(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / (5 + c)) * np.cos(y / (7 - c)) for c in range(channels)]
    return np.stack(waves, -1).astype(np.uint8).squeeze()


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def pillow(data: bytes) -> NDArray[np.generic]:
    return np.asarray(Image.open(io.BytesIO(data)))


# -- JPEG ------------------------------------------------------------------------------------------------------------


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """(marker, body) of each segment; a scan's body is its header and all that follows up to the next marker."""
    assert data[:2] == b"\xff\xd8"
    found, position = [], 2
    while True:
        assert data[position] == 0xFF
        marker = data[position + 1]
        if marker == 0xD9:
            assert position + 2 == len(data)
            return found
        (length,) = struct.unpack_from(">H", data, position + 2)
        end = position + 2 + length
        if marker == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        found.append((marker, data[position + 4 : end]))
        position = end


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    out = [b"\xff\xd8"]
    for marker, body in parts:
        length = struct.unpack(">H", scan_length(body))[0] if marker == 0xDA else len(body) + 2
        out.append(bytes([0xFF, marker]) + struct.pack(">H", length) + body)
    return b"".join(out) + b"\xff\xd9"


def scan_length(body: bytes) -> bytes:
    """Length of a scan's header: components, two bytes each, and three more (T.81, B.2.3)."""
    return struct.pack(">H", 6 + 2 * body[0])


def thumbnail() -> bytes:
    return saved(Image.new("RGB", (8, 8), (250, 1, 2)), "JPEG", comment=CANARY)


def with_canaries(data: bytes) -> bytes:
    """The stream with a canary in every application segment, in comments, between scans and after its end."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + CANARY
    planted = [
        *((marker, CANARY) for marker in range(0xE0, 0xF0)),
        (0xE0, b"JFXX\0\x10" + thumbnail()),
        (0xE1, exif),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + CANARY),
        (0xE2, b"ICC_PROFILE\0\x01\x01" + CANARY),
        (0xE2, b"FPXR\0" + CANARY),
        (0xED, b"Photoshop 3.0\x008BIM" + CANARY),
        (0xFE, CANARY),
    ]
    parts: list[tuple[int, bytes]] = []
    for marker, body in segments(data):
        if marker == 0xE0 and body.startswith(b"JFIF"):
            body = body[:5] + b"\x01\x02\x01\x12\x34\x56\x78\x01\x01" + CANARY[:3] + CANARY
        if marker == 0xEE and body.startswith(b"Adobe"):
            body = body[:5] + CANARY[:6] + body[11:12] + CANARY
        parts.append((marker, body))
        if marker in (0xE0, 0xEE, 0xDB):
            parts += planted
        if marker == 0xDA:
            parts += [*planted[:3], (0xFE, CANARY)]
    if not any(marker == 0xFE for marker, _ in parts[:-1]):
        parts = planted + parts
    return joined(parts) + CANARY + data


# -- PNG -------------------------------------------------------------------------------------------------------------


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, body) of each chunk, all checksums proved, nothing after the end."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, position = [], 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, position + 8 + length)[0]
        found.append((kind, body))
        position += 12 + length
    assert found[-1][0] == b"IEND"
    return found


def png_of(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def png_with_canaries(data: bytes) -> bytes:
    """The stream with a canary in every ancillary chunk, behind the compressed pixels, in and after its end."""
    before = [
        (b"tEXt", b"Patient\0" + CANARY),
        (b"zTXt", b"Comment\0\0" + zlib.compress(CANARY, 0)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + CANARY),
        (b"iCCP", b"icc\0\0" + zlib.compress(CANARY, 0)),
        (b"gAMA", struct.pack(">I", 45455)),
        (b"pHYs", struct.pack(">IIB", 1000, 1000, 1)),
        (b"tIME", struct.pack(">HBBBBB", 1999, 12, 31, 1, 2, 3)),
        (b"sPLT", CANARY),
        (b"prVt", CANARY),
    ]
    after = [(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0" + CANARY), (b"tEXt", b"Comment\0" + CANARY)]
    parts: list[tuple[bytes, bytes]] = []
    for kind, body in chunks(data):
        if kind == b"IEND":
            parts += [(b"IDAT", CANARY), *after, (b"IEND", CANARY)]
        else:
            parts += [(kind, body), *(before if kind == b"IHDR" else [])]
    return png_of(parts) + CANARY + data
