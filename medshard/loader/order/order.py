"""The order of a stream: rounds of units, cut into steps, divided among ranks."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medshard.loader.order.source import Source
from medshard.loader.order.stage import HOLE, OnceStage

__all__ = ["BatchPlan", "Order", "OrderConfig", "rank_slice"]

_CACHED_ROUNDS = 3
_CACHED_STAGES = 2


@dataclass(frozen=True)
class OrderConfig:
    """What decides a sequence, beside its sources.

    Attributes:
        seed: another seed, another sequence.
        shuffle: False for the order of listing.
        lanes: C; part of the order, never derived from the number of ranks.
        round_columns: R; columns that are planned together, a multiple of 64.
        window_items: items that are mixed with one another, over all lanes and sources; None for a full permutation.
        remainder: what becomes of units that do not fill the last step of an epoch: ``short`` gives a smaller step,
            ``pad`` fills it from the epoch's start and flags that, ``drop`` leaves them out.
    """

    seed: int = 0
    shuffle: bool = True
    lanes: int = 48
    round_columns: int = 1024
    window_items: int | None = 16_384
    remainder: Literal["short", "pad", "drop"] = "short"


@dataclass(frozen=True)
class BatchPlan:
    """One step of all ranks together.

    Attributes:
        items: int64, in the order of (lane, place): neighbours share a lane, so ranks read few shards.
        padded: whether an item is there only to fill the step.
        offset: units of the epoch that are delivered after this step.
        last: whether the epoch ends with it.
    """

    items: NDArray[np.int64]
    padded: NDArray[np.bool_]
    offset: int
    last: bool


def rank_slice(count: int, rank: int, world: int) -> slice:
    """The part of a step of ``count`` units that a rank takes."""
    return slice(rank * count // world, (rank + 1) * count // world)


class Order:
    """The sequence of a stream that goes once through its sources an epoch.

    Args:
        sources: their items are numbered one source after another.
        config: see ``OrderConfig``.

    Raises:
        ValueError: a number of the configuration is out of its range.
    """

    def __init__(self, sources: Sequence[Source], config: OrderConfig) -> None:
        if config.lanes < 1 or config.round_columns < 64 or config.round_columns % 64:
            raise ValueError("lanes is at least 1, round_columns a multiple of 64")
        if config.window_items is not None and config.window_items < 1:
            raise ValueError("window_items is at least 1, or None for a full permutation")
        self.sources = [source for source in sources if len(source)]
        self.config = config
        self.items = sum(len(source) for source in self.sources)
        self._stages: OrderedDict[int, tuple[OnceStage, NDArray[np.int64]]] = OrderedDict()
        self._rounds: OrderedDict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]] = OrderedDict()

    @cached_property
    def parts(self) -> dict[str, Any]:
        """What decides the sequence, in plain types."""
        config = self.config
        return {
            "seed": config.seed,
            "shuffle": config.shuffle,
            "lanes": config.lanes,
            "round_columns": config.round_columns,
            "window_items": config.window_items,
            "remainder": config.remainder,
            "items": self.items,
            "sources": [source.describe() for source in self.sources],
        }

    @cached_property
    def digest(self) -> str:
        """Names the sequence: over ``parts``, which stand for the runs and the rows of every source."""
        return hashlib.sha256(json.dumps(self.parts, sort_keys=True).encode()).hexdigest()

    def steps(self, batch: int) -> int:
        """Steps of an epoch, in batches of so many units over all ranks."""
        if self.config.remainder == "drop":
            return self.items // batch
        return -(-self.items // batch)

    def step(self, epoch: int, offset: int, batch: int) -> BatchPlan | None:
        """The step that follows after ``offset`` units; None when the epoch is over."""
        left = self.items - offset
        if left <= 0 or (left < batch and self.config.remainder == "drop"):
            return None
        count = min(batch, left)
        items, order = self._units(epoch, offset, count)
        padded = np.zeros(count, bool)
        if count < batch and self.config.remainder == "pad":
            more, more_order = self._padding(epoch, batch - count)
            items, order = np.concatenate([items, more]), np.concatenate([order, more_order])
            padded = np.concatenate([padded, np.ones(len(more), bool)])
        by_lane = np.argsort(order, kind="stable")
        end = offset + count
        smallest = batch if self.config.remainder == "drop" else 1
        return BatchPlan(items[by_lane], padded[by_lane], end, self.items - end < smallest)

    def _padding(self, epoch: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Units from the epoch's start, as often as needed."""
        parts = []
        while count > 0:
            taken = min(count, self.items)
            parts.append(self._units(epoch, 0, taken))
            count -= taken
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _units(self, epoch: int, offset: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Items of units and the lane that each comes from."""
        if not self.config.shuffle:
            return np.arange(offset, offset + count, dtype=np.int64), np.zeros(count, np.int64)
        _, ends = self._stage(epoch)
        number = int(np.searchsorted(ends, offset, side="right"))
        items, lanes = [], []
        while count > 0:
            round_items, round_lanes = self._round(epoch, number)
            first = offset - (int(ends[number - 1]) if number else 0)
            taken = min(count, len(round_items) - first)
            items.append(round_items[first : first + taken])
            lanes.append(round_lanes[first : first + taken])
            offset, count, number = offset + taken, count - taken, number + 1
        return np.concatenate(items), np.concatenate(lanes)

    def _stage(self, epoch: int) -> tuple[OnceStage, NDArray[np.int64]]:
        """The epoch's stage, and the number of units up to the end of each of its rounds."""
        if epoch not in self._stages:
            stage = OnceStage(self.sources, self.config.seed, epoch, self.config.lanes, self._windows())
            columns = np.arange(0, stage.columns, self.config.round_columns)
            widths = np.minimum(columns + self.config.round_columns, stage.columns) - columns
            holes = np.bincount(stage.holes() // self.config.round_columns, minlength=len(columns))
            self._stages[epoch] = (stage, np.cumsum(widths * stage.lanes - holes))
            while len(self._stages) > _CACHED_STAGES:
                self._stages.popitem(last=False)
        return self._stages[epoch]

    def _windows(self) -> list[int] | None:
        """Each source's window in items a lane: the declared total is shared by length, at least two each.

        Of groups, at least one, and whole ones.
        """
        total = self.config.window_items
        if total is None:
            return None
        shares = [total * len(source) // (self.items * self.config.lanes) for source in self.sources]
        return [
            max(2, share) if source.group is None else max(1, share // source.group) * source.group
            for share, source in zip(shares, self.sources, strict=True)
        ]

    def _round(self, epoch: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Units of a round, ordered by (place in the lane, lane), and their lanes."""
        key = (epoch, number)
        if key not in self._rounds:
            stage, _ = self._stage(epoch)
            first = number * self.config.round_columns
            last = min(first + self.config.round_columns, stage.columns)
            drawn = stage.draw(first, last)
            there = drawn != HOLE
            lanes = np.nonzero(there)[0]
            places = (np.cumsum(there, axis=1) - 1)[there]
            # A lane's items move up over its holes; then all are read place by place.
            closed = np.full(drawn.shape[::-1], HOLE, np.int64)
            closed[places, lanes] = drawn[there]
            self._rounds[key] = (closed[closed != HOLE], np.nonzero(closed != HOLE)[1].astype(np.int64))
            while len(self._rounds) > _CACHED_ROUNDS:
                self._rounds.popitem(last=False)
        self._rounds.move_to_end(key)
        return self._rounds[key]
