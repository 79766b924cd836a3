"""Compressed chunks in memory: crops of one volume fetch its chunks once."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.engine import address_of
from medshard.storage.base import Bytes, Storage
from medshard.volumes.plan import ReadPolicy, plan_ranges
from medshard.volumes.table import ChunkTable

__all__ = ["ChunkCache", "Fetched", "fetch_chunks"]

Fetched: TypeAlias = "tuple[NDArray[np.uint64], list[Bytes]]"
"""The address of each chunk, and the buffers that the addresses point into, to be kept as long."""


@dataclass(eq=False)
class _Range:
    """Bytes of a file that were read or are being read."""

    path: str
    start: int
    end: int
    data: Future[Bytes] = field(default_factory=Future)


@dataclass(eq=False)
class _File:
    """Which range holds each chunk of a shard."""

    table: ChunkTable
    ranges: dict[int, _Range]
    holder: NDArray[np.int64]


def fetch_chunks(
    storage: Storage, path: str, table: ChunkTable, wanted: NDArray[np.int64], policy: ReadPolicy
) -> Fetched:
    """Read chunks of a shard.

    Args:
        wanted: numbers of chunks that hold something, at least one.

    Returns:
        The address of each chunk, and the buffers that the addresses point into, to be kept as long.
    """
    offsets = table.offsets[wanted]
    starts, ends = plan_ranges(offsets, table.sizes[wanted], policy)
    data = _read(storage, path, starts, ends)
    return _addresses(offsets, starts, data), data


def _read(storage: Storage, path: str, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[Bytes]:
    return storage.read_ranges(path, list(zip(starts.tolist(), (ends - starts).tolist(), strict=True)))


def _addresses(offsets: NDArray[np.int64], starts: NDArray[np.int64], data: Sequence[Bytes]) -> NDArray[np.uint64]:
    within = np.searchsorted(starts, offsets, side="right") - 1
    bases = np.array([address_of(part) for part in data], np.uint64)
    return np.asarray(bases[within] + (offsets - starts[within]).astype(np.uint64), np.uint64)


class ChunkCache:
    """Ranges of shards, the longest unused forgotten first. For any number of threads and volumes.

    A range that one thread is reading is waited for by others that need chunks of it, not read again. What lies in the
    gaps of a read is kept with it. A forked child starts empty.

    Args:
        max_bytes: of all ranges; those in use may exceed it meanwhile.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._clear()

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return (ChunkCache, (self.max_bytes,))

    def _clear(self) -> None:
        self._lock, self._pid = Lock(), os.getpid()
        self._files: dict[str, _File] = {}
        self._used: OrderedDict[_Range, int] = OrderedDict()
        self._number = self.held_bytes = 0

    def fetch(
        self, storage: Storage, path: str, table: ChunkTable, wanted: NDArray[np.int64], policy: ReadPolicy
    ) -> Fetched:
        """As ``fetch_chunks``, of what is not here yet."""
        if os.getpid() != self._pid:
            self._clear()
        with self._lock:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _File(table, {}, np.full(len(table.sizes), -1, np.int64))
            begun = self._begin(path, file, wanted[file.holder[wanted] < 0], policy)
            holders = file.holder[wanted]
            found = {number: file.ranges[number] for number in np.unique(holders).tolist()}
            for held in found.values():
                self._used.move_to_end(held)
            self._make_room(set(found.values()))
        if begun:
            try:
                starts, ends = (np.array([getattr(r, name) for r in begun], np.int64) for name in ("start", "end"))
                for held, data in zip(begun, _read(storage, path, starts, ends), strict=True):
                    held.data.set_result(data)
            except BaseException as error:
                with self._lock:
                    for held in begun:
                        self._forget(held)
                for held in begun:
                    held.data.set_exception(error)
                raise
        kept = [held.data.result() for held in found.values()]
        numbers = np.array(list(found), np.int64)
        within = np.searchsorted(numbers, holders)
        bases = np.array([address_of(part) for part in kept], np.uint64)
        starts = np.array([held.start for held in found.values()], np.int64)
        offsets = (table.offsets[wanted] - starts[within]).astype(np.uint64)
        return np.asarray(bases[within] + offsets, np.uint64), kept

    def _begin(self, path: str, file: _File, missing: NDArray[np.int64], policy: ReadPolicy) -> list[_Range]:
        """Ranges that this thread is to read."""
        if not len(missing):
            return []
        starts, ends = plan_ranges(file.table.offsets[missing], file.table.sizes[missing], policy)
        begun = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            held = _Range(path, start, end)
            inside = (file.table.offsets >= start) & (file.table.offsets + file.table.sizes <= end)
            file.holder[inside & (file.table.sizes > 0) & (file.holder < 0)] = self._number
            file.ranges[self._number] = held
            self._used[held] = self._number
            self._number += 1
            self.held_bytes += end - start
            begun.append(held)
        return begun

    def _make_room(self, needed: set[_Range]) -> None:
        for held in list(self._used):
            if self.held_bytes <= self.max_bytes:
                return
            if held not in needed:
                self._forget(held)

    def _forget(self, held: _Range) -> None:
        number = self._used.pop(held, None)
        if number is None:
            return
        file = self._files[held.path]
        del file.ranges[number]
        file.holder[file.holder == number] = -1
        self.held_bytes -= held.end - held.start
        if not file.ranges:
            del self._files[held.path]
