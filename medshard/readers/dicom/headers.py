"""Header attributes that may enter a source table, by allow-list, and the quiet reading of a data set."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medshard.errors import ReadError
from medshard.readers.base import Blob
from medshard.readers.limits import MAX_FILE_BYTES

__all__ = [
    "IDENTIFYING",
    "LISTED",
    "dicom_header",
    "frame_of_reference",
    "is_dicom",
    "numbers",
    "open_dataset",
    "quiet",
    "whole",
]

IDENTIFYING = (
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
    "StudyDate",
    "AccessionNumber",
)
"""Attributes that may group samples and make keys, but only after remapping; no fact may be made of them."""

LISTED = (
    "Modality",
    "SOPClassUID",
    "ImageType",
    "BodyPartExamined",
    "Laterality",
    "ImageLaterality",
    "ViewPosition",
    "PatientOrientation",
    "PatientSex",
    "PatientAge",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "TemporalPositionIdentifier",
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "FlipAngle",
    "TriggerTime",
    "RescaleType",
    "Units",
    "Manufacturer",
    "ManufacturerModelName",
    "DiffusionBValue",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "BurnedInAnnotation",
    *IDENTIFYING,
)
"""Attributes of a ``dicom`` source. Free text (descriptions, comments, names) is not among them."""

_HEAD_BYTES = 256 * 1024
_MAX_DEFLATED_BYTES = 64 * 2**20
_PLAUSIBLE_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_CARETS = (b"CS", b"DA", b"UI", b"UL", b"SH", b"LO", b"TM", b"OB", b"IS", b"PN", b"SQ", b"ST")


def is_dicom(head: bytes) -> bool:
    """By the prefix of PS3.10 7.1, or, for files without one, by a plausible first element of group 0002 or 0008."""
    if head[128:132] == b"DICM":
        return True
    if head[:2] not in _PLAUSIBLE_GROUPS or len(head) < 8 or (head[3:4] != b"\0" and head[:2] != b"\x00\x08"):
        return False
    explicit = head[4:6] in _CARETS
    implicit = head[:2] != b"\x00\x08" and int.from_bytes(head[4:8], "little") <= 128
    return explicit or implicit


@contextmanager
def quiet() -> Iterator[None]:
    """pydicom warns and logs with the values it finds; nothing of that may reach a log."""
    was_disabled = config.logger.disabled
    config.logger.disabled = True
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.logger.disabled = was_disabled


@contextmanager
def undamaged() -> Iterator[None]:
    """Where an item should be, a damaged file may have anything; pydicom's errors quote what they find.

    Raises:
        ReadError: in place of any other error, without its words.
    """
    try:
        with quiet():
            yield
    except ReadError:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises many types for damaged files
        raise ReadError(f"the DICOM file is damaged ({type(error).__name__})", error_class="damaged_dicom") from None


def open_dataset(data: bytes, *, pixels: bool) -> FileDataset:
    """Parse a file.

    Raises:
        ReadError: it is no DICOM file, is damaged, or would unpack to too much. The parser's words are not kept.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ReadError(f"has {len(data)} bytes, more than {MAX_FILE_BYTES}", error_class="too_large")
    if not is_dicom(data[:256]):
        raise ReadError("is no DICOM file", error_class="not_dicom")
    with undamaged():
        dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=not pixels)
        syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
        if syntax == DeflatedExplicitVRLittleEndian and len(data) > _MAX_DEFLATED_BYTES:
            raise ReadError("is deflated and too large to be unpacked", error_class="too_large")
        if not len(dataset):
            raise ReadError("the DICOM file has no attributes", error_class="empty_dataset")
    return dataset


def attribute(dataset: Any, keyword: str) -> Any:
    """An attribute's value; None when absent, empty or not to be parsed."""
    try:
        with quiet():
            value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - as above
        return None
    return None if value is None or value == "" else value


def numbers(dataset: Any, keyword: str) -> NDArray[np.float64] | None:
    """An attribute's numbers, all finite; None when absent or no numbers."""
    value = attribute(dataset, keyword)
    if value is None:
        return None
    items = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    try:
        found = np.array([float(item) for item in items], np.float64)
    except (TypeError, ValueError):
        return None
    return found if len(found) and np.isfinite(found).all() else None


def whole(dataset: Any, keyword: str) -> int | None:
    value = attribute(dataset, keyword)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        raise ReadError(f"{keyword} is no whole number", error_class="damaged_dicom") from None


def frame_of_reference(dataset: Any) -> str | None:
    """Frame of Reference UID (PS3.3 C.7.4.1); None when absent."""
    uid = attribute(dataset, "FrameOfReferenceUID")
    return str(uid) if uid is not None else None


def open_header(blob: Blob) -> FileDataset:
    """A file's attributes before its pixels, from its first bytes where they are enough.

    Raises:
        ReadError: the file is no DICOM file or its header is damaged.
    """
    data = blob.head(_HEAD_BYTES) if blob.head is not None else blob.read()
    try:
        return open_dataset(data, pixels=False)
    except ReadError:
        if len(data) < _HEAD_BYTES:
            raise
        return open_dataset(blob.read(), pixels=False)


def dicom_header(dataset: Any) -> dict[str, str | None]:
    """The listed attributes as text, multiple values joined with a backslash as in the file."""
    return {keyword: _text(attribute(dataset, keyword)) for keyword in LISTED}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return "\\".join(str(item) for item in value)
    return str(value)
