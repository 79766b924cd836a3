"""Reads the files of a planned sample into what is stored: parts of a tar, and volumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from medshard.engine import STRIP_ROWS, decode_image, encode_png, index_jpeg
from medshard.errors import GeometryError, ReadError
from medshard.facts.mask_labels import MaskLabels, foreground, label_map, pack_regions, single_channel
from medshard.plan.row import MediaRef
from medshard.readers import read_image, read_labels, read_volume
from medshard.readers.base import Affine, Array, Blob, Image, Mask, Volume
from medshard.record.sample import Media, MediaKind
from medshard.shards.renditions import encode_level, factors_of, reduced
from medshard.shards.sample_parts import INT16_OFFSET
from medshard.spec.schema import MediaSlot
from medshard.spec.schema.media import Renditions
from medshard.spec.taxonomy import Taxonomy

__all__ = ["ReadMedia", "read_media"]
_UNITS = {"hu": "[hnsf'U]", "arbitrary": None, "suv": "g/mL{SUVbw}", "bq_per_ml": "Bq/mL"}
_GRID_TOLERANCE_MM = 1e-3


@dataclass
class ReadMedia:
    """The media of one sample.

    Attributes:
        media: one line a slot, absent ones included, in the order of the spec.
        parts: extension → bytes, for the tar.
        levels: factor → extension → bytes, for the sibling tars of renditions.
        volumes: volumes to store, by slot; masks that lie on one are its labels.
        labels: masks that are stored with a volume: slot of the volume → slot of the mask → mask.
        masks: decoded masks, by slot, for the facts.
        digests: ``sha256:...`` of every source file read, by path.
        notes: what was decided on the way.
    """

    media: dict[str, Media] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)
    levels: dict[int, dict[str, bytes]] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    labels: dict[str, dict[str, Mask]] = field(default_factory=dict)
    masks: dict[str, MaskLabels] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_media(
    key: str,
    slots: Mapping[str, MediaSlot],
    files: Mapping[str, list[MediaRef]],
    layer_order: Mapping[str, list[str]],
    taxonomy: Taxonomy,
    read: Callable[[str], bytes],
    renditions: Renditions | None = None,
) -> ReadMedia:
    """Read every slot.

    Args:
        key: of the sample; names its volumes.
        slots: the spec's slots.
        files: the planned files of each slot.
        layer_order: for mask slots in layers, the layers that the map names, in its order.
        read: gives the bytes of a path.
        renditions: of slots whose spec says nothing of them.

    Raises:
        ReadError: any file cannot be read or contradicts the spec; the sample is quarantined as a whole.
    """
    out = ReadMedia()
    # Masks come last: the grid that they are compared with is known by then.
    ordered = sorted(slots, key=lambda slot: (slots[slot].kind == "mask", list(slots).index(slot)))
    for slot in ordered:
        spec, refs = slots[slot], files.get(slot, [])
        if not refs:
            role = spec.role or ("target" if spec.kind == "mask" else "input")
            reason = spec.no_file or "missing"
            out.media[slot] = Media(
                slot=slot,
                kind=spec.kind,
                role=role,
                present=False,
                absent_reason=reason,
                order=len(out.media),
            )
            continue
        blobs = [_blob(ref, read, out.digests) for ref in refs]
        if spec.kind == "image":
            _read_image(slot, spec, blobs, taxonomy, renditions, out)
        elif spec.kind == "volume":
            _read_volume(key, slot, spec, refs, blobs, taxonomy, out)
        else:
            _read_mask(key, slot, spec, refs, blobs, layer_order.get(slot, []), out)
    for order, slot in enumerate(slots):
        out.media[slot].order = order
    out.media = {slot: out.media[slot] for slot in slots}
    out.parts = {name: out.parts[name] for slot in slots for name in out.parts if name.split(".")[0] == slot}
    out.levels = {
        factor: {name: out.levels[factor][name] for name in out.parts if name in out.levels[factor]}
        for factor in sorted(out.levels)
    }
    return out


def _blob(ref: MediaRef, read: Callable[[str], bytes], digests: dict[str, str]) -> Blob:
    def content() -> bytes:
        data = read(ref.path)
        digests[ref.path] = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return data

    return Blob(ref.path, ref.size_bytes, content)


def _view(spec: MediaSlot, word: str | None, taxonomy: Taxonomy) -> str | None:
    """The view as a concept's name: the spec's, else the file's own word where the taxonomy knows it."""
    if spec.view is not None:
        return taxonomy.find(spec.view, ("view",)).name
    try:
        return taxonomy.find(word, ("view",)).name if word else None
    except KeyError:
        return None


