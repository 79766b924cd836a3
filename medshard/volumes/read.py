"""Reads a box of a volume: the inner chunks that it touches, in few byte ranges, from any storage."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.errors import CorpusError, StorageError
from medshard.readers.base import Affine, Array
from medshard.storage.base import Storage
from medshard.storage.local import LocalStorage
from medshard.volumes.cache import ChunkCache, Fetched, fetch_chunks
from medshard.volumes.catalog import CataloguedVolume
from medshard.volumes.layout import ArrayLayout
from medshard.volumes.native import PIECE, Mapping, crop_record, place_pieces
from medshard.volumes.plan import LOCAL_READS, REMOTE_READS
from medshard.volumes.table import ChunkTable

__all__ = ["FetchedChunks", "VolumeReader"]

_KEPT_TABLES = 64  # of at most 1 MiB
_PIECES = 8  # chunks that a thread unpacks at a time


@dataclass(frozen=True)
class FetchedChunks:
    """The compressed chunks of a box, in memory until it is unpacked.

    Attributes:
        shards: of each shard under the box, the address of each chunk that holds something, and the bytes to which the
            addresses point.
    """

    shards: dict[tuple[int, ...], Fetched]


class VolumeReader:
    """One OME-Zarr volume that medshard wrote; for any number of threads.

    Args:
        storage: where it lies.
        path: of the volume's folder, or of one of its ``labels/NAME``, below the storage's root.
        catalogued: its metadata and shard indexes as the corpus holds them, which are then not read from the volume.
        cache: keeps compressed chunks between boxes.

    Raises:
        CorpusError: the metadata are missing or not of the form that medshard writes.
    """

    def __init__(
        self,
        storage: Storage,
        path: str,
        *,
        catalogued: CataloguedVolume | None = None,
        cache: ChunkCache | None = None,
    ) -> None:
        self._storage, self._path, self._catalogued, self._cache = storage, path, catalogued, cache
        self._policy = LOCAL_READS if isinstance(storage, LocalStorage) else REMOTE_READS
        try:
            attributes = json.loads(self._document(f"{path}/zarr.json"))["attributes"]
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
        self.oblique: bool | None = own.get("oblique")
        self._layouts: dict[int, ArrayLayout] = {}
        self._tables: dict[tuple[int, tuple[int, ...]], ChunkTable] = {}

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
            self._layouts[level] = ArrayLayout.parse(self._document(f"{path}/zarr.json"), path)
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
        fetched: FetchedChunks | None = None,
    ) -> Array:
        """A box of a level, values as stored.

        Args:
            start, size: an index and a length for each axis of the array, leading ones included.
            executor: unpacks parts of the box side by side.
            fetched: what ``fetch`` gave for the same box; nothing is read then.

        Raises:
            IndexError: the box reaches outside; padding is the caller's.
            CorpusError: a shard is damaged or cut off.
        """
        layout = self.layout(level)
        out = np.empty(size, layout.dtype)
        self._fill(out, start, level, None, (False, False, False), executor, fetched)
        return out

    def fetch(self, start: tuple[int, ...], size: tuple[int, ...], *, level: int = 0) -> FetchedChunks | None:
        """The bytes of a box, so that ``read_crop`` does not wait; None where it reads them from a local file anyway.

        Args:
            start, size, level: as for ``read_crop``.

        Raises:
            IndexError, CorpusError: as for ``read_crop``.
        """
        if self._cache is None and isinstance(self._storage, LocalStorage):
            return None
        layout, ends = self.layout(level), self._ends(start, size, level)
        found: dict[tuple[int, ...], Fetched] = {}
        for shard in _shards(layout, start, ends):
            table = self._table(level, layout, shard)
            pieces, numbers = self._pieces(layout, shard, table, start, ends)
            held = numbers[pieces["size"].reshape(-1) > 0]
            if len(held):
                found[shard] = self._fetched(self._shard_path(level, layout, shard), table, held)
        return FetchedChunks(found)

    def _fetched(self, path: str, table: ChunkTable, held: NDArray[np.int64]) -> Fetched:
        fetch = fetch_chunks if self._cache is None else self._cache.fetch
        with self._there(path):
            return fetch(self._storage, path, table, held, self._policy)

    def _shard_path(self, level: int, layout: ArrayLayout, shard: tuple[int, ...]) -> str:
        return f"{self._path}/{self._levels[level]}/{layout.shard_path(shard)}"

    def _ends(self, start: tuple[int, ...], size: tuple[int, ...], level: int) -> tuple[int, ...]:
        shape = self.layout(level).shape
        ends = tuple(s + n for s, n in zip(start, size, strict=True))
        if any(s < 0 or n < 1 or e > length for s, n, e, length in zip(start, size, ends, shape, strict=True)):
            raise IndexError(f"{self._path}: the box {start} + {size} reaches outside {shape}")
        return ends

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
        fetched: FetchedChunks | None = None,
    ) -> NDArray[np.float32]:
        """A box of a level as float32: mapped, flipped and written once.

        Args:
            start, size, level, executor, fetched: as for ``read_crop``.
            mapping: what stored values become.
            flip_zyx: axes that run the other way round.
            out: of ``size``, C-contiguous; made where it is None.
        """
        out = np.empty(size, np.float32) if out is None else out
        if out.shape != size or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(f"out is C-contiguous float32 of shape {size}")
        self._fill(out, start, level, mapping, flip_zyx, executor, fetched)
        return out

    def _fill(
        self,
        out: NDArray[Any],
        start: tuple[int, ...],
        level: int,
        mapping: Mapping | None,
        flip_zyx: tuple[bool, bool, bool],
        executor: Executor | None,
        fetched: FetchedChunks | None,
    ) -> None:
        layout, ends = self.layout(level), self._ends(start, out.shape, level)
        record = crop_record(out.shape[-3:], layout.inner[-3:], layout.dtype, mapping, flip_zyx)
        for shard in _shards(layout, start, ends):
            table = self._table(level, layout, shard)
            pieces, numbers = self._pieces(layout, shard, table, start, ends)
            jobs = []
            for plane in itertools.product(*(range(length) for length in pieces.shape[:-1])):
                corner = zip(shard, layout.shard, start, plane, strict=False)
                crop = record.copy()
                crop["out"] = out[tuple(max(n * edge - s, 0) + p for n, edge, s, p in corner)].ctypes.data
                step = pieces.shape[-1] if executor is None else _PIECES
                jobs += [(crop, pieces[plane][first : first + step]) for first in range(0, pieces.shape[-1], step)]
            path = self._shard_path(level, layout, shard)
            there = fetched.shards.get(shard) if fetched is not None else None
            with self._addressed(path, table, pieces.reshape(-1), numbers, there) as file:
                place = partial(_place, path, file)
                for _ in (executor.map if executor is not None else map)(place, jobs):
                    pass

    def _pieces(
        self,
        layout: ArrayLayout,
        shard: tuple[int, ...],
        table: ChunkTable,
        start: tuple[int, ...],
        ends: tuple[int, ...],
    ) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        """The inner chunks of a shard under a box: an axis for each leading axis of the array, then one for space.

        Returns:
            Pieces without their addresses, and the chunks' numbers in the same order, flat.
        """
        corner = [place * edge for place, edge in zip(shard, layout.shard, strict=True)]
        spans = [
            np.arange(max(0, (s - o) // inner), min(count, -(-(e - o) // inner)))
            for o, s, e, inner, count in zip(corner, start, ends, layout.inner, layout.inner_per_shard, strict=True)
        ]
        numbers = np.ravel_multi_index(np.ix_(*spans), layout.inner_per_shard)
        pieces = np.zeros(numbers.shape, PIECE)
        places = zip(spans[-3:], layout.inner[-3:], corner[-3:], start[-3:], strict=True)
        for axis, values in enumerate(np.ix_(*(span * inner + (o - s) for span, inner, o, s in places))):
            pieces["origin"][..., axis] = values
        pieces["size"] = table.sizes[numbers]
        return pieces.reshape(*(len(span) for span in spans[:-3]), -1), numbers.reshape(-1)

    @contextmanager
    def _addressed(
        self,
        path: str,
        table: ChunkTable,
        pieces: NDArray[np.void],
        numbers: NDArray[np.int64],
        fetched: Fetched | None,
    ) -> Iterator[int]:
        """Gives pieces their addresses, while the bytes are there: in the file that is yielded, or in memory (-1)."""
        held = np.flatnonzero(pieces["size"])
        if not len(held):
            yield -1
        elif fetched is None and self._cache is None and isinstance(self._storage, LocalStorage):
            # The threads read chunk by chunk what they unpack at once: nothing is copied through large buffers.
            pieces["address"] = table.offsets[numbers]
            with ExitStack() as stack:
                with self._there(path):
                    file, _ = stack.enter_context(self._storage.opened(path))
                yield file
        else:
            addresses, kept = fetched or self._fetched(path, table, numbers[held])
            pieces["address"][held] = addresses
            yield -1
            del kept  # the bytes to which the addresses point

    def _table(self, level: int, layout: ArrayLayout, shard: tuple[int, ...]) -> ChunkTable:
        """Where the chunks of a shard lie."""
        found = self._tables.get((level, shard))
        if found is None:
            array = f"{self._path}/{self._levels[level]}"
            sizes = self._catalogued.sizes(array, shard) if self._catalogued is not None else None
            if sizes is None:
                found = self._read_table(f"{array}/{layout.shard_path(shard)}", layout)
            else:
                found = ChunkTable.in_order(layout, sizes)
            if len(self._tables) >= _KEPT_TABLES:  # several threads may come here at once: each makes its own
                self._tables = {}
            self._tables[level, shard] = found
        return found

    def _read_table(self, path: str, layout: ArrayLayout) -> ChunkTable:
        with self._there(path):
            end = self._storage.size(path) - layout.index_bytes
            if end < 0:
                raise CorpusError(f"{path} is cut off: its index alone has {layout.index_bytes} bytes")
            raw = bytes(self._storage.read(path, end, layout.index_bytes))
        return ChunkTable.parse(raw, layout, end, path)

    @contextmanager
    def _there(self, path: str) -> Iterator[None]:
        """A volume has all its files, also those that hold nothing: one that is not there is damage."""
        try:
            yield
        except StorageError as error:
            if self._storage.exists(path):
                raise
            raise CorpusError(f"{path} is not there; a volume has all its files") from error

    def _document(self, path: str) -> bytes:
        """A ``zarr.json``."""
        found = self._catalogued.document(path) if self._catalogued is not None else None
        if found is not None:
            return found
        with self._there(path):
            return bytes(self._storage.read(path))


def _shards(layout: ArrayLayout, start: tuple[int, ...], ends: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The shards under a box."""
    along = (range(s // edge, -(-e // edge)) for s, e, edge in zip(start, ends, layout.shard, strict=True))
    return itertools.product(*along)


def _place(path: str, file: int, job: tuple[NDArray[np.void], NDArray[np.void]]) -> None:
    place_pieces(*job, path, file)
