"""Write a chest radiograph as a CR or DX object.

Source: DICOM PS3.3 A.2 and C.8.1 (CR), A.26 and C.8.11 (DX).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.dicom_file import named_date, named_uid, new_image, save_image
from medshard.testing.synthetic.truth import ChestImage

__all__ = ["write_chest_dicom"]

_CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
_DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"


def write_chest_dicom(
    path: Path, image: ChestImage, shown: NDArray[np.uint16], *, seed: int, day: int, canary: str | None
) -> None:
    """Write one radiograph; MONOCHROME1 pixels are stored turned over.

    A calibrated ``PixelSpacing`` makes it a CR object; only ``ImagerPixelSpacing``, a DX object, which asks for it.

    Args:
        path: the file.
        image: all that the header says.
        shown: (Y, X), 12 bits, dense is bright.
        seed: goes into the UIDs.
        day: of the study, see ``named_date``.
        canary: see ``canary.plant_in_dicom``.
    """
    assert image.spacing_yx_mm is not None  # a DICOM radiograph of this set always has one of the two spacings
    assert image.sop_instance_uid is not None
    is_dx = image.spacing_keyword == "ImagerPixelSpacing"
    uids = {
        "SOPInstanceUID": image.sop_instance_uid,
        "SeriesInstanceUID": named_uid(seed, "chest", image.study_id, "series", Path(image.path).stem),
        "StudyInstanceUID": named_uid(seed, "chest", image.study_id, "study"),
    }
    turned_over = image.photometric == "MONOCHROME1"
    stored = (4095 - shown) if turned_over else shown
    dataset = new_image(
        _DX_FOR_PRESENTATION if is_dx else _CR_IMAGE, uids, stored, implicit_vr=turned_over and not is_dx
    )
    dataset.PatientID = image.patient_id
    dataset.PatientSex = image.sex
    dataset.PatientAge = f"{image.age_years:03d}Y"
    dataset.StudyDate = named_date(day)
    dataset.Modality = "DX" if is_dx else "CR"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = image.view
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PatientOrientation = ["L", "F"]
    dataset.BurnedInAnnotation = "NO"
    dataset.PhotometricInterpretation = image.photometric
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    setattr(dataset, image.spacing_keyword or "", list(image.spacing_yx_mm))
    if is_dx:
        _add_dx(dataset, turned_over=turned_over)
    save_image(path, dataset, canary)


def _add_dx(dataset: object, *, turned_over: bool) -> None:
    """What the DX modules ask for beyond CR."""
    from pydicom.dataset import Dataset

    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    values = {
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageLaterality": "U",
        "AnatomicRegionSequence": [region],
        "AcquisitionContextSequence": [],
        "DetectorType": "DIRECT",
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": 1 if turned_over else -1,
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "PresentationLUTShape": "INVERSE" if turned_over else "IDENTITY",
        "LossyImageCompression": "00",
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
