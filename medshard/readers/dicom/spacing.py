"""In-plane distances of pictures: only where the file states them of the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medshard.readers.dicom.headers import attribute, numbers

__all__ = ["PictureSpacing", "picture_spacing"]

_PROJECTION = ("CR", "DX", "MG", "XA", "RF", "PX", "IO", "DR")
_SPACED = ("CT", "MR", "PT", "NM")
_TWO_DIMENSIONS, _CENTIMETRES = 1, 3
_MM_PER_CM = 10.0


@dataclass(frozen=True)
class PictureSpacing:
    """Distances of a picture's pixel centres.

    Attributes:
        yx_mm: in the patient; None when unknown.
        region_px: x0, y0, x1, y1 in which they hold; None where they hold everywhere.
        detector_yx_mm: on the detector of a projection; None when unknown or when there is none.
    """

    yx_mm: tuple[float, float] | None = None
    region_px: tuple[int, int, int, int] | None = None
    detector_yx_mm: tuple[float, float] | None = None


def picture_spacing(dataset: Any) -> PictureSpacing:
    """What a file says of its pixels' distances.

    - CT, MR, PET and NM: PixelSpacing is of the patient (PS3.3 10.7.1.1).
    - Projections: ImagerPixelSpacing is of the detector (C.8.11.4). PixelSpacing is of the patient only when it is
      calibrated: its type says GEOMETRY or FIDUCIAL, or it differs from ImagerPixelSpacing (10.7.1.3).
    - Ultrasound: one region alone, in two dimensions of centimetres, gives the distances inside it (C.8.5.5).
    - All else, such as photographs and screen shots: unknown.
    """
    modality = str(attribute(dataset, "Modality"))
    stated = _pair(dataset, "PixelSpacing")
    if modality in _SPACED:
        return PictureSpacing(stated)
    if modality in _PROJECTION:
        detector = _pair(dataset, "ImagerPixelSpacing")
        typed = attribute(dataset, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL")
        differs = stated is not None and detector is not None and not np.allclose(detector, stated)
        return PictureSpacing(stated if typed or differs else None, detector_yx_mm=detector)
    if modality == "US":
        return _of_regions(dataset)
    return PictureSpacing()


def _pair(dataset: Any, keyword: str) -> tuple[float, float] | None:
    values = numbers(dataset, keyword)
    if values is None or len(values) != 2 or (values <= 0).any():
        return None
    return (float(values[0]), float(values[1]))


def _of_regions(dataset: Any) -> PictureSpacing:
    regions = attribute(dataset, "SequenceOfUltrasoundRegions") or []
    if len(regions) != 1:
        return PictureSpacing()
    (region,) = regions
    kind = attribute(region, "RegionSpatialFormat")
    units = [attribute(region, f"PhysicalUnits{axis}Direction") for axis in "XY"]
    steps = [numbers(region, f"PhysicalDelta{axis}") for axis in "YX"]
    corners = [attribute(region, f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    known = all(isinstance(corner, int) for corner in corners) and all(
        step is not None and len(step) == 1 and step[0] != 0 for step in steps
    )
    if kind != _TWO_DIMENSIONS or units != [_CENTIMETRES, _CENTIMETRES] or not known:
        return PictureSpacing()
    # A delta may be negative where a coordinate falls along the pixels; a distance has no sign.
    y_mm, x_mm = (abs(float(step[0])) * _MM_PER_CM for step in steps if step is not None)
    x0, y0, x1, y1 = (int(corner) for corner in corners)
    rows, columns = attribute(dataset, "Rows"), attribute(dataset, "Columns")
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        return PictureSpacing()
    whole = x0 == 0 and y0 == 0 and columns == x1 + 1 and rows == y1 + 1
    return PictureSpacing((y_mm, x_mm), None if whole else (x0, y0, x1 + 1, y1 + 1))
