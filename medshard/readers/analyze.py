"""Analyze 7.5: a .hdr of 348 bytes and an .img.

The format does not say where left is (its orient byte is rarely set and was read in opposite ways), so there is no
affine; pixdim gives distances. A .mat file of SPM is not read. SPM's scale factor stands in a field that Analyze does
not define: a file that has one is refused.
Source: Analyze 7.5 file format, Mayo Clinic (dbh.h).
"""

from __future__ import annotations

import math
import struct

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Blob, Volume
from medshard.readers.companion import companion_data
from medshard.readers.limits import MAX_VOLUME_BYTES, check_volume
from medshard.readers.nifti import image_names
from medshard.readers.packed import GZIP_MAGIC, Content, gzip_head, unpacked
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import scaled, stored_array

__all__ = ["READER", "AnalyzeReader"]

_HEADER_BYTES = 348
_BEHIND_BYTES = 2**20
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8"}
_COLOUR = 128


class AnalyzeReader(VolumeFileReader):
    """Values are as stored."""

    name = "analyze"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the name and the header's length; NIfTI pairs have a magic."""
        if not path.lower().endswith((".hdr", ".hdr.gz")):
            return False
        return _order(gzip_head(head, _HEADER_BYTES) if head[:2] == GZIP_MAGIC else head) is not None

    def parsed(self, blob: Blob) -> ParsedFile:
        head: Content = blob.read()
        if head[:2] == GZIP_MAGIC:
            head = gzip_head(head, _HEADER_BYTES)
        head = bytes(head[:_HEADER_BYTES])
        order = _order(head)
        if order is None or len(head) < _HEADER_BYTES:
            raise DecodeError("the Analyze header is damaged or cut off", error_class="damaged_header")
        count, *lengths = struct.unpack_from(f"{order}8h", head, 40)
        code = struct.unpack_from(f"{order}h", head, 70)[0]
        sizes = struct.unpack_from(f"{order}4f", head, 76)[1:]
        offset, scale = struct.unpack_from(f"{order}2f", head, 108)
        if code not in _TYPES and code != _COLOUR:
            raise ReadError(f"voxels of Analyze data type {code} are not read", error_class="pixel_type")
        if not math.isfinite(offset) or offset < 0 or not 1 <= count <= 7:
            raise DecodeError("the Analyze header is damaged", error_class="damaged_header")
        if scale not in (0.0, 1.0):
            raise ReadError("has a scale factor of SPM, which Analyze does not define", error_class="spm_scale")
        dims = [*lengths[:count], 1, 1][: max(count, 3)]
        while len(dims) > 3 and dims[-1] == 1:
            dims.pop()
        if len(dims) > (3 if code == _COLOUR else 4):
            raise ReadError(f"has {len(dims)} axes, which are not read", error_class="axes")
        colour = code == _COLOUR
        dtype = np.dtype("u1" if colour else order + _TYPES[code])
        shape = (*dims[::-1], 3) if colour else tuple(dims[::-1])
        check_volume(shape, dtype.itemsize)
        data: Content = companion_data(blob, *image_names(blob.path))
        if data[:2] == GZIP_MAGIC:
            wanted = int(offset) + math.prod(shape) * dtype.itemsize
            data = unpacked(data, "gzip", min(MAX_VOLUME_BYTES, wanted) + _BEHIND_BYTES, wanted)
        voxels, notes = scaled(stored_array(data, dtype, shape, int(offset)))
        if colour:
            voxels = np.ascontiguousarray(np.moveaxis(voxels, -1, 0))
        notes.append("Analyze does not state an orientation: it is unknown")
        axes = "CZYX" if colour else "TZYX" if len(dims) == 4 else "ZYX"
        known = all(math.isfinite(size) and size > 0 for size in sizes)
        spacing = (float(sizes[2]), float(sizes[1]), float(sizes[0])) if known else None
        return ParsedFile(Volume(voxels, axes, stated_spacing_zyx_mm=spacing, notes=notes))


def _order(head: bytes) -> str | None:
    """The byte order in which the header's length is 348 and the number of axes makes sense; None of NIfTI pairs."""
    if len(head) < 42 or head[344:347] in (b"ni1", b"n+1"):
        return None
    for order in "<>":
        size, count = struct.unpack_from(f"{order}i", head)[0], struct.unpack_from(f"{order}h", head, 40)[0]
        if size == _HEADER_BYTES and 1 <= count <= 7:
            return order
    return None


READER = AnalyzeReader()
