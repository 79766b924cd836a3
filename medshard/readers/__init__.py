"""Media → array + geometry. Readers are found by content first, then by name."""

from __future__ import annotations

from collections.abc import Sequence

from medshard.errors import ReadError
from medshard.readers.base import AS_STORED, Blob, Image, Mask, Reader, Volume, VolumeOptions
from medshard.readers.grid import ContourRules, Grid, PlacedReader
from medshard.registry import Entry, Registry

__all__ = ["READERS", "format_of", "loaded", "read_image", "read_labels", "read_volume", "reader_for"]

READERS: Registry[Reader] = Registry(
    "reader",
    {
        "dicom": Entry("medshard.readers.dicom:READER"),
        "nifti": Entry("medshard.readers.nifti:READER"),
        "analyze": Entry("medshard.readers.analyze:READER"),
        "nrrd": Entry("medshard.readers.nrrd:READER"),
        "metaimage": Entry("medshard.readers.metaimage:READER"),
        "mgh": Entry("medshard.readers.mgh:READER"),
        "parrec": Entry("medshard.readers.nibabel_files:PARREC"),
        "minc": Entry("medshard.readers.nibabel_files:MINC"),
        "afni": Entry("medshard.readers.nibabel_files:AFNI"),
        "ome_zarr": Entry("medshard.readers.ome_zarr:READER"),
        "raster": Entry("medshard.readers.raster:READER"),
    },
)

_HEAD_BYTES = 512
_REFUSED = {b"MATRIX7": "an ECAT 7 file", b"TRACK\0": "a tractogram", b"mrtrix tracks": "a tractogram"}
"""What is known and not read, by how it begins."""


def reader_for(head: bytes, path: str) -> Reader:
    """The reader of a file.

    Args:
        head: its first 512 bytes.

    Raises:
        ReadError: no reader knows it.
    """
    if not head:
        raise ReadError("the file is empty", error_class="empty_file")
    for name in READERS:
        reader = READERS.get(name)
        if reader.sniff(head, path):
            return reader
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise ReadError(f"is {what}, which is not read", error_class="unsupported")
    if b"<GIFTI" in head:
        raise ReadError("is a surface (GIFTI), which is not read", error_class="unsupported")
    raise ReadError(f"is of no format that is read; formats: {', '.join(READERS)}", error_class="unknown_format")


def format_of(blob: Blob) -> str:
    """The name of the reader of a file.

    Raises:
        ReadError: no reader knows it.
    """
    return reader_for(blob.read()[:_HEAD_BYTES], blob.path).name


def loaded(blob: Blob) -> Blob:
    """The same file with its bytes read once."""
    data = blob.read()
    return Blob(blob.path, len(data), lambda: data, beside=blob.beside)


def read_image(blob: Blob) -> Image:
    """One 2D picture; see ``Reader.image``."""
    blob = loaded(blob)
    return reader_for(blob.read()[:_HEAD_BYTES], blob.path).image(blob)


def read_volume(blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
    """One volume; see ``Reader.volume``."""
    read = [loaded(blob) for blob in blobs]
    return reader_for(read[0].read()[:_HEAD_BYTES], read[0].path).volume(read, options)


def read_labels(blob: Blob, grid: Grid | None = None, contours: ContourRules | None = None) -> Mask:
    """Stored values of a mask file; see ``Reader.labels``.

    Args:
        grid: of the image that the mask is of, for masks that are stored as places in space.
        contours: how such a mask of contours is drawn.
    """
    blob = loaded(blob)
    reader = reader_for(blob.read()[:_HEAD_BYTES], blob.path)
    if isinstance(reader, PlacedReader):
        return reader.placed_labels(blob, grid, contours or ContourRules())
    return reader.labels(blob)
