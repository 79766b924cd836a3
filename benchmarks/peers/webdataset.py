"""webdataset's WebLoader: shards resampled, samples shuffled as bytes, batches made in the workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sample_transform import SampleTransform
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "webdataset"
IMPORTS = ("torch", "webdataset")
SETTINGS = "resampled=True, shuffle(1000), batched in workers, WebLoader(batch_size=None, persistent_workers=True)"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """It reads the shards as they are."""


def batches(task: Task) -> Iterator[Any]:
    import numpy as np
    import torch
    import webdataset

    def collate(samples: list[tuple[Any]]) -> torch.Tensor:
        return torch.from_numpy(np.stack([sample for (sample,) in samples]))

    dataset = (
        webdataset.WebDataset(task.workload.shards, resampled=True, shardshuffle=False)
        .shuffle(1000)
        .to_tuple(task.workload.extension)
        .map_tuple(SampleTransform(task))
        .batched(task.batch, partial=False, collation_fn=collate)
    )
    return iter(webdataset.WebLoader(dataset, batch_size=None, num_workers=task.threads, persistent_workers=True))
