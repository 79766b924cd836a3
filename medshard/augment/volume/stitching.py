"""Windows of a sliding grid become one volume again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.errors import LoaderError

__all__ = ["stitch", "window_weights"]

_LEAST = 1e-3


def window_weights(size_zyx: Sequence[int], sigma: float = 0.125) -> NDArray[np.float32]:
    """(Z, Y, X) how much each voxel of a window counts: a Gaussian about its middle, the highest weight 1.

    A network knows least about what lies at a window's border, so that voxels in the middle count more (Isensee and
    others, Nature Methods 2021; MONAI's ``sliding_window_inference`` has the same weights and the same least, 0.001).

    Args:
        sigma: deviation as a share of each edge; ``math.inf`` for equal weights.
    """
    if not sigma > 0:
        raise LoaderError(f"window_weights: sigma is above 0; found {sigma!r}")
    weights = np.ones((), np.float64)
    for edge in size_zyx:
        from_middle = np.arange(edge) - (edge - 1) / 2
        along = np.exp(-0.5 * (from_middle / (sigma * edge)) ** 2) if math.isfinite(sigma) else np.ones(edge)
        weights = weights[..., None] * along
    return np.asarray(np.maximum(weights / weights.max(), _LEAST), np.float32)


def stitch(
    shape_zyx: Sequence[int],
    windows: Iterable[tuple[Sequence[int], NDArray[np.floating]]],
    weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(C, Z, Y, X) the weighted mean of overlapping windows; what a window has outside the volume is left out.

    Args:
        shape_zyx: of the volume on the grid of the windows.
        windows: (start_zyx, values (C, d, h, w)) of each, as ``GridCrop3D.starts`` gives the starts.
        weights: (d, h, w), see ``window_weights``.

    Raises:
        LoaderError: no window, one of another size than the weights, or a voxel that no window has.
    """
    total: NDArray[np.float32] | None = None
    share = np.zeros(tuple(shape_zyx), np.float32)
    for start, values in windows:
        if values.shape[1:] != weights.shape:
            raise LoaderError(f"stitch: weights are of {weights.shape}, a window is {values.shape[1:]}")
        if total is None:
            total = np.zeros((len(values), *shape_zyx), np.float32)
        ends = [(max(0, s), min(n, s + e)) for s, n, e in zip(start, shape_zyx, weights.shape, strict=True)]
        there = tuple(slice(low, high) for low, high in ends)
        own = tuple(slice(low - s, high - s) for (low, high), s in zip(ends, start, strict=True))
        for channel, given in zip(total, values, strict=True):
            channel[there] += given[own] * weights[own]
        share[there] += weights[own]
    if total is None or not share.min() > 0:
        raise LoaderError("stitch: there are voxels that no window has; say all windows of the grid")
    total /= share
    return total
