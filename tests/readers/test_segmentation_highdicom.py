"""Segmentations that highdicom writes, of every type and in several encodings, come back as they were put in."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
from blobs import blob
from dicom_files import CT, UID, dataset, written
from mask_files import FRAME, image_grid
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from medshard.readers import read_labels
from medshard.readers.base import Mask

SLICES, ROWS, COLUMNS = 5, 33, 37
GRID = image_grid(SLICES, ROWS, COLUMNS)
RANDOM = np.random.default_rng(8)
PARTS = (RANDOM.random((SLICES, ROWS, COLUMNS, 2)) < 0.3).astype(np.uint8)
PARTS[[0, 3]] = 0  # empty slices are not written


@pytest.fixture(scope="module")
def highdicom() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("highdicom", reason="highdicom is not installed: pip install highdicom")


def source() -> list[Dataset]:
    slices = []
    for place in range(SLICES):
        ras = GRID.affine_ijk_to_ras @ [0, 0, place, 1]
        slice_ = dataset(
            np.zeros((ROWS, COLUMNS), np.int16),
            SOPClassUID=CT,
            SOPInstanceUID=GRID.sop_instance_uids[place],
            SeriesInstanceUID=UID,
            StudyInstanceUID=f"{UID}.1",
            FrameOfReferenceUID=FRAME,
            Modality="CT",
            InstanceNumber=place + 1,
            ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            ImagePositionPatient=[f"{value:.6f}" for value in ras[:3] * [-1, -1, 1]],
            PixelSpacing=["0.75", "0.5"],
            SliceThickness="2.5",
            PatientBirthDate="",
            PatientSex="O",
            AccessionNumber="",
            StudyID="1",
            StudyDate="20200101",
            StudyTime="101010",
            ReferringPhysicianName="",
            SeriesNumber=1,
        )
        slices.append(dcmread(io.BytesIO(written(slice_))))
    return slices


def stored(highdicom: Any, pixels: NDArray[Any], kind: str, syntax: str) -> Mask:
    """What the reader makes of a file that highdicom wrote; the slices were given in reverse order."""
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="a", version="1", family=codes.DCM.ArtificialIntelligence
    )
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label="any words",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=code,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, code in enumerate([codes.SCT.Liver, codes.SCT.Spleen], start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = highdicom.seg.Segmentation(
            source_images=source()[::-1],
            pixel_array=pixels[::-1],
            segmentation_type=kind,
            segment_descriptions=segments,
            series_instance_uid=f"{UID}.9",
            series_number=9,
            sop_instance_uid=f"{UID}.10",
            instance_number=1,
            manufacturer="a",
            manufacturer_model_name="b",
            software_versions="1",
            device_serial_number="1",
            transfer_syntax_uid=syntax,
            max_fractional_value=250,
        )
        stream = io.BytesIO()
        made.save_as(stream)
    return read_labels(blob(stream.getvalue(), "a.dcm"), GRID)


def part(mask: Mask, name: str) -> NDArray[np.bool_]:
    (value,) = [value for value, other in mask.names.items() if other == name]
    hit = mask.labels == value
    return np.asarray(hit if hit.ndim == 3 else hit.any(axis=0))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda uid: uid.name)
def test_binary_segments_that_overlap(highdicom: Any, syntax: str) -> None:
    mask = stored(highdicom, PARTS, "BINARY", syntax)
    assert np.array_equal(part(mask, "SCT:10200004"), PARTS[..., 0] != 0)
    assert np.array_equal(part(mask, "SCT:78961009"), PARTS[..., 1] != 0)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_label_maps(highdicom: Any, syntax: str) -> None:
    labels = np.where(PARTS[..., 0] != 0, 1, 2 * PARTS[..., 1]).astype(np.uint8)
    mask = stored(highdicom, labels, "LABELMAP", syntax)
    assert np.array_equal(mask.labels, labels)
    assert mask.names == {1: "SCT:10200004", 2: "SCT:78961009"}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_fractions(highdicom: Any, syntax: str) -> None:
    shares = RANDOM.random((SLICES, ROWS, COLUMNS, 2)) * PARTS
    mask = stored(highdicom, shares, "FRACTIONAL", syntax)
    assert (mask.fraction, mask.fraction_maximum) == ("probability", 250)
    assert mask.layers == ("SCT:10200004", "SCT:78961009")
    assert np.abs(np.moveaxis(mask.labels, 0, -1) / 250 - shares).max() <= 0.5 / 250 + 1e-9
