"""Lossless JPEG streams (T.81 annex H) of every predictor, precision, point transform and layout, written plainly."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

MAX_SIZE = 16


def predictions(plane: NDArray[np.int64], predictor: int, precision: int, restart_rows: int) -> NDArray[np.int64]:
    """What each sample is predicted from (T.81 H.1.2.1)."""
    left = np.pad(plane, ((0, 0), (1, 0)))[:, :-1]
    above = np.pad(plane, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(plane, ((1, 0), (1, 0)))[:-1, :-1]
    by_number = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }
    guess = by_number[predictor].copy()
    guess[:, 0] = above[:, 0]
    for first in range(0, len(plane), restart_rows or len(plane)):
        guess[first] = left[first]
        guess[first, 0] = 1 << (precision - 1)
    return guess


def codes(shape: str) -> tuple[list[int], list[int], dict[int, tuple[int, int]]]:
    """Numbers of codes of each length, sizes in order of their codes, and size → (code, length).

    ``short`` gives lengths that rise to 16, so that both the table and the walk over long codes are used; ``even``
    gives all sizes five bits.
    """
    if shape == "even":
        lengths = [5] * 17
    else:
        lengths = [*range(2, 16), 16, 16, 16]
    sizes = list(range(17)) if shape == "even" else [*range(16, -1, -1)] if shape == "reversed" else list(range(17))
    counts = [lengths.count(length) for length in range(1, 17)]
    code, previous, table = 0, lengths[0], {}
    for size, length in zip(sizes, lengths, strict=True):
        code <<= length - previous
        table[size] = (code, length)
        code, previous = code + 1, length
    return counts, sizes, table


def write_scan(differences: NDArray[np.int64], table: dict[int, tuple[int, int]]) -> bytes:
    """Entropy-coded bytes of differences in the order of coding, padded with ones and stuffed."""
    bits: list[str] = []
    for value in differences.ravel().tolist():
        value = (value + 32767) % 65536 - 32767  # -32767..32768, modulo 2^16
        size = abs(value).bit_length()
        code, length = table[size]
        bits.append(format(code, f"0{length}b"))
        if 0 < size < MAX_SIZE:
            bits.append(format(value if value > 0 else value + (1 << size) - 1, f"0{size}b"))
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\x00")


def write_jpeg_lossless(
    samples: NDArray[np.generic],
    precision: int,
    predictor: int = 1,
    *,
    transform: int = 0,
    restart_rows: int = 0,
    interleaved: bool = True,
    shape: str = "short",
) -> bytes:
    """(H, W) or (H, W, C) of unsigned samples below 2^precision; with a point transform the low bits are lost."""
    planes = (samples[..., None] if samples.ndim == 2 else samples).astype(np.int64) >> transform
    height, width, channels = planes.shape
    counts, sizes, table = codes(shape)
    frame = struct.pack(">BHHB", precision, height, width, channels)
    frame += b"".join(bytes([c + 1, 0x11, 0]) for c in range(channels))
    out = b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, bytes([0, *counts, *sizes]))
    if restart_rows:
        out += segment(0xDD, struct.pack(">H", restart_rows * width))
    rest = [
        planes[..., c] - predictions(planes[..., c], predictor, precision - transform, restart_rows)
        for c in range(channels)
    ]
    scans = [list(range(channels))] if interleaved else [[c] for c in range(channels)]
    for scan in scans:
        header = bytes([len(scan), *(number for c in scan for number in (c + 1, 0)), predictor, 0, transform])
        out += segment(0xDA, header)
        differences = np.stack([rest[c] for c in scan], axis=-1)
        for number, first in enumerate(range(0, height, restart_rows or height)):
            if number:
                out += bytes([0xFF, 0xD0 + (number - 1) % 8])
            out += write_scan(differences[first : first + (restart_rows or height)], table)
    return out + b"\xff\xd9"


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
