"""Reads the files of a mask slot and lays them on the grid of their image."""

from __future__ import annotations

import hashlib

import numpy as np

from medshard.convert.grids import same_grid
from medshard.convert.slot_media import ReadMedia, stated_spacing
from medshard.convert.volumes import volume_media, volume_part
from medshard.engine import STRIP_ROWS, encode_png
from medshard.errors import GeometryError, ReadError
from medshard.facts.mask_labels import MaskLabels, foreground, label_map, pack_regions, single_channel
from medshard.plan.row import MediaRef
from medshard.readers import read_labels
from medshard.readers.base import Array, Blob, Mask, Volume
from medshard.record.sample import Media
from medshard.spec.schema import MediaSlot

__all__ = ["read_mask_slot"]


def read_mask_slot(
    key: str,
    slot: str,
    spec: MediaSlot,
    refs: list[MediaRef],
    blobs: list[Blob],
    order: list[str],
    out: ReadMedia,
) -> None:
    read = [read_labels(blob) for blob in blobs]
    space = 3 if read[0].labels.ndim >= 3 and read[0].space == 3 else 2
    arrays = [mask.labels if space == 3 else single_channel(mask.labels, spec.channel) for mask in read]
    if spec.layers is None and spec.instances is None:
        labels = _single(spec, refs[0], arrays[0], space)
    else:
        labels = _several(slot, spec, refs, arrays, order)
    labels.affine_ijk_to_ras = read[0].affine_ijk_to_ras
    for other in read[1:]:
        if space == 3:
            same_grid(slot, labels.grid, labels.affine_ijk_to_ras, other.labels.shape, other.affine_ijk_to_ras)
    _compare_with_image(slot, spec, labels, out)
    out.masks[slot] = labels
    if space == 2:
        _store_plane(slot, spec, labels, out)
    else:
        _store_labels(key, slot, spec, labels, out)


def _single(spec: MediaSlot, ref: MediaRef, values: Array, space: int) -> MaskLabels:
    if spec.foreground is None:
        return label_map(values, ref.path, space=space)
    inside = foreground(values, spec.foreground)
    return pack_regions(values.shape, [(1, "1", None, ref.path, inside)] if inside.any() else [])


def _several(slot: str, spec: MediaSlot, refs: list[MediaRef], arrays: list[Array], order: list[str]) -> MaskLabels:
    """Files that are layers or instances, each a binary part with a value of its own."""
    grid = arrays[0].shape
    names = [ref.layer or "" for ref in refs]
    values = {name: place for place, name in enumerate([*order, *sorted(set(names) - set(order))], start=1)}
    parts: list[tuple[int, str, int | None, str, Array]] = []
    for place, (ref, values_of_file) in enumerate(zip(refs, arrays, strict=True), start=1):
        if values_of_file.shape != grid:
            raise GeometryError(f"{slot}: the mask files differ in size", error_class="grid_mismatch")
        inside = foreground(values_of_file, spec.foreground) if spec.foreground else _binary(slot, values_of_file)
        if spec.instances is not None:
            parts.append((place, "", place, ref.path, inside))
        else:
            parts.append((values[ref.layer or ""], ref.layer or "", None, ref.path, inside))
    return pack_regions(grid, parts)


def _binary(slot: str, values: Array) -> Array:
    found = np.unique(values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        raise ReadError(
            f"{slot}: a mask file holds more than 0 and one value; say foreground:", error_class="soft_mask"
        )
    return np.asarray(values != 0)


def _compare_with_image(slot: str, spec: MediaSlot, labels: MaskLabels, out: ReadMedia) -> None:
    if spec.like is None or not out.media[spec.like].present:
        return
    like = out.media[spec.like]
    assert like.shape is not None
    assert like.axes is not None
    shape = tuple(like.shape[like.axes.index(axis)] for axis in ("YX" if labels.space == 2 else "ZYX"))
    affine = np.array(like.affine_ijk_to_ras) if like.affine_ijk_to_ras is not None else None
    if labels.space == 3:
        same_grid(slot, shape, affine, labels.grid, labels.affine_ijk_to_ras)
        if labels.affine_ijk_to_ras is None:
            labels.affine_ijk_to_ras = affine
    elif shape != labels.grid:
        found = f"{labels.grid[1]} x {labels.grid[0]}"
        raise GeometryError(
            f"{slot}: the mask has {found} pixels, {spec.like} has {shape[1]} x {shape[0]}",
            error_class="grid_mismatch",
        )


def _store_plane(slot: str, spec: MediaSlot, labels: MaskLabels, out: ReadMedia) -> None:
    data = encode_png(labels.labels, strip_rows=STRIP_ROWS)
    like = out.media.get(spec.like or "")
    out.parts[f"{slot}.png"] = data
    out.media[slot] = Media(
        slot=slot,
        kind="mask",
        part=f"{slot}.png",
        role=spec.role or "target",
        axes="YX" if labels.labels.ndim == 2 else "YXC",
        shape=list(labels.labels.shape),
        dtype=str(labels.labels.dtype),
        bits=labels.labels.dtype.itemsize * 8,
        spacing_mm=like.spacing_mm if like is not None else stated_spacing(spec),
        patient_left=like.patient_left if like is not None else None,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
    )


def _store_labels(key: str, slot: str, spec: MediaSlot, labels: MaskLabels, out: ReadMedia) -> None:
    axes = "ZYX" if labels.labels.ndim == 3 else "CZYX"
    volume = Volume(labels.labels, axes, labels.affine_ijk_to_ras)
    if spec.like is not None and spec.like in out.volumes:
        out.labels.setdefault(spec.like, {})[slot] = Mask(labels.labels, (), labels.affine_ijk_to_ras)
        part = f"{volume_part(key, spec.like)}/labels/{slot}"
    else:
        out.volumes[slot] = volume
        part = volume_part(key, slot)
    out.media[slot] = volume_media(slot, spec, volume, "mask", part)
