"""SPDL's pipeline of threads: read and decode side by side, gather, stack."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from sample_transform import SampleTransform
from tar_index import TarIndex
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "spdl"
IMPORTS = ("torch", "spdl.pipeline")
SETTINGS = "threads; pipe(read and decode, concurrency=threads), aggregate(batch), pipe(stack), sink of 3"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """It reads the shards as they are."""


def batches(task: Task) -> Iterator[Any]:
    import numpy as np
    import torch
    from spdl.pipeline import PipelineBuilder

    index, transform = TarIndex(task.workload), SampleTransform(task)
    transform(index[0])  # makes its kernel now, not in two threads at once

    def places() -> Iterator[int]:
        while True:
            order = list(range(len(index)))
            random.shuffle(order)
            yield from order

    def sample(place: int) -> Any:
        return transform(index[place])

    def stack(samples: list[Any]) -> torch.Tensor:
        return torch.from_numpy(np.stack(samples))

    pipeline = (
        PipelineBuilder()
        .add_source(places())
        .pipe(sample, concurrency=task.threads)
        .aggregate(task.batch)
        .pipe(stack)
        .add_sink(3)
        .build(num_threads=task.threads)
    )
    with pipeline.auto_stop():
        yield from pipeline.get_iterator()
