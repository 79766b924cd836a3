"""MGH and MGZ, FreeSurfer's volumes.

Affine: vox2ras of the direction cosines, the voxel sizes and the centre, where goodRASFlag says that they are set;
else unknown (FreeSurfer assumes coronal slices then). The centre is that of index (width / 2, height / 2, depth / 2).
Source: FreeSurfer's description of the MGH format, and its utils/mri.cpp.
"""

from __future__ import annotations

import struct

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Affine, Blob, Volume
from medshard.readers.limits import MAX_VOLUME_BYTES, check_volume
from medshard.readers.packed import GZIP_MAGIC, Content, gzip_head, unpacked
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import is_affine, scaled, stored_array

__all__ = ["READER", "MghReader"]

_NAMES = (".mgh", ".mgz", ".mgh.gz")
_HEADER = struct.Struct(">7ih15f")
_DATA_OFFSET = 284
_BEHIND_BYTES = 2**24
"""Of tags behind the voxels: scan parameters, transforms, colour tables."""
_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}


class MghReader(VolumeFileReader):
    """Four axes are read as time: the format calls them frames."""

    name = "mgh"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the name, since the content begins with the number 1 only, and by that."""
        if not path.lower().endswith(_NAMES):
            return False
        if head[:2] == GZIP_MAGIC:
            head = gzip_head(head, 4)
        return head[:4] == b"\0\0\0\x01"

    def parsed(self, blob: Blob) -> ParsedFile:
        data: Content = blob.read()
        is_gzip = data[:2] == GZIP_MAGIC
        head = gzip_head(data, _DATA_OFFSET) if is_gzip else bytes(data[:_DATA_OFFSET])
        if len(head) < _HEADER.size:
            raise DecodeError("the header is cut off", error_class="truncated")
        version, width, height, depth, frames, code, _, good_ras, *places = _HEADER.unpack_from(head)
        if version != 1:
            raise DecodeError("the MGH header is damaged", error_class="damaged_header")
        if code not in _TYPES:
            raise ReadError(f"voxels of MGH type {code} are not read", error_class="pixel_type")
        dtype = np.dtype(_TYPES[code])
        shape = (depth, height, width) if frames == 1 else (frames, depth, height, width)
        check_volume(shape, dtype.itemsize)
        if is_gzip:
            wanted = _DATA_OFFSET + width * height * depth * frames * dtype.itemsize
            data = unpacked(data, "gzip", min(MAX_VOLUME_BYTES, wanted) + _BEHIND_BYTES)
        voxels, notes = scaled(stored_array(data, dtype, shape, _DATA_OFFSET))
        affine = _affine(places, (width, height, depth)) if good_ras > 0 else None
        if affine is None:
            notes.append("goodRASFlag is not set: the orientation is unknown")
        return ParsedFile(Volume(voxels, "TZYX" if frames > 1 else "ZYX", affine, notes=notes))


def _affine(places: list[float], lengths: tuple[int, int, int]) -> Affine | None:
    sizes, cosines, centre = np.array(places[:3]), np.array(places[3:12]).reshape(3, 3), np.array(places[12:15])
    affine = np.eye(4)
    with np.errstate(all="ignore"):  # damaged headers hold anything
        affine[:3, :3] = cosines.T * sizes
        affine[:3, 3] = centre - affine[:3, :3] @ (np.array(lengths) / 2)
        return affine if is_affine(affine) else None


READER = MghReader()
