"""DICOM files of known stored values and layouts, for the tests of the native decoder."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

CANARY = "Qanar^Yphone"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


def image(stored: NDArray[np.generic], *, frames: bool = False, bits: int | None = None, **more: object) -> Dataset:
    """(Y, X), (Y, X, 3), or with ``frames`` one axis before them; explicit little endian until told otherwise."""
    planes = stored if frames else stored[None]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SECONDARY
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.9"
    dataset.PatientName = dataset.PatientID = CANARY
    dataset.Rows, dataset.Columns = planes.shape[1:3]
    dataset.SamplesPerPixel = 3 if planes.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if planes.ndim == 4 else "MONOCHROME2"
    if planes.ndim == 4:
        dataset.PlanarConfiguration = 0
    if frames:
        dataset.NumberOfFrames = len(planes)
    dataset.BitsAllocated = stored.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(stored.dtype.kind == "i")
    dataset.add_new("PixelData", "OB" if dataset.BitsAllocated == 8 else "OW", padded(stored.tobytes()))
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    return dataset


def padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def written(dataset: Dataset, syntax: str | None = None) -> bytes:
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def encapsulated(dataset: Dataset, syntax: str, frames: Sequence[bytes], **options: object) -> bytes:
    """The same file with these coded frames; ``options`` are of pydicom's ``encapsulate``."""
    dataset.add_new("PixelData", "OB", encapsulate(list(frames), **options))
    dataset["PixelData"].is_undefined_length = True
    return written(dataset, syntax)


def rle_frame(frame: NDArray[np.generic]) -> bytes:
    """PS3.5 annex G: a segment for each byte of each sample, the most significant first; mixed literals and runs."""
    planes = frame[..., None] if frame.ndim == 2 else frame
    segments = []
    for c in range(planes.shape[-1]):
        plane = np.ascontiguousarray(planes[..., c])
        columns = plane.reshape(-1).view(np.uint8).reshape(plane.size, -1)[:, ::-1]
        segments += [padded(packbits(columns[:, byte].tobytes())) for byte in range(columns.shape[1])]
    offsets, place = [len(segments)], 64
    for segment in segments:
        offsets.append(place)
        place += len(segment)
    offsets += [0] * (16 - len(offsets))
    return np.array(offsets, "<u4").tobytes() + b"".join(segments)


def packbits(data: bytes) -> bytes:
    out, at = b"", 0
    while at < len(data):
        run = 1
        while run < 128 and data[at : at + 1] * (run + 1) == data[at : at + run + 1]:
            run += 1
        if run > 1:
            out, at = out + bytes([257 - run, data[at]]), at + run
            continue
        length = 1
        while length < 128 and at + length + 1 < len(data) and data[at + length] != data[at + length + 1]:
            length += 1
        length = min(length, len(data) - at)
        out, at = out + bytes([length - 1]) + data[at : at + length], at + length
    return out


def rle_file(stored: NDArray[np.generic], *, frames: bool = False, **more: object) -> bytes:
    planes = stored if frames else stored[None]
    return encapsulated(image(stored, frames=frames, **more), RLELossless, [rle_frame(plane) for plane in planes])  # type: ignore[arg-type]


def nested(depth: int, *, undefined: bool) -> Items:
    """Sequences within sequences, with a value that looks like pixels in the innermost."""
    inner = Dataset()
    inner.add_new("PatientComments", "LT", CANARY)
    inner.Rows, inner.Columns, inner.BitsAllocated = 7, 7, 8
    inner.is_undefined_length_sequence_item = undefined
    for _ in range(depth):
        outer = Dataset()
        outer.is_undefined_length_sequence_item = undefined
        outer.ReferencedImageSequence = Items([inner])
        outer["ReferencedImageSequence"].is_undefined_length = undefined
        inner = outer
    return Items([inner])
