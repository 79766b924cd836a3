"""Formats that are read through nibabel: Philips PAR/REC, MINC 1, AFNI BRIK.

The affine is nibabel's, which is to right, anterior, superior already. Files are given to it as memory, so that it
opens none by itself.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array, Blob, Volume
from medshard.readers.companion import companion_data
from medshard.readers.limits import MAX_VOLUME_BYTES, check_volume
from medshard.readers.packed import GZIP_MAGIC, unpacked
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import is_affine, scaled

__all__ = ["AFNI", "MINC", "PARREC"]

_MAX_HEADER_BYTES = 2**24


class _NibabelReader(VolumeFileReader):
    def _volume(self, opened: Callable[[], Any], data_bytes: int, *, reversed_axes: bool = True) -> ParsedFile:
        """What nibabel reads, once its shape is known to fit the file.

        Args:
            opened: gives nibabel's image.
            data_bytes: length of the voxels' file.
            reversed_axes: the fourth axis is nibabel's last; else its first.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image = opened()
                shape, dtype = tuple(int(length) for length in image.shape), np.dtype(image.get_data_dtype())
            except Exception as error:  # noqa: BLE001 - nibabel raises many types, some with header text
                raise DecodeError(
                    f"the {self.name} header is damaged or not read ({type(error).__name__})",
                    error_class="damaged_header",
                ) from None
            if len(shape) not in (3, 4):
                raise ReadError(f"has {len(shape)} axes; three or four are read", error_class="axes")
            if dtype.kind not in "uif":
                raise ReadError("voxels of that type are not read", error_class="pixel_type")
            check_volume(shape, 8)  # nibabel may scale to float64
            if int(np.prod(shape, dtype=object)) * dtype.itemsize > data_bytes:
                raise DecodeError("the voxels are cut off", error_class="truncated")
            try:
                values: Array = np.asanyarray(image.dataobj)
            except Exception as error:  # noqa: BLE001 - as above
                raise DecodeError(
                    f"the voxels are damaged or cut off ({type(error).__name__})", error_class="truncated"
                ) from None
            affine = np.asarray(image.affine, np.float64)
        if values.shape != shape or values.dtype.kind not in "uif":
            raise DecodeError("the voxels are damaged", error_class="truncated")
        turned = values.transpose() if reversed_axes or len(shape) == 3 else values.transpose(0, 3, 2, 1)
        native = np.ascontiguousarray(turned).astype(values.dtype.newbyteorder("="), copy=False)
        voxels, notes = scaled(native)
        if len(shape) == 4 and voxels.shape[0] == 1:
            voxels = voxels[0]
        if not is_affine(affine):
            notes.append("the affine is no affine: the orientation is unknown")
        axes = "TZYX" if voxels.ndim == 4 else "ZYX"
        return ParsedFile(Volume(voxels, axes, affine if is_affine(affine) else None, notes=notes))


class ParRecReader(_NibabelReader):
    """Philips PAR (text) with its REC beside. Values are displayed values (rescale slope and intercept, "dv")."""

    name = "parrec"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the first line."""
        return head.lstrip().startswith(b"# === DATA DESCRIPTION FILE")

    def parsed(self, blob: Blob) -> ParsedFile:
        from nibabel.fileholders import FileHolder
        from nibabel.parrec import PARRECImage

        header = _text(blob)
        stem, _, last = blob.path.rpartition("/")[2].rpartition(".")
        data = companion_data(blob, f"{stem}.{'REC' if last.isupper() else 'rec'}")
        files = {"header": FileHolder(fileobj=io.StringIO(header)), "image": FileHolder(fileobj=io.BytesIO(data))}
        return self._volume(lambda: PARRECImage.from_file_map(files, mmap=False), len(data))


class MincReader(_NibabelReader):
    """MINC 1 (netCDF). MINC 2 (HDF5) is known and refused."""

    name = "minc"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the container's magic and the name."""
        is_mnc = path.lower().endswith((".mnc", ".mnc.gz"))
        return is_mnc and head.startswith((b"CDF\x01", b"CDF\x02", b"\x89HDF\r\n\x1a\n", GZIP_MAGIC))

    def parsed(self, blob: Blob) -> ParsedFile:
        from nibabel.fileholders import FileHolder
        from nibabel.minc1 import Minc1Image

        data = blob.read()
        if data[:2] == GZIP_MAGIC:
            data = bytes(unpacked(data, "gzip", MAX_VOLUME_BYTES))
        if not data.startswith(b"CDF"):  # HDF5 can name other files, and its library opens them
            raise ReadError("MINC 2 is not read; mincconvert or mnc2nii make files that are", error_class="unsupported")
        files = {"image": FileHolder(fileobj=io.BytesIO(data))}
        return self._volume(lambda: Minc1Image.from_file_map(files), len(data), reversed_axes=False)


class AfniReader(_NibabelReader):
    """AFNI HEAD (text) with its BRIK beside, scaled by BRICK_FLOAT_FACS."""

    name = "afni"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the name, and by the first attribute's form."""
        return path.endswith(".HEAD") and head.lstrip().startswith(b"type")

    def parsed(self, blob: Blob) -> ParsedFile:
        from nibabel.brikhead import AFNIImage
        from nibabel.fileholders import FileHolder

        header = _text(blob)
        stem = blob.path.rpartition("/")[2].removesuffix(".HEAD")
        data = companion_data(blob, f"{stem}.BRIK", f"{stem}.BRIK.gz")
        if data[:2] == GZIP_MAGIC:
            data = bytes(unpacked(data, "gzip", MAX_VOLUME_BYTES))
        files = {"header": FileHolder(fileobj=io.StringIO(header)), "image": FileHolder(fileobj=io.BytesIO(data))}
        return self._volume(lambda: AFNIImage.from_file_map(files, mmap=False), len(data))


def _text(blob: Blob) -> str:
    data = blob.read()
    if len(data) > _MAX_HEADER_BYTES:
        raise ReadError(f"has a header of {len(data)} bytes", error_class="too_large")
    return data.decode("latin-1")


PARREC = ParRecReader()
MINC = MincReader()
AFNI = AfniReader()
