"""Reads the bytes of a batch: neighbouring parts together, shards side by side, every part checked."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

from medshard.corpus.corpus import Corpus
from medshard.engine import crc32c
from medshard.errors import MedshardError
from medshard.loader.selection import Part
from medshard.loader.stats import Stats
from medshard.storage.base import Bytes

__all__ = ["fetch_parts", "fetch_there"]


def fetch_parts(corpus: Corpus, parts: Sequence[Part], executor: Executor) -> list[Bytes | MedshardError]:
    """The bytes of each part, or why it cannot be had.

    A failed read of a shard fails only the parts that are in it.
    """
    by_shard: dict[tuple[int, int], list[int]] = {}
    for place, part in enumerate(parts):
        by_shard.setdefault((part.shard, part.factor), []).append(place)

    def read(shard: tuple[int, int]) -> list[Bytes] | MedshardError:
        ranges = [(parts[place].offset, parts[place].size_bytes) for place in by_shard[shard]]
        try:
            return corpus.storage.read_ranges(corpus.path_of(*shard), ranges)
        except MedshardError as error:
            return error

    found: list[Bytes | MedshardError] = [b""] * len(parts)
    for shard, data in zip(by_shard, executor.map(read, by_shard), strict=True):
        for number, place in enumerate(by_shard[shard]):
            found[place] = data if isinstance(data, MedshardError) else _checked(corpus, parts[place], data[number])
    return found


def fetch_there(
    corpus: Corpus, parts: Sequence[Part | None], executor: Executor, stats: Stats
) -> list[Bytes | MedshardError | None]:
    """``fetch_parts`` for those that are there, counted as ``bytes``; None for the others."""
    wanted = [place for place, part in enumerate(parts) if part is not None]
    listed = [part for part in parts if part is not None]
    stats.add("bytes", sum(part.size_bytes for part in listed))
    found: list[Bytes | MedshardError | None] = [None] * len(parts)
    for place, data in zip(wanted, fetch_parts(corpus, listed, executor), strict=True):
        found[place] = data
    return found


def _checked(corpus: Corpus, part: Part, data: Bytes) -> Bytes | MedshardError:
    if crc32c(data) == part.crc32c:
        return data
    path = corpus.path_of(part.shard, part.factor)
    end = part.offset + part.size_bytes - 1
    return MedshardError(f"{path}: bytes {part.offset}-{end} fail their checksum; the file is damaged or truncated")
