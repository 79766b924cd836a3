"""NIfTI-1 and NIfTI-2 single files, through nibabel.

Affine: the sform when its code is above 0, else the qform when its code is above 0, else unknown (NIfTI-1 standard,
methods 3 and 2; method 1 is a guess about orientation and is not made). Lengths in metres or micrometres (xyzt_units)
are turned to millimetres; a unit that is not stated is taken as millimetres, as all readers do.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import AS_STORED, Affine, Array, Blob, Image, Mask, Volume, VolumeOptions
from medshard.readers.gzip_file import read_gzip
from medshard.readers.limits import MAX_VOLUME_BYTES, check_volume

__all__ = ["READER", "NiftiReader"]

_FORMS_APART_MM = 0.1
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""By the lower three bits of xyzt_units: metre, millimetre, micrometre."""


class NiftiReader:
    """Values are scaled by scl_slope and scl_inter; integers stay integers where that is exact."""

    name = "nifti"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the magic in the header (unpacked when gzip), which stands at byte 344 (NIfTI-1) or 4 (NIfTI-2)."""
        if head[:2] == b"\x1f\x8b":
            if not path.lower().endswith(".nii.gz"):
                return False
            try:
                head = zlib.decompressobj(wbits=31).decompress(head, 512)
            except zlib.error:
                return False
        return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")

    def image(self, blob: Blob) -> Image:
        """A file of one slice."""
        volume = self.volume([blob])
        if volume.voxels.ndim != 3 or volume.voxels.shape[0] != 1:
            raise ReadError(
                f"has the shape {list(volume.voxels.shape)}; say kind: volume", error_class="several_frames"
            )
        if volume.voxels.dtype not in (np.uint8, np.uint16, np.int16):
            raise ReadError(f"pixels of type {volume.voxels.dtype} are not read as a picture", error_class="pixel_type")
        spacing = volume.spacing_zyx_mm
        return Image(
            pixels=volume.voxels[0],
            bits=volume.voxels.dtype.itemsize * 8,
            spacing_yx_mm=(spacing[1], spacing[2]) if spacing is not None else None,
            affine_ijk_to_ras=volume.affine_ijk_to_ras,
        )

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """One file: (Z, Y, X), or (T, Z, Y, X) for four axes."""
        if len(blobs) != 1:
            raise ReadError(f"{len(blobs)} NIfTI files for one volume; say channels:", error_class="several_files")
        image = _open(blobs[0])
        voxels, notes = _values(image)
        affine, more = _affine(image.header)
        return Volume(voxels, "TZYX" if voxels.ndim == 4 else "ZYX", affine, notes=notes + more)

    def labels(self, blob: Blob) -> Mask:
        """A label map: values as stored and scaled, on the file's grid."""
        volume = self.volume([blob])
        if volume.voxels.ndim != 3:
            raise ReadError(f"a mask of shape {list(volume.voxels.shape)} is not read", error_class="mask")
        return Mask(volume.voxels, (), volume.affine_ijk_to_ras, space=3)


def _open(blob: Blob) -> Any:
    import nibabel

    data = blob.read()
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data)
    if data[344:348] == b"ni1\0" or data[4:8] == b"ni2\0":
        raise ReadError("its voxels are in a separate .img file, which is not read", error_class="unsupported")
    kind = nibabel.Nifti2Image if data[4:8] == b"n+2\0" else nibabel.Nifti1Image
    try:
        image = kind.from_bytes(data)
        shape, dtype = tuple(image.shape), image.get_data_dtype()
    except Exception as error:  # noqa: BLE001 - nibabel raises many types, some with header text
        raise DecodeError(
            f"the NIfTI header is damaged ({type(error).__name__})", error_class="damaged_header"
        ) from None
    if dtype.fields is not None or dtype.kind not in "uif":
        raise ReadError(f"voxels of type {dtype} are not read", error_class="pixel_type")
    check_volume(shape, dtype.itemsize)
    if image.dataobj.offset + math.prod(shape) * dtype.itemsize > len(data):  # nibabel would allocate it all first
        raise DecodeError("the voxels are cut off", error_class="truncated")
    return image


