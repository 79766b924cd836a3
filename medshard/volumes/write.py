"""Writes a volume and its label images as one OME-Zarr folder."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medshard.readers.base import Affine, Array, Mask, Volume
from medshard.volumes.layout import ArrayLayout, layout_for, pack
from medshard.volumes.order import ORDER
from medshard.volumes.pyramid import (
    MAX_LEVELS,
    coarser_affine,
    coarser_factors,
    halve_intensity,
    halve_labels,
)
from medshard.volumes.table import ChunkTable

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

    Beside the voxels there are in memory their coarser levels (a seventh of them) and one chunk at a time.

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

    def store(relative: str, pieces: Iterable[bytes]) -> None:
        target = temporary / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        state = hashlib.sha256()
        with target.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                state.update(piece)
            sizes[relative] = file.tell()
        digests[relative] = state.hexdigest()

    pyramid = list(_levels(_storable(volume.voxels), volume.affine_ijk_to_ras, volume.spacing_zyx_mm, labels=False))
    for number, (voxels, _, _) in enumerate(pyramid):
        layout = layout_for(voxels.shape, voxels.dtype, axes)
        levels.append(voxels.shape)
        for relative, pieces in _array_files(layout, voxels):
            store(f"{number}/{relative}", pieces)
    extra = {"unit": volume.unit, "window": list(volume.window) if volume.window is not None else None}
    label_names = sorted(labels or {})
    files["zarr.json"] = _group(
        name, axes, pyramid, volume.affine_ijk_to_ras, volume.spacing_zyx_mm, extra, image_label=False
    )
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
            for relative, pieces in _array_files(layout, voxels):
                store(f"labels/{label}/{number}/{relative}", pieces)
        affine = mask.affine_ijk_to_ras
        files[f"labels/{label}/zarr.json"] = _group(
            label, label_axes, mask_pyramid, affine, volume.spacing_zyx_mm, {}, image_label=True
        )
    for relative, data in files.items():
        store(relative, [data])
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


def _array_files(layout: ArrayLayout, voxels: Array) -> Iterator[tuple[str, Iterable[bytes]]]:
    """``zarr.json`` and every shard; one that holds nothing has an index that says so, so that none can be lost."""
    yield "zarr.json", [layout.metadata()]
    for shard in itertools.product(*(range(count) for count in layout.shards)):
        yield layout.shard_path(shard), _shard(layout, voxels, shard)


def _shard(layout: ArrayLayout, voxels: Array, shard: tuple[int, ...]) -> Iterator[bytes]:
    sizes = np.zeros(layout.chunks, np.int64)
    origin = [place * edge for place, edge in zip(shard, layout.shard, strict=True)]
    for number in layout.order.tolist():
        place = np.unravel_index(number, layout.inner_per_shard)
        start = [o + int(i) * e for o, i, e in zip(origin, place, layout.inner, strict=True)]
        chunk = voxels[tuple(slice(s, s + e) for s, e in zip(start, layout.inner, strict=True))]
        if 0 in chunk.shape or not chunk.any():
            continue
        if chunk.shape != layout.inner:
            whole = np.zeros(layout.inner, voxels.dtype)
            whole[tuple(slice(0, length) for length in chunk.shape)] = chunk
            chunk = whole
        packed = pack(chunk, layout.block_bytes)
        sizes[number] = len(packed)
        yield packed
    yield ChunkTable.in_order(layout, sizes).dump()


def _group(
    name: str,
    axes: tuple[str, ...],
    pyramid: list[tuple[Array, Affine | None, tuple[float, float, float]]],
    affine: Affine | None,
    spacing_zyx_mm: tuple[float, float, float] | None,
    extra: dict[str, Any],
    *,
    image_label: bool,
) -> bytes:
    """Group metadata: OME-NGFF for every reader, the full affine for ours.

    OME-NGFF 0.5 knows only scale and translation along the axes. Where that is all of the affine, both stand there, in
    mm right, anterior, superior. Else there is the scale alone, the affine stands in ``medshard``, and ``oblique`` says
    whether an axis of the array lies askew to the patient. Where the spacing is unknown the axes have no unit, and the
    scale counts voxels.
    """
    kinds = {"c": "channel", "t": "time"}
    described = [
        {"name": axis, "type": kinds[axis]}
        if axis in kinds
        else {"name": axis, "type": "space", **({"unit": "millimeter"} if spacing_zyx_mm is not None else {})}
        for axis in axes
    ]
    steps = spacing_zyx_mm or (1.0, 1.0, 1.0)
    exact = affine is not None and _is_scale(affine)
    origin = affine[:3, 3][::-1].tolist() if exact and affine is not None else [0.0, 0.0, 0.0]
    leading = len(axes) - 3
    datasets = []
    for number, (_, _, relative) in enumerate(pyramid):
        scale = [1.0] * leading + [float(step * times) for step, times in zip(steps, relative, strict=True)]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        half = 0.0 if image_label else 0.5  # of a block to its centre; labels are its first voxel
        shift = [float(o + s * (t - 1) * half) for o, s, t in zip(origin, steps, relative, strict=True)]
        if exact or (number and not image_label):
            transforms.append({"type": "translation", "translation": [0.0] * leading + shift})
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    method = {"type": "nearest"} if image_label else {"type": "mean"}
    ome: dict[str, Any] = {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": described, "datasets": datasets, **method}],
    }
    if image_label:
        ome["image-label"] = {"source": {"image": "../../"}}
    own = {
        "chunk_order": ORDER,
        "affine_ijk_to_ras": affine.tolist() if affine is not None else None,
        "affine_in_ngff": exact,
        "oblique": _is_oblique(affine) if affine is not None else None,
        **extra,
    }
    return _dump({"ome": ome, "medshard": own})


def _is_scale(affine: Affine) -> bool:
    """Whether i, j, k run right, anterior, superior, with nothing but steps."""
    linear = affine[:3, :3]
    return bool((np.diag(linear) > 0).all() and np.array_equal(linear, np.diag(np.diag(linear))))


def _is_oblique(affine: Affine) -> bool:
    """Whether an axis lies askew to the patient, by more than 0.01 degrees."""
    directions = np.abs(affine[:3, :3]) / np.linalg.norm(affine[:3, :3], axis=0)
    return bool((directions.max(axis=0) < np.cos(np.deg2rad(0.01))).any())


def _dump(attributes: dict[str, Any]) -> bytes:
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    return json.dumps(document, indent=1).encode()