def _stated_spacing(spec: MediaSlot) -> list[float] | None:
    if spec.spacing_yx_mm is not None:
        return list(spec.spacing_yx_mm)
    if spec.spacing_yx_um is not None:
        return [step / 1000.0 for step in spec.spacing_yx_um]
    return None


def _read_image(
    slot: str,
    spec: MediaSlot,
    blobs: list[Blob],
    taxonomy: Taxonomy,
    renditions: Renditions | None,
    out: ReadMedia,
) -> None:
    image = read_image(blobs[0])
    extension, data = _stored(image, spec)
    part = f"{slot}.{extension}"
    policy = spec.renditions or renditions
    if policy is not None:
        factors = factors_of(image.pixels.shape, policy.from_px, policy.factors)
        for factor, pixels in reduced(_unsigned(image.pixels), factors).items():
            out.levels.setdefault(factor, {})[part] = encode_level(pixels, extension)
    spacing_mm = list(image.spacing_yx_mm) if image.spacing_yx_mm is not None else _stated_spacing(spec)
    out.parts[part] = data
    out.media[slot] = Media(
        slot=slot,
        kind="image",
        part=part,
        role=spec.role or "input",
        axes="YX" if image.pixels.ndim == 2 else "YXC",
        shape=list(image.pixels.shape),
        dtype=str(image.pixels.dtype),
        bits=image.bits,
        unit=_UNITS[spec.units] if spec.units is not None else image.unit,
        spacing_mm=spacing_mm,
        affine_ijk_to_ras=_listed(image.affine_ijk_to_ras),
        patient_left=image.patient_left,
        view=_view(spec, image.view, taxonomy),
        window=list(image.window) if image.window is not None else None,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
    )


def _stored(image: Image, spec: MediaSlot) -> tuple[str, bytes]:
    if image.encoded is not None:
        data = image.encoded.data
        if image.encoded.extension == "jpg" and spec.jpeg == "indexed":
            data = index_jpeg(data)
            if not np.array_equal(decode_image(data), image.pixels):
                raise ReadError("rewriting the JPEG changed its pixels", error_class="jpeg_indexed")
        return image.encoded.extension, data
    pixels = _unsigned(image.pixels)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ReadError(f"pixels of type {pixels.dtype} have no lossless 2D store", error_class="pixel_type")
    return "png", encode_png(pixels, strip_rows=STRIP_ROWS)


def _unsigned(pixels: Array) -> Array:
    """int16 as a PNG holds it."""
    return (pixels.astype(np.int32) + INT16_OFFSET).astype(np.uint16) if pixels.dtype == np.int16 else pixels


def _listed(affine: Affine | None) -> list[list[float]] | None:
    return affine.tolist() if affine is not None else None


def _volume_part(key: str, slot: str) -> str:
    return f"volumes/{key}.{slot}.ome.zarr"


def _volume_media(slot: str, spec: MediaSlot, volume: Volume, kind: MediaKind, part: str) -> Media:
    spacing = volume.spacing_zyx_mm
    return Media(
        slot=slot,
        kind=kind,
        part=part,
        role=spec.role or ("target" if kind == "mask" else "input"),
        axes=volume.axes,
        shape=list(volume.voxels.shape),
        dtype=str(volume.voxels.dtype),
        bits=volume.voxels.dtype.itemsize * 8,
        unit=_UNITS[spec.units] if spec.units is not None else volume.unit,
        spacing_mm=list(spacing) if spacing is not None else None,
        affine_ijk_to_ras=_listed(volume.affine_ijk_to_ras),
        window=list(volume.window) if volume.window is not None else None,
    )


