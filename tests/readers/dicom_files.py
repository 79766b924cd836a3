"""DICOM files of known stored values, for the tests of readers."""

from __future__ import annotations

import io

import numpy as np
from blobs import CANARY
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
UID = "1.2.826.0.1.3680043.8.498.77"


def dataset(stored: NDArray[np.generic], *, bits: int | None = None, frames: int = 1, **attributes: object) -> Dataset:
    """An image in explicit VR little endian: (Y, X), (F, Y, X) with ``frames``, or (Y, X, 3)."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = SECONDARY, UID, "OT"
    image.PatientName, image.PatientID = CANARY, CANARY
    planes = stored if frames > 1 else stored[None]
    image.Rows, image.Columns = planes.shape[1:3]
    image.SamplesPerPixel = 3 if planes.ndim == 4 else 1
    if frames > 1:
        image.NumberOfFrames = frames
    image.PhotometricInterpretation = "RGB" if planes.ndim == 4 else "MONOCHROME2"
    if planes.ndim == 4:
        image.PlanarConfiguration = 0
    width = stored.dtype.itemsize * 8
    image.BitsAllocated, image.BitsStored = width, bits or width
    image.HighBit, image.PixelRepresentation = image.BitsStored - 1, int(stored.dtype.kind == "i")
    image.PixelData = stored.tobytes()
    image["PixelData"].VR = "OB" if width == 8 else "OW"
    if len(image.PixelData) % 2:
        image.PixelData += b"\0"
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    return image


def written(image: Dataset) -> bytes:
    stream = io.BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
