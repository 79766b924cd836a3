"""``locator.bin``: where every part of every sample lies, in fixed-width little-endian records.

Layout, version 1: a header of 64 bytes, one block record a shard (32 bytes), then the part records (24 bytes), all
parts of a sample together, samples in the order of their shard. All samples of a shard have the same parts, so the
record of (shard, sample, part) is ``first + sample * parts + part``. Volumes are found by their path in the index; kind
1 of a block is reserved for them. The file is memory-mapped locally and can be read by range from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medshard.errors import CorpusError
from medshard.shards.tar import TarPart

__all__ = ["BLOCK", "PART", "Locator", "ShardParts", "pack_locator"]

_MAGIC = b"MSLOC\0\0\x01"

HEADER = np.dtype([("magic", "S8"), ("shards", "<u8"), ("parts", "<u8"), ("samples", "<u8"), ("spare", "V32")])
BLOCK = np.dtype(
    [
        ("first", "<u8"),
        ("samples", "<u4"),
        ("parts", "<u2"),
        ("kind", "<u2"),
        ("first_sample", "<u8"),
        ("spare", "V8"),
    ]
)
PART = np.dtype([("offset", "<u8"), ("size", "<u8"), ("crc32c", "<u4"), ("spare", "<u4")])


@dataclass(frozen=True)
class ShardParts:
    """The parts of one shard.

    Attributes:
        extensions: part names without the key, in the order in which each sample has them.
        records: (samples, parts) of ``PART``.
    """

    extensions: tuple[str, ...]
    records: NDArray[np.void]

    @classmethod
    def of(cls, parts: Sequence[TarPart]) -> ShardParts:
        """From what a writer wrote.

        Raises:
            ValueError: the samples of the shard do not all have the same parts in the same order, or two have one key.
        """
        extensions: list[str] = []
        for part in parts:
            if part.key != parts[0].key:
                break
            extensions.append(part.extension)
        width = len(extensions)
        if not width or len(parts) % width:
            raise ValueError("the samples of a shard do not have the same parts")
        records = np.zeros((len(parts) // width, width), PART)
        for place, part in enumerate(parts):
            sample, column = divmod(place, width)
            if part.extension != extensions[column] or part.key != parts[sample * width].key:
                raise ValueError(f"{part.name}: the samples of a shard do not have the same parts")
            records[sample, column] = (part.offset, part.size_bytes, part.crc32c, 0)
        if len({part.key for part in parts}) != len(records):
            raise ValueError("a key stands twice in a shard")
        return cls(tuple(extensions), records)


def pack_locator(shards: Iterable[ShardParts]) -> bytes:
    """The file's bytes."""
    listed = list(shards)
    blocks = np.zeros(len(listed), BLOCK)
    first = first_sample = 0
    for place, shard in enumerate(listed):
        samples, parts = shard.records.shape
        blocks[place]["first"], blocks[place]["samples"], blocks[place]["parts"] = first, samples, parts
        blocks[place]["first_sample"] = first_sample
        first += samples * parts
        first_sample += samples
    header = np.zeros(1, HEADER)
    header[0]["magic"], header[0]["shards"], header[0]["parts"] = _MAGIC, len(listed), first
    header[0]["samples"] = first_sample
    records = [shard.records.tobytes() for shard in listed]
    return b"".join([header.tobytes(), blocks.tobytes(), *records])


class Locator:
    """Finds byte ranges.

    Args:
        data: the file's bytes or a memory map of it.

    Raises:
        CorpusError: not a locator of this version, or cut off.
    """

    def __init__(self, data: bytes | memoryview | np.memmap) -> None:
        raw = np.frombuffer(data, np.uint8)
        if len(raw) < HEADER.itemsize:
            raise CorpusError("locator.bin is cut off")
        header = np.frombuffer(raw[: HEADER.itemsize].tobytes(), HEADER)[0]
        if header["magic"] != _MAGIC:
            raise CorpusError("locator.bin is not of version 1; rebuild the index with medshard build")
        shards, parts = int(header["shards"]), int(header["parts"])
        start = HEADER.itemsize + shards * BLOCK.itemsize
        if len(raw) != start + parts * PART.itemsize:
            raise CorpusError("locator.bin is cut off or has more than its header says")
        self.blocks = raw[HEADER.itemsize : start].view(BLOCK)
        self.records = raw[start:].view(PART)
        self.samples = int(header["samples"])
        widths = self.blocks["samples"].astype(np.uint64) * self.blocks["parts"]
        ends = np.cumsum(widths, dtype=np.uint64)
        if not np.array_equal(self.blocks["first"], ends - widths) or (len(ends) and int(ends[-1]) != parts):
            raise CorpusError("locator.bin is damaged: a block points outside the shard's own records")

    @cached_property
    def _places(self) -> list[tuple[int, int, int]]:
        """First record, samples and parts of each shard, as plain integers."""
        return list(zip(*(self.blocks[name].tolist() for name in ("first", "samples", "parts")), strict=True))

    @classmethod
    def open(cls, path: Path) -> Locator:
        """Memory-map a local file."""
        try:
            return cls(np.memmap(path, np.uint8, "r"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{path}: cannot be mapped: {error}") from error

    def parts(self, shard: NDArray[np.int64] | int, row: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """Index into ``records`` of the first part of samples."""
        blocks = self.blocks[shard]
        return np.asarray(blocks["first"] + np.asarray(row, np.uint64) * blocks["parts"], np.int64)

    def place(self, shard: int, row: int, part: int) -> tuple[int, int, int]:
        """Offset, size and CRC-32C of one part.

        Raises:
            IndexError: the shard has no such sample or part.
        """
        first, samples, parts = self._places[shard]
        if not (0 <= row < samples and 0 <= part < parts):
            raise IndexError(f"shard {shard} has no part {part} of sample {row}")
        offset, size, checksum, _ = self.records[first + row * parts + part].item()
        return offset, size, checksum
