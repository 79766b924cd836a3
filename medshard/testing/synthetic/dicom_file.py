"""Write DICOM files whose every UID and date follows from a name."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.canary import plant_in_dicom

__all__ = ["named_date", "named_uid", "new_image", "save_image"]

_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def named_uid(*names: str | int) -> str:
    """A UID below 2.25, the root for UIDs that are one 128-bit number (PS3.5 annex B.2), from a hash of the names."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def named_date(day: int) -> str:
    """An invented study date (DA), counted in days from the start of 2001."""
    return (date(2001, 1, 1) + timedelta(days=day)).strftime("%Y%m%d")


def new_image(
    sop_class_uid: str, uids: dict[str, str], pixels: NDArray[np.uint16], *, implicit_vr: bool = False
) -> Any:
    """A data set with identity, empty type 2 attributes of patient, study and equipment, and 12-bit grey pixels.

    Args:
        sop_class_uid: what the object is.
        uids: ``SOPInstanceUID``, ``SeriesInstanceUID``, ``StudyInstanceUID`` and more by keyword.
        pixels: (Y, X), values below 4096.
        implicit_vr: write implicit instead of explicit value representations.
    """
    from pydicom.dataset import Dataset, FileMetaDataset

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = uids["SOPInstanceUID"]
    dataset.file_meta.TransferSyntaxUID = _IMPLICIT_VR_LITTLE_ENDIAN if implicit_vr else _EXPLICIT_VR_LITTLE_ENDIAN
    dataset.file_meta.ImplementationClassUID = named_uid("medshard", "synthetic")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = sop_class_uid
    for keyword, uid in uids.items():
        setattr(dataset, keyword, uid)
    for keyword in [
        "PatientName",
        "PatientBirthDate",
        "StudyTime",
        "ReferringPhysicianName",
        "AccessionNumber",
        "StudyID",
        "Manufacturer",
        "PositionReferenceIndicator",
    ]:
        setattr(dataset, keyword, "")
    rows, columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    data = pixels.astype("<u2").tobytes()
    # The VR of an attribute that has a choice of OB or OW must be said, else explicit files cannot be written.
    dataset.add_new("PixelData", "OW", data)
    return dataset


def save_image(path: Path, dataset: Any, canary: str | None) -> None:
    """Write a PS3.10 file; see ``canary.plant_in_dicom``."""
    if canary is not None:
        plant_in_dicom(dataset, canary)
    dataset.save_as(path, enforce_file_format=True)
