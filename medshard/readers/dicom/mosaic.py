"""Siemens mosaics: the slices of a volume as tiles of one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError
from medshard.readers.base import Array
from medshard.readers.dicom.csa import csa_image_header
from medshard.readers.dicom.geometry import Plane, plane_of
from medshard.readers.dicom.headers import numbers
from medshard.readers.dicom.values import image_type

__all__ = ["Mosaic", "is_mosaic", "mosaic_of", "tiles"]

_PARALLEL = 0.99


@dataclass(frozen=True)
class Mosaic:
    """How a picture is cut.

    Attributes:
        count: slices.
        across: tiles a row, and rows of tiles.
        planes: of each slice, in the order of tiles; None where the plane is unknown.
        step_mm: between slices; None when unknown.
    """

    count: int
    across: int
    planes: list[Plane] | None
    step_mm: float | None


def is_mosaic(dataset: Any) -> bool:
    """Whether ImageType says so."""
    return "MOSAIC" in image_type(dataset)


def mosaic_of(dataset: Any) -> Mosaic:
    """The cut of a mosaic, and where its slices lie.

    Tiles stand in a square that is as small as possible. ImagePositionPatient is that of a picture of the whole
    mosaic's size centred on the slice, so half of what is too much is taken off; slices follow one another along the
    CSA header's SliceNormalVector, SpacingBetweenSlices apart.

    Raises:
        GeometryError: the number of slices, their normal or their distance is unknown.
    """
    csa = csa_image_header(dataset) or {}
    count = _number(csa, "NumberOfImagesInMosaic")
    if count is None or not 0 < count < 10_000 or count != int(count):
        message = "a mosaic whose CSA header does not say how many slices it has cannot be cut"
        raise GeometryError(message, error_class="mosaic")
    across = math.ceil(math.sqrt(count))
    rows, columns = (numbers(dataset, keyword) for keyword in ("Rows", "Columns"))
    if rows is None or columns is None or rows[0] % across or columns[0] % across:
        raise GeometryError("the mosaic's size is no multiple of its tiles'", error_class="mosaic")
    plane = plane_of(dataset)
    step = numbers(dataset, "SpacingBetweenSlices")
    normal = [float(text) for text in csa.get("SliceNormalVector", []) if _is_number(text)]
    if plane is None:
        return Mosaic(int(count), across, None, None)
    if len(normal) != 3 or step is None or step[0] <= 0:
        missing = "SliceNormalVector" if len(normal) != 3 else "SpacingBetweenSlices"
        raise GeometryError(f"a mosaic without {missing} has no order of slices", error_class="mosaic")
    towards = np.array(normal)
    if abs(float(towards @ plane.normal)) < _PARALLEL:
        raise GeometryError("the mosaic's SliceNormalVector is not normal to its slices", error_class="mosaic")
    first = _first_position(plane, (int(rows[0]), int(columns[0])), across)
    planes = [
        Plane(first + place * float(step[0]) * towards, plane.row, plane.column, plane.spacing_yx_mm)
        for place in range(int(count))
    ]
    return Mosaic(int(count), across, planes, float(step[0]))


def _first_position(plane: Plane, size_yx: tuple[int, int], across: int) -> NDArray[np.float64]:
    too_much = [(whole - whole // across) / 2 for whole in size_yx]
    return (
        plane.position
        + plane.row * plane.spacing_yx_mm[1] * too_much[1]
        + plane.column * plane.spacing_yx_mm[0] * too_much[0]
    )


def tiles(picture: Array, mosaic: Mosaic) -> Array:
    """(Y, X) of the mosaic → (Z, Y / across, X / across), in the order of tiles: along rows, then down."""
    rows, columns = (length // mosaic.across for length in picture.shape)
    cut = picture.reshape(mosaic.across, rows, mosaic.across, columns).swapaxes(1, 2).reshape(-1, rows, columns)
    return np.ascontiguousarray(cut[: mosaic.count])


def _number(csa: dict[str, list[str]], name: str) -> float | None:
    values = csa.get(name) or [""]
    return float(values[0]) if _is_number(values[0]) else None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
