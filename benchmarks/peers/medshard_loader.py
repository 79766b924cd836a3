"""medshard.Loader: the public loader, with ordering, checksums and collation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corpora import corpus_folder
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "medshard"
IMPORTS = ("torch", "medshard", "medshard.augment", "medshard.corpus.corpus", "medshard.loader.loader")
SETTINGS = "Loader(corpus, batch, transform, by='sample', threads); defaults elsewhere"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """Corpora are built by the parent."""


def transform(workload: Workload) -> list[Any]:
    from medshard.augment import Normalize, RandomHorizontalFlip, RandomResizedCrop, Window

    window = [] if workload.top == 255 else [Window(0, workload.top)]
    return [
        RandomResizedCrop(workload.size, scale=workload.area, ratio=workload.shape),
        RandomHorizontalFlip(),
        *window,
        Normalize(workload.mean, workload.deviation),
    ]


def batches(task: Task) -> Iterator[Any]:
    """Variant: the corpus, ``unchanged`` or rewritten."""
    import medshard

    loader = medshard.Loader(
        medshard.open(str(corpus_folder(task.workload, task.variant))),
        task.batch,
        transform=transform(task.workload),
        by="sample",
        remainder="drop",
        channels=task.workload.channels,
        threads=task.threads,
    )
    while True:
        for batch in loader:
            yield batch["image"]
