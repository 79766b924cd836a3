"""What tests of the loader compare: a batch as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from medshard.augment import Normalize, Operation, RandomHorizontalFlip, RandomResizedCrop, TakeSlice

TRANSFORM: list[Operation] = [
    TakeSlice("z", index="random"),
    RandomResizedCrop(24, scale=(0.3, 1.0)),
    RandomHorizontalFlip(),
    Normalize([0.5] * 3, [0.25] * 3),
]


def told(batch: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(item, digest of its pixels, its text) of every item of a batch."""
    return [
        (item, hashlib.sha256(batch["image"][place].numpy().tobytes()).hexdigest()[:16], str(batch["text"][place]))
        for place, item in enumerate(batch["item"])
    ]


def streamed(batches: Iterable[dict[str, Any]]) -> list[list[tuple[str, str, str]]]:
    """Every batch as ``told``."""
    return [told(batch) for batch in batches]


def interleaved(ranks: list[list[list[Any]]]) -> list[list[Any]]:
    """The global batches of ranks that run side by side: at each step the items of rank 0, then of rank 1..."""
    assert len({len(steps) for steps in ranks}) == 1, "ranks make different numbers of steps"
    return [[item for part in step for item in part] for step in zip(*ranks, strict=True)]
