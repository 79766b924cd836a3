"""Volumes and folders for the tests of OME-Zarr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Mask, Volume
from medshard.storage.base import Bytes, Entry
from medshard.storage.local import LocalStorage
from medshard.volumes import VolumeEntry, VolumeReader, write_volume

NAME = "v.ome.zarr"
OBLIQUE = np.array([[-0.7, 0.2, 0.1, 20.0], [0.15, 0.8, -0.9, -31.5], [0.05, 0.1, 2.6, 7.25], [0, 0, 0, 1.0]])
DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "uint32", "float32")


def grain(*shape: int, dtype: object = np.int16, seed: int = 0) -> NDArray[np.generic]:
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    if kind.kind == "f":
        return random.normal(0, 1000, shape).astype(kind)
    bounds = np.iinfo(kind)
    return random.integers(bounds.min, bounds.max, shape, dtype=kind, endpoint=True)


def write(
    root: Path,
    voxels: NDArray[np.generic],
    *,
    axes: str = "",
    affine: NDArray[np.float64] | None = None,
    labels: dict[str, Mask] | None = None,
    unit: str | None = None,
    window: tuple[float, float] | None = None,
) -> VolumeEntry:
    volume = Volume(voxels, axes or "TZYX"[-voxels.ndim :], affine, unit=unit, window=window)
    return write_volume(root / NAME, volume, labels=labels, name="ct")


def reader(root: Path, below: str = "") -> VolumeReader:
    return VolumeReader(LocalStorage(root), NAME + below)


@contextmanager
def shards_of(chunks: int, chunk_bytes: int = 32**3 * 2) -> Iterator[None]:
    """What is written meanwhile has shards of so many chunks."""
    with patch("medshard.volumes.layout._SHARD_BYTES", chunks * chunk_bytes):
        yield


class FarStorage:
    """A folder as if it lay far away, which remembers what is asked for: (path, start, length)."""

    def __init__(self, root: Path) -> None:
        self.near, self.url = LocalStorage(root), f"far://{root}"
        self.requests: list[tuple[str, int, int]] = []

    def open(self) -> None:
        self.near.open()

    def size(self, path: str) -> int:
        self.requests.append((path, 0, 0))
        return self.near.size(path)

    def exists(self, path: str) -> bool:
        return self.near.exists(path)

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        data = self.near.read(path, start, length)
        self.requests.append((path, start, len(data)))
        return data

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        self.requests += [(path, start, length) for start, length in ranges]
        return [self.near.read(path, start, length) for start, length in ranges]

    def child(self, prefix: str) -> FarStorage:
        return FarStorage(Path(self.near.url) / prefix)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        return self.near.list(prefix)

    def taken(self) -> list[tuple[str, int, int]]:
        """What was asked for since the last call."""
        requests, self.requests = self.requests, []
        return requests
