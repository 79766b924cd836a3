"""NRRD: attached, or detached (.nhdr) with its data beside it.

Affine: of ``space directions`` and ``space origin``, where ``space`` is anatomical (left-posterior-superior,
right-anterior-superior, left-anterior-superior). In any other space (scanner-xyz, 3D-right-handed, a bare ``space
dimension``) the lengths of the directions are known and the orientation is not; so it is with ``spacings``. Lengths are
millimetres unless units say otherwise. An axis with the direction ``none``, or of a kind that is no place, is a channel
or time. The measurement frame, which is of the values of vectors, is ignored.
Source: Definition of NRRD File Format, teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Affine, Array, Blob, Volume
from medshard.readers.companion import companion_data, numbered_names
from medshard.readers.limits import MAX_FRAMES, MAX_VOLUME_BYTES, check_volume
from medshard.readers.nrrd_header import NrrdHeader, parse_header
from medshard.readers.packed import Content, unpacked
from medshard.readers.text_samples import hex_bytes, text_samples
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import is_affine, scaled, stored_array

__all__ = ["READER", "NrrdReader"]

_TO_RAS = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
_MM_PER_UNIT = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001, "µm": 0.001,
                "micron": 0.001, "microns": 0.001, "micrometer": 0.001}  # fmt: skip
_SPATIAL_KINDS = ("domain", "space", "???", "none")
_REFUSED_KINDS = ("complex",)
_BEHIND_BYTES = 2**20


class NrrdReader(VolumeFileReader):
    """Up to three axes of space, and one of channels or time."""

    name = "nrrd"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the magic, NRRD0001 to NRRD0005."""
        return head[:7] == b"NRRD000" and head[7:8] in b"12345"

    def parsed(self, blob: Blob) -> ParsedFile:
        data = blob.read()
        header = parse_header(data)
        check_volume(header.sizes, header.dtype.itemsize)
        stored = _stored(blob, data, header)
        further = _further_axis(header)
        spatial = [axis for axis in range(len(header.sizes)) if axis != further]
        axes = "ZYX"
        if further is not None:
            stored = np.ascontiguousarray(np.moveaxis(stored, stored.ndim - 1 - further, 0))
            axes = "TZYX" if header.kinds and header.kinds[further] == "time" else "CZYX"
        if len(spatial) == 2:
            stored = np.expand_dims(stored, -3)
        voxels, notes = scaled(stored)
        volume = Volume(voxels, axes, notes=notes)
        _place(volume, header, spatial)
        return ParsedFile(volume, space=2 if len(spatial) == 2 else 3)


def _further_axis(header: NrrdHeader) -> int | None:
    """The axis that is not of space, if there is one."""
    count = len(header.sizes)
    if any(kind in _REFUSED_KINDS for kind in header.kinds):
        raise ReadError("complex samples are not read", error_class="pixel_type")
    if header.directions is not None:
        further = [axis for axis, vector in enumerate(header.directions) if vector is None]
    else:
        further = [axis for axis, kind in enumerate(header.kinds) if kind not in _SPATIAL_KINDS]
    if len(further) > 1 or count - len(further) not in (2, 3):
        raise ReadError(
            f"has {count} axes, {count - len(further)} of space; two or three of space and one more are read",
            error_class="axes",
        )
    return further[0] if further else None


def _stored(blob: Blob, data: bytes, header: NrrdHeader) -> Array:
    shape, size = header.sizes[::-1], math.prod(header.sizes) * header.dtype.itemsize
    if header.data_files is None:
        return _decoded([memoryview(data)[header.data_offset :]], header, shape, size)
    return _decoded([companion_data(blob, name) for name in _data_files(header)], header, shape, size)


def _data_files(header: NrrdHeader) -> list[str]:
    words = (header.data_files or "").split()
    if words and words[0] == "LIST":
        names = header.listed
        if len(words) > 1 and words[1] != str(len(header.sizes) - 1):
            raise ReadError("data files of that many axes are not read", error_class="unsupported")
    elif "%" in (header.data_files or ""):
        if len(words) not in (3, 4) or not all(word.lstrip("-").isdigit() for word in words[1:]):
            raise ReadError("its pattern of data files is not read", error_class="unsupported")
        names = numbered_names(words[0], [int(word) for word in words[1:]])
    else:
        return [header.data_files or ""]
    if not 1 <= len(names) <= MAX_FRAMES or header.sizes[-1] % len(names):
        raise DecodeError("lists a number of data files that does not fit its sizes", error_class="damaged_header")
    return names


