"""dicompyler: the one CT slice is the only image; key: example_data/ct.0.dcm. Plan and structures are not."""

from __future__ import annotations

from pathlib import Path

import pydicom

from .dicom_volume import sample_of_slices
from .expected import Expected


def expected(root: Path) -> Expected:
    folder = root / "example_data"
    ct, structures = pydicom.dcmread(folder / "ct.0.dcm"), pydicom.dcmread(folder / "rtss.dcm")
    refused = {f"example_data/{n}": pydicom.dcmread(folder / n).Modality for n in ("rtplan.dcm", "rtss.dcm")}
    contours = [c for roi in structures.ROIContourSequence for c in roi.get("ContourSequence", [])]
    targets = [i.ReferencedSOPInstanceUID for c in contours for i in c.get("ContourImageSequence", [])]
    counts = {
        "rois": len(structures.StructureSetROISequence),
        "contours": len(contours),
        "contours_on_the_slice": targets.count(ct.SOPInstanceUID),
        "slices_referenced": len(set(targets)),
        "slices_referenced_and_missing": len(set(targets) - {ct.SOPInstanceUID}),
    }
    left_out = {f"modality.{modality}": 1 for modality in refused.values()}
    return Expected({"example_data/ct.0.dcm": sample_of_slices([ct])}, counts, left_out, refused)
