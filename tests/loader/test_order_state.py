"""States: plain integers that go on exactly, and refusals that name what differs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medshard.errors import LoaderError
from medshard.loader.order import Order, OrderConfig, OrderState, Source, rank_slice

BASE = OrderConfig(seed=1, lanes=6, round_columns=64, window_items=120)


def order_of(config: OrderConfig = BASE, items: int = 100, name: str = "train", digest: str = "rows") -> Order:
    return Order([Source(name, [items // 2, items - items // 2], digest), Source("other", [33])], config)


def saved(order: Order, epoch: int = 3, offset: int = 40) -> dict[str, Any]:
    return json.loads(json.dumps(OrderState(epoch, offset).dump(order.digest, order.parts)))


def loaded(state: Any, order: Order) -> OrderState:
    return OrderState.load(state, order.digest, order.parts)


@given(st.integers(0, 2**60), st.integers(0, 133))
def test_a_state_survives_json(epoch: int, offset: int) -> None:
    order = order_of()
    assert loaded(saved(order, epoch, offset), order_of()) == OrderState(epoch, offset)


def test_the_place_is_integers_only() -> None:
    state = saved(order_of())
    assert type(state["epoch"]) is int
    assert type(state["offset"]) is int
    assert type(state["version"]) is int
    assert state["digest"] == order_of().digest


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.data(), st.sampled_from(["short", "drop", "pad"]))
def test_restarts_with_other_worlds_and_batches_lose_and_repeat_nothing(
    items: int, data: st.DataObject, remainder: Any
) -> None:
    """A job that is stopped again and again, each time on other ranks with another batch, through three epochs."""
    config = OrderConfig(**{**vars(BASE), "remainder": remainder})
    state: Any = saved(order_of(config, items), 0, 0)
    delivered: dict[int, list[int]] = {0: [], 1: [], 2: []}
    left_out = dict.fromkeys(delivered, 0)
    total = items + 33
    while True:
        order = order_of(config, items)
        place = loaded(state, order)
        if place.epoch == 3:
            break
        world, batch = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 60))
        for _ in range(data.draw(st.integers(1, 8))):
            plan = order.step(place.epoch, place.offset, batch)
            if plan is None:
                left_out[place.epoch] = total - place.offset
                place = OrderState(place.epoch + 1, 0)
                break
            for rank in range(world):
                mine = rank_slice(len(plan.items), rank, world)
                delivered[place.epoch] += plan.items[mine][~plan.padded[mine]].tolist()
            if plan.last:
                left_out[place.epoch] = total - plan.offset
                place = OrderState(place.epoch + 1, 0)
                break
            place = OrderState(place.epoch, plan.offset)
        state = json.loads(json.dumps(place.dump(order.digest, order.parts)))
    for epoch, found in delivered.items():
        assert len(set(found)) == len(found) == total - left_out[epoch]
        assert remainder == "drop" or left_out[epoch] == 0
        assert left_out[epoch] < 60


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, ["seed", "1", "2"]),
        ({"lanes": 8}, ["lanes", "6", "8"]),
        ({"round_columns": 128}, ["round_columns", "64", "128"]),
        ({"window_items": None}, ["window_items", "120", "None"]),
        ({"shuffle": False}, ["shuffle", "True", "False"]),
        ({"remainder": "pad"}, ["remainder", "short", "pad"]),
    ],
    ids=str,
)
def test_another_configuration_is_refused_by_name(change: dict[str, Any], named: list[str]) -> None:
    other = order_of(OrderConfig(**{**vars(BASE), **change}))
    with pytest.raises(LoaderError) as refused:
        loaded(saved(order_of()), other)
    assert all(word in str(refused.value) for word in named)
    unchanged = {"seed", "lanes", "round_columns", "window_items", "shuffle", "remainder", "sources"} - set(change)
    assert not any(word in str(refused.value) for word in unchanged)


def test_another_selection_is_refused_with_both_counts() -> None:
    with pytest.raises(LoaderError) as refused:
        loaded(saved(order_of(items=100)), order_of(items=90))
    told = str(refused.value)
    assert "train" in told
    assert "100 items" in told
    assert "90 items" in told
    assert "seed" not in told


def test_other_rows_of_the_same_number_are_refused_by_name() -> None:
    with pytest.raises(LoaderError, match="train"):
        loaded(saved(order_of(digest="these rows")), order_of(digest="those rows"))


def test_other_shards_of_the_same_rows_are_refused_by_name() -> None:
    """Equal name, length and selection; only the cut into shards differs."""
    one, two = Order([Source("train", [60, 40], "d")], BASE), Order([Source("train", [50, 50], "d")], BASE)
    with pytest.raises(LoaderError, match="train"):
        loaded(saved(one), two)


def test_a_selection_more_is_refused_by_name() -> None:
    more = Order([*order_of().sources, Source("appended", [5])], BASE)
    with pytest.raises(LoaderError, match="appended"):
        loaded(saved(order_of()), more)


def test_another_version_is_refused() -> None:
    state = saved(order_of())
    with pytest.raises(LoaderError, match=r"version 99"):
        loaded({**state, "version": 99}, order_of())


@pytest.mark.parametrize("missing", ["version", "epoch", "offset", "digest"])
def test_what_is_missing_is_named(missing: str) -> None:
    state = saved(order_of())
    del state[missing]
    with pytest.raises(LoaderError, match=missing):
        loaded(state, order_of())


@pytest.mark.parametrize("place", [{"epoch": -1}, {"offset": -1}, {"offset": 1.5}, {"epoch": "2"}, {"offset": None}])
def test_impossible_places_are_refused(place: dict[str, Any]) -> None:
    with pytest.raises(LoaderError):
        loaded({**saved(order_of()), **place}, order_of())


def test_a_place_behind_the_end_is_refused() -> None:
    order = order_of()
    assert loaded(saved(order, 0, order.items), order).offset == order.items
    with pytest.raises(LoaderError):
        loaded(saved(order, 0, order.items + 1), order)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, st.sampled_from(["version", "epoch", "offset", "digest", "order", ""]))
def test_damaged_states_are_refused_and_never_crash(value: Any, name: str) -> None:
    order = order_of()
    state = {**saved(order), name: value} if name else value
    try:
        place = loaded(state, order)
    except LoaderError:
        return
    assert place.epoch >= 0
    assert place.offset >= 0


@given(JSON)
def test_damaged_parts_of_another_order_are_refused_and_never_crash(value: Any) -> None:
    with pytest.raises(LoaderError):
        loaded({**saved(order_of()), "digest": "another", "order": value}, order_of())


def test_numpy_integers_do_not_enter_a_state() -> None:
    order = order_of(OrderConfig(seed=int(np.int64(1)), lanes=6, round_columns=64, window_items=120))
    plan = order.step(0, 0, 10)
    assert plan is not None
    assert type(plan.offset) is int
    json.dumps(OrderState(0, plan.offset).dump(order.digest, order.parts))
