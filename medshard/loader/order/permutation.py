"""Permutations from the counter generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.loader.counter import uniform_u64, uniform_u64_array

__all__ = ["MAX_TABLE", "permutation", "permute_at"]

MAX_TABLE = 65_536
"""Longest permutation that is kept as a table."""

_ROUNDS = 8


def permutation(length: int, *key: int) -> NDArray[np.int64]:
    """A permutation of ``range(length)`` as a table: positions sorted by 64 random bits each."""
    drawn = uniform_u64_array(*key, np.arange(length, dtype=np.int64))
    return np.argsort(drawn, kind="stable").astype(np.int64)


def permute_at(positions: NDArray[np.int64], length: int, *key: int) -> NDArray[np.int64]:
    """Where a permutation of ``range(length)`` sends positions, without a table of its length.

    Short ones come from the table. Above ``MAX_TABLE`` a balanced Feistel network of eight rounds permutes the next
    power of four, and positions that fall outside ``length`` walk on until they are inside (Black and Rogaway,
    "Ciphers with arbitrary finite domains", CT-RSA 2002).
    """
    if length <= MAX_TABLE:
        return permutation(length, *key)[positions]
    half_bits = ((length - 1).bit_length() + 1) // 2
    found = _feistel(positions.astype(np.uint64), half_bits, key)
    outside = found >= length
    while outside.any():
        found[outside] = _feistel(found[outside], half_bits, key)
        outside = found >= length
    return found.astype(np.int64)


def _feistel(values: NDArray[np.uint64], half_bits: int, key: tuple[int, ...]) -> NDArray[np.uint64]:
    bits, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = values >> bits, values & mask
    folded = uniform_u64(*key)
    for number in range(_ROUNDS):
        drawn = uniform_u64_array(folded, number, right)
        left, right = right, left ^ (drawn & mask)
    return np.asarray((left << bits) | right, np.uint64)
