"""The DICOM reader: one picture from one file, one volume from a file of frames or from the files of a stack."""

from __future__ import annotations

from collections.abc import Sequence

from medshard.errors import ReadError
from medshard.readers.base import AS_STORED, Blob, Image, Mask, Volume, VolumeOptions
from medshard.readers.dicom.headers import is_dicom, open_dataset
from medshard.readers.dicom.picture import read_picture
from medshard.readers.dicom.pixels import stored_frames
from medshard.readers.dicom.volume import read_stack
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
        return read_picture(blob.read())

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """Files of one stack: slices, multi-frame objects or mosaics."""
        if len(blobs) > MAX_FRAMES:
            raise ReadError(f"{len(blobs)} files, more than {MAX_FRAMES}", error_class="too_large")
        return read_stack([blob.read() for blob in blobs], options)

    def labels(self, blob: Blob) -> Mask:
        """A mask that is stored as a DICOM image: stored values, as they are."""
        data = blob.read()
        frames, _ = stored_frames(open_dataset(data, pixels=False), data, as_stored=True)
        if len(frames) == 1:
            return Mask(frames[0], space=2)
        return Mask(frames, space=3)


READER = DicomReader()
