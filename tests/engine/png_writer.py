"""A PNG encoder from the standard alone (ISO/IEC 15948): what the engine decodes must be what was put in.

It writes every colour type, bit depth, filter and both interlace methods, which no encoder at hand does.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}

# First column, first row, step of columns, step of rows of each pass (section 8.2).
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, depth: int, colour: int, *, interlaced: bool = False) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    )


def write_png(
    samples: NDArray[np.integer],
    colour: int,
    depth: int,
    *,
    filters: Sequence[int] = (0, 1, 2, 3, 4),
    interlaced: bool = False,
    palette: NDArray[np.uint8] | None = None,
    alpha_of_palette: bytes = b"",
) -> bytes:
    """A stream of samples (H, W, samples a pixel), whose rows take the filters by turns."""
    height, width, count = samples.shape
    assert count == SAMPLES[colour]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b"".join(_rows(samples[y::dy, x::dx], depth, filters) for x, y, dx, dy in passes)
    parts = [header(width, height, depth, colour, interlaced=interlaced)]
    if palette is not None:
        parts.append(chunk(b"PLTE", palette.tobytes()))
    if alpha_of_palette:
        parts.append(chunk(b"tRNS", alpha_of_palette))
    return b"".join([*parts, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")])


def _rows(samples: NDArray[np.integer], depth: int, filters: Sequence[int]) -> bytes:
    if samples.size == 0:
        return b""  # a pass without pixels has no rows
    step = max(1, samples.shape[2] * depth // 8)
    before = np.zeros(0, np.uint8)
    out = []
    for number, row in enumerate(samples):
        packed = _packed(row.reshape(-1), depth)
        before = before if before.size else np.zeros_like(packed)
        kind = filters[number % len(filters)]
        out.append(bytes([kind]) + _filtered(packed, before, step, kind).tobytes())
        before = packed
    return b"".join(out)


def _packed(row: NDArray[np.integer], depth: int) -> NDArray[np.uint8]:
    if depth == 16:
        return np.frombuffer(row.astype(">u2").tobytes(), np.uint8)
    bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1))


def _filtered(row: NDArray[np.uint8], above: NDArray[np.uint8], step: int, kind: int) -> NDArray[np.uint8]:
    """Section 9.2: the byte less its prediction from left (a), above (b) and left above (c)."""
    x, b = row.astype(int), above.astype(int)
    a = np.concatenate([np.zeros(step, int), x])[: x.size]
    c = np.concatenate([np.zeros(step, int), b])[: x.size]
    estimate = a + b - c
    from_a, from_b, from_c = abs(estimate - a), abs(estimate - b), abs(estimate - c)
    paeth = np.where((from_a <= from_b) & (from_a <= from_c), a, np.where(from_b <= from_c, b, c))
    predicted = [np.zeros_like(x), a, b, (a + b) // 2, paeth][kind]
    return ((x - predicted) % 256).astype(np.uint8)
