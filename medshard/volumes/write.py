"""Writes a volume and its label images as one OME-Zarr folder."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medshard.engine import crc32c
from medshard.readers.base import Affine, Array, Mask, Volume
from medshard.volumes.layout import MISSING, ArrayLayout, layout_for, pack
from medshard.volumes.pyramid import (
    MAX_LEVELS,
    coarser_affine,
    coarser_factors,
    halve_intensity,
    halve_labels,
)

__all__ = ["VolumeEntry", "write_volume"]


@dataclass(frozen=True)
class VolumeEntry:
    """A stored volume.

    Attributes:
        size_bytes: of all its files.
        sha256: over the paths and digests of its files, in order.
        levels: shape of each level.
        files: path below the volume → size in bytes.
    """

    size_bytes: int
    sha256: str
    levels: tuple[tuple[int, ...], ...]
    files: Mapping[str, int]


def write_volume(path: Path, volume: Volume, *, labels: Mapping[str, Mask] | None = None, name: str) -> VolumeEntry:
    """Write a volume under a temporary name, then give it its own; an older one of that name is replaced.

    Args:
        path: the folder, ``....ome.zarr``.
        volume: any of its axes; voxels of a type that the store has (float64 only where float32 holds it exactly).
        labels: masks on its grid, stored beside it under ``labels/``.
        name: of the image, in its metadata.

    Raises:
        ValueError: a type that is not stored.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    files: dict[str, bytes] = {}
    levels = []
    axes = tuple(volume.axes.lower())
    sizes: dict[str, int] = {}
    digests: dict[str, str] = {}

    def store(relative: str, data: bytes) -> None:
        target = temporary / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        sizes[relative] = len(data)
        digests[relative] = hashlib.sha256(data).hexdigest()

    pyramid = list(_levels(_storable(volume.voxels), volume.affine_ijk_to_ras, volume.spacing_zyx_mm, labels=False))
    for number, (voxels, _, _) in enumerate(pyramid):
        layout = layout_for(voxels.shape, voxels.dtype, axes)
        levels.append(voxels.shape)
        for relative, data in _array_files(layout, voxels):
            store(f"{number}/{relative}", data)
    extra = {"unit": volume.unit, "window": list(volume.window) if volume.window is not None else None}
    label_names = sorted(labels or {})
    files["zarr.json"] = _group(name, axes, pyramid, volume.affine_ijk_to_ras, extra, image_label=False)
    if label_names:
        files["labels/zarr.json"] = _dump({"ome": {"version": "0.5", "labels": label_names}})
    for label in label_names:
        mask = (labels or {})[label]
        label_axes = ("c", "z", "y", "x")[-mask.labels.ndim :]
        mask_pyramid = list(
            _levels(_storable(mask.labels), volume.affine_ijk_to_ras, volume.spacing_zyx_mm, labels=True)
        )
        for number, (voxels, _, _) in enumerate(mask_pyramid):
            layout = layout_for(voxels.shape, voxels.dtype, label_axes)
            for relative, data in _array_files(layout, voxels):
                store(f"labels/{label}/{number}/{relative}", data)
        affine = mask.affine_ijk_to_ras
        files[f"labels/{label}/zarr.json"] = _group(label, label_axes, mask_pyramid, affine, {}, image_label=True)
    for relative, data in files.items():
        store(relative, data)
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(temporary, path)
    state = hashlib.sha256()
    for relative in sorted(digests):
        state.update(f"{relative}\0{digests[relative]}\n".encode())
    return VolumeEntry(sum(sizes.values()), state.hexdigest(), tuple(levels), dict(sorted(sizes.items())))


def _storable(voxels: Array) -> Array:
    if voxels.dtype == np.bool_:
        return voxels.astype(np.uint8)
    if voxels.dtype == np.float64:
        narrow = voxels.astype(np.float32)
        if not np.array_equal(narrow.astype(np.float64), voxels, equal_nan=True):
            raise ValueError("float64 voxels that float32 does not hold exactly are not stored")
        return narrow
    return np.ascontiguousarray(voxels)


