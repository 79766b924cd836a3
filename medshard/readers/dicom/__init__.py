"""DICOM: single and multi-frame images, and series as volumes."""

from medshard.readers.dicom.headers import IDENTIFYING, dicom_header
from medshard.readers.dicom.reader import READER, DicomReader

__all__ = ["IDENTIFYING", "READER", "DicomReader", "dicom_header"]
