"""Grain's MapDataset with threads of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sample_transform import SampleTransform
from tar_index import TarIndex
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "grain"
IMPORTS = ("torch", "grain")
SETTINGS = "threads; MapDataset.source(tar index).shuffle.repeat.map.to_iter_dataset(ReadOptions(num_threads)).batch"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """It reads the shards as they are."""


def batches(task: Task) -> Iterator[Any]:
    import grain

    index, transform = TarIndex(task.workload), SampleTransform(task)
    transform(index[0])  # makes its kernel now, not in two threads at once
    read = grain.ReadOptions(num_threads=task.threads, prefetch_buffer_size=2 * task.batch)
    dataset = grain.MapDataset.source(index).shuffle(seed=0).repeat().map(transform)
    return iter(dataset.to_iter_dataset(read).batch(task.batch, drop_remainder=True))
