"""Workload B: random crops of CT volumes, clipped, scaled, mirrored, in batches of 4, by two threads or workers.

    python benchmarks/volume_crops.py [--volumes 24] [--crop 96 96 96] [--rounds 3] [--seconds 4] [--peers NAME,NAME]

Volumes are painted once and written as each contestant has them: NIfTI (MONAI, TorchIO), a corpus of `medshard build`,
Zarr of zarr-python (zstd in chunks of 64 cubed within shards), and blosc2 files as nnU-Net writes them. Each contestant
is a process of its own, one at a time, in rounds that turn; ratios are within a round. Memory is anonymous and shared
memory of the process tree (Pss), so mapped files are not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import process_tree
from machine import machine
from numpy.typing import NDArray

LOW, HIGH, BATCH, WORKERS = -1000.0, 1000.0, 4, 2
ROOT = Path(__file__).resolve().parent.parent
SPEC = """\
spec: 1
name: bench-ct
about: {title: Painted CT, modality: ct, anatomy: abdomen}
licence: {id: CC0-1.0, access: open, redistribute: "yes", evidence: page}
sources:
  scans: {files: "{id}.nii.gz"}
samples: {from: scans, key: id, patient: id, split: train}
media:
  ct: {from: scans, kind: volume, units: hu}
