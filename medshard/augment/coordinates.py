"""Points between the stored picture, or the volume that it shows, and the delivered one, from what a batch carries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.augment.elastic import Elastic
from medshard.augment.frames import inverted

__all__ = ["from_voxels", "to_delivered", "to_source", "to_voxels"]


def to_source(points_xy: Any, geometry: Any, elastic: Elastic | None = None) -> NDArray[np.float64]:
    """Where delivered points lie in the stored picture.

    Args:
        points_xy: (..., 2), continuous pixels: the middle of the first pixel is (0.5, 0.5).
        geometry: (2, 3), an item of ``batch["geometry"]``.
        elastic: the item of ``batch["elastic"]``, where the transform has an ElasticTransform.

    Returns:
        (..., 2) float64.
    """
    if elastic is not None:
        return elastic.to_stored(np.asarray(points_xy, np.float64))
    matrix = inverted(np.asarray(geometry, np.float64))
    return np.asarray(np.asarray(points_xy, np.float64) @ matrix[:, :2].T + matrix[:, 2], np.float64)


def to_delivered(points_xy: Any, geometry: Any, elastic: Elastic | None = None) -> NDArray[np.float64]:
    """Where stored points are seen in the delivered picture; the inverse of ``to_source``.

    Through an elastic displacement the point is found by iteration, to 1e-6 pixel.
    """
    if elastic is not None:
        return elastic.to_delivered(np.asarray(points_xy, np.float64))
    matrix = np.asarray(geometry, np.float64)
    return np.asarray(np.asarray(points_xy, np.float64) @ matrix[:, :2].T + matrix[:, 2], np.float64)


def to_voxels(
    points_xy: Any, voxels_from_picture: Any, geometry: Any, elastic: Elastic | None = None
) -> NDArray[np.float64]:
    """Where delivered points lie in the volume, on the plane that is shown; of a slab, on its middle plane.

    Args:
        points_xy, geometry, elastic: as for ``to_source``.
        voxels_from_picture: (3, 4), of the picture or tile, from ``batch["voxels_from_picture"]``.

    Returns:
        (..., 3) float64, voxel indices z y x; whole numbers are centres.
    """
    matrix = np.asarray(voxels_from_picture, np.float64)
    picture = to_source(points_xy, geometry, elastic)
    return np.asarray(picture @ matrix[:, :2].T + matrix[:, 3], np.float64)


def from_voxels(
    points_zyx: Any, voxels_from_picture: Any, geometry: Any, elastic: Elastic | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where voxels are seen in the delivered picture: the inverse of ``to_voxels``.

    Returns:
        points_xy (..., 2), and (...) how many planes each lies behind the one that is shown, in the order of planes.
    """
    matrix = np.asarray(voxels_from_picture, np.float64)
    picture = (np.asarray(points_zyx, np.float64) - matrix[:, 3]) @ np.linalg.inv(matrix[:, :3]).T
    return to_delivered(picture[..., :2], geometry, elastic), np.asarray(picture[..., 2], np.float64)
