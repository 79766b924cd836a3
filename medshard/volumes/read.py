"""Reads a box of a volume: only the inner chunks that it touches, by byte range, from any storage."""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.engine import crc32c
from medshard.errors import CorpusError, StorageError
from medshard.readers.base import Affine, Array
from medshard.storage.base import Storage
from medshard.volumes.layout import MISSING, ArrayLayout, unpack

__all__ = ["VolumeReader"]

_CACHED_INDEXES = 256


class VolumeReader:
    """One OME-Zarr volume that medshard wrote; for one thread, which may have others unpack for it.

    Args:
        storage: where it lies.
        path: of the volume's folder, or of one of its ``labels/NAME``, below the storage's root.

    Raises:
        CorpusError: the metadata are missing or not of the form that medshard writes.
    """

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage, self._path = storage, path
        try:
            attributes = json.loads(self._bytes(f"{path}/zarr.json"))["attributes"]
            datasets = attributes["ome"]["multiscales"][0]["datasets"]
            self._levels = [str(dataset["path"]) for dataset in datasets]
            own: dict[str, Any] = attributes["medshard"]
            affine = own["affine_ijk_to_ras"]
            self.affine_ijk_to_ras: Affine | None = (
                np.array(affine, np.float64).reshape(4, 4) if affine is not None else None
            )
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise CorpusError(f"{path}/zarr.json is no volume that medshard wrote") from error
        self.unit: str | None = own.get("unit")
        self.window: list[float] | None = own.get("window")
        self._layouts: dict[int, ArrayLayout] = {}
        self._indexes: OrderedDict[tuple[int, tuple[int, ...]], NDArray[np.uint64]] = OrderedDict()

    @property
    def levels(self) -> int:
        """Number of levels; 0 is the finest."""
        return len(self._levels)

    def layout(self, level: int = 0) -> ArrayLayout:
        """Shape and grids of a level.

        Raises:
            IndexError: there is no such level.
        """
        if not 0 <= level < self.levels:
            raise IndexError(f"{self._path}: level {level} of {self.levels}; 0 is the finest")
        if level not in self._layouts:
            path = f"{self._path}/{self._levels[level]}"
            self._layouts[level] = ArrayLayout.parse(self._bytes(f"{path}/zarr.json"), path)
        return self._layouts[level]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of level 0."""
        return self.layout().shape

    def read(self, level: int = 0) -> Array:
        """A whole level."""
        layout = self.layout(level)
        return self.read_crop((0,) * len(layout.shape), layout.shape, level=level)

    def read_crop(
        self,
        start: tuple[int, ...],
        size: tuple[int, ...],
        *,
        level: int = 0,
        executor: Executor | None = None,
    ) -> Array:
        """A box of a level.

        Args:
            start, size: an index and a length for each axis of the array, leading ones included.
            executor: unpacks chunks side by side; zstd leaves the interpreter free meanwhile.

        Raises:
            IndexError: the box reaches outside; padding is the caller's.
            CorpusError: a shard is damaged or cut off.
        """
        layout = self.layout(level)
        ends = tuple(s + n for s, n in zip(start, size, strict=True))
        if any(s < 0 or n < 1 or e > length for s, n, e, length in zip(start, size, ends, layout.shape, strict=True)):
            raise IndexError(f"{self._path}: the box {start} + {size} reaches outside {layout.shape}")
        out = np.zeros(size, layout.dtype)
        shards = [range(s // edge, -(-e // edge)) for s, e, edge in zip(start, ends, layout.shard, strict=True)]
        for shard in itertools.product(*shards):
            self._read_shard(level, layout, shard, start, ends, out, executor)
        return out

    def _read_shard(
        self,
        level: int,
        layout: ArrayLayout,
        shard: tuple[int, ...],
        start: tuple[int, ...],
        ends: tuple[int, ...],
        out: Array,
        executor: Executor | None,
    ) -> None:
        index = self._index(level, layout, shard)
        origin = tuple(place * edge for place, edge in zip(shard, layout.shard, strict=True))
        spans = []
        for o, s, e, inner, count in zip(origin, start, ends, layout.inner, layout.inner_per_shard, strict=True):
            first, last = max(0, (s - o) // inner), min(count, -(-(e - o) // inner))
            spans.append(range(first, last))
        wanted: list[tuple[tuple[int, ...], int, int]] = []
        for place in itertools.product(*spans):
            offset, length = (int(number) for number in index[place])
            if offset != MISSING:
                wanted.append((place, offset, length))
        path = f"{self._path}/{self._levels[level]}/{layout.shard_path(shard)}"
        packed = self._storage.read_ranges(path, [(offset, length) for _, offset, length in wanted])

        def place_chunk(job: tuple[tuple[tuple[int, ...], int, int], Any]) -> None:
            (place, _, _), data = job
            try:
                chunk = np.frombuffer(unpack(data, layout.chunk_bytes), layout.dtype).reshape(layout.inner)
            except (OSError, ValueError) as error:
                raise CorpusError(f"{path}: inner chunk {place} is damaged") from error
            corner = [o + p * edge for o, p, edge in zip(origin, place, layout.inner, strict=True)]
            source, target = [], []
            for c, edge, s, e in zip(corner, layout.inner, start, ends, strict=True):
                low, high = max(c, s), min(c + edge, e)
                source.append(slice(low - c, high - c))
                target.append(slice(low - s, high - s))
            out[tuple(target)] = chunk[tuple(source)]

        jobs = list(zip(wanted, packed, strict=True))
        for _ in executor.map(place_chunk, jobs) if executor is not None else map(place_chunk, jobs):
            pass

    def _index(self, level: int, layout: ArrayLayout, shard: tuple[int, ...]) -> NDArray[np.uint64]:
        """Offset and size of each inner chunk."""
        key = (level, shard)
        if key in self._indexes:
            self._indexes.move_to_end(key)
            return self._indexes[key]
        path = f"{self._path}/{self._levels[level]}/{layout.shard_path(shard)}"
        with self._there(path):
            end = self._storage.size(path) - layout.index_bytes
            if end < 0:
                raise CorpusError(f"{path} is cut off: its index alone has {layout.index_bytes} bytes")
            raw = bytes(self._storage.read(path, end, layout.index_bytes))
        if crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            raise CorpusError(f"{path}: the index fails its checksum; the file is damaged or cut off")
        table = np.frombuffer(raw[:-4], "<u8").reshape(*layout.inner_per_shard, 2)
        held = table[table[..., 0] != MISSING]
        if (held > end).any() or (held.sum(axis=-1) > end).any():  # numbers up to the file's size cannot wrap
            raise CorpusError(f"{path}: the index points outside the file")
        self._indexes[key] = table
        if len(self._indexes) > _CACHED_INDEXES:
            self._indexes.popitem(last=False)
        return table

    @contextmanager
    def _there(self, path: str) -> Iterator[None]:
        """A volume has all its files, also those that hold nothing: one that is not there is damage."""
        try:
            yield
        except StorageError as error:
            if self._storage.exists(path):
                raise
            raise CorpusError(f"{path} is not there; a volume has all its files") from error

    def _bytes(self, path: str) -> bytes:
        with self._there(path):
            return bytes(self._storage.read(path))
