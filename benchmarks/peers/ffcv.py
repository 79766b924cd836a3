"""FFCV: pictures encoded again into its own file, compiled pipeline, pages of the operating system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "ffcv"
IMPORTS = ("torch", "ffcv", "ffcv.loader")
SETTINGS = (
    "RGBImageField(write_mode='jpg', quality 90: encoded again); OrderOption.RANDOM, os_cache=True, NormalizeImage"
)


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def _path(workload: Workload) -> Path:
    return Path(workload.folder, "ffcv.beton")


class _Pictures:
    def __init__(self, workload: Workload) -> None:
        self.files = workload.files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Any]:
        from PIL import Image

        return (Image.open(self.files[place]).convert("RGB"),)


def prepare(workload: Workload) -> None:
    from ffcv.fields import RGBImageField
    from ffcv.writer import DatasetWriter

    if not _path(workload).exists():
        writer = DatasetWriter(
            str(_path(workload)), {"image": RGBImageField(write_mode="jpg", jpeg_quality=90)}, num_workers=2
        )
        writer.from_indexed_dataset(_Pictures(workload))


def batches(task: Task) -> Iterator[Any]:
    import numpy as np
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, ToTensor, ToTorchImage

    workload = task.workload
    mean, deviation = (np.array(values) * workload.top for values in (workload.mean, workload.deviation))
    steps = [
        RandomResizedCropRGBImageDecoder((workload.size, workload.size), scale=workload.area, ratio=workload.shape),
        RandomHorizontalFlip(),
        NormalizeImage(mean, deviation, np.float32),
        ToTensor(),
        ToTorchImage(channels_last=False),
    ]
    loader = Loader(
        str(_path(workload)),
        batch_size=task.batch,
        num_workers=task.threads,
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=True,
        pipelines={"image": steps},
    )
    while True:
        for (image,) in loader:
            yield image
