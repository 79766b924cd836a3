"""CRC-32C against published values and against the polynomial."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshard.engine import crc32c

# RFC 3720, appendix B.4, whose bytes are stored lowest first; and the check value of the CRC catalogue.
PUBLISHED = {
    b"": 0,
    b"123456789": 0xE3069283,
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    bytes.fromhex(
        "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000"
    ): 0xD9963A56,
}


def by_division(data: bytes) -> int:
    """Bit by bit, from the reflected polynomial."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize("data", PUBLISHED, ids=lambda data: f"{len(data)} bytes {data[:4].hex()}")
def test_published_values(data: bytes) -> None:
    assert crc32c(data) == PUBLISHED[data]
    assert by_division(data) == PUBLISHED[data]


@given(data=st.binary(max_size=100), cut=st.integers(0, 100))
def test_any_bytes_whole_or_in_two_parts(data: bytes, cut: int) -> None:
    assert crc32c(data) == by_division(data)
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data)


def test_views_at_any_alignment() -> None:
    data = np.random.default_rng(0).integers(0, 256, 4096).astype(np.uint8).tobytes()
    for begin in range(9):
        part = data[begin : begin + 1000]
        assert crc32c(memoryview(data)[begin : begin + 1000]) == crc32c(part) == crc32c(bytearray(part))
