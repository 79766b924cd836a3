"""Stopping and going on: resuming equals running on, also with other ranks, and wrong states are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streams import TRANSFORM, interleaved, streamed, told
from torch.utils.data import DataLoader

from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.loader import Loader

GLOBAL_BATCH = 8


def loader(corpus: Corpus, **options: Any) -> Loader:
    """A loader with this file's usual options."""
    return Loader(
        corpus, **{"global_batch_size": GLOBAL_BATCH, "transform": TRANSFORM, "seed": 1, "threads": 1, **options}
    )


def taken(corpus: Corpus, steps: int, ranks: int) -> tuple[list[Any], dict[str, Any]]:
    """What ranks deliver in so many steps, and their state, which is one and the same."""
    parts, states = [], []
    for rank in range(ranks):
        running = loader(corpus, rank=rank, world_size=ranks)
        batches = iter(running)
        parts.append([told(next(batches)) for _ in range(steps)])
        states.append(running.state_dict())
    assert all(state == states[0] for state in states)
    return interleaved(parts), json.loads(json.dumps(states[0]))


@pytest.mark.parametrize("then", [1, 2, 4])
@pytest.mark.parametrize(("steps", "first"), [(0, 2), (1, 1), (7, 2), (20, 4)])
def test_resuming_equals_running_on_with_any_number_of_ranks(corpus: Corpus, steps: int, first: int, then: int) -> None:
    whole = streamed(loader(corpus))
    before, state = taken(corpus, steps, first)
    after = []
    for rank in range(then):
        resumed = loader(corpus, rank=rank, world_size=then)
        resumed.load_state_dict(state)
        after.append(streamed(resumed))
    assert before + interleaved(after) == whole


def test_after_a_resumed_epoch_comes_the_next(corpus: Corpus) -> None:
    running = loader(corpus)
    streamed(running)
    second = streamed(running)
    _, state = taken(corpus, 3, 1)
    resumed = loader(corpus)
    resumed.load_state_dict(state)
    streamed(resumed)
    assert streamed(resumed) == second


def test_the_state_at_an_epochs_end_is_the_next_epochs_start(corpus: Corpus) -> None:
    running = loader(corpus)
    streamed(running)
    resumed = loader(corpus)
    resumed.load_state_dict(running.state_dict())
    assert streamed(resumed) == streamed(running)


def test_workers_hand_their_state_over_in_the_batch(corpus: Corpus) -> None:
    whole = streamed(loader(corpus))
    batches = iter(DataLoader(loader(corpus), batch_size=None, num_workers=2))
    before = [next(batches) for _ in range(5)]
    resumed = loader(corpus)
    resumed.load_state_dict(before[-1]["state"])
    assert streamed(before) + streamed(DataLoader(resumed, batch_size=None, num_workers=1)) == whole


def test_another_batch_size_goes_on_with_the_items_that_are_left(corpus: Corpus) -> None:
    whole = [entry for step in streamed(loader(corpus)) for entry in step]
    before, state = taken(corpus, 5, 1)
    resumed = loader(corpus, global_batch_size=3)
    resumed.load_state_dict(state)
    after = [entry for step in streamed(resumed) for entry in step]
    assert sorted([*(entry for step in before for entry in step), *after]) == sorted(whole)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seed": 2}, "seed was 1 and is 2"),
        ({"shuffle": False}, "shuffle was True and is False"),
        ({"by": "sample"}, "'sample'"),
    ],
)
def test_a_state_of_another_stream_is_refused_by_name(corpus: Corpus, options: dict[str, Any], named: str) -> None:
    _, state = taken(corpus, 2, 1)
    with pytest.raises(LoaderError, match=named):
        loader(corpus, **options).load_state_dict(state)


def test_a_state_of_another_selection_is_refused(corpus: Corpus) -> None:
    _, state = taken(corpus, 2, 1)
    with pytest.raises(LoaderError, match="the state is of another stream"):
        loader(corpus.select("split = 'train'")).load_state_dict(state)


@pytest.mark.parametrize("state", [{}, {"version": 99}, {"version": 1, "epoch": -1, "offset": 0}, None, [1]])
def test_what_is_no_state_is_refused(corpus: Corpus, state: Any) -> None:
    with pytest.raises(LoaderError):
        loader(corpus).load_state_dict(state)
