"""Where slices lie: planes, sides, and the affine of a stack. DICOM is LPS; it is turned to RAS here, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError
from medshard.readers.base import Affine
from medshard.readers.dicom.headers import attribute, numbers

__all__ = [
    "Plane",
    "affine_of_plane",
    "affine_of_steps",
    "agreeing",
    "missing_slices",
    "patient_left",
    "plane_of",
    "uneven",
]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_EVEN_SHARE = 0.01  # of a slice step; scanners write positions with few digits
_EVEN_MM = 0.01
_UNIT_TOLERANCE = 1e-3
_WHOLE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Plane:
    """One slice in the patient's LPS millimetres (PS3.3 C.7.6.2).

    Attributes:
        position: centre of the first pixel.
        row, column: unit directions of increasing column and row index.
        spacing_yx_mm: distance of rows, distance of columns.
    """

    position: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    spacing_yx_mm: tuple[float, float]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction across the slice."""
        return np.cross(self.row, self.column)


def plane_of(dataset: Any, position: Any = None, orientation: Any = None, measures: Any = None) -> Plane | None:
    """The plane of a single frame, or of a frame of an enhanced object whose macros are given; None when unknown."""
    place = numbers(position if position is not None else dataset, "ImagePositionPatient")
    cosines = numbers(orientation if orientation is not None else dataset, "ImageOrientationPatient")
    spacing = numbers(measures if measures is not None else dataset, "PixelSpacing")
    if place is None or cosines is None or spacing is None:
        return None
    if (len(place), len(cosines), len(spacing)) != (3, 6, 2) or (spacing <= 0).any():
        return None
    row, column = cosines[:3], cosines[3:]
    unit = abs(np.linalg.norm(row) - 1) < _UNIT_TOLERANCE and abs(np.linalg.norm(column) - 1) < _UNIT_TOLERANCE
    if not unit or abs(float(row @ column)) > _UNIT_TOLERANCE:
        raise GeometryError("ImageOrientationPatient does not hold two orthogonal unit vectors")
    return Plane(place, row, column, (float(spacing[0]), float(spacing[1])))


def patient_left(dataset: Any) -> Literal["image_left", "image_right", "none"] | None:
    """Where the patient's left lies, from the row direction (or PatientOrientation's first letter)."""
    cosines = numbers(dataset, "ImageOrientationPatient")
    if cosines is not None and len(cosines) == 6:
        along_row, along_column = float(cosines[0]), float(cosines[3])
        if abs(along_row) > 0.7:
            return "image_right" if along_row > 0 else "image_left"
        return "none" if abs(along_row) < 0.3 and abs(along_column) < 0.3 else None
    words = attribute(dataset, "PatientOrientation")
    first = str(words[0])[:1] if words is not None and len(words) else ""
    return {"L": "image_right", "R": "image_left", "A": "none", "P": "none"}.get(first)  # type: ignore[return-value]


def affine_of_plane(plane: Plane) -> Affine:
    """The affine of one plane: (i, j, 0) to RAS mm; the third column is the unit normal.

    Returns:
        (4, 4).
    """
    return affine_of_steps(plane, plane.position, plane.normal)


def affine_of_steps(plane: Plane, origin: NDArray[np.float64], step: NDArray[np.float64]) -> Affine:
    """The affine of slices of one plane's directions, from ``origin`` on, one ``step`` apart (both LPS mm).

    A step that is not along the normal, as a tilted gantry gives, stays as a shear.

    Returns:
        (4, 4), (i, j, k) to RAS mm.
    """
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing_yx_mm[1]
    affine[:3, 1] = plane.column * plane.spacing_yx_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = origin
    return _LPS_TO_RAS @ affine


def agreeing(planes: Sequence[Plane]) -> None:
    """Refuse slices that differ in direction or spacing.

    Raises:
        GeometryError: they do; says what and how many.
    """
    first = planes[0]
    turned = sum(
        not np.allclose(plane.row, first.row, atol=1e-4) or not np.allclose(plane.column, first.column, atol=1e-4)
        for plane in planes
    )
    if turned:
        message = f"slices differ in orientation: {turned} of {len(planes)} from the first; group by stack"
        raise GeometryError(message, error_class="orientation_differs")
    if any(not np.allclose(plane.spacing_yx_mm, first.spacing_yx_mm, rtol=1e-4) for plane in planes):
        raise GeometryError("slices differ in pixel spacing; group by stack", error_class="spacing_differs")


def uneven(positions: NDArray[np.float64]) -> tuple[int, float, float] | None:
    """The slice that lies farthest off an even spacing, where one lies farther off than is allowed.

    Allowed is 1 % of the spacing or 0.01 mm, whichever is more: positions are written with few digits.

    Args:
        positions: (n, 3) LPS mm in order, or (n, 1) distances.

    Returns:
        Its number, how far it is off, the mean spacing; None where slices lie evenly.
    """
    if len(positions) < 3:
        return None
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    off_mm = np.linalg.norm(positions - positions[0] - np.arange(len(positions))[:, None] * step, axis=1)
    spacing_mm = float(np.linalg.norm(step))
    if (off_mm <= max(_EVEN_MM, _EVEN_SHARE * spacing_mm)).all():
        return None
    worst = int(off_mm.argmax())
    return worst, float(off_mm[worst]), spacing_mm


def missing_slices(distances_mm: NDArray[np.float64]) -> tuple[int, int] | None:
    """How many slices are missing, and in how many gaps, where all gaps are whole multiples of the usual one.

    Args:
        distances_mm: (n,) positions along the normal, in order.
    """
    gaps = np.diff(distances_mm)
    times = gaps / np.sort(gaps)[(len(gaps) - 1) // 2]
    whole = np.round(times)
    if (np.abs(times - whole) > _WHOLE_TOLERANCE).any() or (whole < 1).any() or (whole == 1).all():
        return None
    return int((whole - 1).sum()), int((whole > 1).sum())
