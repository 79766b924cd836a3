"""Units: each becomes one shard (one a set of part names), or one group of volumes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from medshard.plan.plan import Plan
from medshard.spec.schema import Spec

__all__ = ["Unit", "UnitLimits", "cut_units"]


@dataclass(frozen=True)
class UnitLimits:
    """How large a unit may be.

    Attributes:
        source_bytes: listed bytes of its files.
        samples: its samples.
        volume_bytes: listed bytes when samples hold volumes, which unpack to several times that.
    """

    source_bytes: int = 512 * 2**20
    samples: int = 10_000
    volume_bytes: int = 256 * 2**20


@dataclass(frozen=True)
class Unit:
    """A stretch of the plan.

    Attributes:
        number: place among the dataset's units; numbers its shards.
        split: of all its samples.
        first, count: rows of the ordered plan.
        digest: over its rows, the spec, and whatever else decides its bytes.
    """

    number: int
    split: str
    first: int
    count: int
    digest: str


def cut_units(plan: Plan, limits: UnitLimits, build_digest: str) -> tuple[pa.Table, list[Unit]]:
    """Order the plan and cut it.

    Rows are put in the order of a keyed hash, so that a shard is a fair sample of its split and never one class folder;
    splits and kinds of files stay apart, so that most units give one shard.

    Args:
        build_digest: stands for the versions and options that decide a shard's bytes.

    Returns:
        The plan in the order of units, and the units.
    """
    spec = plan.loaded.spec
    table = plan.table
    if not len(table):
        return table, []
    keys = table["key"].to_pylist()
    hashes = [hashlib.sha256(f"{spec.name}\0{key}".encode()).hexdigest() for key in keys]
    media = table["media"].to_pylist()
    kinds = [_kind(entry) for entry in media]
    splits = table["split"].to_pylist()
    order = sorted(range(len(keys)), key=lambda row: (splits[row], kinds[row], hashes[row], keys[row]))
    ordered = table.take(pa.array(order))
    sizes = np.array([sum(ref["size_bytes"] or 0 for ref in media[row] or ()) for row in order], np.int64)
    volumes = any(slot.kind == "volume" for slot in spec.media.values()) or _labels_in_space(spec, media)
    bound = limits.volume_bytes if volumes else limits.source_bytes
    rows = ordered.to_pylist()
    units: list[Unit] = []
    start = 0
    for end in range(1, len(order) + 1):
        full = end == len(order) or (
            sizes[start : end + 1].sum() > bound
            or end - start >= limits.samples
            or (splits[order[end]], kinds[order[end]]) != (splits[order[start]], kinds[order[start]])
        )
        if full:
            digest = _digest(build_digest, rows[start:end])
            units.append(Unit(len(units), splits[order[start]], start, end - start, digest))
            start = end
    return ordered, units


def _digest(build_digest: str, rows: list[dict[str, object]]) -> str:
    state = hashlib.sha256(build_digest.encode())
    for row in rows:
        state.update(repr(sorted(row.items(), key=lambda item: item[0])).encode())
    return state.hexdigest()


def _kind(media: list[dict[str, str]] | None) -> str:
    """Slots and file endings, which mostly decide the names of a sample's parts."""
    return "|".join(sorted({f"{ref['slot']}.{ref['path'].rsplit('.', 1)[-1].lower()}" for ref in media or ()}))


def _labels_in_space(spec: Spec, media: list[list[dict[str, str]] | None]) -> bool:
    masks = {name for name, slot in spec.media.items() if slot.kind == "mask"}
    endings = (".nii", ".nii.gz")
    return any(ref["slot"] in masks and ref["path"].lower().endswith(endings) for refs in media for ref in refs or ())
