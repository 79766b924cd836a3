"""torch's DataLoader over a map-style data set: a table of (offset, size) of the tars, and pread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sample_transform import SampleTransform
from tar_index import TarIndex
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "torch"
IMPORTS = ("torch", "torch.utils.data")
SETTINGS = "shuffle=True, persistent_workers=True, prefetch_factor=2, default collate in the workers"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """It reads the shards as they are."""


class Pictures:
    """What torch calls a map-style data set."""

    def __init__(self, task: Task) -> None:
        self.index, self.transform = TarIndex(task.workload, times=200), SampleTransform(task)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, place: int) -> Any:
        return self.transform(self.index[place])


def batches(task: Task) -> Iterator[Any]:
    from torch.utils.data import DataLoader

    loader = DataLoader(
        Pictures(task),  # type: ignore[arg-type]
        batch_size=task.batch,
        shuffle=True,
        drop_last=True,
        num_workers=task.threads,
        persistent_workers=True,
        prefetch_factor=2,
    )
    while True:
        yield from loader
