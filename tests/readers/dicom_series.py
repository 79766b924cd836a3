"""Series of synthetic slices with known positions, for the tests of DICOM volumes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from blobs import blob
from dicom_files import CT, dataset, written
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medshard.readers import read_volume
from medshard.readers.base import AS_STORED, Volume, VolumeOptions
from medshard.readers.dicom import Stacks, stack_header, stacks_of

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
OBLIQUE = ((0.8, 0.6, 0.0), (-0.36, 0.48, 0.8))
SPACING_YX = (0.75, 0.5)
ORIGIN = np.array([-31.5, 22.25, -100.0])
ROOT = "1.2.826.0.1.3680043.8.498"


def text(numbers: object) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{number:.8f}"[:16] for number in np.asarray(numbers, float)]


def series(
    voxels: NDArray[np.generic],
    orientation: tuple[tuple[float, ...], tuple[float, ...]] = AXIAL,
    *,
    step: object = None,
    gap_mm: float = 2.5,
    first_uid: int = 100,
    **attributes: object,
) -> list[Dataset]:
    """Slices (Z, Y, X) from ORIGIN along ``step`` (LPS mm), by default ``gap_mm`` along the normal."""
    row, column = np.array(orientation)
    along = np.asarray(step, float) if step is not None else np.cross(row, column) * gap_mm
    slices = []
    for k, plane in enumerate(voxels):
        image = dataset(
            plane,
            SOPClassUID=CT,
            SOPInstanceUID=f"{ROOT}.{first_uid + k}",
            SeriesInstanceUID=f"{ROOT}.1",
            FrameOfReferenceUID=f"{ROOT}.2",
            Modality="CT",
            InstanceNumber=k + 1,
            ImageOrientationPatient=text([*row, *column]),
            ImagePositionPatient=text(ORIGIN + k * along),
            PixelSpacing=text(SPACING_YX),
        )
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
        slices.append(image)
    return slices


def grain(*shape: int, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-1000, 3000, shape).astype(np.int16)


def read(slices: Sequence[Dataset], seed: int | None = None, options: VolumeOptions = AS_STORED) -> Volume:
    """The volume of slices, given in an order that ``seed`` draws."""
    blobs = [blob(written(image), f"{k:03}.dcm") for k, image in enumerate(slices)]
    if seed is not None:
        random.Random(seed).shuffle(blobs)
    return read_volume(blobs, options)


def stacked(slices: Sequence[Dataset], paths: Sequence[str] | None = None) -> Stacks:
    """The stacks of slices by their headers."""
    headers = [stack_header(image) for image in slices]
    return stacks_of(headers, paths or [f"{k:03}.dcm" for k in range(len(slices))])
