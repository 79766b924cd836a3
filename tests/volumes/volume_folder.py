"""Volumes and folders for the tests of OME-Zarr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Mask, Volume
from medshard.storage.base import Bytes
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


class CountingStorage(LocalStorage):
    """Remembers every range that is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ranges: list[tuple[str, int, int]] = []

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        data = super().read(path, start, length)
        self.ranges.append((path, start, len(data)))
        return data

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        self.ranges += [(path, start, length) for start, length in ranges]
        return super().read_ranges(path, ranges)

    def taken(self) -> list[tuple[str, int, int]]:
        """What was read since the last call, without metadata."""
        ranges, self.ranges = [entry for entry in self.ranges if not entry[0].endswith(".json")], []
        return ranges
