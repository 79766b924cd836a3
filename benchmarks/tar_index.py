"""Random access to the pictures of tars: a table of offsets, made at the first look, and pread."""

from __future__ import annotations

import os
import tarfile
from typing import Any

from workloads import Workload

__all__ = ["TarIndex"]


class TarIndex:
    """A sequence of compressed pictures, ``times`` as long as the shards, so that a short corpus has no ends."""

    def __init__(self, workload: Workload, times: int = 1) -> None:
        self.shards, self._times = workload.shards, times
        self._places: list[tuple[int, int, int]] = []
        for number, path in enumerate(self.shards):
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.name.endswith(f".{workload.extension}"):
                        self._places.append((number, member.offset_data, member.size))
        self._handles: list[int] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_handles": []}

    def __len__(self) -> int:
        return len(self._places) * self._times

    def __getitem__(self, place: int) -> bytes:
        if not self._handles:
            self._handles = [os.open(path, os.O_RDONLY) for path in self.shards]
        shard, offset, size = self._places[place % len(self._places)]
        return os.pread(self._handles[shard], size, offset)
