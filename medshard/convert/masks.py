"""Reads the files of a mask slot and lays them on the grid of their image."""

from __future__ import annotations

import hashlib

import numpy as np

from medshard.convert.grids import resampled_labels, same_grid, turned_labels
from medshard.convert.slices import paired_slices
from medshard.convert.slot_media import ReadMedia, stated_spacing
from medshard.convert.volumes import volume_media, volume_part
from medshard.engine import STRIP_ROWS, encode_png
from medshard.errors import GeometryError, ReadError
from medshard.facts.mask_labels import (
    MaskLabels,
    MaskPoint,
    foreground,
    label_map,
    measure_regions,
    named_regions,
    pack_regions,
    single_channel,
)
from medshard.plan.row import MediaRef
from medshard.readers import read_labels
from medshard.readers.base import Affine, Array, Blob, Mask, Volume
from medshard.readers.grid import ContourRules, Grid
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
    grid = out.grids.get(spec.like or "")
    rules = ContourRules(**spec.contours.model_dump()) if spec.contours is not None else None
    masks = [read_labels(blob, grid, rules) for blob in blobs]
    out.notes += [f"{slot}: {note}" for mask in masks for note in mask.notes]
    if spec.slices is not None:
        labels = _of_slices(slot, spec, refs, masks, order, grid)
    else:
        labels = _of_files(slot, spec, refs, masks, order)
    _lay_on_image(slot, spec, labels, out)
    out.masks[slot] = labels
    if labels.space == 2:
        _store_plane(slot, spec, labels, out)
    else:
        _store_labels(key, slot, spec, labels, out)


def _of_files(slot: str, spec: MediaSlot, refs: list[MediaRef], masks: list[Mask], order: list[str]) -> MaskLabels:
    """Each file is a whole mask, a layer or an instance."""
    first = masks[0]
    for other in masks[1:]:
        if first.space == 3:
            same_grid(slot, first.labels.shape, first.affine_ijk_to_ras, other.labels.shape, other.affine_ijk_to_ras)
    if spec.layers is None and spec.instances is None:
        if first.fraction is not None:
            labels = _of_fractions(slot, spec, refs[0], first)
        elif first.names:
            labels = named_regions(first.labels, first.names, refs[0].path, space=first.space)
            labels.free_names = first.free_names
            labels.points = [MaskPoint(name, place, refs[0].path) for name, place in first.points]
        else:
            labels = _single(spec, refs[0], _one_channel(first, spec), first.space)
    else:
        labels = _several(slot, spec, refs, [_one_channel(mask, spec) for mask in masks], order)
    labels.affine_ijk_to_ras = first.affine_ijk_to_ras
    return labels


def _one_channel(mask: Mask, spec: MediaSlot) -> Array:
    return single_channel(mask.labels, spec.channel) if mask.space == 2 else mask.labels


def _of_fractions(slot: str, spec: MediaSlot, ref: MediaRef, mask: Mask) -> MaskLabels:
    """Parts that are stored as fractions, cut at the threshold that the spec declares."""
    if spec.foreground is None:
        raise ReadError(
            f"{slot}: the mask holds fractions ({mask.fraction}); say foreground: to set a threshold, such as '>= 0.5'",
            error_class="soft_mask",
        )
    axis = 0 if mask.space == 3 else -1
    maximum = float(mask.fraction_maximum or 1)
    parts: list[tuple[int, str, int | None, str, Array]] = [
        (value, name, None, ref.path, foreground(np.take(mask.labels, value - 1, axis=axis) / maximum, spec.foreground))
        for value, name in enumerate(mask.layers, start=1)
    ]
    grid = mask.labels.shape[1:] if mask.space == 3 else mask.labels.shape[:-1]
    labels = pack_regions(grid, parts)
    labels.named = True
    return labels


