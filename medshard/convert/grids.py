"""Whether two media lie on one grid."""

from __future__ import annotations

import numpy as np

from medshard.errors import GeometryError
from medshard.readers.base import Affine

__all__ = ["same_grid"]

_GRID_TOLERANCE_MM = 1e-3


def same_grid(
    slot: str,
    shape: tuple[int, ...],
    affine: Affine | None,
    other: tuple[int, ...],
    other_affine: Affine | None,
) -> None:
    if tuple(shape[-3:]) != tuple(other[-3:]):
        raise GeometryError(
            f"{slot}: grids differ: {list(other)} voxels against {list(shape)}", error_class="grid_mismatch"
        )
    if affine is None or other_affine is None:
        return
    corners = np.array(np.meshgrid([0, shape[-1]], [0, shape[-2]], [0, shape[-3]])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart_mm = float(np.abs((affine - other_affine) @ corners).max())
    if apart_mm > _GRID_TOLERANCE_MM:
        raise GeometryError(f"{slot}: grids lie {apart_mm:.3g} mm apart at a corner", error_class="grid_mismatch")
