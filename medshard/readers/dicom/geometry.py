"""Where pixels lie: plane spacing, sides, and the affine of a stack. DICOM is LPS; it is turned to RAS here, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError
from medshard.readers.base import Affine
from medshard.readers.dicom.headers import attribute

__all__ = ["Plane", "affine_of_plane", "affine_of_stack", "patient_left", "plane_of", "plane_spacing"]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PROJECTION = ("CR", "DX", "MG", "XA", "RF", "PX", "IO", "DR")
_SPACED = ("CT", "MR", "PT", "NM")
_EVEN_SHARE = 0.01  # of a slice step; scanners write positions with few digits
_EVEN_MM = 0.01
_UNIT_TOLERANCE = 1e-3


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


def _numbers(holder: Any, keyword: str, count: int) -> NDArray[np.float64] | None:
    value = attribute(holder, keyword)
    try:
        numbers = np.array([float(item) for item in value], np.float64) if value is not None else None
    except (TypeError, ValueError):
        return None
    return numbers if numbers is not None and len(numbers) == count and np.isfinite(numbers).all() else None


def plane_spacing(dataset: Any) -> tuple[float, float] | None:
    """Distance of rows and of columns in the patient, in mm; None where the file does not say it of the patient.

    A projection's ImagerPixelSpacing is of the detector; its PixelSpacing is of the patient only when calibrated
    (PS3.3 10.7.1.3). Ultrasound needs a calibrated region and has no such spacing.
    """
    spacing = _numbers(dataset, "PixelSpacing", 2)
    modality = str(attribute(dataset, "Modality"))
    if spacing is None or (spacing <= 0).any():
        return None
    if modality in _SPACED:
        return (float(spacing[0]), float(spacing[1]))
    if modality in _PROJECTION:
        detector = _numbers(dataset, "ImagerPixelSpacing", 2)
        stated = attribute(dataset, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL")
        calibrated = detector is not None and not np.allclose(detector, spacing)
        return (float(spacing[0]), float(spacing[1])) if stated or calibrated else None
    return None


def plane_of(dataset: Any, position: Any = None, orientation: Any = None, measures: Any = None) -> Plane | None:
    """The plane of a single frame, or of a frame of an enhanced object whose macros are given; None when unknown."""
    place = _numbers(position if position is not None else dataset, "ImagePositionPatient", 3)
    cosines = _numbers(orientation if orientation is not None else dataset, "ImageOrientationPatient", 6)
    spacing = _numbers(measures if measures is not None else dataset, "PixelSpacing", 2)
    if place is None or cosines is None or spacing is None or (spacing <= 0).any():
        return None
    row, column = cosines[:3], cosines[3:]
    unit = abs(np.linalg.norm(row) - 1) < _UNIT_TOLERANCE and abs(np.linalg.norm(column) - 1) < _UNIT_TOLERANCE
    if not unit or abs(float(row @ column)) > _UNIT_TOLERANCE:
        raise GeometryError("ImageOrientationPatient does not hold two orthogonal unit vectors")
    return Plane(place, row, column, (float(spacing[0]), float(spacing[1])))


def patient_left(dataset: Any) -> Literal["image_left", "image_right", "none"] | None:
    """Where the patient's left lies, from the row direction (or PatientOrientation's first letter)."""
    cosines = _numbers(dataset, "ImageOrientationPatient", 6)
    if cosines is not None:
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
    affine = np.eye(4)
    affine[:3, 0] = plane.row * plane.spacing_yx_mm[1]
    affine[:3, 1] = plane.column * plane.spacing_yx_mm[0]
    affine[:3, 2] = plane.normal
    affine[:3, 3] = plane.position
    return _LPS_TO_RAS @ affine


def affine_of_stack(planes: list[Plane], step_mm: float | None) -> Affine | None:
    """The affine of slices that are sorted along their normal.

    A tilted gantry shows as a step that is not along the normal; the shear stays in the affine.

    Args:
        step_mm: distance of slices where the file states it; used only for a single slice.

    Returns:
        (4, 4), (i, j, k) to RAS mm; None for a single slice whose step is not stated.

    Raises:
        GeometryError: slices differ in direction or spacing, or do not lie evenly.
    """
    first = planes[0]
    for plane in planes[1:]:
        if not np.allclose(plane.row, first.row, atol=1e-4) or not np.allclose(plane.column, first.column, atol=1e-4):
            raise GeometryError("slices differ in orientation", error_class="orientation_differs")
        if not np.allclose(plane.spacing_yx_mm, first.spacing_yx_mm, rtol=1e-4):
            raise GeometryError("slices differ in pixel spacing", error_class="spacing_differs")
    if len(planes) == 1:
        if step_mm is None:
            return None
        step = first.normal * step_mm
    else:
        positions = np.array([plane.position for plane in planes])
        step = (positions[-1] - positions[0]) / (len(planes) - 1)
        ideal = positions[0] + np.arange(len(planes))[:, None] * step
        off_mm = np.linalg.norm(positions - ideal, axis=1)
        allowed_mm = max(_EVEN_MM, _EVEN_SHARE * float(np.linalg.norm(step)))
        if (off_mm > allowed_mm).any():
            worst = int(off_mm.argmax())
            raise GeometryError(
                f"slices lie unevenly: slice {worst} of {len(planes)} is {off_mm[worst]:.3g} mm off an even spacing of "
                f"{float(np.linalg.norm(step)):.4g} mm",
                error_class="uneven_slices",
            )
    affine = affine_of_plane(first)
    affine[:3, 2] = _LPS_TO_RAS[:3, :3] @ step
    return affine
