"""DICOM segmentations and structure sets of known content, for the tests of masks. Written with pydicom alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from blobs import CANARY
from dicom_files import UID, dataset
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from medshard.readers.grid import Grid

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
FRAME = "1.2.826.0.1.3680043.8.498.2"
LIVER, KIDNEY, LEFT = ("10200004", "SCT"), ("64033007", "SCT"), ("7771000", "SCT")
BACKGROUND = ("125040", "DCM")
SPACING_YX = (0.75, 0.5)
GAP_MM = 2.5
ORIGIN_LPS = np.array([-31.5, 22.25, -100.0])
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def image_grid(
    slices: int = 5,
    rows: int = 7,
    columns: int = 9,
    orientation: object = AXIAL,
    spacing_yx: tuple[float, float] = SPACING_YX,
) -> Grid:
    """The grid of an image from ORIGIN_LPS, slices along the normal, with an identity for each."""
    row, column = np.array(orientation, float)
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = row * spacing_yx[1], column * spacing_yx[0]
    lps[:3, 2], lps[:3, 3] = np.cross(row, column) * GAP_MM, ORIGIN_LPS
    uids = tuple(f"{UID}.{place}" for place in range(slices))
    return Grid((slices, rows, columns), np.diag([-1.0, -1, 1, 1]) @ lps, 3, uids, FRAME)


def coded(code: tuple[str, str], **more: object) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[0], code[1], "words"
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def segment(number: int, code: tuple[str, str] = LIVER, modifier: tuple[str, str] | None = None) -> Dataset:
    """An item of the Segment Sequence."""
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel = number, "any words"
    kind = coded(code)
    if modifier is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = Items([coded(modifier)])
    item.SegmentedPropertyTypeCodeSequence = Items([kind])
    return item


def frame(grid: Grid, place: int, number: int | None, *, source: str | None = None, position: bool = True) -> Dataset:
    """The functional groups of a frame on slice ``place``."""
    groups = Dataset()
    if position:
        assert grid.affine_ijk_to_ras is not None
        ras = grid.affine_ijk_to_ras @ [0, 0, place, 1]
        item = Dataset()
        item.ImagePositionPatient = [f"{value:.8f}"[:16] for value in ras[:3] * [-1, -1, 1]]
        groups.PlanePositionSequence = Items([item])
    if number is not None:
        item = Dataset()
        item.ReferencedSegmentNumber = number
        groups.SegmentIdentificationSequence = Items([item])
    if source is not None:
        image, derivation = Dataset(), Dataset()
        image.ReferencedSOPInstanceUID = source
        derivation.SourceImageSequence = Items([image])
        groups.DerivationImageSequence = Items([derivation])
    return groups


def segmentation(
    frames: NDArray[np.uint8],
    groups: Sequence[Dataset],
    segments: Sequence[Dataset],
    kind: str = "BINARY",
    **more: object,
) -> Dataset:
    """A segmentation of frames (F, Y, X); BINARY is packed into bits."""
    out = dataset(np.asarray(frames, np.uint8), frames=max(len(frames), 2))
    out.NumberOfFrames = len(frames)
    out.Rows, out.Columns = frames.shape[1:]
    out.SOPClassUID, out.Modality = (LABEL_MAP if kind == "LABELMAP" else SEG), "SEG"
    out.SegmentationType = kind
    out.FrameOfReferenceUID = FRAME
    if kind == "BINARY":
        out.BitsAllocated, out.BitsStored, out.HighBit = 1, 1, 0
        packed = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
        out.PixelData = packed + b"\0" * (len(packed) % 2)
    if kind == "FRACTIONAL":
        out.SegmentationFractionalType, out.MaximumFractionalValue = "PROBABILITY", 200
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [str(value) for value in np.ravel(AXIAL)]
    measures.PixelSpacing = [str(value) for value in SPACING_YX]
    measures.SpacingBetweenSlices = str(GAP_MM)
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([orientation]), Items([measures])
    out.SharedFunctionalGroupsSequence = Items([shared])
    out.PerFrameFunctionalGroupsSequence = Items(groups)
    out.SegmentSequence = Items(segments)
    for keyword, value in more.items():
        if value is None:
            delattr(out, keyword)
        else:
            setattr(out, keyword, value)
    return out


def contour(
    grid: Grid, place: float, points_ij: object, kind: str = "CLOSED_PLANAR", image: str | None = None
) -> Dataset:
    """A contour through index points (N, 2) i, j at index k ``place``."""
    assert grid.affine_ijk_to_ras is not None
    points = np.asarray(points_ij, float)
    index = np.column_stack([points, np.full(len(points), place), np.ones(len(points))])
    lps = (index @ grid.affine_ijk_to_ras.T)[:, :3] * [-1, -1, 1]
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
    item.ContourData = [f"{value:.8f}"[:16] for value in lps.reshape(-1)]
    if image is not None:
        reference = Dataset()
        reference.ReferencedSOPInstanceUID = image
        item.ContourImageSequence = Items([reference])
    return item


def structure_set(rois: dict[str, Sequence[Dataset]], frame_uid: str = FRAME) -> Dataset:
    """A structure set of ROI name → contours, numbered from 1."""
    out = Dataset()
    out.file_meta = FileMetaDataset()
    out.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out.SOPClassUID, out.SOPInstanceUID, out.Modality = "1.2.840.10008.5.1.4.1.1.481.3", UID, "RTSTRUCT"
    out.PatientName, out.PatientID = CANARY, CANARY
    names, drawn = [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, shape = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, frame_uid
        shape.ReferencedROINumber, shape.ContourSequence = number, Items(contours)
        names.append(roi)
        drawn.append(shape)
    out.StructureSetROISequence, out.ROIContourSequence = Items(names), Items(drawn)
    return out
