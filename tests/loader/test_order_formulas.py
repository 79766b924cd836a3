"""The sequence against a plain transcription of its definition, item by item.

The oracle makes a whole epoch at once out of lists and fractions. Where the definition has a closed form (a lane's
first place, the number of holes, the draws before a round), the oracle counts instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import count

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medshard.loader.counter import uniform_u64
from medshard.loader.order import Order, OrderConfig, Source
from medshard.loader.order.permutation import permute_at

BLOCK = 64


def shuffled(length: int, *key: int) -> list[int]:
    return sorted(range(length), key=lambda i: (uniform_u64(*key, i), i))


@dataclass(frozen=True)
class Unit:
    """An item with where it was drawn."""

    item: int
    lane: int
    source: int
    draw: int


class Oracle:
    """All units of an epoch, in order."""

    def __init__(self, runs: list[list[int]], config: OrderConfig, epoch: int) -> None:
        self.runs = [[length for length in source if length] for source in runs]
        self.runs = [source for source in self.runs if source]
        self.lengths = [sum(source) for source in self.runs]
        self.config, self.epoch, self.total = config, epoch, sum(self.lengths)
        lines = [self.line(number) for number in range(len(self.runs))]
        lanes = [self.lane(number, lines) for number in range(config.lanes)]
        self.units: list[Unit] = []
        for first in range(0, len(lanes[0]), config.round_columns):
            rounds = [[unit for unit in lane[first : first + config.round_columns] if unit] for lane in lanes]
            # A round goes through the lanes by index in the lane, then by lane.
            self.units += [units[at] for at in range(max(map(len, rounds))) for units in rounds if at < len(units)]

    def line(self, number: int) -> list[int]:
        """Items of a source, global, in the order of the epoch's line."""
        seed, before = self.config.seed, sum(self.lengths[:number])
        if self.config.window_items is None:
            return [before + at for at in shuffled(self.lengths[number], seed ^ 1, number, self.epoch)]
        listed, at = [], before
        for length in self.runs[number]:
            listed.append(list(range(at, at + length)))
            at += length
        return [item for run in shuffled(len(listed), seed ^ 1, number, self.epoch) for item in listed[run]]

    def lane(self, lane: int, lines: list[list[int]]) -> list[Unit | None]:
        """A lane's draws in column order; None for a hole."""
        lanes, seed = self.config.lanes, self.config.seed
        queues = [self.span(lane, number, line) for number, line in enumerate(lines)]
        quotas = [-(-length // lanes) for length in self.lengths]
        ideal = [(Fraction(2 * k + 1, 2 * quota), s) for s, quota in enumerate(quotas) for k in range(quota)]
        sigma = [s for _, s in sorted(ideal)]
        turn = lane * len(sigma) // lanes
        played = sigma[turn:] + sigma[:turn]
        drawn = [count() for _ in quotas]
        found: list[Unit | None] = []
        for block in range(-(-len(played) // BLOCK)):
            entries = played[block * BLOCK : (block + 1) * BLOCK]
            if len(quotas) > 1:
                entries = [entries[i] for i in shuffled(len(entries), seed, 3, self.epoch, lane, block)]
            for source in entries:
                draw = next(drawn[source])
                there = draw < len(queues[source])
                found.append(Unit(queues[source][draw], lane, source, draw) if there else None)
        return found

    def share(self, lane: int, number: int) -> int:
        """L(1) - L(0)."""
        lanes = self.config.lanes
        offset = self.offset(lane, number)
        return (self.lengths[number] + offset) // lanes - offset // lanes

    def offset(self, lane: int, number: int) -> int:
        return (lane + sum(self.lengths[:number])) % self.config.lanes

    def span(self, lane: int, number: int, line: list[int]) -> list[int]:
        """A lane's items of a source in the order in which it draws them."""
        smaller = [c for c in range(self.config.lanes) if self.offset(c, number) < self.offset(lane, number)]
        start = sum(self.share(c, number) for c in smaller)
        mine = line[start : start + self.share(lane, number)]
        window = self.window(number)
        if window is None:
            return mine
        drawn = []
        for w in range(-(-len(mine) // window)):
            part = mine[w * window : (w + 1) * window]
            drawn += [part[i] for i in shuffled(len(part), self.config.seed, 2, number, self.epoch, lane, w)]
        return drawn

    def window(self, number: int) -> int | None:
        """The declared total, shared out by length over sources and evenly over lanes; at least two."""
        declared = self.config.window_items
        if declared is None:
            return None
        return max(2, declared * self.lengths[number] // (self.total * self.config.lanes))

    def step(self, offset: int, batch: int) -> list[int]:
        units = self.units[offset : offset + batch]
        return [unit.item for unit in sorted(units, key=lambda unit: unit.lane)]


RUNS = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=5)
CONFIGS = st.builds(
    OrderConfig,
    seed=st.integers(0, 2**64 - 1),
    lanes=st.integers(1, 9),
    round_columns=st.sampled_from([64, 128, 1024]),
    window_items=st.one_of(st.none(), st.integers(1, 2000)),
)


def order_of(runs: list[list[int]], config: OrderConfig) -> Order:
    return Order([Source(f"source {number}", lengths) for number, lengths in enumerate(runs)], config)


@settings(max_examples=150, deadline=None)
@given(RUNS, CONFIGS, st.integers(0, 5), st.integers(1, 70))
@example([[1], [2], [3]], OrderConfig(lanes=48), 0, 7)  # fewer items than lanes
@example([[20], [1], [30, 30, 30, 30, 30]], OrderConfig(lanes=1, round_columns=64, window_items=10), 3, 64)
@example([[0], [7, 0, 7]], OrderConfig(lanes=2, window_items=1), 1, 3)
def test_every_step_is_the_definitions(runs: list[list[int]], config: OrderConfig, epoch: int, batch: int) -> None:
    order = order_of(runs, config)
    oracle = Oracle(runs, config, epoch) if order.items else None
    offset = 0
    for _ in range(order.steps(batch)):
        assert oracle is not None
        plan = order.step(epoch, offset, batch)
        assert plan is not None
        assert plan.items.tolist() == oracle.step(offset, batch)
        assert plan.offset == min(offset + batch, order.items)
        assert plan.last == (plan.offset == order.items)
        assert not plan.padded.any()
        offset = plan.offset
    assert offset == order.items
    assert order.step(epoch, offset, batch) is None


UNEVEN = [[1], [300, 300, 17], [5], [0, 64, 0], [2, 1], [900] * 4]


@pytest.mark.parametrize("lanes", [1, 2, 5, 8])
@pytest.mark.parametrize("window", [None, 1, 300, 10**6])
def test_sources_of_very_different_sizes_over_many_rounds(lanes: int, window: int | None) -> None:
    config = OrderConfig(seed=99, lanes=lanes, round_columns=64, window_items=window)
    order, oracle = order_of(UNEVEN, config), Oracle(UNEVEN, config, 2)
    items = order.step(2, 0, order.items)
    assert items is not None
    assert items.items.tolist() == oracle.step(0, order.items)
    for offset in range(0, order.items, 97):  # each round by itself, from a fresh order
        fresh = order_of(UNEVEN, config).step(2, offset, 33)
        assert fresh is not None
        assert fresh.items.tolist() == oracle.step(offset, 33)


def test_a_full_line_above_the_table_limit_is_the_feistel_permutation() -> None:
    length, lanes = 70_001, 3
    config = OrderConfig(seed=5, lanes=lanes, window_items=None)
    order = Order([Source("large", [1000] * 70 + [1])], config)
    line = permute_at(np.arange(length), length, 5 ^ 1, 0, 4).tolist()
    # 70,001 items over three lanes: 23,333 and twice 23,334.
    shares = [(length + lane) // lanes for lane in range(lanes)]
    assert sum(shares) == length
    spans = [line[sum(shares[:lane]) : sum(shares[: lane + 1])] for lane in range(lanes)]
    expected = [span[at] for at in range(max(shares)) for span in spans if at < len(span)]
    found = [order.step(4, offset, 1) for offset in range(1000)]
    assert [int(plan.items[0]) for plan in found if plan is not None] == expected[:1000]
    middle = order.step(4, 60_000, 500)
    assert middle is not None
    assert sorted(middle.items.tolist()) == sorted(expected[60_000:60_500])


@settings(max_examples=60, deadline=None)
@given(RUNS.filter(lambda runs: sum(map(sum, runs)) > 0), CONFIGS)
def test_lanes_share_each_source_evenly(runs: list[list[int]], config: OrderConfig) -> None:
    """Lane lengths stay within one for every source, and for all sources together."""
    oracle = Oracle(runs, config, 0)
    for number, length in enumerate(oracle.lengths):
        shares = [oracle.share(lane, number) for lane in range(config.lanes)]
        assert sum(shares) == length
        assert max(shares) - min(shares) <= 1
    totals = np.bincount([unit.lane for unit in oracle.units], minlength=config.lanes)
    assert totals.max() - totals.min() <= 1
