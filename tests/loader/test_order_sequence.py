"""What decides a sequence, what it stays, and how well it is mixed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshard.errors import MedshardError
from medshard.loader.order import Order, OrderConfig, Source


def order_of(runs: list[list[int]], config: OrderConfig) -> Order:
    return Order([Source(f"source {number}", lengths) for number, lengths in enumerate(runs)], config)


def sequence(order: Order, epoch: int = 0, batch: int = 1) -> list[int]:
    found: list[int] = []
    plan = order.step(epoch, 0, batch)
    while plan is not None:
        found += plan.items.tolist()
        plan = order.step(epoch, plan.offset, batch)
    return found


# -- what decides the sequence -----------------------------------------------------------------------------------------


BASE = OrderConfig(seed=1, lanes=6, round_columns=64, window_items=120)
LISTED = [[25] * 12, [40, 10], [333]]


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"lanes": 7}, {"window_items": 60}, {"window_items": None}, {"shuffle": False}],
    ids=str,
)
def test_what_decides_the_sequence_decides_the_digest(change: dict[str, object]) -> None:
    other = OrderConfig(**{**vars(BASE), **change})
    assert sequence(order_of(LISTED, other)) != sequence(order_of(LISTED, BASE))
    assert order_of(LISTED, other).digest != order_of(LISTED, BASE).digest


def test_digest_covers_runs_names_and_selections() -> None:
    def digest(*sources: Source) -> str:
        return Order(sources, BASE).digest

    assert digest(Source("a", [10, 20])) == digest(Source("a", np.array([10, 20], np.int32)))
    digests = [
        digest(Source("a", [10, 20])),
        digest(Source("a", [20, 10])),
        digest(Source("a", [30])),
        digest(Source("b", [10, 20])),
        digest(Source("a", [10, 20], "other rows")),
        digest(Source("a", [10, 20], "other rows" + "0" * 54)),
        digest(Source("a", [10]), Source("a", [20])),
        digest(Source("a", [10, 20]), Source("b", [1])),
    ]
    assert len(set(digests)) == len(digests)
    for config in ({"remainder": "pad"}, {"round_columns": 128}):
        assert Order([Source("a", [10, 20])], OrderConfig(**{**vars(BASE), **config})).digest not in digests


def test_epochs_differ_in_runs_and_within_them() -> None:
    order = order_of([[25] * 12, [7] * 40], BASE)
    first, second = sequence(order, 0), sequence(order, 1)
    assert sum(left == right for left, right in zip(first, second, strict=True)) < 12  # about one by chance
    single = Order([Source("a", [500])], OrderConfig(lanes=3))  # one run: only windows can differ
    assert sequence(single, 0) != sequence(single, 1)


def test_the_sequence_stays_what_it_was() -> None:
    """A state that was saved goes on exactly only while these hold: a change needs another version of the state."""
    windowed = order_of(LISTED, BASE)
    assert _told(sequence(windowed, 3)) == "87a58e61d34db405"
    full = order_of(LISTED, OrderConfig(**{**vars(BASE), "window_items": None}))
    assert _told(sequence(full, 3)) == "87240739b57e48ab"
    large = Order([Source("large", [1000] * 80)], OrderConfig(window_items=None))
    plan = large.step(3, 40_000, 1000)
    assert plan is not None
    assert _told(plan.items.tolist()) == "b30ce0e85843b7bb"


def test_the_digest_stays_what_it_was() -> None:
    """A state is refused by another digest, so a change of it ends all runs that are under way."""
    assert order_of(LISTED, BASE).digest[:16] == "97bb26cf6214aca0"


def _told(items: list[int]) -> str:
    return hashlib.sha256(json.dumps(items).encode()).hexdigest()[:16]


def test_another_process_makes_the_same_sequence() -> None:
    script = (
        "from medshard.loader.order import *\n"
        "order = Order([Source('a', [25] * 12), Source('b', [9])], OrderConfig(seed=8, lanes=5, window_items=99))\n"
        "print(order.digest, order.step(2, 50, 100).items.tolist())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


# -- the order of listing ----------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 60), max_size=9), max_size=4), st.integers(1, 200), st.integers(0, 3))
def test_unshuffled_is_the_order_of_listing(runs: list[list[int]], batch: int, epoch: int) -> None:
    order = order_of(runs, OrderConfig(shuffle=False))
    assert sequence(order, epoch, batch) == list(range(order.items))


# -- how well it is mixed ----------------------------------------------------------------------------------------------


def test_a_batch_is_drawn_from_many_shards() -> None:
    runs, length, batch = 64, 100, 96
    order = Order([Source("a", [length] * runs)], OrderConfig(seed=7, window_items=4096))
    largest = []
    for offset in range(0, order.items - batch + 1, batch):
        plan = order.step(0, offset, batch)
        assert plan is not None
        largest.append(np.bincount(plan.items // length, minlength=runs).max() / batch)
    # 48 lanes over 64 runs: two draws a lane, and a run is shared by at most two lanes.
    assert np.mean(largest) < 0.08
    assert max(largest) < 0.12


def test_a_windowed_epoch_is_far_from_the_listing() -> None:
    """Shards come in a drawn order: items move by a third of the whole on average, as in a uniform shuffle."""
    order = Order([Source("a", [50] * 200)], OrderConfig(seed=7))
    items = np.array(sequence(order))
    displacement = np.abs(items - np.arange(len(items))).mean() / len(items)
    assert displacement == pytest.approx(1 / 3, abs=0.04)
    assert abs(np.corrcoef(items, np.arange(len(items)))[0, 1]) < 0.1
    assert (np.diff(items) == 1).mean() < 0.005


@pytest.mark.parametrize("window", [10, 100, 1000])
def test_a_window_mixes_its_items_and_no_others(window: int) -> None:
    """One lane over one run, so that only the window moves items."""
    order = Order([Source("a", [10_000])], OrderConfig(seed=7, lanes=1, window_items=window))
    items = np.array(sequence(order))
    places = np.arange(len(items))
    assert (items // window == places // window).all()
    assert np.abs(items - places).mean() == pytest.approx((window**2 - 1) / (3 * window), rel=0.06)
    assert (np.diff(items) == 1).mean() < 1.5 / window


def test_full_order_mixes_all_with_all() -> None:
    order = Order([Source("a", [10_000])], OrderConfig(seed=7, window_items=None))
    items = np.array(sequence(order))
    for part in np.split(items, 10):
        seen = np.histogram(part, bins=10, range=(0, 10_000))[0]
        assert (np.abs(seen - 100) < 50).all()  # five standard deviations


def test_sources_are_spread_over_the_epoch() -> None:
    """Every stretch holds each source in its share; lanes do not draw from one source in the same step."""
    sizes = [6000, 3000, 600, 60]
    order = Order([Source(str(size), [100] * (size // 100) or [size]) for size in sizes], OrderConfig(seed=1))
    source = np.searchsorted(np.cumsum(sizes), sequence(order), side="right")
    for part in np.array_split(source, 20):
        seen = np.bincount(part, minlength=4) / len(part)
        assert np.abs(seen - np.array(sizes) / sum(sizes)).max() < 0.05


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [{"lanes": 0}, {"lanes": -3}, {"round_columns": 0}, {"round_columns": 100}, {"window_items": 0}],
    ids=str,
)
def test_numbers_out_of_range_are_refused(config: dict[str, int]) -> None:
    with pytest.raises((MedshardError, ValueError), match=next(iter(config))):
        Order([Source("a", [10])], OrderConfig(**config))


def test_negative_runs_are_refused() -> None:
    with pytest.raises((MedshardError, ValueError), match="'train'"):
        Source("train", [5, -1])


def test_nothing_gives_no_steps() -> None:
    for sources in ([], [Source("a", [])], [Source("a", [0, 0])]):
        order = Order(sources, OrderConfig())
        assert order.items == 0
        assert order.steps(8) == 0
        assert order.step(0, 0, 8) is None
