"""Writes one unit's shards: one for each set of part names that its samples have."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from medshard.shards.locator import ShardParts
from medshard.shards.sample_parts import SampleParts
from medshard.shards.tar import TarWriter

__all__ = ["RENDITIONS_FOLDER", "SHARDS_FOLDER", "RenditionEntry", "ShardEntry", "ShardWriter"]

SHARDS_FOLDER, RENDITIONS_FOLDER = "shards", "renditions"
"""Below a dataset's build; apart, so that ``shards/*.tar`` are samples only."""


@dataclass(frozen=True)
class RenditionEntry:
    """A finished sibling of a shard: one level of its pictures, the same keys in the same order.

    Attributes:
        name: file name, in the folder ``renditions`` beside the shards' own.
        factor: by which its pictures are smaller.
        size_bytes, sha256: of the file.
        parts: where every part lies.
    """

    name: str
    factor: int
    size_bytes: int
    sha256: str
    parts: ShardParts


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard.

    Attributes:
        name: file name.
        split, set: what its samples have in common.
        samples: their number.
        size_bytes, sha256: of the file.
        parts: where every part lies.
        renditions: its siblings, by factor.
    """

    name: str
    split: str
    set: str
    samples: int
    size_bytes: int
    sha256: str
    parts: ShardParts
    renditions: tuple[RenditionEntry, ...] = ()


class ShardWriter:
    """The shards of one unit, under temporary names until ``finish``.

    Args:
        folder: where shards go; their siblings go to ``renditions`` beside it.
        split: of all samples.
        unit: number of the unit, which numbers the shards.
    """

    def __init__(self, folder: Path, split: str, unit: int) -> None:
        self._folder, self._split, self._unit = folder, split, unit
        self._open: dict[tuple[str, int], TarWriter] = {}  # by set and factor, 1 for the shard itself
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, set_name: str, factor: int) -> Path:
        name = f"{self._split}-{set_name}-{self._unit:06d}"
        if factor == 1:
            return self._folder / f"{name}.tar"
        return self._folder.parent / RENDITIONS_FOLDER / f"{name}.r{factor}.tar"

    def _temporary(self, set_name: str, factor: int) -> Path:
        path = self._path(set_name, factor)
        return path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def _writer(self, set_name: str, factor: int) -> TarWriter:
        if (set_name, factor) not in self._open:
            temporary = self._temporary(set_name, factor)
            temporary.parent.mkdir(exist_ok=True)
            self._open[set_name, factor] = TarWriter(temporary)
        return self._open[set_name, factor]

    def add(self, sample: SampleParts) -> None:
        """Append a sample to the shard of its set, and its levels to the shard's siblings."""
        for extension, data in sample.parts():
            self._writer(sample.set_name, 1).add(f"{sample.sample.key}.{extension}", data)
        for factor, parts in sample.levels.items():
            for extension, data in parts.items():
                self._writer(sample.set_name, factor).add(f"{sample.sample.key}.{extension}", data)

    def finish(self) -> list[ShardEntry]:
        """Close all shards, check each against what was meant, and give them their names; ordered by name."""
        entries = []
        for set_name in sorted({name for name, _ in self._open}):
            factors = sorted(factor for name, factor in self._open if name == set_name and factor > 1)
            renditions = tuple(
                RenditionEntry(path.name, factor, size_bytes, sha256, parts)
                for factor in factors
                for path, size_bytes, sha256, parts in [self._close(set_name, factor)]
            )
            path, size_bytes, sha256, parts = self._close(set_name, 1)
            entries.append(
                ShardEntry(path.name, self._split, set_name, len(parts.records), size_bytes, sha256, parts, renditions)
            )
        self._open.clear()
        return entries

    def _close(self, set_name: str, factor: int) -> tuple[Path, int, str, ShardParts]:
        writer, temporary = self._open[set_name, factor], self._temporary(set_name, factor)
        size_bytes, sha256 = writer.close()
        _verify_written(temporary, sha256)
        parts = ShardParts.of(writer.parts)
        os.replace(temporary, self._path(set_name, factor))
        return self._path(set_name, factor), size_bytes, sha256, parts

    def discard(self) -> None:
        """Remove what was begun."""
        for (set_name, factor), writer in self._open.items():
            writer.discard()
            self._temporary(set_name, factor).unlink(missing_ok=True)
        self._open.clear()


def _verify_written(path: Path, sha256: str) -> None:
    """Force the file to disk and read it back before it gets the name that others look for."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
        state = hashlib.sha256()
        while chunk := handle.read(4 * 2**20):
            state.update(chunk)
    if state.hexdigest() != sha256:
        raise OSError(f"{path.name}: what is on disk differs from what was written")
