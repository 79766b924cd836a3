"""Reads the files of a volume slot."""

from __future__ import annotations

import numpy as np

from medshard.convert.grids import same_grid
from medshard.convert.slices import stacked_volume
from medshard.convert.slot_media import ReadMedia, listed, view_of
from medshard.convert.stated import options_of, unit_of, with_stated
from medshard.errors import ReadError
from medshard.plan.row import MediaRef
from medshard.readers import read_volume
from medshard.readers.base import Blob, Volume
from medshard.readers.grid import Grid
from medshard.record.sample import Media, MediaKind
from medshard.spec.schema import MediaSlot
from medshard.spec.taxonomy import Taxonomy

__all__ = ["read_volume_slot", "volume_media", "volume_part"]


def volume_part(key: str, slot: str) -> str:
    return f"volumes/{key}.{slot}.ome.zarr"


def volume_media(slot: str, spec: MediaSlot, volume: Volume, kind: MediaKind, part: str) -> Media:
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
        unit=volume.unit,
        spacing_mm=list(spacing) if spacing is not None else None,
        affine_ijk_to_ras=listed(volume.affine_ijk_to_ras),
        window=list(volume.window) if volume.window is not None else None,
        padding=list(volume.padding) if volume.padding is not None else None,
        axis_values={name: list(values) for name, values in volume.axis_values.items()} or None,
    )


def read_volume_slot(
    key: str,
    slot: str,
    spec: MediaSlot,
    refs: list[MediaRef],
    blobs: list[Blob],
    taxonomy: Taxonomy,
    out: ReadMedia,
) -> None:
    names: tuple[str, ...] = ()
    if spec.channels is not None:
        volume = _channels(slot, spec, refs, blobs)
    elif spec.slices is not None:
        volume, names = stacked_volume(slot, refs, blobs, options_of(spec))
    else:
        volume = read_volume(blobs, options_of(spec))
    volume = with_stated(slot, spec, refs, volume)
    volume.unit = unit_of(slot, spec, volume.unit, volume.modality)
    out.notes += [f"{slot}: {note}" for note in volume.notes]
    out.volumes[slot] = volume
    out.grids[slot] = Grid(
        (volume.voxels.shape[-3], volume.voxels.shape[-2], volume.voxels.shape[-1]),
        volume.affine_ijk_to_ras,
        sop_instance_uids=volume.sop_instance_uids,
        frame_of_reference_uid=volume.frame_of_reference_uid,
        slice_names=names if spec.axes is None else (),  # slices lie along another axis then
    )
    media = volume_media(slot, spec, volume, "volume", volume_part(key, slot))
    media.view = view_of(spec, None, taxonomy)
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
        same_grid(
            slot,
            volumes[0].voxels.shape,
            volumes[0].affine_ijk_to_ras,
            volume.voxels.shape,
            volume.affine_ijk_to_ras,
        )
    stacked = np.ascontiguousarray(np.stack([volume.voxels for volume in volumes]))
    return Volume(stacked, "CZYX", volumes[0].affine_ijk_to_ras, volumes[0].unit)
