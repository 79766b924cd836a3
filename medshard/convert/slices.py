"""Volumes and masks in files of one slice each.

A stack of pictures is ordered by the slices' numbers. A DICOM series is ordered by its positions. A mask has no order
of its own: each of its slices goes where the image slice of the same name went. Two stacks that are sorted separately
agree in shape and may differ in direction, and nothing would show it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medshard.errors import GeometryError, ReadError
from medshard.plan.row import MediaRef
from medshard.readers import format_of, loaded, read_image, read_volume
from medshard.readers.base import Array, Blob, Mask, Volume, VolumeOptions
from medshard.readers.dicom import dicom_header, open_header
from medshard.readers.grid import Grid
from medshard.readers.limits import MAX_FRAMES, check_volume

__all__ = ["paired_slices", "stacked_volume"]

_ON_SLICE = 0.05  # of a voxel


def slice_name(ref: MediaRef) -> str:
    """The name of a file's slice; whole numbers without leading zeros, so that 007 is 7.

    Raises:
        ReadError: the spec's expression gives nothing for this file.
    """
    name = (ref.slice or "").strip()
    if not name:
        raise ReadError("slices.of gives no slice for a file", error_class="no_slice")
    return str(int(name)) if name.isascii() and name.isdigit() else name


def stacked_volume(
    slot: str, refs: Sequence[MediaRef], blobs: Sequence[Blob], options: VolumeOptions
) -> tuple[Volume, tuple[str, ...]]:
    """The volume of files of one slice each, and the names of its slices in the order of Z.

    Raises:
        ReadError, GeometryError: a slice is missing from the numbers, two slices differ in size, or as in the readers.
    """
    names = [slice_name(ref) for ref in refs]
    blobs = [loaded(blob) for blob in blobs]
    if format_of(blobs[0]) == "dicom":
        volume = read_volume(blobs, options)
        uids = [dicom_header(open_header(blob))["SOPInstanceUID"] for blob in blobs]
        name_of = {str(uid): name for uid, name in zip(uids, names, strict=True)}
        return volume, tuple(name_of.get(uid, "") for uid in volume.sop_instance_uids)
    if any(not name.isdigit() for name in names):
        raise ReadError(f"{slot}: pictures are stacked by number, and a slice has none", error_class="no_slice")
    order = sorted(range(len(names)), key=lambda place: int(names[place]))
    numbers = [int(names[place]) for place in order]
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)) if numbers[-1] < MAX_FRAMES else [0]
    if missing:
        raise GeometryError(
            f"{slot}: slice {missing[0]} is missing between {numbers[0]} and {numbers[-1]} "
            f"({len(missing)} missing in all)",
            error_class="missing_slices",
        )
    pictures: list[Array] = []
    for place in order:
        pixels = read_image(blobs[place]).pixels
        if pictures and (pixels.shape != pictures[0].shape or pixels.dtype != pictures[0].dtype):
            raise GeometryError(f"{slot}: slices differ in size or type", error_class="size_differs")
        if not pictures:
            check_volume((len(order), *pixels.shape), pixels.dtype.itemsize)
        pictures.append(pixels)
    voxels = np.stack(pictures)
    if voxels.ndim == 4:
        return Volume(np.ascontiguousarray(np.moveaxis(voxels, -1, 0)), "CZYX"), tuple(map(str, numbers))
    return Volume(voxels), tuple(map(str, numbers))


def paired_slices(
    slot: str, refs: Sequence[MediaRef], masks: Sequence[Mask], planes: Sequence[Array], grid: Grid, like: str
) -> tuple[Array, int]:
    """A mask (Z, Y, X) of files of one slice each, on the grid of its image, and how many image slices have no file.

    Args:
        planes: (Y, X), one value a pixel, of each file.
        grid: of the image, with the names of its slices.
        like: the image's slot, for messages.

    Raises:
        GeometryError: a slice has no image slice of that name, another size, or, where both say it, another place.
    """
    place_of = {name: place for place, name in enumerate(grid.slice_names)}
    out = np.zeros(grid.shape_zyx, np.result_type(*(plane.dtype for plane in planes)))
    filled = set()
    for ref, mask, plane in zip(refs, masks, planes, strict=True):
        name = slice_name(ref)
        if name not in place_of:
            raise GeometryError(f"{slot}: slice {name} of the mask is no slice of {like}", error_class="unpaired_slice")
        place = place_of[name]
        if plane.shape != grid.shape_zyx[1:]:
            raise GeometryError(
                f"{slot}: slice {name} has {plane.shape[-1]} x {plane.shape[0]} pixels, {like} has "
                f"{grid.shape_zyx[2]} x {grid.shape_zyx[1]}",
                error_class="grid_mismatch",
            )
        if place in filled:
            raise GeometryError(f"{slot}: two files hold slice {name}", error_class="several_files")
        if mask.affine_ijk_to_ras is not None and grid.affine_ijk_to_ras is not None:
            corner = grid.index_of(mask.affine_ijk_to_ras[None, :3, 3])[0]
            if np.abs(corner - [0, 0, place]).max() > _ON_SLICE:
                raise GeometryError(
                    f"{slot}: slice {name} lies elsewhere than slice {name} of {like}", error_class="frame_places"
                )
        filled.add(place)
        out[place] = plane
    return out, grid.shape_zyx[0] - len(filled)
