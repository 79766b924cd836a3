"""Promises of a stream: every item once, for any ranks, batches and resumes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medshard.loader.order import BatchPlan, Order, OrderConfig, Source, rank_slice

RUNS = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=15), min_size=1, max_size=6)
CONFIGS = st.builds(
    OrderConfig,
    seed=st.integers(0, 2**32),
    shuffle=st.sampled_from([True, True, True, False]),
    lanes=st.integers(1, 60),
    round_columns=st.sampled_from([64, 128, 192, 1024]),
    window_items=st.one_of(st.none(), st.integers(1, 5000)),
    remainder=st.sampled_from(["short", "pad", "drop"]),
)
BATCHES = st.integers(1, 200)


def order_of(runs: list[list[int]], config: OrderConfig) -> Order:
    return Order([Source(f"source {number}", lengths) for number, lengths in enumerate(runs)], config)


def plans_of(order: Order, epoch: int, batch: int, offset: int = 0) -> Iterator[BatchPlan]:
    plan = order.step(epoch, offset, batch)
    while plan is not None:
        yield plan
        plan = order.step(epoch, plan.offset, batch)


def concatenated(parts: list[np.ndarray]) -> list[int]:
    return [int(item) for part in parts for item in part]


# -- exactly once ------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(RUNS, CONFIGS, BATCHES, st.integers(0, 1000))
@example([[1]], OrderConfig(), 8, 0)
@example([[47]], OrderConfig(lanes=48, remainder="pad"), 48, 1)
@example([[49]], OrderConfig(lanes=48, remainder="drop"), 48, 1)
@example([[0, 0], [0]], OrderConfig(), 4, 0)
def test_an_epoch_gives_every_item_once(runs: list[list[int]], config: OrderConfig, batch: int, epoch: int) -> None:
    order = order_of(runs, config)
    total = sum(map(sum, runs))
    assert order.items == total
    plans = list(plans_of(order, epoch, batch))
    assert len(plans) == order.steps(batch)
    for plan in plans:
        assert plan.items.shape == plan.padded.shape
        assert plan.items.dtype == np.int64
        assert plan.padded.dtype == bool
    delivered = concatenated([plan.items[~plan.padded] for plan in plans])
    assert len(set(delivered)) == len(delivered)
    assert set(delivered) <= set(range(total))
    sizes = [len(plan.items) for plan in plans]
    assert [plan.last for plan in plans] == [False] * (len(plans) - 1) + [True] * bool(plans)
    full, rest = divmod(total, batch)
    if config.remainder == "drop":
        assert sizes == [batch] * full
        assert len(delivered) == full * batch
    else:
        assert len(delivered) == total
        last = batch if config.remainder == "pad" else rest
        assert sizes == [batch] * full + [last] * bool(rest)
    padding = concatenated([plan.padded for plan in plans[:-1]])
    assert not any(padding)
    if plans:
        assert plans[-1].padded.sum() == (-total % batch if config.remainder == "pad" else 0)


@settings(max_examples=60, deadline=None)
@given(RUNS.filter(lambda runs: sum(map(sum, runs)) > 0), CONFIGS, BATCHES, st.integers(0, 3))
def test_padding_is_the_start_of_the_epoch(runs: list[list[int]], config: OrderConfig, batch: int, epoch: int) -> None:
    config = OrderConfig(**{**vars(config), "remainder": "pad"})
    order = order_of(runs, config)
    *_, last = plans_of(order, epoch, batch)
    missing = -order.items % batch
    stream = concatenated([plan.items for plan in plans_of(order, epoch, 1)])
    expected = (stream * (missing // len(stream) + 1))[:missing]
    assert sorted(last.items[last.padded].tolist()) == sorted(expected)


def test_one_source_of_one_item_beside_one_of_twenty_thousand() -> None:
    sizes = [1, 20_000, 2, 777, 48, 49, 1]
    sources = [
        Source(str(number), [min(250, size)] * (size // 250) + [size % 250]) for number, size in enumerate(sizes)
    ]
    order = Order(sources, OrderConfig(seed=4, round_columns=128))
    assert order.items == sum(sizes)
    for epoch in (0, 1, 17):
        items = concatenated([plan.items for plan in plans_of(order, epoch, 1000)])
        assert sorted(items) == list(range(order.items))


# -- ranks -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 5000), st.integers(1, 300))
def test_ranks_take_neighbouring_parts_of_even_length(count: int, world: int) -> None:
    slices = [rank_slice(count, rank, world) for rank in range(world)]
    assert slices[0].start == 0
    assert slices[-1].stop == count
    assert all(left.stop == right.start for left, right in pairwise(slices))
    lengths = {part.stop - part.start for part in slices}
    assert max(lengths) - min(lengths) <= 1
    assert slices == [slice(rank * count // world, (rank + 1) * count // world) for rank in range(world)]


@settings(max_examples=20, deadline=None)
@given(RUNS, CONFIGS, st.integers(1, 60), st.integers(0, 3))
def test_any_world_sees_the_same_steps(runs: list[list[int]], config: OrderConfig, batch: int, epoch: int) -> None:
    """Each rank makes an order of its own, as in a process of its own; batch need not be a multiple of the world."""
    expected = [plan.items.tolist() for plan in plans_of(order_of(runs, config), epoch, batch)]
    for world in (1, 2, 3, 4, 7):
        ranks = [list(plans_of(order_of(runs, config), epoch, batch)) for _ in range(world)]
        assert len({len(steps) for steps in ranks}) == 1  # all take the same number of steps
        for number, step in enumerate(expected):
            parts = [
                plans[number].items[rank_slice(len(plans[number].items), rank, world)]
                for rank, plans in enumerate(ranks)
            ]
            assert concatenated(parts) == step


def test_a_short_last_step_leaves_some_ranks_nothing() -> None:
    *_, last = plans_of(Order([Source("a", [10])], OrderConfig(lanes=2)), 0, 8)
    shares = [len(last.items[rank_slice(len(last.items), rank, 8)]) for rank in range(8)]
    assert sorted(shares) == [0] * 6 + [1] * 2


@pytest.mark.parametrize("world", [2, 4, 8])
def test_a_lane_stays_with_one_rank_where_the_numbers_divide(world: int) -> None:
    """Of 16 lanes over 8 ranks each rank draws from two unbroken spans of runs, so runs are hardly ever read twice."""
    runs = 400
    order = Order([Source("a", [40] * runs)], OrderConfig(seed=2, lanes=16, window_items=640))
    readers: list[set[int]] = [set() for _ in range(runs)]
    for plan in plans_of(order, 0, 64):
        for rank in range(world):
            for item in plan.items[rank_slice(len(plan.items), rank, world)]:
                readers[int(item) // 40].add(rank)
    assert sum(len(ranks) > 1 for ranks in readers) <= world - 1
    assert all(readers)


# -- places ------------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(RUNS.filter(lambda runs: sum(map(sum, runs)) > 1), CONFIGS, st.integers(0, 3), st.data())
def test_going_on_from_anywhere_equals_running_on(
    runs: list[list[int]], config: OrderConfig, epoch: int, data: st.DataObject
) -> None:
    order = order_of(runs, config)
    batch = data.draw(st.integers(1, 100))
    plans = list(plans_of(order, epoch, batch))
    at = data.draw(st.integers(0, len(plans)))
    offset = plans[at - 1].offset if at else 0
    resumed = list(plans_of(order_of(runs, config), epoch, batch, offset))
    assert [plan.items.tolist() for plan in resumed] == [plan.items.tolist() for plan in plans[at:]]
    assert [plan.padded.tolist() for plan in resumed] == [plan.padded.tolist() for plan in plans[at:]]
    assert [(plan.offset, plan.last) for plan in resumed] == [(plan.offset, plan.last) for plan in plans[at:]]


@settings(max_examples=25, deadline=None)
@given(RUNS.filter(lambda runs: sum(map(sum, runs)) > 0), CONFIGS, st.integers(0, 3), st.data())
def test_batch_size_may_change_at_every_step(
    runs: list[list[int]], config: OrderConfig, epoch: int, data: st.DataObject
) -> None:
    """The units between two offsets are the same, whatever steps they are cut into."""
    order = order_of(runs, config)
    stream = concatenated([plan.items for plan in plans_of(order, epoch, 1)])
    assert sorted(stream) == list(range(order.items))
    offset = 0
    while offset < order.items:
        batch = data.draw(st.integers(1 + order.items // 10, 1 + order.items // 3))
        plan = order_of(runs, config).step(epoch, offset, batch)
        if plan is None:
            assert config.remainder == "drop"
            assert order.items - offset < batch
            break
        assert sorted(plan.items[~plan.padded].tolist()) == sorted(stream[offset : plan.offset])
        offset = plan.offset


@settings(max_examples=40, deadline=None)
@given(RUNS.filter(lambda runs: sum(map(sum, runs)) > 0), CONFIGS, st.data())
def test_steps_may_be_asked_for_in_any_order(runs: list[list[int]], config: OrderConfig, data: st.DataObject) -> None:
    order = order_of(runs, config)
    for _ in range(6):
        epoch, offset = data.draw(st.integers(0, 5)), data.draw(st.integers(0, order.items))
        batch = data.draw(BATCHES)
        found, fresh = order.step(epoch, offset, batch), order_of(runs, config).step(epoch, offset, batch)
        assert (found is None) == (fresh is None)
        if found is not None and fresh is not None:
            assert found.items.tolist() == fresh.items.tolist()


def test_far_epochs_are_as_near_as_the_first() -> None:
    order = Order([Source("a", [100] * 10), Source("b", [30])], OrderConfig(seed=1, lanes=4))
    for epoch in (10**6, 2**40, 2**62):
        assert sorted(concatenated([plan.items for plan in plans_of(order, epoch, 128)])) == list(range(1030))


def test_a_pickled_order_goes_on_alike() -> None:
    order = Order([Source("a", [50] * 20)], OrderConfig(seed=3, lanes=4))
    order.step(0, 0, 100)
    copied = pickle.loads(pickle.dumps(order))
    assert copied.digest == order.digest
    for left, right in zip(plans_of(order, 1, 64), plans_of(copied, 1, 64), strict=True):
        assert left.items.tolist() == right.items.tolist()
