"""Workload B from S3: what a random crop costs in requests and bytes, and how many come a second.

    AWS_ENDPOINT_URL=... AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... AWS_REGION=... \\
        python benchmarks/volume_crops_s3.py s3://bucket/prefix [--volumes 24] [--crop 96 96 96]

The folders of ``volume_crops.py`` are put there first, where they are not. Each reader is a process of its own, keeps
nothing between crops and has 8 crops under way; volumes are opened before. "Used" are the stored bytes of the chunks
that crops meet. tensorstore counts its own requests; medshard's are counted where its reader asks the storage.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from volume_crops import HIGH, LOW, ROOT, prepare

UNDER_WAY = 8
Crop = Callable[[int], Any]
Told = Callable[[], tuple[int, int]]


def _box(numbers: np.random.Generator, shape: Sequence[int], crop: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(numbers.integers(0, n - edge + 1)) for n, edge in zip(shape, crop, strict=True))


class _Counted:
    """A storage that counts."""

    def __init__(self, storage: Any) -> None:
        self._storage, self.url, self.requests, self.bytes = storage, storage.url, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Any]:
        self.requests += len(ranges)
        self.bytes += sum(length for _, length in ranges)
        return list(self._storage.read_ranges(path, ranges))


def medshard_reader(url: str, count: int, crop: tuple[int, ...]) -> tuple[Crop, Told, float]:
    import medshard
    from medshard.volumes import Mapping, VolumeReader

    corpus = medshard.open(f"{url}/corpus-{count}")
    storage, catalog = _Counted(corpus.storage), corpus.volumes.catalog
    assert catalog is not None
    paths = [line.path for line in corpus.manifest.volumes]
    readers = [
        VolumeReader(storage, path, catalogued=catalog.volume(number, path))  # type: ignore[arg-type]
        for number, path in enumerate(paths)
    ]
    mapping = Mapping(1 / (HIGH - LOW), -LOW / (HIGH - LOW), 0.0, 1.0)

    def read(seed: int) -> Any:
        numbers = np.random.default_rng(seed)
        reader = readers[int(numbers.integers(len(readers)))]
        return reader.read_values(_box(numbers, reader.shape, crop), crop, mapping)

    used = statistics.mean(_used(readers, crop, seed) for seed in range(500))
    return read, lambda: (storage.requests, storage.bytes), used


def _used(readers: Sequence[Any], crop: Sequence[int], seed: int) -> int:
    """Stored bytes of the chunks under the box of a seed."""
    numbers = np.random.default_rng(seed)
    reader = readers[int(numbers.integers(len(readers)))]
    layout = reader.layout()
    start = _box(numbers, reader.shape, crop)
    spans = (np.arange(s // e, -(-(s + n) // e)) for s, n, e in zip(start, crop, layout.inner, strict=True))
    chunks = np.ravel_multi_index(np.ix_(*spans), layout.inner_per_shard)
    return int(reader._table(0, layout, (0, 0, 0)).sizes[chunks].sum())


def _tensorstore(url: str, paths: Sequence[str], crop: tuple[int, ...]) -> tuple[Crop, Told, float]:
    import tensorstore

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    context = tensorstore.Context({"data_copy_concurrency": {"limit": 2}, "cache_pool": {"total_bytes_limit": 0}})
    arrays = []
    for path in paths:
        store = {
            "driver": "s3",
            "bucket": bucket,
            "path": f"{prefix}/{path}/",
            "endpoint": os.environ["AWS_ENDPOINT_URL"],
            "aws_region": os.environ["AWS_REGION"],
        }
        arrays.append(tensorstore.open({"driver": "zarr3", "kvstore": store}, read=True, context=context).result())

    def read(seed: int) -> Any:
        numbers = np.random.default_rng(seed)
        array = arrays[int(numbers.integers(len(arrays)))]
        start = _box(numbers, array.shape, crop)
        box = array[tuple(slice(s, s + n) for s, n in zip(start, crop, strict=True))].read().result()
        return (np.clip(box.astype(np.float32), LOW, HIGH) - LOW) / (HIGH - LOW)

    def told() -> tuple[int, int]:
        found = {
            m["name"]: m["values"] for m in tensorstore.experimental_collect_matching_metrics("/tensorstore/kvstore/s3")
        }

        def of(name: str) -> int:
            return sum(
                int(entry.get("value", entry.get("count", 0))) for entry in found[f"/tensorstore/kvstore/s3/{name}"]
            )

        return of("read"), of("bytes_read")

    return read, told, 0.0


def tensorstore_corpus(url: str, count: int, crop: tuple[int, ...]) -> tuple[Crop, Told, float]:
    import medshard

    corpus = medshard.open(f"{url}/corpus-{count}")
    paths = [f"corpus-{count}/{line.path}/0" for line in corpus.manifest.volumes]
    return _tensorstore(url, paths, crop)


def tensorstore_zarr(url: str, count: int, crop: tuple[int, ...]) -> tuple[Crop, Told, float]:
    return _tensorstore(url, [f"zarr/v{number:02d}.zarr" for number in range(count)], crop)


READERS = {
    "medshard": ("medshard VolumeReader, corpus of `medshard build`", medshard_reader),
    "tensorstore-corpus": ("tensorstore, the same corpus", tensorstore_corpus),
    "tensorstore": ("tensorstore, Zarr of zarr-python (zstd, chunks of 64³ in shards)", tensorstore_zarr),
}


def contest(name: str, options: argparse.Namespace) -> None:
    """One window of one reader, in this process; prints a line of JSON."""
    read, told, used = READERS[name][1](options.url, options.volumes, tuple(options.crop))
    with ThreadPoolExecutor(UNDER_WAY) as pool:
        list(pool.map(read, range(10_000, 10_000 + 2 * UNDER_WAY)))
        before, began = told(), time.perf_counter()
        crops = len(list(pool.map(read, range(options.crops))))
        seconds = time.perf_counter() - began
    requests, size = (now - then for now, then in zip(told(), before, strict=True))
    found = {"requests": requests / crops, "bytes": size / crops, "used": used, "crops_per_s": crops / seconds}
    print(json.dumps(found), flush=True)
    os._exit(0)


def upload(url: str, folder: Path, names: Sequence[str]) -> None:
    """Puts folders below an address, where the last file of each is not there yet."""
    import obstore
    from obstore.store import S3Store

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    store = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
    for name in names:
        files = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        there = {entry["path"] for page in store.list(name) for entry in page}
        for path in files:
            key = path.relative_to(folder).as_posix()
            if key not in there:
                obstore.put(store, key, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--volumes", type=int, default=24)
    parser.add_argument("--crop", type=int, nargs=3, default=[96, 96, 96])
    parser.add_argument("--crops", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readers", default=",".join(READERS))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench" / "B")
    parser.add_argument("--reader", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        contest(options.reader, options)
        return
    prepare(options.folder, options.volumes)
    upload(options.url, options.folder, [f"corpus-{options.volumes}", "zarr"])
    names = options.readers.split(",")
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            command = [sys.executable, __file__, *sys.argv[1:], "--reader", name]
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                print(f"{name}: {made.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                continue
            rows[name].append(json.loads(made.stdout.strip().splitlines()[-1]))
    print(machine())
    print(table(rows))


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """In Markdown."""
    lines = [
        "| reader | requests a crop | MB read a crop | read / used | crops/s | medshard / it |",
        "| --- " * 6 + "|",
    ]
    for name, found in rows.items():
        if not found:
            continue
        rates = [row["crops_per_s"] for row in found]
        ratios = [mine["crops_per_s"] / theirs for mine, theirs in zip(rows.get("medshard", []), rates, strict=False)]
        used = statistics.median(row["used"] for row in found)
        read = statistics.median(row["bytes"] for row in found)
        lines.append(
            f"| {READERS[name][0]} | {statistics.median(row['requests'] for row in found):.1f} | {read / 1e6:.2f} "
            f"| {f'{read / used:.2f}' if used else ''} | {_spread(rates, 1)} | {_spread(ratios, 2) if ratios else ''} |"
        )
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


if __name__ == "__main__":
    main()
