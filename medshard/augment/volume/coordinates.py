"""Points between a stored volume and a crop of it, from what a batch carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from medshard.augment.volume.geometry import Elastic3D, Floats
from medshard.augment.volume.native import displaced

__all__ = ["to_crop", "to_stored"]

_STEPS = 60


def to_stored(points_ijk: Any, geometry: Any, elastic: Elastic3D | None = None) -> Floats:
    """Where points of a crop lie in the stored volume.

    Args:
        points_ijk: (..., 3) voxel indices; whole numbers are centres.
        geometry: (3, 4), an item of ``batch["geometry"]``.
        elastic: the item of ``batch["elastic"]``, where the transform has an ElasticTransform3D.
    """
    points = np.asarray(points_ijk, np.float64)
    if elastic is None:
        return _through(_inverse(np.asarray(geometry, np.float64)), points)
    moved = displaced(elastic, _through(elastic.plane_from_output_zyx, points[..., ::-1]))
    return np.ascontiguousarray(_through(elastic.source_from_plane_zyx, moved)[..., ::-1])


def to_crop(points_ijk: Any, geometry: Any, elastic: Elastic3D | None = None) -> Floats:
    """Where stored points are seen in a crop; the inverse of ``to_stored``.

    Through an elastic displacement the point is found by iteration, to 1e-6 voxel. Where the displacement is so strong
    that it folds, a stored point may be seen several times; one is given.
    """
    points = np.asarray(points_ijk, np.float64)
    if elastic is None:
        return _through(np.asarray(geometry, np.float64), points)
    wanted = _through(_inverse(elastic.source_from_plane_zyx), points[..., ::-1])
    found = wanted.copy()
    for step in range(_STEPS):
        off = displaced(elastic, found) - wanted
        if np.abs(off).max(initial=0.0) < 1e-7:
            break
        found = found - off * (1.0 if step < _STEPS // 2 else 0.5)
    return np.ascontiguousarray(_through(_inverse(elastic.plane_from_output_zyx), found)[..., ::-1])


def _through(matrix: Floats, points: Floats) -> Floats:
    return np.asarray(points @ matrix[:, :3].T + matrix[:, 3], np.float64)


def _inverse(matrix: Floats) -> Floats:
    linear = np.linalg.inv(matrix[:, :3])
    return np.asarray(np.concatenate([linear, -linear @ matrix[:, 3:]], 1), np.float64)
