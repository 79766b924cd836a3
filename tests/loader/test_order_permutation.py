"""Permutations: bijections, random access, evenness."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medshard.loader.counter import uniform_u64
from medshard.loader.order.permutation import MAX_TABLE, permutation, permute_at


def _is_permutation(table: np.ndarray, length: int) -> bool:
    return table.shape == (length,) and bool((np.bincount(table, minlength=length) == 1).all())


@given(st.integers(0, 300), st.lists(st.integers(0, 2**64), min_size=1, max_size=5))
def test_a_table_is_positions_sorted_by_their_draws(length: int, key: list[int]) -> None:
    expected = sorted(range(length), key=lambda i: (uniform_u64(*key, i), i))
    assert permutation(length, *key).tolist() == expected


@given(st.integers(1, 300), st.integers(0, 2**64), st.data())
def test_random_access_equals_the_table(length: int, key: int, data: st.DataObject) -> None:
    positions = np.array(data.draw(st.lists(st.integers(0, length - 1), max_size=20)), np.int64)
    assert permute_at(positions, length, key).tolist() == permutation(length, key)[positions].tolist()


@pytest.mark.parametrize(
    "length", [MAX_TABLE, MAX_TABLE + 1, 70_001, 131_071, 131_073, 2**18, 2**18 + 1, 262_147, 400_009]
)
def test_both_sides_of_the_limit_are_bijections(length: int) -> None:
    # Feistel domains are powers of four; 2^18 is one exactly, 2^18 + 1 walks most of the time.
    everything = permute_at(np.arange(length, dtype=np.int64), length, 3, length)
    assert everything.dtype == np.int64
    assert _is_permutation(everything, length)


@settings(max_examples=15, deadline=None)
@given(st.integers(MAX_TABLE + 1, 300_000), st.integers(0, 2**64), st.data())
def test_feistel_is_random_access(length: int, key: int, data: st.DataObject) -> None:
    everything = permute_at(np.arange(length, dtype=np.int64), length, key)
    assert _is_permutation(everything, length)
    positions = np.array(data.draw(st.lists(st.integers(0, length - 1), min_size=1, max_size=20)), np.int64)
    assert permute_at(positions, length, key).tolist() == everything[positions].tolist()
    one = positions[:1]
    assert permute_at(one, length, key)[0] == everything[one[0]]


def test_feistel_of_a_length_beyond_32_bits() -> None:
    length = 3 * 2**33 + 5
    positions = np.concatenate([np.arange(5000), length - 1 - np.arange(5000), length // 2 + np.arange(5000)])
    found = permute_at(positions, length, 1)
    assert len(np.unique(found)) == len(positions)
    assert found.min() >= 0
    assert found.max() < length
    assert stats.kstest(found / length, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("length", [100, MAX_TABLE + 1001])
def test_keys_give_different_permutations(length: int) -> None:
    positions = np.arange(100, dtype=np.int64)
    found = {tuple(permute_at(positions, length, *key).tolist()) for key in [(0, 0), (0, 1), (1, 0), (1,), (2, 0)]}
    assert len(found) == 5


@pytest.mark.parametrize("length", [2, 3, 4, 5])
def test_every_order_of_a_few_is_equally_likely(length: int) -> None:
    draws = 200 * factorial(length)
    seen = Counter(tuple(permutation(length, 7, number).tolist()) for number in range(draws))
    assert stats.chisquare([seen[order] for order in permutations(range(length))]).pvalue > 1e-6


@pytest.mark.parametrize("length", [5000, MAX_TABLE, MAX_TABLE + 3, 250_001])
def test_positions_are_thrown_far_and_neighbours_apart(length: int) -> None:
    found = permute_at(np.arange(length, dtype=np.int64), length, 5)
    displacement = np.abs(found - np.arange(length)).mean() / length
    assert displacement == pytest.approx(1 / 3, abs=0.02)  # of a uniform permutation
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 6 / np.sqrt(length)
    assert (np.abs(np.diff(found)) == 1).sum() < 20  # about two of a uniform permutation
    assert (found == np.arange(length)).sum() < 15  # about one


def test_feistel_spreads_a_short_stretch_evenly() -> None:
    """Positions of one lane's span are a short stretch; their items are to come from everywhere."""
    length = 1_000_003
    for first in (0, 123_456, length - 4000):
        found = permute_at(first + np.arange(4000), length, 11)
        seen = np.histogram(found, bins=40, range=(0, length))[0]
        assert stats.chisquare(seen).pvalue > 1e-6
