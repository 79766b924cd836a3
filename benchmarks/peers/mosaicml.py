"""MosaicML Streaming: MDS shards, StreamingDataset in torch's DataLoader."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sample_transform import SampleTransform
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "mosaicml-streaming"
IMPORTS = ("torch", "peers.torchvision_without_cuda", "streaming")
SETTINGS = "MDSWriter of the compressed bytes; StreamingDataset(local, shuffle=True, batch_size) in StreamingDataLoader"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    importlib.import_module("peers.torchvision_without_cuda")  # before streaming, which imports torchvision
    from streaming import MDSWriter

    folder = Path(workload.folder, "mds")
    if not (folder / "index.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        with MDSWriter(out=str(folder), columns={"image": "bytes"}) as out:
            for path in workload.files:
                out.write({"image": path.read_bytes()})


def batches(task: Task) -> Iterator[Any]:
    import streaming
    from streaming import StreamingDataLoader, StreamingDataset

    streaming.base.util.clean_stale_shared_memory()
    transform = SampleTransform(task)

    class Pictures(StreamingDataset):
        def __getitem__(self, place: Any) -> Any:
            return transform(super().__getitem__(place)["image"])

    dataset = Pictures(local=str(Path(task.workload.folder, "mds")), shuffle=True, batch_size=task.batch)
    loader = StreamingDataLoader(
        dataset, batch_size=task.batch, num_workers=task.threads, persistent_workers=True, drop_last=True
    )
    while True:
        yield from loader