def _of_slices(
    slot: str,
    spec: MediaSlot,
    refs: list[MediaRef],
    masks: list[Mask],
    order: list[str],
    grid: Grid | None,
) -> MaskLabels:
    """Files of one slice each, of one mask or of several layers, put where the image's slices went."""
    assert spec.like is not None
    assert spec.slices is not None
    if grid is None:
        raise GeometryError(
            f"{slot}: slices are paired with those of {spec.like}, which is absent", error_class="no_grid"
        )
    if any(mask.space == 3 for mask in masks):
        raise ReadError(f"{slot}: a file of one slice holds a volume", error_class="several_frames")
    layers: dict[str, list[int]] = {}
    for place, ref in enumerate(refs):
        layers.setdefault(ref.layer or "", []).append(place)
    stacks, first_refs = [], []
    covered = True
    for places in layers.values():
        planes = [_one_channel(masks[place], spec) for place in places]
        chosen = [refs[place] for place in places]
        stack, empty = paired_slices(slot, chosen, [masks[place] for place in places], planes, grid, spec.like)
        if empty and spec.slices.no_file in (None, "error"):
            raise GeometryError(
                f"{slot}: {empty} slices of {spec.like} have no mask; say slices: {{no_file: absent}} or not_annotated",
                error_class="missing_slices",
            )
        covered = covered and not (empty and spec.slices.no_file == "not_annotated")
        stacks.append(stack)
        first_refs.append(chosen[0])
    if spec.layers is None:
        labels = _single(spec, first_refs[0], stacks[0], 3)
    else:
        labels = _several(slot, spec, first_refs, stacks, order)
    labels.affine_ijk_to_ras = grid.affine_ijk_to_ras
    labels.covers_image = covered
    return labels


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
    labels = pack_regions(grid, parts)
    labels.named = spec.layers is not None
    return labels


def _binary(slot: str, values: Array) -> Array:
    found = np.unique(values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        raise ReadError(
            f"{slot}: a mask file holds more than 0 and one value; say foreground:", error_class="soft_mask"
        )
    return np.asarray(values != 0)


def _lay_on_image(slot: str, spec: MediaSlot, labels: MaskLabels, out: ReadMedia) -> None:
    """Compare the mask's grid with the image's; bring it there where that is lossless or declared.

    Raises:
        GeometryError: the grids differ, and the spec does not say ``grid: resample``.
    """
    if spec.like is None or spec.like not in out.grids:
        return
    grid = out.grids[spec.like]
    if labels.space != grid.space:
        raise GeometryError(
            f"{slot}: the mask has {labels.space} axes, {spec.like} has {grid.space}", error_class="grid_mismatch"
        )
    if labels.space == 2:
        if grid.shape_zyx[1:] != labels.grid:
            raise GeometryError(
                f"{slot}: the mask has {labels.grid[1]} x {labels.grid[0]} pixels, {spec.like} has "
                f"{grid.shape_zyx[2]} x {grid.shape_zyx[1]}",
                error_class="grid_mismatch",
            )
        return
    onto, affine = grid.affine_ijk_to_ras, labels.affine_ijk_to_ras
    try:
        same_grid(slot, grid.shape_zyx, onto, labels.grid, affine, "; say grid: resample to bring the mask there")
    except GeometryError:
        if onto is None or affine is None:
            raise
        turned = turned_labels(labels.labels, affine, grid.shape_zyx, onto)
        if turned is not None:
            out.notes.append(f"{slot}: axes turned into the order of {spec.like}; no voxel changed")
            _take(labels, turned, onto)
        elif spec.grid == "resample":
            resampled, outside, lost = resampled_labels(labels.labels, affine, grid.shape_zyx, onto)
            out.notes.append(f"{slot}: resampled (nearest) onto the grid of {spec.like}")
            if outside > 0:
                out.notes.append(f"{slot}: does not cover all of {spec.like}: absence is not claimed")
                labels.covers_image = False
            if lost > 0:
                out.notes.append(f"{slot}: voxels outside {spec.like} are lost")
            out.resampled[slot] = {
                "op": "resample_nearest",
                "shape": list(labels.grid),
                "affine_ijk_to_ras": affine.tolist(),
                "image_outside": round(outside, 6),
                "labels_lost": round(lost, 6),
            }
            _take(labels, resampled, onto)
        else:
            raise
    if affine is None:
        labels.affine_ijk_to_ras = onto


def _take(labels: MaskLabels, values: Array, affine: Affine) -> None:
    """Other voxels for the same regions."""
    labels.labels, labels.affine_ijk_to_ras = values, affine
    measure_regions(labels)


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
        spacing_region_px=like.spacing_region_px if like is not None else None,
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
    out.media[slot].derived_from = out.resampled.get(slot)
