"""Where the inner chunks of a shard lie in its file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.engine import crc32c
from medshard.errors import CorpusError
from medshard.volumes.layout import MISSING, ArrayLayout

__all__ = ["ChunkTable"]


@dataclass(frozen=True)
class ChunkTable:
    """Places of all inner chunks of a shard, in C order.

    Attributes:
        offsets: (chunks,) int64, bytes from the file's beginning.
        sizes: (chunks,) int64, bytes; 0 where a chunk holds nothing but the fill value.
    """

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def in_order(cls, layout: ArrayLayout, sizes: NDArray[np.int64]) -> ChunkTable:
        """Of a shard whose chunks lie end to end in the order of ``layout``."""
        offsets = np.zeros(layout.chunks, np.int64)
        ordered = sizes[layout.order]
        offsets[layout.order] = np.cumsum(ordered) - ordered
        return cls(offsets, sizes)

    @classmethod
    def parse(cls, raw: bytes, layout: ArrayLayout, end: int, path: str) -> ChunkTable:
        """From the index of a shard (sharding codec 1.0).

        Args:
            raw: the index with its checksum.
            end: where it begins in the file, which is where chunks end.

        Raises:
            CorpusError: it is damaged, or points elsewhere.
        """
        if crc32c(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            raise CorpusError(f"{path}: the index fails its checksum; the file is damaged or cut off")
        entries = np.frombuffer(raw[:-4], "<u8").reshape(layout.chunks, 2)
        held = entries[:, 0] != MISSING
        known = entries[held]
        outside = (known > end).any() or (known.sum(axis=-1) > end).any()  # numbers up to the file's size cannot wrap
        if outside or (known[:, 1] == 0).any():
            raise CorpusError(f"{path}: the index points outside the file, or at nothing")
        offsets, sizes = np.where(held[:, None], entries, 0).T.astype(np.int64)
        return cls(offsets, sizes)

    def dump(self) -> bytes:
        """The index of a shard, with its checksum."""
        entries = np.full((len(self.sizes), 2), MISSING, "<u8")
        held = self.sizes > 0
        entries[held, 0], entries[held, 1] = self.offsets[held], self.sizes[held]
        raw = entries.tobytes()
        return raw + crc32c(raw).to_bytes(4, "little")

    def is_in_order(self, layout: ArrayLayout) -> bool:
        """Whether the sizes alone tell where the chunks are."""
        held = self.sizes > 0
        return bool(np.array_equal(self.offsets[held], ChunkTable.in_order(layout, self.sizes).offsets[held]))
