"""The counter generator: published outputs, arrays against scalars, evenness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medshard.loader.counter import mix, uniform, uniform_u64, uniform_u64_array

GOLDEN = 0x9E3779B97F4A7C15
ANY_INTEGER = st.integers(-(2**70), 2**70)

# First outputs of SplitMix64 for two seeds; those of 1234567 are published by rosettacode.org, "Pseudo-random
# numbers/Splitmix64", those of 0 stand in the tests of many implementations.
PUBLISHED = {
    1234567: [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ],
    0: [0xE220A8397B1DCDAF, 7960286522194355700, 487617019471545679, 17909611376780542444],
}


@pytest.mark.parametrize("seed", PUBLISHED)
def test_the_finaliser_gives_the_published_outputs_of_splitmix64(seed: int) -> None:
    # SplitMix64 adds the golden ratio to its state before each output.
    assert [mix(seed + (n + 1) * GOLDEN) for n in range(len(PUBLISHED[seed]))] == PUBLISHED[seed]


@pytest.mark.parametrize("seed", PUBLISHED)
def test_one_counter_gives_the_first_published_output(seed: int) -> None:
    assert uniform_u64(seed) == PUBLISHED[seed][0]
    assert uniform_u64_array(np.array([seed]))[0] == PUBLISHED[seed][0]


def test_values_stay_what_they_were() -> None:
    # Augmentation and order hang on these: a change makes old states and old augmentations something else.
    assert uniform_u64(1, 2, 3) == _chained(1, 2, 3) == 0xD0734750FDE362B3
    assert uniform_u64(0, 0) == _chained(0, 0) == 0xA706DD2F4D197E6F


def _chained(*counters: int) -> int:
    """The definition again, in numpy scalars of fixed width instead of masked Python integers."""
    state = np.zeros(1, np.uint64)
    for counter in counters:
        low = np.array([counter % 2**64], np.uint64)
        state = np.bitwise_xor(state, low) + np.array([GOLDEN], np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            state = np.bitwise_xor(state, np.right_shift(state, np.uint64(shift))) * np.array([factor], np.uint64)
    return int(state[0])


@given(st.lists(ANY_INTEGER, min_size=1, max_size=6))
def test_a_number_is_the_definition_for_integers_of_any_size_and_sign(counters: list[int]) -> None:
    assert uniform_u64(*counters) == _chained(*counters)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40), ANY_INTEGER, ANY_INTEGER)
def test_arrays_equal_scalars(values: list[int], before: int, after: int) -> None:
    found = uniform_u64_array(before, np.array(values, np.int64), after)
    assert found.dtype == np.uint64
    assert found.tolist() == [uniform_u64(before, value, after) for value in values]


def test_arrays_broadcast() -> None:
    rows, columns = np.arange(3)[:, None], np.arange(5)[None, :]
    found = uniform_u64_array(9, rows, columns)
    assert found.shape == (3, 5)
    assert all(found[r, c] == uniform_u64(9, r, c) for r in range(3) for c in range(5))


def test_unsigned_arrays_keep_their_upper_bit() -> None:
    assert uniform_u64_array(np.array([2**64 - 1], np.uint64))[0] == uniform_u64(-1) == uniform_u64(2**64 - 1)


@given(st.lists(ANY_INTEGER, min_size=1, max_size=4))
def test_numbers_lie_in_the_unit_interval(counters: list[int]) -> None:
    value = uniform(*counters)
    assert 0 <= value < 1
    assert value * 2**53 == uniform_u64(*counters) >> 11


def test_order_and_number_of_counters_matter() -> None:
    values = [uniform_u64(*key) for key in [(1,), (1, 0), (0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1), (1, 2)]]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_counting_in_any_place_is_even(place: int) -> None:
    """A run of neighbouring counters, in each place of a key: every bit set half of the time, all bytes alike."""
    count = 65_536
    key = [np.full(count, value) for value in (1, 2, 3, 4)]
    key[place] = np.arange(count)
    drawn = uniform_u64_array(*key)
    assert len(np.unique(drawn)) == count
    bits = np.unpackbits(drawn.view(np.uint8)).reshape(count, 64).sum(axis=0)
    assert np.abs(bits - count / 2).max() < 5 * np.sqrt(count) / 2
    for byte in range(8):
        seen = np.bincount((drawn >> np.uint64(8 * byte)).astype(np.uint8), minlength=256)
        assert stats.chisquare(seen).pvalue > 1e-6


def test_neighbouring_seeds_are_unrelated() -> None:
    first = uniform_u64_array(1, np.arange(20_000)) / 2.0**64
    second = uniform_u64_array(2, np.arange(20_000)) / 2.0**64
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.035  # five standard errors
    assert abs(np.corrcoef(first[1:], second[:-1])[0, 1]) < 0.035
