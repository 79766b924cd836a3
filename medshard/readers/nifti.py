"""NIfTI-1 and NIfTI-2, single files and pairs of .hdr and .img; headers through nibabel, voxels through the engine.

Affine: the sform when its code is above 0, else the qform when its code is above 0, else unknown (NIfTI-1 standard,
methods 3 and 2; method 1 is a guess about orientation and is not made). Lengths in metres or micrometres (xyzt_units)
are turned to millimetres; a unit that is not stated is taken as millimetres, as all readers do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Affine, Blob, Volume
from medshard.readers.companion import companion_data
from medshard.readers.limits import MAX_VOLUME_BYTES, check_volume
from medshard.readers.packed import GZIP_MAGIC, Content, gzip_head, unpacked
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import is_affine, scaled, stored_array

__all__ = ["READER", "NiftiReader", "image_names"]

_FORMS_APART_MM = 0.1
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""By the lower three bits of xyzt_units: metre, millimetre, micrometre."""
_SINGLE, _PAIR = (b"n+1\0", b"n+2\0"), (b"ni1\0", b"ni2\0")
_HEADER_BYTES = 540
_BEHIND_BYTES = 2**20
"""That may follow the voxels."""
_COLOURS = {128: 3, 2304: 4}
"""Samples of a voxel, by data type."""


class NiftiReader(VolumeFileReader):
    """Values are scaled by scl_slope and scl_inter; integers stay integers where that is exact."""

    name = "nifti"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the magic in the header (unpacked when gzip), which stands at byte 344 (NIfTI-1) or 4 (NIfTI-2)."""
        if head[:2] == GZIP_MAGIC:
            if not path.lower().endswith((".nii.gz", ".hdr.gz")):
                return False
            head = gzip_head(head, 512)
        return _magic(head) is not None

    def parsed(self, blob: Blob) -> ParsedFile:
        data: Content = blob.read()
        is_gzip = data[:2] == GZIP_MAGIC
        head = gzip_head(data, _HEADER_BYTES) if is_gzip else bytes(data[:_HEADER_BYTES])
        magic = _magic(head)
        if magic is None:
            raise DecodeError("the NIfTI header is damaged", error_class="damaged_header")
        header = _header(head, magic)
        try:
            shape = tuple(int(length) for length in header.get_data_shape())
            code, offset = int(header["datatype"]), int(header.get_data_offset())
            slope, inter = header.get_slope_inter()
        except Exception as error:  # noqa: BLE001 - nibabel raises many types, some with header text
            raise _damaged(error) from None
        dtype = header.get_data_dtype()
        if offset < 0:
            raise DecodeError("the NIfTI header is damaged", error_class="damaged_header")
        samples = _COLOURS.get(code)
        if samples is None and (dtype.fields is not None or dtype.kind not in "uif" or dtype.itemsize > 8):
            raise ReadError(f"voxels of NIfTI data type {code} are not read", error_class="pixel_type")
        dims, axes = _dims(shape)
        stored_shape = dims[::-1]
        if samples is not None:
            if len(dims) == 4:
                raise ReadError("colours with a further axis are not read", error_class="axes")
            dtype, stored_shape = np.dtype(np.uint8), (*stored_shape, samples)
        check_volume(stored_shape, dtype.itemsize)
        wanted = offset + int(np.prod(stored_shape, dtype=object)) * dtype.itemsize
        if magic in _PAIR:
            data = companion_data(blob, *image_names(blob.path))
            is_gzip = data[:2] == GZIP_MAGIC
        if is_gzip:
            data = unpacked(data, "gzip", min(MAX_VOLUME_BYTES, wanted) + _BEHIND_BYTES, wanted)
        stored = stored_array(data, dtype, stored_shape, offset)
        if samples is not None:  # scl_slope and scl_inter do not apply to colours (nifti1.h)
            stored, axes, slope, inter = np.ascontiguousarray(np.moveaxis(stored, -1, 0)), "CZYX", None, None
        voxels, notes = scaled(stored, 1.0 if slope is None else float(slope), 0.0 if inter is None else float(inter))
        affine, more = _affine(header)
        return ParsedFile(Volume(voxels, axes, affine, notes=notes + more))


def image_names(path: str) -> list[str]:
    """Names that the voxels of a pair may have, for the path of its header."""
    name = path.rpartition("/")[2]
    stem, _, last = name.rpartition(".")
    if last.lower() == "gz":
        stem, _, last = stem.rpartition(".")
    image = "IMG" if last.isupper() else "img"
    return [f"{stem}.{image}", f"{stem}.{image}.gz"]


def _magic(head: bytes) -> bytes | None:
    for place, known in ((344, (_SINGLE[0], _PAIR[0])), (4, (_SINGLE[1], _PAIR[1]))):
        if head[place : place + 4] in known:
            return head[place : place + 4]
    return None


def _damaged(error: Exception) -> DecodeError:
    return DecodeError(f"the NIfTI header is damaged ({type(error).__name__})", error_class="damaged_header")


def _header(head: bytes, magic: bytes) -> Any:
    from nibabel import nifti1, nifti2

    second = magic[2:3] == b"2"
    pair = magic in _PAIR
    single_kind, pair_kind = (
        (nifti2.Nifti2Header, nifti2.Nifti2PairHeader) if second else (nifti1.Nifti1Header, nifti1.Nifti1PairHeader)
    )
    try:
        return (pair_kind if pair else single_kind)(head[: 540 if second else 348], check=True)
    except Exception as error:  # noqa: BLE001 - as in parsed
        raise _damaged(error) from None


def _dims(shape: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """The lengths of i, j, k and, where there is one, of a further axis, and the axes of the array.

    The fifth axis holds the values at a place, such as the parts of a vector (NIfTI-1 standard, dim[5]).
    """
    if len(shape) == 2:
        shape = (*shape, 1)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 5 and shape[3] == 1:
        return (*shape[:3], shape[4]), "CZYX"
    if len(shape) not in (3, 4):
        raise ReadError(f"has {len(shape)} axes; three or four are read", error_class="axes")
    return shape, "TZYX" if len(shape) == 4 else "ZYX"


def _affine(header: Any) -> tuple[Affine | None, list[str]]:
    unit_mm = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    to_mm = np.diag([unit_mm, unit_mm, unit_mm, 1.0])
    sform, scode = header.get_sform(coded=True)
    try:
        qform, qcode = header.get_qform(coded=True)
    except Exception:  # noqa: BLE001 - a quaternion that is none
        qform, qcode = None, 0
    if scode and sform is not None and is_affine(sform):
        notes = []
        if qcode and qform is not None and np.abs(to_mm @ (sform - qform)).max() > _FORMS_APART_MM:
            notes.append("sform and qform differ; the sform is used")
        return to_mm @ sform, notes
    if qcode and qform is not None and is_affine(qform):
        return to_mm @ qform, []
    return None, ["neither sform nor qform is set: the orientation is unknown"]


READER = NiftiReader()