def _read_volume(
    key: str,
    slot: str,
    spec: MediaSlot,
    refs: list[MediaRef],
    blobs: list[Blob],
    taxonomy: Taxonomy,
    out: ReadMedia,
) -> None:
    if spec.channels is not None:
        volume = _channels(slot, spec, refs, blobs)
    else:
        volume = read_volume(blobs)
    out.notes += [f"{slot}: {note}" for note in volume.notes]
    out.volumes[slot] = volume
    media = _volume_media(slot, spec, volume, "volume", _volume_part(key, slot))
    media.view = _view(spec, None, taxonomy)
    out.media[slot] = media


def _channels(slot: str, spec: MediaSlot, refs: list[MediaRef], blobs: list[Blob]) -> Volume:
    """Files of one channel each, stacked in the order of the spec; all on one grid."""
    assert spec.channels is not None
    by_channel = {ref.channel: blob for ref, blob in zip(refs, blobs, strict=True)}
    unknown = sorted(str(channel) for channel in by_channel if channel not in spec.channels.order)
    if unknown:
        raise ReadError(f"{slot}: the channel {unknown[0]!r} is not in channels.order", error_class="channels")
    missing = [channel for channel in spec.channels.order if channel not in by_channel]
    if missing:
        raise ReadError(f"{slot}: no file for the channel {missing[0]!r}", error_class="no_channel")
    volumes = [read_volume([by_channel[channel]]) for channel in spec.channels.order]
    for volume in volumes[1:]:
        _same_grid(
            slot,
            volumes[0].voxels.shape,
            volumes[0].affine_ijk_to_ras,
            volume.voxels.shape,
            volume.affine_ijk_to_ras,
        )
    stacked = np.ascontiguousarray(np.stack([volume.voxels for volume in volumes]))
    return Volume(stacked, "CZYX", volumes[0].affine_ijk_to_ras, volumes[0].unit)


def _same_grid(
    slot: str,
    shape: tuple[int, ...],
    affine: Affine | None,
    other: tuple[int, ...],
    other_affine: Affine | None,
) -> None:
    if tuple(shape[-3:]) != tuple(other[-3:]):
        raise GeometryError(
            f"{slot}: grids differ: {list(other)} voxels against {list(shape)}", error_class="grid_mismatch"
        )
    if affine is None or other_affine is None:
        return
    corners = np.array(np.meshgrid([0, shape[-1]], [0, shape[-2]], [0, shape[-3]])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart_mm = float(np.abs((affine - other_affine) @ corners).max())
    if apart_mm > _GRID_TOLERANCE_MM:
        raise GeometryError(f"{slot}: grids lie {apart_mm:.3g} mm apart at a corner", error_class="grid_mismatch")


def _read_mask(
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
            _same_grid(slot, labels.grid, labels.affine_ijk_to_ras, other.labels.shape, other.affine_ijk_to_ras)
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
        _same_grid(slot, shape, affine, labels.grid, labels.affine_ijk_to_ras)
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
        spacing_mm=like.spacing_mm if like is not None else _stated_spacing(spec),
        patient_left=like.patient_left if like is not None else None,
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
    )


def _store_labels(key: str, slot: str, spec: MediaSlot, labels: MaskLabels, out: ReadMedia) -> None:
    axes = "ZYX" if labels.labels.ndim == 3 else "CZYX"
    volume = Volume(labels.labels, axes, labels.affine_ijk_to_ras)
    if spec.like is not None and spec.like in out.volumes:
        out.labels.setdefault(spec.like, {})[slot] = Mask(labels.labels, (), labels.affine_ijk_to_ras)
        part = f"{_volume_part(key, spec.like)}/labels/{slot}"
    else:
        out.volumes[slot] = volume
        part = _volume_part(key, slot)
    out.media[slot] = _volume_media(slot, spec, volume, "mask", part)
