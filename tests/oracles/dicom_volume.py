"""Geometry of DICOM images from their own attributes (PS3.3 C.7.6.2.1.1), for the DICOM oracles.

Slices ascend along the normal (row direction x column direction), whatever the names; values are rescaled.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from .decode import geometry_of
from .expected import ExpectedSample, Pixels

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def sample_of_slices(slices: list[Dataset]) -> ExpectedSample:
    """One volume from single-frame data sets that share orientation and spacing."""
    planes = [
        (
            d.ImagePositionPatient,
            d.pixel_array * float(d.get("RescaleSlope", 1)) + float(d.get("RescaleIntercept", 0)),
        )
        for d in slices
    ]
    first = slices[0]
    return _sample(planes, first.ImageOrientationPatient, first.PixelSpacing, float(first.get("SliceThickness", 1)))


def sample_of_frames(image: Dataset) -> ExpectedSample:
    """One volume from an enhanced multi-frame image whose orientation, spacing and rescale are shared."""
    shared = image.SharedFunctionalGroupsSequence[0]
    scale = shared.PixelValueTransformationSequence[0]
    values = image.pixel_array * float(scale.RescaleSlope) + float(scale.RescaleIntercept)
    places = [f.PlanePositionSequence[0].ImagePositionPatient for f in image.PerFrameFunctionalGroupsSequence]
    measures = shared.PixelMeasuresSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    planes = list(zip(places, values, strict=True))
    return _sample(planes, orientation, measures.PixelSpacing, float(measures.SliceThickness))


def _sample(planes: list, orientation: list, spacing: list, thickness: float) -> ExpectedSample:
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    planes = sorted(planes, key=lambda plane: float(np.dot(normal, np.array(plane[0], float))))
    first, last = (np.array(planes[i][0], float) for i in (0, -1))
    affine = np.eye(4)
    affine[:3, 0] = row * float(spacing[1])
    affine[:3, 1] = column * float(spacing[0])
    affine[:3, 2] = (last - first) / (len(planes) - 1) if len(planes) > 1 else normal * thickness
    affine[:3, 3] = first
    array = np.stack([plane[1] for plane in planes])
    return ExpectedSample(geometry=geometry_of(array, LPS_TO_RAS @ affine), pixels=Pixels.of(array))
