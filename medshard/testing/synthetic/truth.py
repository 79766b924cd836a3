"""Ground truth that the synthetic scanners return: what was painted, and the files that hold it.

Paths are relative to ``root``, with forward slashes. Boxes are in continuous pixels (see ``paint.BoxXYXY``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.paint import BoxXYXY

__all__ = [
    "BreastImage",
    "BreastTruth",
    "ChestImage",
    "ChestTruth",
    "Lesion",
    "PaintedFinding",
    "PhantomSlice",
    "PhantomTruth",
]


@dataclass(frozen=True)
class Lesion:
    """One mask file of a breast ultrasound.

    Attributes:
        mask_path: the PNG.
        area_px: painted pixels; 0 for a normal case.
        box_xyxy: tight box, None for a normal case.
    """

    mask_path: str
    area_px: int
    box_xyxy: BoxXYXY | None


@dataclass(frozen=True)
class BreastImage:
    """One picture of the breast set. ``lesions`` has one entry a mask file, also for the empty mask of a normal case."""

    path: str
    class_name: Literal["benign", "malignant", "normal"]
    number: int
    height_px: int
    width_px: int
    lesions: tuple[Lesion, ...]


@dataclass(frozen=True)
class BreastTruth:
    """All that ``breast_ultrasound`` wrote; ``root`` is the folder that was given."""

    root: Path
    images: tuple[BreastImage, ...]


@dataclass(frozen=True)
class PaintedFinding:
    """One finding that was painted.

    Attributes:
        name: the object name of the VOC file.
        box_xyxy: tight box of the painted pixels.
        area_px: painted pixels.
        patient_side: side of the patient (not of the picture).
    """

    name: str
    box_xyxy: BoxXYXY
    area_px: int
    patient_side: Literal["left", "right", "midline"]


@dataclass(frozen=True)
class ChestImage:
    """One radiograph.

    Attributes:
        path: the DICOM or PNG file.
        annotation_path: the VOC file, None where there is none.
        format: container.
        photometric: ``MONOCHROME1`` or ``MONOCHROME2``; PNG is like the latter.
        bits: significant bits of the stored values, 12 or 16.
        spacing_yx_mm: as written in the file; None for PNG.
        spacing_keyword: the DICOM keyword that holds it.
        labels: value of every column of ``FINDING_COLUMNS``: 1.0, 0.0, -1.0 or None for an empty cell.
        findings: everything that was painted, also where no VOC file tells of it.
        marker_xyxy: the bright block at the patient's left, which has the highest value of the picture.
        sop_instance_uid: None for PNG.
    """

    path: str
    annotation_path: str | None
    patient_id: str
    study_id: str
    split: Literal["train", "valid", "test"]
    view: Literal["PA", "AP"]
    sex: Literal["F", "M"]
    age_years: int
    format: Literal["dicom", "png"]
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    bits: int
    height_px: int
    width_px: int
    spacing_yx_mm: tuple[float, float] | None
    spacing_keyword: Literal["PixelSpacing", "ImagerPixelSpacing"] | None
    labels: dict[str, float | None]
    findings: tuple[PaintedFinding, ...]
    report: str
    marker_xyxy: BoxXYXY
    sop_instance_uid: str | None


@dataclass(frozen=True)
class ChestTruth:
    """All that ``chest_xray`` wrote."""

    root: Path
    labels_csv: str
    images: tuple[ChestImage, ...]


@dataclass(frozen=True)
class PhantomSlice:
    """One DICOM file of the phantom; ``index_k`` is the slice of ``PhantomTruth.hu`` that it holds."""

    path: str
    index_k: int
    sop_instance_uid: str
    position_lps_mm: tuple[float, float, float]
    is_duplicate: bool = False


@dataclass(frozen=True)
class PhantomTruth:
    """A volume of the phantom.

    Attributes:
        root: the folder that was given.
        hu: (K, J, I) int16, Hounsfield units, in the order of position (DICOM) or of storage (NIfTI).
        organs: (K, J, I) uint8, the values of ``ORGANS``, on the same grid.
        affine_ijk_to_ras: (4, 4), voxel centres to millimetres; None where slices are not evenly spaced.
        positions_mm: (K,) distance of each slice from the first, along the direction in which slices are stacked.
        organ_centres_ras_mm: where each organ is centred in the patient, whatever the grid.
        slices: the DICOM files, in order of position, duplicates after their twin; empty for NIfTI.
        image_path: the NIfTI image, empty for DICOM.
        mask_path: the NIfTI mask, empty for DICOM.
        series_instance_uid: empty for NIfTI.
    """

    root: Path
    hu: NDArray[np.int16]
    organs: NDArray[np.uint8]
    affine_ijk_to_ras: NDArray[np.float64] | None
    positions_mm: tuple[float, ...]
    organ_centres_ras_mm: dict[str, tuple[float, float, float]]
    slices: tuple[PhantomSlice, ...] = field(default=())
    image_path: str = ""
    mask_path: str = ""
    series_instance_uid: str = ""
