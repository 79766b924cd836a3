"""Which ranges are read together."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from medshard.storage.byte_range import Fetch, coalesce, cut, disjoint, split

RANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), max_size=30)


@given(RANGES, st.integers(0, 50), st.integers(1, 200))
def test_every_range_is_in_exactly_one_read(ranges: list[tuple[int, int]], max_gap_bytes: int, max_bytes: int) -> None:
    fetches = coalesce(ranges, max_gap_bytes, max_bytes)
    members = sorted(place for fetch in fetches for place in fetch.members)
    assert members == [place for place, (_, length) in enumerate(ranges) if length]
    for fetch in fetches:
        for place in fetch.members:
            start, length = ranges[place]
            assert fetch.start <= start
            assert start + length <= fetch.end


@given(RANGES, st.integers(0, 50), st.integers(1, 200))
def test_bounds_hold(ranges: list[tuple[int, int]], max_gap_bytes: int, max_bytes: int) -> None:
    fetches = coalesce(ranges, max_gap_bytes, max_bytes)
    assert [fetch.start for fetch in fetches] == sorted(fetch.start for fetch in fetches)
    for fetch in fetches:
        longest = max(ranges[place][1] for place in fetch.members)
        assert 0 < fetch.length <= max(max_bytes, longest)
        asked = {byte for place in fetch.members for byte in range(ranges[place][0], sum(ranges[place]))}
        assert {fetch.start, fetch.end - 1} <= asked  # nothing is read in vain at the ends
        vain = 0
        for byte in range(fetch.start, fetch.end):
            vain = 0 if byte in asked else vain + 1
            assert vain <= max_gap_bytes
    for one, two in pairwise(fetches):
        # reads stay apart only for a reason
        joined = max(one.end, ranges[two.members[0]][0] + ranges[two.members[0]][1]) - one.start
        assert two.start - one.end > max_gap_bytes or joined > max_bytes


@given(RANGES, st.integers(0, 50), st.integers(1, 200))
def test_cut_gives_what_slicing_gives(ranges: list[tuple[int, int]], max_gap_bytes: int, max_bytes: int) -> None:
    content = bytes(byte % 251 for byte in range(400))
    fetches = coalesce(ranges, max_gap_bytes, max_bytes)
    parts = cut(ranges, fetches, [content[fetch.start : fetch.end] for fetch in fetches])
    assert [bytes(part) for part in parts] == [content[start : start + length] for start, length in ranges]


@given(RANGES, st.integers(0, 50), st.integers(1, 200))
def test_groups_are_apart_and_complete(ranges: list[tuple[int, int]], max_gap_bytes: int, max_bytes: int) -> None:
    fetches = coalesce(ranges, max_gap_bytes, max_bytes)
    groups = disjoint(fetches)
    assert sorted(place for group in groups for place in group) == list(range(len(fetches)))
    for group in groups:
        for one, two in pairwise(group):
            assert fetches[one].end < fetches[two].start


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 100))
def test_split_covers_a_range_once(start: int, length: int, max_bytes: int) -> None:
    fetches = split(start, length, max_bytes)
    assert [byte for fetch in fetches for byte in range(fetch.start, fetch.end)] == list(range(start, start + length))
    assert all(0 < fetch.length <= max_bytes for fetch in fetches)
    assert len(disjoint(fetches)) <= 2


def test_an_empty_range_moves_no_bounds() -> None:
    assert coalesce([(0, 10), (20, 0), (5, 0)], 100, 1000) == [Fetch(0, 10, (0,))]


def test_a_range_inside_a_longer_one_shares_its_read() -> None:
    assert coalesce([(0, 1000), (400, 10), (990, 20)], 0, 100) == [Fetch(0, 1000, (0, 1)), Fetch(990, 20, (2,))]
