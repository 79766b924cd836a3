"""Points between the stored picture and the delivered one, from what a batch carries."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.augment.elastic import Elastic
from medshard.augment.frames import inverted

__all__ = ["to_delivered", "to_source"]


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
