"""MetaImage: .mha with its data behind the header, .mhd with its data beside it.

Affine: x = Offset + M · (ElementSpacing * index), where each group of TransformMatrix is the direction of one axis to
left, posterior, superior (as ITK reads and writes it). A file without a matrix, an offset or a spacing has an unknown
orientation, since identity would be a guess; so has one with a CenterOfRotation other than 0, which programs take in
different ways. AnatomicalOrientation repeats the matrix in letters and is not used. ElementSize is not a distance.
Source: MetaIO documentation (itk.org/Wiki/MetaIO/Documentation), itkMetaImageIO.
"""

from __future__ import annotations

import math

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array, Blob, Volume
from medshard.readers.companion import companion_data, numbered_names
from medshard.readers.limits import MAX_FRAMES, check_volume
from medshard.readers.packed import GZIP_MAGIC, Content, unpacked
from medshard.readers.text_samples import text_samples
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import is_affine, lps_to_ras, scaled, stored_array

__all__ = ["READER", "MetaImageReader"]

_MAX_HEADER_BYTES = 2**24
_BEHIND_BYTES = 2**20
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
"""A long has four bytes, as MetaIO has it on every machine."""
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_OFFSET = ("Offset", "Origin", "Position")


class MetaImageReader(VolumeFileReader):
    """Two, three or four axes; the fourth is time. Several channels a voxel come first."""

    name = "metaimage"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the first field, and by the name where another field stands first."""
        first = head.lstrip().partition(b"=")[0].strip()
        if first == b"ObjectType":
            return True
        return path.lower().endswith((".mha", ".mhd")) and first in (b"NDims", b"Comment", b"ObjectSubType")

    def parsed(self, blob: Blob) -> ParsedFile:
        data = blob.read()
        fields, offset = _fields(data)
        try:
            return _parsed(blob, data, fields, offset)
        except (KeyError, ValueError, OverflowError) as error:  # their text would quote the header
            raise DecodeError(
                f"the MetaImage header is damaged ({type(error).__name__})", error_class="damaged_header"
            ) from None


def _fields(data: bytes) -> tuple[dict[str, str], int]:
    """Fields by name, and where the data begin; ElementDataFile is the last."""
    fields: dict[str, str] = {}
    place = 0
    while place < len(data):
        end = data.find(b"\n", place, _MAX_HEADER_BYTES)
        if end < 0 and len(data) > _MAX_HEADER_BYTES:
            break
        end = len(data) if end < 0 else end
        name, equals, text = data[place:end].decode("latin-1").partition("=")
        place = end + 1
        if equals:
            fields[name.strip()] = text.strip()
        if name.strip() == "ElementDataFile":
            return fields, place
    raise DecodeError("the MetaImage header does not end", error_class="damaged_header")


def _numbers(text: str) -> list[float]:
    numbers = [float(word) for word in text.split()]
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError
    return numbers


def _is_true(fields: dict[str, str], *names: str) -> bool:
    return any(fields.get(name, "").lower() in ("true", "1") for name in names)


def _parsed(blob: Blob, data: bytes, fields: dict[str, str], offset: int) -> ParsedFile:
    if fields.get("ObjectType", "Image") != "Image":
        raise ReadError("is a MetaIO object other than an image", error_class="unsupported")
    kind = fields["ElementType"]
    if kind not in _TYPES:
        raise ReadError("its ElementType is not read", error_class="pixel_type")
    dtype = np.dtype(_TYPES[kind]).newbyteorder(
        ">" if _is_true(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    )
    dims = tuple(int(word) for word in fields["DimSize"].split())
    channels = int(fields.get("ElementNumberOfChannels", 1))
    if len(dims) != int(fields["NDims"]) or min((*dims, channels)) < 1:
        raise ValueError
    if len(dims) not in (2, 3, 4) or (len(dims) == 4 and channels > 1):
        raise ReadError(f"has {len(dims)} axes and {channels} channels, which are not read", error_class="axes")
    shape = dims[::-1] if channels == 1 else (*dims[::-1], channels)
    check_volume(shape, dtype.itemsize)
    stored = _stored(blob, data, fields, offset, dtype, shape)
    if channels > 1:
        stored = np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    if len(dims) == 2:
        stored = np.expand_dims(stored, -3)
    voxels, notes = scaled(stored)
    axes = "CZYX" if channels > 1 else "TZYX" if len(dims) == 4 else "ZYX"
    volume = Volume(voxels, axes, notes=notes)
    _place(volume, fields, len(dims))
    return ParsedFile(volume, space=2 if len(dims) == 2 else 3)


def _stored(
    blob: Blob, data: bytes, fields: dict[str, str], offset: int, dtype: np.dtype[np.generic], shape: tuple[int, ...]
) -> Array:
    word = fields["ElementDataFile"]
    if word.upper() == "LOCAL":
        return _samples(memoryview(data)[offset:], fields, dtype, shape)
    parts = word.split()
    if parts and parts[0] == "LIST":
        axes = int(parts[1].rstrip("Dd")) if len(parts) > 1 else len(fields["DimSize"].split()) - 1
        if axes != len(fields["DimSize"].split()) - 1:
            raise ReadError("data files of that many axes are not read", error_class="unsupported")
        lines = data[offset : offset + _MAX_HEADER_BYTES].decode("latin-1").splitlines()
        names = [line.strip() for line in lines if line.strip()]
    elif "%" in word and len(parts) in (3, 4):
        names = numbered_names(parts[0], [int(part) for part in parts[1:]])
    else:
        return _samples(companion_data(blob, word), fields, dtype, shape)
    if not 1 <= len(names) <= MAX_FRAMES or len(names) != shape[0]:
        raise DecodeError("lists a number of data files that does not fit its sizes", error_class="damaged_header")
    return np.stack([_samples(companion_data(blob, name), fields, dtype, shape[1:]) for name in names])


def _samples(data: Content, fields: dict[str, str], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Array:
    size = math.prod(shape) * dtype.itemsize
    skip = int(fields.get("HeaderSize", 0))
    if skip < -1:
        raise ValueError
    if _is_true(fields, "CompressedData"):
        if skip == -1:
            raise ReadError("HeaderSize -1 of compressed data is not read", error_class="unsupported")
        packed = memoryview(data)[skip:]
        wrapping = "gzip" if packed[:2] == GZIP_MAGIC else "zlib"
        data, skip = unpacked(packed, wrapping, size + _BEHIND_BYTES, size), 0
    if "BinaryData" in fields and not _is_true(fields, "BinaryData"):
        return text_samples(memoryview(data)[max(skip, 0) :], dtype, shape)
    return stored_array(data, dtype, shape, len(data) - size if skip == -1 else skip)


def _first(fields: dict[str, str], names: tuple[str, ...], count: int) -> list[float] | None:
    text = next((fields[name] for name in names if name in fields), None)
    if text is None:
        return None
    numbers = _numbers(text)
    if len(numbers) != count:
        raise ValueError
    return numbers


def _place(volume: Volume, fields: dict[str, str], count: int) -> None:
    """Sets the affine, or the spacing where no more is known."""
    steps = _first(fields, ("ElementSpacing",), count)
    matrix, offset = _first(fields, _MATRIX, count * count), _first(fields, _OFFSET, count)
    centre = _first(fields, ("CenterOfRotation",), count)
    if steps is None or not all(step > 0 for step in steps):
        volume.notes.append("no ElementSpacing: spacing and orientation are unknown")
        return
    volume.stated_spacing_zyx_mm = (steps[2] if count > 2 else math.nan, steps[1], steps[0])
    if matrix is None or offset is None:
        volume.notes.append("no TransformMatrix or no Offset: the orientation is unknown")
        return
    if centre is not None and any(centre):
        volume.notes.append("a CenterOfRotation is set: the orientation is unknown")
        return
    if count == 2:
        volume.notes.append("a plane without a place in space: the orientation is unknown")
        return
    directions = np.array(matrix).reshape(count, count).T
    if count == 4 and (directions[3, :3].any() or directions[:3, 3].any()):
        raise ReadError("a matrix that mixes space and time is not read", error_class="axes")
    affine = np.eye(4)
    affine[:3, :3] = directions[:3, :3] * np.array(steps[:3])
    affine[:3, 3] = offset[:3]
    if not is_affine(affine):
        volume.notes.append("the TransformMatrix is no affine: the orientation is unknown")
        return
    volume.affine_ijk_to_ras = lps_to_ras(affine)


READER = MetaImageReader()