def _unpacked(data: bytes) -> bytes:
    """The file without gzip; its header says how long it may be before it is unpacked."""
    try:
        head = zlib.decompressobj(wbits=31).decompress(data[: 64 * 1024], 600)
        import nibabel

        second = head[4:8] in (b"n+2\0", b"ni2\0")
        kind = nibabel.Nifti2Header if second else nibabel.Nifti1Header
        header = kind(head[: kind.sizeof_hdr if hasattr(kind, "sizeof_hdr") else (540 if second else 348)], check=False)
        shape = tuple(int(length) for length in header.get_data_shape())
        check_volume(shape, max(1, header.get_data_dtype().itemsize))
        offset = int(header["vox_offset"])
        wanted = int(np.prod(shape)) * header.get_data_dtype().itemsize + max(offset, 0) + 4096
        return read_gzip(data, min(MAX_VOLUME_BYTES + 2**20, wanted))
    except ReadError:
        raise
    except (zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise DecodeError("the gzip stream is damaged or cut off", error_class="truncated") from error
    except Exception as error:  # noqa: BLE001 - as in _open
        raise DecodeError(
            f"the NIfTI header is damaged ({type(error).__name__})", error_class="damaged_header"
        ) from None


def _values(image: Any) -> tuple[Array, list[str]]:
    """Scaled values, axes reversed to (…, k, j, i)."""
    shape = tuple(image.shape)
    if len(shape) == 2:
        shape = (*shape, 1)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4):
        raise ReadError(f"has {len(shape)} axes; three or four are read", error_class="axes")
    slope, inter = image.dataobj.slope, image.dataobj.inter
    try:
        stored = np.asarray(image.dataobj.get_unscaled())
    except Exception as error:  # noqa: BLE001 - as in _open
        raise DecodeError(
            f"the voxels are damaged or cut off ({type(error).__name__})", error_class="truncated"
        ) from None
    stored = stored.reshape(shape, order="A").astype(stored.dtype.newbyteorder("="), copy=False)
    notes: list[str] = []
    if slope in (1, None) and inter in (0, None):
        values: Array = stored
    elif stored.dtype.kind in "ui" and float(slope).is_integer() and float(inter).is_integer():
        values = _scaled_exactly(stored, int(slope), int(inter))
    else:
        values = stored.astype(np.float64) * float(slope) + float(inter)
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            notes.append("voxels that are not finite")
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if not np.array_equal(np.isfinite(narrow), finite):
            raise ReadError("values do not fit float32", error_class="pixel_type")
        values = narrow
    elif values.dtype.itemsize > 4:
        values = _narrowed(values)
    return np.ascontiguousarray(values.transpose()), notes


def _scaled_exactly(stored: Array, slope: int, inter: int) -> Array:
    """Integers that are scaled by integers; the extremes are tried first, since an array's product would wrap."""
    limits = np.iinfo(np.int64)
    for extreme in (int(stored.min()), int(stored.max())):
        for value in (extreme, extreme * slope, extreme * slope + inter):
            if not limits.min <= value <= limits.max:
                raise ReadError("values do not fit 32 bits", error_class="pixel_type")
    if (
        not limits.min <= slope <= limits.max or not limits.min <= inter <= limits.max
    ):  # all voxels are 0, or cancel out
        raise ReadError("scl_slope or scl_inter does not fit 64 bits", error_class="pixel_type")
    return stored.astype(np.int64) * slope + inter


def _narrowed(values: Array) -> Array:
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(kind)
    raise ReadError("values do not fit 32 bits", error_class="pixel_type")


def _affine(header: Any) -> tuple[Affine | None, list[str]]:
    unit_mm = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    to_mm = np.diag([unit_mm, unit_mm, unit_mm, 1.0])
    sform, scode = header.get_sform(coded=True)
    try:
        qform, qcode = header.get_qform(coded=True)
    except Exception:  # noqa: BLE001 - a quaternion that is none
        qform, qcode = None, 0
    if scode and sform is not None and np.isfinite(sform).all() and abs(np.linalg.det(sform[:3, :3])) > 0:
        notes = []
        if qcode and qform is not None and np.abs(to_mm @ (sform - qform)).max() > _FORMS_APART_MM:
            notes.append("sform and qform differ; the sform is used")
        return to_mm @ sform, notes
    if qcode and qform is not None and np.isfinite(qform).all() and abs(np.linalg.det(qform[:3, :3])) > 0:
        return to_mm @ qform, []
    return None, ["neither sform nor qform is set: the orientation is unknown"]


READER = NiftiReader()
