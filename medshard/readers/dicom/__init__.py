"""DICOM: single and multi-frame images, and stacks of a series as volumes."""

from medshard.readers.dicom.headers import IDENTIFYING, dicom_header, open_header
from medshard.readers.dicom.reader import READER, DicomReader
from medshard.readers.dicom.series import SeriesAccount, StackHeader, Stacks, stack_header, stacks_of

__all__ = [
    "IDENTIFYING",
    "READER",
    "DicomReader",
    "SeriesAccount",
    "StackHeader",
    "Stacks",
    "dicom_header",
    "open_header",
    "stack_header",
    "stacks_of",
]