"""


# -- data -----------------------------------------------------------------------------------------------------------


def paint(number: int) -> NDArray[np.int16]:
    """(180..220, 512, 512), HU: a body with organs and vessels, the table, and the noise of a scanner."""
    numbers = np.random.default_rng(number)
    depth = int(numbers.integers(180, 221))
    y, x = np.mgrid[-1:1:512j, -1:1:512j].astype(np.float32)
    body = (x / 0.8) ** 2 + (y / 0.6) ** 2 < 1
    volume = np.empty((depth, 512, 512), np.int16)
    blobs = numbers.uniform(-0.5, 0.5, (40, 2)), numbers.uniform(0.03, 0.2, 40), numbers.uniform(-120, 300, 40)
    phases = numbers.uniform(0, 6.28, 40)
    for z in range(depth):
        plane = np.where(body, 30.0, -1000.0).astype(np.float32)
        for (cx, cy), radius, hounsfield, phase in zip(*blobs, phases, strict=True):
            near = (x - cx - 0.05 * np.sin(z / 20 + phase)) ** 2 + (y - cy) ** 2 < radius**2
            plane[near & body] = hounsfield
        plane += numbers.standard_normal((512, 512), np.float32) * np.where(body, 14, 6)
        volume[z] = np.rint(plane)
    return volume


def prepare(folder: Path, count: int) -> None:
    """Everything that is not there yet."""
    import nibabel

    for name in ("nifti", "blosc2", "zarr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        source = folder / "nifti" / f"v{number:02d}.nii.gz"
        if source.exists():
            continue
        voxels = paint(number)
        _write_blosc2(folder / "blosc2" / f"v{number:02d}.b2nd", voxels)
        _write_zarr(folder / "zarr" / f"v{number:02d}.zarr", voxels)
        nibabel.openers.Opener.default_compresslevel = 1
        affine = np.diag([-0.7, -0.7, 1.5, 1.0])
        nibabel.save(nibabel.Nifti1Image(voxels.transpose(), affine), folder / "nifti" / f"v{number:02d}.nii.gz")
    corpus = folder / f"corpus-{count}"
    if not (corpus / "corpus.json").exists():
        from medshard.convert.corpus import build_corpus
        from medshard.convert.options import BuildOptions
        from medshard.spec.load import load_spec_text

        (spec,) = load_spec_text(SPEC, "bench-ct.yaml")
        build_corpus([(spec, folder / "nifti")], corpus, BuildOptions(), _Quiet())


class _Quiet:
    def stage(self, name: str, total: int | None = None) -> None: ...

    def step(self, count: int) -> None: ...


def _write_blosc2(path: Path, voxels: NDArray[np.int16]) -> None:
    import blosc2

    blosc2.set_nthreads(1)
    settings = {"codec": blosc2.Codec.ZSTD, "clevel": 8}
    blosc2.asarray(voxels, urlpath=str(path), mode="w", chunks=(128, 128, 128), blocks=(32, 32, 32), cparams=settings)


def _write_zarr(path: Path, voxels: NDArray[np.int16]) -> None:
    import zarr

    made = zarr.create_array(
        str(path),
        shape=voxels.shape,
        dtype="int16",
        chunks=(64, 64, 64),
        shards=(256, 512, 512),
        compressors=zarr.codecs.ZstdCodec(level=3),
        overwrite=True,
    )
    made[...] = voxels


# -- contestants ----------------------------------------------------------------------------------------------------
# Each yields batches (4, 1, z, y, x) of float32, for ever.


def medshard_loader(folder: Path, count: int, crop: tuple[int, ...], far: str | None = None) -> Iterator[Any]:
    import medshard
    from medshard.augment import Window
    from medshard.augment.volume import RandomCrop3D, RandomFlip3D

    corpus = medshard.open(far or str(folder / f"corpus-{count}"))
    transform = [RandomCrop3D(crop), RandomFlip3D(), Window(LOW, HIGH)]
    loader = medshard.Loader(
        corpus, BATCH, transform=transform, by="sample", threads=WORKERS, crops_per_volume=16, remainder="drop"
    )
    while True:
        for batch in loader:
            yield batch["image"]


def _random_box(numbers: np.random.Generator, shape: tuple[int, ...], crop: tuple[int, ...]) -> list[slice]:
    starts = [int(numbers.integers(0, n - edge + 1)) for n, edge in zip(shape, crop, strict=True)]
    return [slice(start, start + edge) for start, edge in zip(starts, crop, strict=True)]


def _finished(box: NDArray[np.generic], numbers: np.random.Generator) -> NDArray[np.float32]:
    """Clipped, scaled, mirrored: what a dataset class does by hand with numpy."""
    values = (np.clip(box.astype(np.float32), LOW, HIGH) - LOW) / (HIGH - LOW)
    steps = tuple(slice(None, None, -1 if numbers.random() < 0.5 else 1) for _ in range(3))
    return np.ascontiguousarray(values[steps])[None]


def _by_workers(reads: Callable[[], list[Any]], crop: tuple[int, ...]) -> Iterator[Any]:
    """A DataLoader over arrays that are sliced, two worker processes."""
    import torch

    class Crops(torch.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Iterator[Any]:
            info = torch.utils.data.get_worker_info()
            numbers, arrays = np.random.default_rng(info.seed), reads()
            while True:
                array = arrays[int(numbers.integers(len(arrays)))]
                box = array[tuple(_random_box(numbers, array.shape, crop))]
                yield torch.from_numpy(_finished(box, numbers))

    return iter(torch.utils.data.DataLoader(Crops(), BATCH, num_workers=WORKERS, prefetch_factor=4))


def blosc2_map(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    def reads() -> list[Any]:
        import blosc2

        blosc2.set_nthreads(1)
        paths = sorted((folder / "blosc2").glob("*.b2nd"))[:count]
        return [blosc2.open(str(path), mode="r", mmap_mode="r", dparams={"nthreads": 1}) for path in paths]

    return _by_workers(reads, crop)


def zarr_python(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    def reads() -> list[Any]:
        import zarr

        return [zarr.open_array(str(path), mode="r") for path in sorted((folder / "zarr").glob("*.zarr"))[:count]]

    return _by_workers(reads, crop)


def _tensorstore(paths: list[Path], crop: tuple[int, ...]) -> Iterator[Any]:
    """Its own threads decode; two of ours finish."""
    import tensorstore
    import torch

    context = tensorstore.Context({"data_copy_concurrency": {"limit": WORKERS}, "file_io_concurrency": {"limit": 8}})
    arrays = [
        tensorstore.open(
            {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(path)}}, read=True, context=context
        ).result()
        for path in paths
    ]
    numbers = np.random.default_rng(0)

    def begun() -> Any:
        array = arrays[int(numbers.integers(len(arrays)))]
        return array[tuple(_random_box(numbers, array.shape, crop))].read()

    with ThreadPoolExecutor(WORKERS) as pool:
        waiting = [begun() for _ in range(4 * BATCH)]
        while True:
            boxes, waiting = waiting[:BATCH], waiting[BATCH:] + [begun() for _ in range(BATCH)]
            made = pool.map(lambda box: _finished(box.result(), np.random.default_rng(id(box))), boxes)
            yield torch.from_numpy(np.stack(list(made)))


def tensorstore_zarr(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    return _tensorstore(sorted((folder / "zarr").glob("*.zarr"))[:count], crop)


def tensorstore_corpus(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    return _tensorstore(sorted((folder / f"corpus-{count}").rglob("*.ome.zarr/0")), crop)


def _monai_transforms(crop: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    from monai import data
    from monai import transforms as t

    data.set_track_meta(False)  # as MONAI's guide to fast training advises
    xyz = crop[::-1]
    return [
        t.LoadImage(image_only=True, ensure_channel_first=True),
        t.ScaleIntensityRange(LOW, HIGH, 0, 1, clip=True),
    ], [
        t.RandSpatialCrop(xyz, random_size=False),
        *(t.RandFlip(0.5, axis) for axis in range(3)),
    ]


def _monai(dataset: Any) -> Iterator[Any]:
    import torch

    sampler = torch.utils.data.RandomSampler(dataset, replacement=True, num_samples=10**7)
    return iter(torch.utils.data.DataLoader(dataset, BATCH, sampler=sampler, num_workers=WORKERS, prefetch_factor=4))


def monai_cache(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    import monai

    fixed, drawn = _monai_transforms(crop)
    files = [str(path) for path in sorted((folder / "nifti").glob("*.nii.gz"))[:count]]
    every = monai.transforms.Compose([*fixed, *drawn])
    # The steps after the cache change nothing in place, so whole volumes need not be copied for each crop.
    return _monai(monai.data.CacheDataset(files, every, num_workers=2, copy_cache=False, progress=False))


def monai_persistent(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    import monai

    fixed, drawn = _monai_transforms(crop)
    files = [str(path) for path in sorted((folder / "nifti").glob("*.nii.gz"))[:count]]
    dataset = monai.data.PersistentDataset(files, monai.transforms.Compose([*fixed, *drawn]), folder / "persistent")
    for number in range(count):
        _ = dataset[number]  # writes what is not there yet
    return _monai(dataset)


def monai_plain(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    import monai

    fixed, drawn = _monai_transforms(crop)
    files = [str(path) for path in sorted((folder / "nifti").glob("*.nii.gz"))[:count]]
    return _monai(monai.data.Dataset(files, monai.transforms.Compose([*fixed, *drawn])))


def torchio_queue(folder: Path, count: int, crop: tuple[int, ...]) -> Iterator[Any]:
    import torch
    import torchio

    files = sorted((folder / "nifti").glob("*.nii.gz"))[:count]
    subjects = [torchio.Subject(ct=torchio.ScalarImage(path)) for path in files]
    fixed = torchio.Compose([torchio.Clamp(LOW, HIGH), torchio.RescaleIntensity((0, 1), in_min_max=(LOW, HIGH))])
    flips = torchio.RandomFlip(axes=(0, 1, 2), flip_probability=0.5)
    dataset = torchio.SubjectsDataset(subjects * 1000, transform=fixed)
    sampler = torchio.UniformSampler(crop[::-1])
    queue = torchio.Queue(dataset, 64, 16, sampler, num_workers=WORKERS)
    for batch in torchio.SubjectsLoader(queue, batch_size=BATCH, num_workers=0):
        yield torch.stack([flips(patch) for patch in batch["ct"][torchio.DATA]])


CONTESTANTS: dict[str, tuple[str, Callable[..., Iterator[Any]]]] = {
    "medshard": ("Loader, crops_per_volume=16, on a corpus of `medshard build`", medshard_loader),
    "monai-cache": ("MONAI CacheDataset: all in memory", monai_cache),
    "blosc2": ("blosc2 memory map as nnU-Net's (zstd-8, chunks of 128, blocks of 32)", blosc2_map),
    "tensorstore": ("tensorstore, the Zarr of zarr-python", tensorstore_zarr),
    "tensorstore-corpus": ("tensorstore, medshard's corpus", tensorstore_corpus),
    "zarr": ("zarr-python, DataLoader of 2", zarr_python),
    "monai-persistent": ("MONAI PersistentDataset", monai_persistent),
    "torchio": ("TorchIO Queue, 16 samples a volume", torchio_queue),
    "monai": ("MONAI Dataset, NIfTI each time", monai_plain),
}


# -- the race -------------------------------------------------------------------------------------------------------


def contest(name: str, options: argparse.Namespace) -> None:
    """One window of one contestant, in this process; prints a line of JSON."""
    import torch

    torch.set_num_threads(1)
    crop = tuple(options.crop)
    began = time.perf_counter()
    batches = CONTESTANTS[name][1](options.folder, options.volumes, crop)
    first = next(batches)
    assert tuple(first.shape) == (BATCH, 1, *crop) or tuple(first.shape) == (BATCH, 1, *crop[::-1]), first.shape
    ready_s = time.perf_counter() - began
    assert first.dtype == torch.float32
    assert -1e-6 <= float(first.min()) <= float(first.max()) <= 1 + 1e-6
    end = time.perf_counter() + options.seconds / 2
    while time.perf_counter() < end:
        next(batches)
    cpu, busy, began, crops = process_tree.cpu_s(os.getpid()), process_tree.machine_busy_s(), time.perf_counter(), 0
    while time.perf_counter() < began + options.seconds:
        crops += len(next(batches))
    seconds = time.perf_counter() - began
    mine = process_tree.cpu_s(os.getpid()) - cpu
    told = {
        "crops_per_s": crops / seconds,
        "per_core_s": crops / mine,
        "own_mb": process_tree.memory(os.getpid()).own,
        "ready_s": ready_s,
        "others": max(0.0, process_tree.machine_busy_s() - busy - mine) / seconds,
    }
    print(json.dumps(told), flush=True)
    os._exit(0)  # workers of peers that are in the middle of something need not be waited for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=24)
    parser.add_argument("--crop", type=int, nargs=3, default=[96, 96, 96])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--peers", default=",".join(CONTESTANTS), help="names, by commas")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench" / "B")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        contest(options.contestant, options)
        return
    prepare(options.folder, options.volumes)
    names = options.peers.split(",")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            command = [sys.executable, __file__, *sys.argv[1:], "--contestant", name]
            made = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
            if made.returncode:
                print(f"{name}: {made.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                continue
            rows[name].append(json.loads(made.stdout.strip().splitlines()[-1]))
    print(machine())
    print(table(rows))


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """In Markdown."""
    lines = ["| contestant | crops/s | medshard / it | per core-s | own memory, MB | first batch, s |"]
    lines.append("| --- " * 6 + "|")
    own = [row["crops_per_s"] for row in rows.get("medshard", [])]
    for name, found in sorted(
        rows.items(), key=lambda entry: -statistics.median([r["crops_per_s"] for r in entry[1]] or [0])
    ):
        if not found:
            continue
        rates = [row["crops_per_s"] for row in found]
        ratios = [mine / theirs for mine, theirs in zip(own, rates, strict=False)]
        cells = [
            CONTESTANTS[name][0],
            _spread(rates, 0),
            "" if name == "medshard" or not ratios else _spread(ratios, 2),
            _spread([row["per_core_s"] for row in found], 0),
            f"{statistics.median(row['own_mb'] for row in found):.0f}",
            f"{statistics.median(row['ready_s'] for row in found):.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    others = [row["others"] for found in rows.values() for row in found]
    lines.append(f"\nother processes used {_spread(others, 2)} cores during the windows")
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


if __name__ == "__main__":
    main()
