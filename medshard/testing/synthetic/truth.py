"""Ground truth that the synthetic scanners return: what was painted, and the files that hold it.

Paths are relative to ``root``, with forward slashes. Boxes are in continuous pixels (see ``paint.BoxXYXY``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medshard.testing.synthetic.paint import BoxXYXY

__all__ = [
    "BreastImage",
    "BreastTruth",
    "ChestImage",
    "ChestTruth",
    "Lesion",
    "PaintedFinding",
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
    """One picture of the breast set. ``lesions`` has one entry a mask file, also for a normal's empty mask."""

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
