"""Writes one unit's shards: one for each set of part names that its samples have."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from medshard.shards.locator import ShardParts
from medshard.shards.sample_parts import SampleParts
from medshard.shards.tar import TarWriter

__all__ = ["ShardEntry", "ShardWriter"]


@dataclass(frozen=True)
class ShardEntry:
    """A finished shard.

    Attributes:
        name: file name.
        split, set: what its samples have in common.
        samples: their number.
        size_bytes, sha256: of the file.
        parts: where every part lies.
    """

    name: str
    split: str
    set: str
    samples: int
    size_bytes: int
    sha256: str
    parts: ShardParts


class ShardWriter:
    """The shards of one unit, under temporary names until ``finish``.

    Args:
        folder: where shards go.
        split: of all samples.
        unit: number of the unit, which numbers the shards.
    """

    def __init__(self, folder: Path, split: str, unit: int) -> None:
        self._folder, self._split, self._unit = folder, split, unit
        self._open: dict[str, TarWriter] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def _name(self, set_name: str) -> str:
        return f"{self._split}-{set_name}-{self._unit:06d}.tar"

    def _temporary(self, set_name: str) -> Path:
        return self._folder / f".{self._name(set_name)}.{os.getpid()}.tmp"

    def add(self, sample: SampleParts) -> None:
        """Append a sample to the shard of its set."""
        set_name = sample.set_name
        if set_name not in self._open:
            self._open[set_name] = TarWriter(self._temporary(set_name))
        for extension, data in sample.parts():
            self._open[set_name].add(f"{sample.sample.key}.{extension}", data)

    def finish(self) -> list[ShardEntry]:
        """Close all shards, check each against what was meant, and give them their names; ordered by name."""
        entries = []
        for set_name in sorted(self._open):
            writer = self._open[set_name]
            size_bytes, sha256 = writer.close()
            temporary = self._temporary(set_name)
            _verify_written(temporary, sha256)
            parts = ShardParts.of(writer.parts)
            os.replace(temporary, self._folder / self._name(set_name))
            entries.append(
                ShardEntry(self._name(set_name), self._split, set_name, len(parts.records), size_bytes, sha256, parts)
            )
        self._open.clear()
        return entries

    def discard(self) -> None:
        """Remove what was begun."""
        for set_name, writer in self._open.items():
            writer.discard()
            self._temporary(set_name).unlink(missing_ok=True)
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
