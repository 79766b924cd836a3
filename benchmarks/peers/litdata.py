"""LitData: chunks made by optimize(), StreamingDataset and StreamingDataLoader."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sample_transform import SampleTransform
from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "litdata"
IMPORTS = ("torch", "litdata")
SETTINGS = "optimize(chunk_bytes='64MB') of the compressed bytes; StreamingDataset(shuffle=True), StreamingDataLoader"


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def _stored(path: str) -> dict[str, bytes]:
    return {"image": Path(path).read_bytes()}


def prepare(workload: Workload) -> None:
    import litdata

    folder = Path(workload.folder, "litdata")
    if not (folder / "index.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        paths = [str(path) for path in workload.files]
        litdata.optimize(_stored, paths, str(folder), chunk_bytes="64MB", num_workers=2)


def batches(task: Task) -> Iterator[Any]:
    import litdata

    transform = SampleTransform(task)

    class Pictures(litdata.StreamingDataset):
        def __getitem__(self, place: Any) -> Any:
            return transform(super().__getitem__(place)["image"])

    dataset = Pictures(str(Path(task.workload.folder, "litdata")), shuffle=True, drop_last=True)
    loader = litdata.StreamingDataLoader(
        dataset, batch_size=task.batch, num_workers=task.threads, persistent_workers=True, drop_last=True
    )
    while True:
        yield from loader
