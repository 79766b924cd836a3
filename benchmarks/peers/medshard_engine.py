"""medshard.engine alone: decode, crop, flip and normalise of pictures that are in memory; no order, no checksums."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from crops import random_crop
from tar_index import TarIndex
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "medshard"
IMPORTS = ("torch", "medshard.engine")
SETTINGS = "Engine(threads).run over jobs drawn in Python; one batch at a time"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """It reads the shards as they are."""


def batches(task: Task) -> Iterator[Any]:
    """Variant ``reduce-1``, ``-2`` (the loader's default) or ``-4``: the smallest size at which a JPEG is decoded."""
    import numpy as np
    import torch

    from medshard.engine import JOB, BatchLayout, Engine, address_of, read_header

    workload = task.workload
    reduce = int(task.variant.partition("-")[2] or 2)
    index, engine, draw = TarIndex(workload), Engine(task.threads), random_crop(workload)
    layout = BatchLayout(
        workload.size,
        workload.size,
        workload.channels,
        mean=workload.mean,
        deviation=workload.deviation,
        reduce=reduce,  # type: ignore[arg-type]
    )
    while True:
        out = torch.empty((task.batch, workload.channels, workload.size, workload.size))
        streams = [index[random.randrange(len(index))] for _ in range(task.batch)]
        jobs = np.zeros(task.batch, JOB)
        for place, stream in enumerate(streams):
            header = read_header(stream)
            x, y, w, h = draw(header.width, header.height)
            jobs[place]["address"], jobs[place]["size"] = address_of(stream), len(stream)
            jobs[place]["box"] = jobs[place]["bounds"] = (x, y, x + w, y + h)
            jobs[place]["flip_x"], jobs[place]["out"] = random.random() < 0.5, place * layout.slot_bytes
        jobs["height"] = jobs["width"] = workload.size
        jobs["scale"] = 1 / workload.top
        failed = engine.run(jobs, out.data_ptr(), layout, keep_alive=streams)
        if failed:
            raise RuntimeError(failed)
        yield out
