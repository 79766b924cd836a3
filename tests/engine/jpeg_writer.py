"""Sequential JPEG streams from coefficients: any sampling, tables, marks and restart intervals (ITU-T T.81, annex F).

A writer of its own, so that streams exist which no library on this machine would write.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_jpeg", "segment", "write_jpeg"]

Factors = Sequence[tuple[int, int]]
Blocks = NDArray[np.int64]

# Lengths of codes: every symbol has one, short ones first, as an encoder without statistics might choose.
_DC_SYMBOLS = bytes(range(16))
_AC_SYMBOLS = bytes([0x00, 0x01, 0x02, 0x11, 0x03, 0x04, 0x21, 0x12, 0x05, 0x31, 0x41, 0xF0]) + bytes(
    run << 4 | size
    for size in range(1, 15)
    for run in range(16)
    if (run << 4 | size) not in (0x01, 0x02, 0x11, 0x03, 0x04, 0x21, 0x12, 0x05, 0x31, 0x41)
)
_DC_COUNTS = (0, 1, 5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0)
_AC_COUNTS = (0, 2, 1, 3, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 201)


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment (B.1.1.4)."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _codes(counts: Sequence[int], symbols: bytes) -> dict[int, tuple[int, int]]:
    """symbol → (code, length), by the rules of annex C."""
    found, code, place = {}, 0, 0
    for length, count in enumerate(counts, start=1):
        for symbol in symbols[place : place + count]:
            found[symbol] = (code, length)
            code += 1
        place += count
        code <<= 1
    return found


_DC = _codes(_DC_COUNTS, _DC_SYMBOLS)
_AC = _codes(_AC_COUNTS, _AC_SYMBOLS[: sum(_AC_COUNTS)])


class _Bits:
    def __init__(self) -> None:
        self.text: list[str] = []

    def put(self, value: int, length: int) -> None:
        if length:
            self.text.append(format(value, f"0{length}b"))

    def symbol(self, code: tuple[int, int], value: int) -> None:
        self.put(*code)
        size = abs(value).bit_length()
        self.put(value if value >= 0 else value + (1 << size) - 1, size)

    def flush(self) -> bytes:
        text = "".join(self.text)
        text += "1" * (-len(text) % 8)
        self.text = []
        return (int(text, 2).to_bytes(len(text) // 8, "big") if text else b"").replace(b"\xff", b"\xff\0")


def _write_block(bits: _Bits, block: Sequence[int], previous: int) -> None:
    """64 coefficients in the order of the stream."""
    difference = block[0] - previous
    bits.symbol(_DC[abs(difference).bit_length()], difference)
    last = max((k for k in range(1, 64) if block[k]), default=0)
    run = 0
    for k in range(1, last + 1):
        if block[k] == 0:
            run += 1
            continue
        while run > 15:
            bits.put(*_AC[0xF0])
            run -= 16
        bits.symbol(_AC[run << 4 | abs(block[k]).bit_length()], block[k])
        run = 0
    if last < 63:
        bits.put(*_AC[0x00])


def write_jpeg(
    size: tuple[int, int],
    factors: Factors,
    blocks: Sequence[Blocks],
    *,
    quantiser: Sequence[int],
    identifiers: Sequence[int] | None = None,
    restart_interval: int = 0,
    precision: int = 8,
    before: bytes = b"",
) -> bytes:
    """One interleaved scan.

    Args:
        size: height, width.
        factors: (horizontal, vertical) of each component.
        blocks: of each component (rows, columns, 64), whole MCUs, coefficients in the order of the stream.
        quantiser: 64 values in that order, for all components.
        before: segments after SOI, such as APP14.
    """
    count = len(factors)
    names = identifiers or range(1, count + 1)
    wide = max(quantiser) > 255
    out = [b"\xff\xd8", before]
    out.append(segment(0xDB, bytes([wide << 4]) + struct.pack(f">64{'H' if wide else 'B'}", *quantiser)))
    frame = struct.pack(">BHHB", precision, *size, count)
    for name, (h, v) in zip(names, factors, strict=True):
        frame += bytes([name, h << 4 | v, 0])
    out.append(segment(0xC0 if precision == 8 else 0xC1, frame))
    out.append(segment(0xC4, b"\x00" + bytes(_DC_COUNTS) + _DC_SYMBOLS[: sum(_DC_COUNTS)]))
    out.append(segment(0xC4, b"\x10" + bytes(_AC_COUNTS) + _AC_SYMBOLS[: sum(_AC_COUNTS)]))
    if restart_interval:
        out.append(segment(0xDD, struct.pack(">H", restart_interval)))
    scan = bytes([count]) + b"".join(bytes([name, 0]) for name in names) + b"\0\x3f\0"
    out.append(segment(0xDA, scan))
    h0, v0 = (1, 1) if count == 1 else factors[0]
    down, across = blocks[0].shape[0] // v0, blocks[0].shape[1] // h0
    bits, previous = _Bits(), [0] * count
    for mcu in range(down * across):
        if restart_interval and mcu and mcu % restart_interval == 0:
            out += [bits.flush(), bytes([0xFF, 0xD0 + (mcu // restart_interval - 1) % 8])]
            previous = [0] * count
        row, column = divmod(mcu, across)
        for c, (h, v) in enumerate(factors if count > 1 else [(1, 1)]):
            for y in range(row * v, row * v + v):
                for x in range(column * h, column * h + h):
                    block = [int(value) for value in blocks[c][y, x]]
                    _write_block(bits, block, previous[c])
                    previous[c] = block[0]
    return b"".join([*out, bits.flush(), b"\xff\xd9"])


def random_jpeg(
    size: tuple[int, int],
    factors: Factors,
    *,
    seed: int = 0,
    amplitude: float = 30.0,
    restart_interval: int = 0,
    precision: int = 8,
    identifiers: Sequence[int] | None = None,
    before: bytes = b"",
) -> bytes:
    """A stream of noise: smooth means, coefficients that fall off with frequency, some blocks empty, some full."""
    rng = np.random.default_rng(seed)
    max_h, max_v = (max(f[axis] for f in factors) for axis in (0, 1))
    quantiser = [min(255, 1 + k // 2) for k in range(64)]
    blocks = []
    for h, v in factors:
        if len(factors) == 1:
            shape = (-(-size[0] // 8), -(-size[1] // 8))
        else:
            shape = (-(-size[0] // (8 * max_v)) * v, -(-size[1] // (8 * max_h)) * h)
        scale = amplitude / (1.0 + np.arange(64) / 3.0)
        kept = rng.random((*shape, 1)) ** 2 * 64 > np.arange(64)
        values = np.round(rng.laplace(0, 1, (*shape, 64)) * scale * kept).astype(np.int64)
        values[..., 0] = np.round(rng.uniform(-600, 600, shape) * (1 if precision == 8 else 16))
        full = rng.random(shape) < 0.05
        values[full] = np.where(values[full] == 0, 1, values[full])  # ends at coefficient 63, without a word for it
        blocks.append(np.clip(values, -1023 if precision == 8 else -16383, 1023 if precision == 8 else 16383))
    return write_jpeg(
        size,
        factors,
        blocks,
        quantiser=quantiser,
        identifiers=identifiers,
        restart_interval=restart_interval,
        precision=precision,
        before=before,
    )
