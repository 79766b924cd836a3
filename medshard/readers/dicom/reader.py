"""The DICOM reader: one picture from one file, one volume from a file of frames or from the files of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medshard.errors import ReadError
from medshard.readers.base import AS_STORED, Blob, Image, Mask, Volume, VolumeOptions
from medshard.readers.dicom.headers import attribute, is_dicom, open_dataset, undamaged
from medshard.readers.dicom.picture import picture_affine, read_picture
from medshard.readers.dicom.pixels import stored_frames
from medshard.readers.dicom.segmentation import SEGMENTATIONS, read_fractions, read_segmentation
from medshard.readers.dicom.slices import PER_FRAME
from medshard.readers.dicom.structure_set import STRUCTURE_SET, read_structure_set
from medshard.readers.dicom.volume import read_stack, stored_stack
from medshard.readers.grid import ContourRules, Grid
from medshard.readers.limits import MAX_FRAMES

__all__ = ["READER", "DicomReader"]


class DicomReader:
    """Reads through pydicom; metadata beyond what ``Image`` and ``Volume`` name never leave."""

    name = "dicom"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the DICM prefix, or a plausible first element."""
        return is_dicom(head)

    def image(self, blob: Blob) -> Image:
        """One single-frame file."""
        with undamaged():
            return read_picture(blob.read())

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """Files of one stack: slices, multi-frame objects or mosaics; or the fractions of a segmentation."""
        if len(blobs) > MAX_FRAMES:
            raise ReadError(f"{len(blobs)} files, more than {MAX_FRAMES}", error_class="too_large")
        files = [blob.read() for blob in blobs]
        with undamaged():
            if len(files) == 1 and str(attribute(open_dataset(files[0], pixels=False), "SOPClassUID")) in SEGMENTATIONS:
                return read_fractions(open_dataset(files[0], pixels=True))
            return read_stack(files, options)

    def labels(self, blob: Blob) -> Mask:
        """A mask without its image: see ``placed_labels``."""
        return self.placed_labels(blob, None, ContourRules())

    def placed_labels(self, blob: Blob, grid: Grid | None, contours: ContourRules) -> Mask:
        """A segmentation, a structure set, or a mask that is stored as an image: stored values, as they are."""
        data = blob.read()
        with undamaged():
            dataset = open_dataset(data, pixels=False)
            kind = str(attribute(dataset, "SOPClassUID"))
            if kind in SEGMENTATIONS:
                return read_segmentation(open_dataset(data, pixels=True), grid)
            if kind == STRUCTURE_SET:
                return read_structure_set(dataset, grid, contours)
            return _stored_labels(dataset, data)


def _stored_labels(dataset: Any, data: bytes) -> Mask:
    frames, _ = stored_frames(dataset, data, as_stored=True)
    if len(frames) == 1:
        return Mask(frames[0], affine_ijk_to_ras=picture_affine(dataset), space=2)
    if PER_FRAME in dataset:
        made, voxels = stored_stack(dataset, frames)
        return Mask(voxels, affine_ijk_to_ras=made.affine, notes=made.notes)
    return Mask(frames, space=3)


READER = DicomReader()
