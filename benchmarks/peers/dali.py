"""DALI on the CPU: its webdataset reader, decoding of the crop, resize, fused flip and normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workloads import Workload

from peers import Task, version_of

DISTRIBUTION = "nvidia-dali-cuda130"
IMPORTS = ("nvidia.dali", "nvidia.dali.fn", "nvidia.dali.types")
SETTINGS = (
    "CPU; readers.webdataset with index files, decoders.image_random_crop, resize, crop_mirror_normalize, queue of 2"
)


def version(task: Task) -> str:
    return version_of(DISTRIBUTION)


def prepare(workload: Workload) -> None:
    """The index files of its tool wds2idx."""
    import wds2idx as tool  # the distribution has it beside nvidia.dali

    folder = Path(workload.folder, "dali")
    folder.mkdir(exist_ok=True)
    for path in workload.shards:
        index = folder / f"{Path(path).stem}.idx"
        if not index.exists():
            with tool.IndexCreator(path, str(index), verbose=False) as creator:
                creator.create_index()


def batches(task: Task) -> Iterator[Any]:
    """Variant ``fast``: the fast inverse DCT and no antialiasing; else the defaults, which are antialiased."""
    from nvidia.dali import fn, pipeline_def, types

    workload, fast = task.workload, task.variant == "fast"
    indexes = [str(Path(workload.folder, "dali", f"{Path(path).stem}.idx")) for path in workload.shards]
    grey = workload.channels == 1

    @pipeline_def(batch_size=task.batch, num_threads=task.threads, device_id=None, prefetch_queue_depth=2)
    def graph() -> Any:
        streams = fn.readers.webdataset(
            paths=workload.shards,
            index_paths=indexes,
            ext=[workload.extension],
            random_shuffle=True,
            initial_fill=1000,
            missing_component_behavior="error",
            name="reader",
        )
        pixels = fn.decoders.image_random_crop(
            streams,
            device="cpu",
            output_type=types.ANY_DATA if grey else types.RGB,
            random_area=list(workload.area),
            random_aspect_ratio=list(workload.shape),
            use_fast_idct=fast,
            **({"dtype": types.UINT16} if grey else {}),
        )
        pixels = fn.resize(
            pixels,
            size=[workload.size, workload.size],
            interp_type=types.INTERP_LINEAR,
            antialias=not fast,
            **({"dtype": types.FLOAT} if grey else {}),
        )
        return fn.crop_mirror_normalize(
            pixels,
            dtype=types.FLOAT,
            output_layout="CHW",
            mirror=fn.random.coin_flip(),
            mean=[value * workload.top for value in workload.mean],
            std=[value * workload.top for value in workload.deviation],
        )

    pipeline = graph()
    pipeline.build()
    while True:
        (made,) = pipeline.run()
        yield made.as_array()  # a copy, as its plug-in for torch makes one