def _decoded(files: list[Content], header: NrrdHeader, shape: tuple[int, ...], size: int) -> Array:
    if len(files) == 1:
        return _samples(files[0], header, shape, size)
    part_shape = (shape[0] // len(files), *shape[1:])
    return np.concatenate([_samples(file, header, part_shape, size // len(files)) for file in files])


def _samples(data: Content, header: NrrdHeader, shape: tuple[int, ...], size: int) -> Array:
    if header.line_skip < 0 or header.byte_skip < -1:
        raise ReadError("a skip below -1 is not defined", error_class="damaged_header")
    data = memoryview(data)[_after_lines(data, header.line_skip) :]
    from_end = header.byte_skip == -1
    if header.encoding in ("gzip", "bzip2"):
        most = MAX_VOLUME_BYTES if from_end else size + header.byte_skip
        expected = 0 if from_end else most
        data = unpacked(data, header.encoding, min(MAX_VOLUME_BYTES, most) + _BEHIND_BYTES, expected)
    if from_end:
        return stored_array(data, header.dtype, shape, len(data) - size)
    if header.encoding == "ascii":
        return text_samples(data[header.byte_skip :], header.dtype, shape)
    if header.encoding == "hex":
        return stored_array(hex_bytes(data[header.byte_skip :], size), header.dtype, shape)
    return stored_array(data, header.dtype, shape, header.byte_skip)


def _after_lines(data: Content, count: int) -> int:
    place = 0
    whole = bytes(data) if count else b""
    for _ in range(min(count, len(whole))):
        end = whole.find(b"\n", place)
        if end < 0:
            raise DecodeError("has fewer lines than are to be skipped", error_class="truncated")
        place = end + 1
    return place


def _place(volume: Volume, header: NrrdHeader, spatial: list[int]) -> None:
    """Sets the affine, or the spacing where no more is known."""
    units = {_MM_PER_UNIT.get(unit) for unit in header.units if unit} or {1.0}
    unit_mm = units.pop() if len(units) == 1 else None
    if unit_mm is None:
        volume.notes.append("its unit of length is not known: spacing and orientation are unknown")
        return
    if header.directions is None:
        if header.spacings is not None:
            _state_spacing(volume, [header.spacings[axis] * unit_mm for axis in spatial])
        volume.notes.append("no space directions: the orientation is unknown")
        return
    vectors = np.array([header.directions[axis] for axis in spatial]) * unit_mm
    to_ras = _TO_RAS.get(header.space or "")
    if vectors.ndim != 2 or vectors.shape[1] not in (2, 3):
        raise ReadError(f"a space of {vectors.shape[-1]} axes is not read", error_class="axes")
    if to_ras is None or vectors.shape[1] != 3 or header.origin is None or len(header.origin) != 3:
        _state_spacing(volume, [float(np.linalg.norm(vector)) for vector in vectors])
        missing = "no space origin" if to_ras is not None else "its space is not anatomical"
        volume.notes.append(f"{missing}: the orientation is unknown")
        return
    affine = _affine(vectors, np.array(header.origin) * unit_mm, to_ras)
    if not is_affine(affine):
        volume.notes.append("its space directions are no affine: the orientation is unknown")
        return
    volume.affine_ijk_to_ras = affine


def _affine(vectors: Affine, origin: Affine, to_ras: tuple[int, int, int]) -> Affine:
    affine = np.eye(4)
    affine[:3, : len(vectors)] = vectors.T
    if len(vectors) == 2:  # a plane: the third column is its unit normal
        normal = np.cross(vectors[0], vectors[1])
        affine[:3, 2] = normal / (np.linalg.norm(normal) or 1.0)
    affine[:3, 3] = origin
    return np.diag([*to_ras, 1.0]) @ affine


def _state_spacing(volume: Volume, lengths: list[float]) -> None:
    """Distances of the axes of space, fastest first."""
    if all(math.isfinite(length) and length > 0 for length in lengths):
        z = lengths[2] if len(lengths) == 3 else math.nan
        volume.stated_spacing_zyx_mm = (z, lengths[1], lengths[0])


READER = NrrdReader()