def _levels(
    voxels: Array, affine: Affine | None, spacing: tuple[float, float, float] | None, *, labels: bool
) -> Iterator[tuple[Array, Affine | None, tuple[float, float, float]]]:
    """Levels from fine to coarse, each with its affine and its scale relative to level 0."""
    relative = (1.0, 1.0, 1.0)
    for level in range(MAX_LEVELS):
        yield voxels, affine, relative
        factors = coarser_factors(voxels.shape[-3:], spacing)
        if factors is None or level == MAX_LEVELS - 1:
            return
        voxels = halve_labels(voxels, factors) if labels else halve_intensity(voxels, factors)
        affine = coarser_affine(affine, factors) if affine is not None and not labels else affine
        relative = tuple(a * b for a, b in zip(relative, factors, strict=True))  # type: ignore[assignment]
        spacing = tuple(a * b for a, b in zip(spacing, factors, strict=True)) if spacing is not None else None  # type: ignore[assignment]


def _array_files(layout: ArrayLayout, voxels: Array) -> Iterator[tuple[str, bytes]]:
    """``zarr.json`` and every shard; one that holds nothing has an index that says so, so that none can be lost."""
    yield "zarr.json", layout.metadata()
    for shard in itertools.product(*(range(count) for count in layout.shards)):
        yield layout.shard_path(shard), _shard(layout, voxels, shard)


def _shard(layout: ArrayLayout, voxels: Array, shard: tuple[int, ...]) -> bytes:
    index = np.full((int(np.prod(layout.inner_per_shard)), 2), MISSING, "<u8")
    pieces: list[bytes] = []
    offset = 0
    origin = [place * edge for place, edge in zip(shard, layout.shard, strict=True)]
    places = list(enumerate(itertools.product(*(range(count) for count in layout.inner_per_shard))))
    for number, inner in sorted(places, key=lambda entry: _morton(entry[1])):
        start = [o + i * e for o, i, e in zip(origin, inner, layout.inner, strict=True)]
        window = tuple(slice(s, s + e) for s, e in zip(start, layout.inner, strict=True))
        chunk = voxels[window]
        if 0 in chunk.shape or not chunk.any():
            continue
        if chunk.shape != layout.inner:
            whole = np.zeros(layout.inner, voxels.dtype)
            whole[tuple(slice(0, length) for length in chunk.shape)] = chunk
            chunk = whole
        packed = pack(chunk)
        index[number] = (offset, len(packed))
        pieces.append(packed)
        offset += len(packed)
    table = index.tobytes()
    return b"".join([*pieces, table, crc32c(table).to_bytes(4, "little")])


def _morton(place: tuple[int, ...]) -> int:
    """Neighbours in space lie near one another in the file, so that a box is a few reads (Z order, x fastest)."""
    key = 0
    for bit in range(max(place).bit_length()):
        for axis, number in enumerate(reversed(place)):
            key |= (number >> bit & 1) << (bit * len(place) + axis)
    return key


def _group(
    name: str,
    axes: tuple[str, ...],
    pyramid: list[tuple[Array, Affine | None, tuple[float, float, float]]],
    affine: Affine | None,
    extra: dict[str, Any],
    *,
    image_label: bool,
) -> bytes:
    """Group metadata: OME-NGFF for every reader, the full affine for ours.

    OME-NGFF 0.5 knows only scale and translation along the axes, so direction and shear stand in ``medshard``. Where
    the spacing is unknown the axes have no unit, and the scale counts voxels.
    """
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))[::-1] if affine is not None else np.ones(3)
    kinds = {"c": "channel", "t": "time"}
    described = [
        {"name": axis, "type": kinds[axis]}
        if axis in kinds
        else {"name": axis, "type": "space", **({"unit": "millimeter"} if affine is not None else {})}
        for axis in axes
    ]
    leading = len(axes) - 3
    datasets = []
    for number, (_, _, relative) in enumerate(pyramid):
        scale = [1.0] * leading + [float(step * times) for step, times in zip(lengths, relative, strict=True)]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if number and not image_label:
            shift = [0.0] * leading + [float(s * (t - 1) / 2) for s, t in zip(lengths, relative, strict=True)]
            transforms.append({"type": "translation", "translation": shift})
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    method = {"type": "nearest"} if image_label else {"type": "mean"}
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": described, "datasets": datasets, **method}],
    }
    if image_label:
        ome["image-label"] = {"source": {"image": "../../"}}
    own = {"affine_ijk_to_ras": affine.tolist() if affine is not None else None, **extra}
    return _dump({"ome": ome, "medshard": own})


def _dump(attributes: dict[str, Any]) -> bytes:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    return json.dumps(document, indent=1).encode()
