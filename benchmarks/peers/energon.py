"""Megatron-Energon: the tars with its metadata beside them, a cooker that decodes, its own loader."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sample_transform import SampleTransform
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "megatron-energon"
IMPORTS = ("torch", "megatron.energon")
SETTINGS = "crude data set, stateless cooker, decoder=None; shuffle_buffer_size=100, max_samples_per_sequence=100"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    from megatron.energon.flavors import BaseWebdatasetFactory

    folder = Path(workload.folder, "energon")
    if (folder / ".nv-meta" / "dataset.yaml").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in workload.shards:
        os.link(path, folder / Path(path).name)
    names = sorted(path.name for path in folder.glob("*.tar"))
    BaseWebdatasetFactory.prepare_dataset(folder, names, split_parts_ratio=[("train", 1.0)], workers=2)
    (folder / ".nv-meta" / "dataset.yaml").write_text("__module__: megatron.energon\n__class__: CrudeWebdataset\n")


def batches(task: Task) -> Iterator[Any]:
    import numpy as np
    import torch
    from megatron.energon import (
        Cooker,
        DefaultTaskEncoder,
        WorkerConfig,
        basic_sample_keys,
        get_loader,
        get_train_dataset,
        stateless,
    )
    from megatron.energon.flavors import CaptioningSample

    transform, extension = SampleTransform(task), task.workload.extension

    @stateless
    def cook(sample: dict[str, Any]) -> CaptioningSample:
        return CaptioningSample(
            **basic_sample_keys(sample), image=torch.from_numpy(transform(sample[extension])), caption=""
        )

    class Encoder(DefaultTaskEncoder):  # type: ignore[misc]
        cookers = [Cooker(cook)]
        decoder = None

        @stateless
        def batch(self, samples: list[Any]) -> torch.Tensor:
            return torch.from_numpy(np.stack([sample.image.numpy() for sample in samples]))

    dataset = get_train_dataset(
        str(Path(task.workload.folder, "energon")),
        batch_size=task.batch,
        shuffle_buffer_size=100,
        max_samples_per_sequence=100,
        worker_config=WorkerConfig(rank=0, world_size=1, num_workers=task.threads),
        task_encoder=Encoder(),
    )
    return iter(get_loader(dataset))
