"""Items that share a file, such as the crops of a volume, come near one another, and all else stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshard.loader.order import Order, OrderConfig, Source

GROUPED = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(1, 9)), st.lists(st.integers(1, 40), min_size=1, max_size=5)),
    min_size=1,
    max_size=3,
)
"""(group, groups of each run) of each source; where the group is None, runs count items."""

CONFIGS = st.builds(
    OrderConfig,
    seed=st.integers(0, 2**32),
    lanes=st.integers(1, 20),
    round_columns=st.sampled_from([64, 128]),
    window_items=st.one_of(st.none(), st.integers(1, 300)),
)


def sequence(order: Order, epoch: int = 0, batch: int = 1, offset: int = 0) -> list[int]:
    found: list[int] = []
    plan = order.step(epoch, offset, batch)
    while plan is not None:
        found += plan.items.tolist()
        plan = order.step(epoch, plan.offset, batch)
    return found


def sources_of(listed: list[tuple[int | None, list[int]]]) -> list[Source]:
    return [
        Source(f"source {number}", np.array(runs) * (group or 1), group=group)
        for number, (group, runs) in enumerate(listed)
    ]


@given(GROUPED, CONFIGS, st.integers(0, 3))
def test_an_epoch_gives_every_item_once(
    listed: list[tuple[int | None, list[int]]], config: OrderConfig, epoch: int
) -> None:
    order = Order(sources_of(listed), config)
    assert sorted(sequence(order, epoch)) == list(range(order.items))


@given(GROUPED, CONFIGS, st.data())
def test_going_on_from_anywhere_equals_running_on(
    listed: list[tuple[int | None, list[int]]], config: OrderConfig, data: st.DataObject
) -> None:
    whole = sequence(Order(sources_of(listed), config))
    offset = data.draw(st.integers(0, len(whole) - 1))
    assert sequence(Order(sources_of(listed), config), offset=offset) == whole[offset:]


@pytest.mark.parametrize(("group", "window"), [(4, 1), (4, 100), (1, 1), (6, 5 * 6 * 16)])
def test_a_group_comes_within_one_window(group: int, window: int) -> None:
    lanes, groups = 16, 203
    order = Order(
        [Source("volumes", [20 * group] * 10 + [3 * group], group=group)],
        OrderConfig(lanes=lanes, window_items=window, seed=3),
    )
    places = np.empty(order.items, np.int64)
    places[sequence(order)] = np.arange(order.items)
    spans = np.ptp(places.reshape(groups, group), axis=1)
    a_lane = max(group, window // lanes // group * group)
    assert spans.max() < lanes * a_lane
    if group > 1:
        assert spans.min() > 0
        assert (places.reshape(groups, group)[:, 1:] - places.reshape(groups, group)[:, :-1] != 1).any()


def test_neighbouring_places_are_of_different_groups() -> None:
    group, lanes = 4, 16
    order = Order([Source("volumes", [400 * group], group=group)], OrderConfig(lanes=lanes, window_items=lanes * group))
    taken = np.array(sequence(order)) // group
    batches = taken[: len(taken) // lanes * lanes].reshape(-1, lanes)
    assert all(len(set(batch)) == lanes for batch in batches[:-group])


def test_groups_are_mixed_all_with_all_also_in_a_window() -> None:
    group = 2
    order = Order([Source("volumes", [30 * group] * 10, group=group)], OrderConfig(window_items=1, lanes=4))
    first, second = (np.array(sequence(order, epoch))[::2] // group for epoch in (0, 1))
    assert np.corrcoef(first, np.arange(len(first)))[0, 1] < 0.3
    assert (first == second).mean() < 0.1


def test_members_of_a_group_come_in_any_order() -> None:
    group = 4
    order = Order([Source("volumes", [300 * group], group=group)], OrderConfig(window_items=1, lanes=16))
    taken = np.array(sequence(order))
    firsts = [next(item % group for item in taken if item // group == number) for number in range(300)]
    assert np.bincount(firsts, minlength=group).min() > 40  # 75 each by chance


def test_the_group_decides_the_digest() -> None:
    plain, ones, twos = (Order([Source("a", [8], group=group)], OrderConfig()) for group in (None, 1, 2))
    assert len({plain.digest, ones.digest, twos.digest}) == 3


@pytest.mark.parametrize("group", [0, -1, 3])
def test_runs_that_are_not_whole_groups_are_refused(group: int) -> None:
    with pytest.raises(ValueError, match="groups of"):
        Source("a", [8], group=group)
