"""What readers of volume files share: a parsed file becomes a picture, a volume or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medshard.errors import ReadError
from medshard.readers.base import AS_STORED, Blob, Image, Mask, Volume, VolumeOptions

__all__ = ["ParsedFile", "VolumeFileReader"]


@dataclass(frozen=True)
class ParsedFile:
    """A file that was read.

    Attributes:
        volume: its voxels and where they lie; of a file with two axes of space, Z is 1.
        space: axes of space: 2 or 3.
    """

    volume: Volume
    space: Literal[2, 3] = 3


class VolumeFileReader:
    """A reader of formats in which a file is a volume. A subclass says how a file is parsed."""

    name: str

    def parsed(self, blob: Blob) -> ParsedFile:
        """The file's voxels and geometry.

        Raises:
            ReadError: damaged, or of a kind that is not read.
        """
        raise NotImplementedError

    def image(self, blob: Blob) -> Image:
        """A file of one slice."""
        volume = self.parsed(blob).volume
        voxels = volume.voxels
        if voxels.shape[-3] != 1 or (voxels.ndim == 4 and voxels.shape[0] not in (3, 4)) or volume.axes == "TZYX":
            raise ReadError(f"has the shape {list(voxels.shape)}; say kind: volume", error_class="several_frames")
        if voxels.dtype not in (np.uint8, np.uint16, np.int16):
            raise ReadError(f"pixels of type {voxels.dtype} are not read as a picture", error_class="pixel_type")
        spacing = volume.spacing_zyx_mm
        return Image(
            pixels=voxels[0] if voxels.ndim == 3 else np.ascontiguousarray(np.moveaxis(voxels[:, 0], 0, -1)),
            bits=voxels.dtype.itemsize * 8,
            spacing_yx_mm=(spacing[1], spacing[2]) if spacing is not None else None,
            affine_ijk_to_ras=volume.affine_ijk_to_ras,
        )

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """One file: (Z, Y, X), or with an axis before them for time (T) or channels (C)."""
        if len(blobs) != 1:
            raise ReadError(
                f"{len(blobs)} {self.name} files for one volume; say channels:", error_class="several_files"
            )
        found = self.parsed(blobs[0])
        if found.space == 2:
            raise ReadError("has two axes of space; say kind: image", error_class="axes")
        return found.volume

    def labels(self, blob: Blob) -> Mask:
        """A label map: values as stored and scaled, on the file's grid."""
        found = self.parsed(blob)
        volume = found.volume
        if volume.voxels.ndim != 3:
            raise ReadError(f"a mask of shape {list(volume.voxels.shape)} is not read", error_class="mask")
        if found.space == 2:
            return Mask(volume.voxels[0], (), None, space=2, notes=volume.notes)
        return Mask(volume.voxels, (), volume.affine_ijk_to_ras, space=3, notes=volume.notes)
