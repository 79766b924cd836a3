"""Masks that are stored as places in space, and the grid of the image on which they are laid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from medshard.readers.base import Affine, Blob, Mask

__all__ = ["ContourRules", "Grid", "PlacedReader"]


@dataclass(frozen=True)
class Grid:
    """Where the pixels of an image lie.

    Attributes:
        shape_zyx: voxels along each axis; a picture has one slice.
        affine_ijk_to_ras: (4, 4), index (i fastest) of a voxel's centre to RAS mm; None when unknown. Of a single
            slice the third column may be its unit normal.
        space: axes of space of the image: 2 or 3.
        sop_instance_uids: DICOM identity of each slice in the order of Z, or of each slice of each time one after
            another; empty when unknown.
        frame_of_reference_uid: of DICOM media.
        slice_names: what the spec calls each slice, in the order of Z; empty when it names none.
    """

    shape_zyx: tuple[int, int, int]
    affine_ijk_to_ras: Affine | None = None
    space: int = 3
    sop_instance_uids: tuple[str, ...] = ()
    frame_of_reference_uid: str | None = None
    slice_names: tuple[str, ...] = ()

    @property
    def slice_step_mm(self) -> float | None:
        """Distance of slices along their normal; None of a single slice or without an affine."""
        if self.affine_ijk_to_ras is None or self.shape_zyx[0] == 1:
            return None
        in_plane = self.affine_ijk_to_ras[:3, :2]
        normal = np.cross(in_plane[:, 0], in_plane[:, 1])
        return abs(float(normal @ self.affine_ijk_to_ras[:3, 2])) / float(np.linalg.norm(normal))

    def index_of(self, ras_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Continuous index (i, j, k) of points (N, 3) in RAS mm; the grid must have an affine."""
        assert self.affine_ijk_to_ras is not None
        inverse = np.linalg.inv(self.affine_ijk_to_ras)
        return np.asarray(ras_mm @ inverse[:3, :3].T + inverse[:3, 3])

    def slice_of(self, sop_instance_uid: str | None) -> int | None:
        """The slice of that identity; None when there is none, or when slices have no identity each."""
        if sop_instance_uid is None or sop_instance_uid not in self.sop_instance_uids:
            return None
        if len(self.sop_instance_uids) % self.shape_zyx[0]:
            return None
        return self.sop_instance_uids.index(sop_instance_uid) % self.shape_zyx[0]


@dataclass(frozen=True)
class ContourRules:
    """How contours become voxels where the file leaves it open; what is not declared is refused.

    Attributes:
        off_plane: a contour between two slices: refused, or drawn on the nearest.
        outside: a contour above or below all slices: refused, or left out.
        overlap: contours of one structure that lie over one another: what lies in two of them is outside
            (``even_odd``, so that a contour in a contour is a hole), or inside (``union``). Contours that the file
            itself declares as exclusive are always even-odd.
    """

    off_plane: Literal["refuse", "nearest"] = "refuse"
    outside: Literal["refuse", "leave_out"] = "refuse"
    overlap: Literal["even_odd", "union"] = "even_odd"


@runtime_checkable
class PlacedReader(Protocol):
    """A reader of masks that need the grid of their image."""

    def placed_labels(self, blob: Blob, grid: Grid | None, contours: ContourRules) -> Mask:
        """The mask, on ``grid`` where it lies on it.

        Raises:
            ReadError: the file is damaged or of a kind that is not read.
            GeometryError: it contradicts the grid, or needs one.
        """
        ...
