"""OME-Zarr (NGFF 0.1 to 0.5) and plain Zarr arrays, version 2 and 3: a folder, named by its metadata file.

The spec lists ``zarr.json`` or, of version 2, ``.zattrs`` of a group and ``.zarray`` of an array; all else is read
below that file's folder. Axes of NGFF have no anatomical direction, so spacing may be known and orientation never is.
An axis without a unit has no spacing in millimetres. Of several levels the finest whose chunks are there is read, and
the notes say which it was; a level without chunks is never taken for zeros.
Source: OME-NGFF 0.4 and 0.5, "axes", "coordinateTransformations", "multiscales"; UDUNITS-2 names of lengths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array, Blob, Volume
from medshard.readers.volume_file import ParsedFile, VolumeFileReader
from medshard.readers.voxels import scaled
from medshard.readers.zarr_array import ZarrArray, json_below

__all__ = ["READER", "OmeZarrReader"]

_MM = {
    "angstrom": 1e-7,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "decimeter": 100.0,
    "meter": 1000.0,
    "inch": 25.4,
}
_ORDER = "tczyx"
_MAX_LEVELS = 64


@dataclass(frozen=True)
class _Level:
    """A level that a group names: its folder, and for each axis its name, unit and step (None for unknown)."""

    prefix: str
    axes: tuple[str, ...]
    units: tuple[str | None, ...]
    steps: tuple[float | None, ...]


class OmeZarrReader(VolumeFileReader):
    """Two or three axes of space, and one of time or channels that is longer than one."""

    name = "ome_zarr"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the name of the metadata file."""
        name = path.replace("!/", "/").rpartition("/")[2]
        return name in ("zarr.json", ".zattrs", ".zarray") and head.lstrip().startswith(b"{")

    def parsed(self, blob: Blob) -> ParsedFile:
        try:
            levels = _levels(blob)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # their text would quote the file
            raise DecodeError("the OME-Zarr metadata are damaged", error_class="damaged_header") from None
        if levels is None:
            array = ZarrArray.open(blob, "")
            if array is None:
                raise ReadError("is a Zarr group without multiscales; list the array", error_class="unsupported")
            levels = [_plain(array)]
        for number, level in enumerate(levels):
            array = ZarrArray.open(blob, level.prefix)
            found = array.read() if array is not None else None
            if found is None:
                continue
            voxels, absent = found
            notes = [f"level {number} of {len(levels)} is read: finer ones have no chunks"] if number else []
            if absent:
                notes.append(f"{absent} chunks are absent and hold the fill value")
            return _placed(voxels, level, notes)
        raise ReadError(
            f"none of its {len(levels)} levels has chunks: metadata only; copy the folder whole",
            error_class="no_data_file",
        )


def _levels(blob: Blob) -> list[_Level] | None:
    """What the group says, finest first; None where it is no multiscale."""
    document = json_below(blob, "zarr.json")
    if document is not None:
        attributes = document.get("attributes", {})
        attributes = attributes.get("ome", attributes)
    else:
        attributes = json_below(blob, ".zattrs") or {}
    if "multiscales" not in attributes:
        return None
    if len(attributes["multiscales"]) != 1:
        raise ReadError("has several multiscales, of which none is the image", error_class="unsupported")
    (multiscale,) = attributes["multiscales"]
    if not 1 <= len(multiscale["datasets"]) <= _MAX_LEVELS:
        raise ValueError
    listed = [{"name": axis} if isinstance(axis, str) else axis for axis in multiscale.get("axes", _ORDER)]
    axes = tuple(_letter(axis) for axis in listed)
    units = tuple(axis.get("unit") for axis in listed)
    levels = []
    for dataset in multiscale["datasets"]:
        steps = _scale(dataset.get("coordinateTransformations"), len(axes))
        if steps is not None and "coordinateTransformations" in multiscale:
            outer = _scale(multiscale["coordinateTransformations"], len(axes))
            steps = [a * b for a, b in zip(steps, outer, strict=True)] if outer is not None else None
        levels.append(_Level(str(dataset["path"]) + "/", axes, units, tuple(steps or [None] * len(axes))))
    return levels


def _letter(axis: dict[str, Any]) -> str:
    name = str(axis["name"]).lower()
    kind = axis.get("type")
    if kind in ("time", "channel"):
        return "t" if kind == "time" else "c"
    if name not in _ORDER:
        raise ReadError("has an axis other than t, c, z, y, x, which is not read", error_class="axes")
    return name


def _scale(transformations: Any, count: int) -> list[float] | None:
    """The step of each axis; None where it is not told by a scale. A translation says nothing of steps."""
    steps = None
    for step in transformations or ():
        if step["type"] == "scale" and "scale" in step and steps is None:
            steps = [float(number) for number in step["scale"]]
            if len(steps) != count or not all(math.isfinite(number) and number > 0 for number in steps):
                raise ValueError
        elif step["type"] not in ("translation", "identity"):
            return None
    return steps


def _plain(array: ZarrArray) -> _Level:
    names = tuple(name.lower() for name in array.dimensions)
    if len(array.shape) in (2, 3) and not names:
        names = tuple("zyx"[-len(array.shape) :])
    if not set(names) <= set(_ORDER):
        raise ReadError("has dimensions other than t, c, z, y, x, which are not read", error_class="axes")
    return _Level("", names, (None,) * len(names), (None,) * len(names))


def _placed(voxels: Array, level: _Level, notes: list[str]) -> ParsedFile:
    axes = level.axes
    if len(axes) != voxels.ndim or len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes):
        raise ReadError("its axes do not fit its array; they are t, c, z, y, x", error_class="axes")
    wanted = [axis for axis in _ORDER if axis in axes]
    voxels = voxels.transpose([axes.index(axis) for axis in wanted])
    for axis in "tc":
        if axis in wanted and voxels.shape[wanted.index(axis)] == 1:
            voxels = voxels.squeeze(wanted.index(axis))
            wanted.remove(axis)
    if "t" in wanted and "c" in wanted:
        raise ReadError("has several times and several channels, which are not read together", error_class="axes")
    if is_flat := "z" not in wanted:
        voxels = np.expand_dims(voxels, -3)
        wanted.insert(-2, "z")
    values, found = scaled(np.ascontiguousarray(voxels))
    steps = {}
    for axis, unit, step in zip(axes, level.units, level.steps, strict=True):
        steps[axis] = step * _MM[unit] if step is not None and unit in _MM else math.nan
    spacing = (steps.get("z", math.nan), steps["y"], steps["x"])
    notes = [*notes, *found, "the orientation is unknown: axes of Zarr have no anatomical direction"]
    stated = None if any(math.isnan(step) for step in spacing[1 if is_flat else 0 :]) else spacing
    if stated is None:
        notes.append("the spacing is unknown: no scale with a unit of length")
    volume = Volume(values, "".join(wanted).upper(), stated_spacing_zyx_mm=stated, notes=notes)
    return ParsedFile(volume, space=2 if is_flat else 3)


READER = OmeZarrReader()
