"""Reads the files of a planned sample into what is stored: parts of a tar, and volumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from medshard.convert.masks import read_mask_slot
from medshard.convert.slot_media import ReadMedia, listed, stated_spacing, view_of
from medshard.convert.stated import unit_of
from medshard.convert.volumes import read_volume_slot
from medshard.engine import STRIP_ROWS, decode_image, encode_png, index_jpeg
from medshard.errors import ReadError
from medshard.plan.row import MediaRef
from medshard.readers import read_image
from medshard.readers.base import Array, Blob, Image
from medshard.readers.companion import path_beside
from medshard.readers.grid import Grid
from medshard.record.sample import Media
from medshard.shards.renditions import encode_level, factors_of, reduced
from medshard.shards.sample_parts import INT16_OFFSET
from medshard.spec.schema import MediaSlot
from medshard.spec.schema.media import Renditions
from medshard.spec.taxonomy import Taxonomy

__all__ = ["read_media"]


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
        blobs = [_blob(ref.path, ref.size_bytes, read, out.digests) for ref in refs]
        if spec.kind == "image":
            _read_image(slot, spec, blobs, taxonomy, renditions, out)
        elif spec.kind == "volume":
            read_volume_slot(key, slot, spec, refs, blobs, taxonomy, out)
        else:
            read_mask_slot(key, slot, spec, refs, blobs, layer_order.get(slot, []), out)
    for order, slot in enumerate(slots):
        out.media[slot].order = order
    out.media = {slot: out.media[slot] for slot in slots}
    out.parts = {name: out.parts[name] for slot in slots for name in out.parts if name.split(".")[0] == slot}
    out.levels = {
        factor: {name: out.levels[factor][name] for name in out.parts if name in out.levels[factor]}
        for factor in sorted(out.levels)
    }
    return out


def _blob(path: str, size_bytes: int, read: Callable[[str], bytes], digests: dict[str, str]) -> Blob:
    def content() -> bytes:
        data = read(path)
        digests[path] = f"sha256:{hashlib.sha256(data).hexdigest()}"
        return data

    return Blob(path, size_bytes, content, beside=lambda name: _blob(path_beside(path, name), 0, read, digests))


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
    out.grids[slot] = Grid(
        (1, *image.pixels.shape[:2]),
        image.affine_ijk_to_ras,
        space=2,
        sop_instance_uids=(image.sop_instance_uid,) if image.sop_instance_uid is not None else (),
        frame_of_reference_uid=image.frame_of_reference_uid,
    )
    spacing_mm = list(image.spacing_yx_mm) if image.spacing_yx_mm is not None else stated_spacing(spec)
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
        unit=unit_of(slot, spec, image.unit),
        spacing_mm=spacing_mm,
        affine_ijk_to_ras=listed(image.affine_ijk_to_ras),
        patient_left=image.patient_left,
        view=view_of(spec, image.view, taxonomy),
        window=list(image.window) if image.window is not None else None,
        padding=list(image.padding) if image.padding is not None else None,
        spacing_region_px=list(image.spacing_region_px) if image.spacing_region_px is not None else None,
        detector_spacing_mm=list(image.detector_spacing_yx_mm) if image.detector_spacing_yx_mm is not None else None,
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
