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

from medshard.engine import address_of, crc32c
from medshard.errors import CorpusError, StorageError
from medshard.readers.base import Affine, Array
from medshard.storage.base import Bytes, Storage
from medshard.volumes.layout import MISSING, ArrayLayout
from medshard.volumes.native import PIECE, Mapping, crop_record, place_pieces

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
        """A box of a level, values as stored.

        Args:
            start, size: an index and a length for each axis of the array, leading ones included.
            executor: unpacks the shards under the box side by side.

        Raises:
            IndexError: the box reaches outside; padding is the caller's.
            CorpusError: a shard is damaged or cut off.
        """
        layout = self.layout(level)
        out = np.empty(size, layout.dtype)
        self._fill(out, start, level, None, (False, False, False), executor)
        return out

    def read_values(
        self,
        start: tuple[int, ...],
        size: tuple[int, ...],
        mapping: Mapping,
        *,
        flip_zyx: tuple[bool, bool, bool] = (False, False, False),
        level: int = 0,
        out: NDArray[np.float32] | None = None,
        executor: Executor | None = None,
    ) -> NDArray[np.float32]:
        """A box of a level as float32: mapped, flipped and written once.

        Args:
            start, size, level, executor: as for ``read_crop``.
            mapping: what stored values become.
            flip_zyx: axes that run the other way round.
            out: of ``size``, C-contiguous; made where it is None.
        """
        out = np.empty(size, np.float32) if out is None else out
        if out.shape != size or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(f"out is C-contiguous float32 of shape {size}")
        self._fill(out, start, level, mapping, flip_zyx, executor)
        return out

    def _fill(
        self,
        out: NDArray[Any],
        start: tuple[int, ...],
        level: int,
        mapping: Mapping | None,
        flip_zyx: tuple[bool, bool, bool],
        executor: Executor | None,
    ) -> None:
        layout = self.layout(level)
        ends = tuple(s + n for s, n in zip(start, out.shape, strict=True))
        inside = zip(start, out.shape, ends, layout.shape, strict=True)
        if any(s < 0 or n < 1 or e > length for s, n, e, length in inside):
            raise IndexError(f"{self._path}: the box {start} + {out.shape} reaches outside {layout.shape}")
        record = crop_record(out.shape[-3:], layout.inner[-3:], layout.dtype, mapping, flip_zyx)
        shards = [range(s // edge, -(-e // edge)) for s, e, edge in zip(start, ends, layout.shard, strict=True)]

        def fill(shard: tuple[int, ...]) -> None:
            crop = record.copy()
            # Shards have one place along leading axes, and so has each plane of the output there.
            crop["out"] = out[tuple(p - s for p, s in zip(shard[:-3], start[:-3], strict=True))].ctypes.data
            path, pieces, kept = self._pieces(level, layout, shard, start, ends)
            place_pieces(crop, pieces, path)
            del kept  # the bytes that the pieces name

        for _ in (executor.map if executor is not None else map)(fill, itertools.product(*shards)):
            pass

    def _pieces(
        self,
        level: int,
        layout: ArrayLayout,
        shard: tuple[int, ...],
        start: tuple[int, ...],
        ends: tuple[int, ...],
    ) -> tuple[str, NDArray[np.void], list[Bytes]]:
        """Path of a shard, its inner chunks under a box, and the bytes that they name."""
        index = self._index(level, layout, shard)
        origin = [place * edge for place, edge in zip(shard, layout.shard, strict=True)]
        spans = []
        for o, s, e, inner, count in zip(origin, start, ends, layout.inner, layout.inner_per_shard, strict=True):
            spans.append(slice(max(0, (s - o) // inner), min(count, -(-(e - o) // inner))))
        entries = index[tuple(spans)].reshape(-1, 2)
        pieces = np.zeros(len(entries), PIECE)
        corners = [
            np.arange(span.start, span.stop) * inner + (o - s)
            for span, inner, o, s in zip(spans[-3:], layout.inner[-3:], origin[-3:], start[-3:], strict=True)
        ]
        pieces["origin"] = np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, 3)
        held = np.flatnonzero(entries[:, 0] != MISSING)
        path = f"{self._path}/{self._levels[level]}/{layout.shard_path(shard)}"
        ranges: list[tuple[int, int]] = [(offset, length) for offset, length in entries[held].tolist()]
        data = self._storage.read_ranges(path, ranges)
        pieces["address"][held] = [address_of(part) for part in data]
        pieces["size"][held] = entries[held, 1]
        return path, pieces, data

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
        outside = (held > end).any() or (held.sum(axis=-1) > end).any()  # numbers up to the file's size cannot wrap
        if outside or (held[:, 1] == 0).any():
            raise CorpusError(f"{path}: the index points outside the file, or at nothing")
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
