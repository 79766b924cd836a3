"""Looks up the foreground index of a corpus; what is not asked for is not read."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medshard.errors import CorpusError
from medshard.volumes.foreground import FOREGROUND_SCHEMA, Foreground

if TYPE_CHECKING:
    from medshard.storage import Storage

__all__ = ["FOREGROUND_NAME", "ForegroundIndex"]

FOREGROUND_NAME = "foreground.parquet"

_CACHED = 64
_COLUMNS = ["key", "slot", "value"]


class ForegroundIndex:
    """``foreground.parquet`` of a corpus; any thread may ask.

    Args:
        storage: the corpus's.

    Raises:
        CorpusError: the file is damaged, or of another version.
    """

    def __init__(self, storage: Storage) -> None:
        self._where = f"{storage.url}/{FOREGROUND_NAME}"
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Foreground] = OrderedDict()
        try:
            file = pa.PythonFile(_StoredFile(storage, FOREGROUND_NAME), mode="r")
            self._file = pq.ParquetFile(file, pre_buffer=False)
            if not self._file.schema_arrow.equals(FOREGROUND_SCHEMA):
                raise CorpusError(f"{self._where} has other columns than this version of medshard reads")
            named = self._file.read(columns=_COLUMNS, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error
        starts = np.flatnonzero(named["value"].to_numpy() == 0)
        ends = np.append(starts[1:], len(named))
        names = named.take(starts)
        keys, slots = names["key"].to_pylist(), names["slot"].to_pylist()
        self._rows = dict(
            zip(zip(keys, slots, strict=True), zip(starts.tolist(), ends.tolist(), strict=True), strict=True)
        )
        metadata = self._file.metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self._group_starts = np.cumsum([0, *sizes])

    def find(self, key: str, slot: str) -> Foreground | None:
        """The index of a mask; None when it has none, as those of corpora from before there was one."""
        place = (key, slot)
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
            if place not in self._rows:
                return None
            found = self._kept[place] = self._read(*self._rows[place])
            if len(self._kept) > _CACHED:
                self._kept.popitem(last=False)
            return found

    @property
    def places(self) -> list[tuple[str, str]]:
        """(key, slot) of every mask that it has."""
        return list(self._rows)

    def _read(self, start: int, end: int) -> Foreground:
        first = int(np.searchsorted(self._group_starts, start, side="right")) - 1
        last = int(np.searchsorted(self._group_starts, end, side="left"))
        try:
            table = self._file.read_row_groups(list(range(first, last)), use_threads=False)
            return Foreground.from_table(table.slice(start - int(self._group_starts[first]), end - start))
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise self._damaged() from error

    def _damaged(self) -> CorpusError:
        return CorpusError(f"{self._where} cannot be read, being damaged or cut off; run medshard build again")


class _StoredFile(io.RawIOBase):
    """A stored object as a file that Arrow reads ranges of."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage, self._path = storage, path
        self._size, self._at = storage.size(path), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        data = bytes(self._storage.read(self._path, self._at, length)) if length else b""
        self._at += len(data)
        return data
