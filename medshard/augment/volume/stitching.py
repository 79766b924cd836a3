"""Windows of a sliding grid become one volume again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.errors import LoaderError

__all__ = ["WindowAccumulator", "stitch", "window_weights"]

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


class WindowAccumulator:
    """The weighted mean of overlapping windows of one volume, window by window.

    Args:
        shape_zyx: of the volume on the grid of the windows.
        weights: (d, h, w), see ``window_weights``.

    Attributes:
        windows: how many were added.
    """

    def __init__(self, shape_zyx: Sequence[int], weights: NDArray[np.float32]) -> None:
        self._shape, self._weights = tuple(int(n) for n in shape_zyx), weights
        self._total: NDArray[np.float32] | None = None
        self._share = np.zeros(self._shape, np.float32)
        self.windows = 0

    def add(self, start_zyx: Sequence[int], values: NDArray[np.floating]) -> None:
        """One window; what it has outside the volume is left out.

        Args:
            start_zyx: of its first voxel, as ``GridCrop3D.starts`` gives it.
            values: (C, d, h, w).

        Raises:
            LoaderError: it is of another size than the weights, has other channels than those before, or lies outside.
        """
        weights = self._weights
        if values.ndim != 4 or values.shape[1:] != weights.shape:
            raise LoaderError(f"stitch: weights are of {weights.shape}, a window is {values.shape[1:]}")
        if self._total is None:
            self._total = np.zeros((len(values), *self._shape), np.float32)
        if len(values) != len(self._total):
            raise LoaderError(f"stitch: windows of {len(self._total)} and of {len(values)} channels in one volume")
        start = [int(n) for n in start_zyx]
        ends = [(max(0, s), min(n, s + e)) for s, n, e in zip(start, self._shape, weights.shape, strict=True)]
        if any(low >= high for low, high in ends):
            raise LoaderError(f"stitch: the window at {tuple(start)} lies outside of a volume of {self._shape}")
        there = tuple(slice(low, high) for low, high in ends)
        own = tuple(slice(low - s, high - s) for (low, high), s in zip(ends, start, strict=True))
        for total, channel in zip(self._total, values, strict=True):
            total[there] += channel[own] * weights[own]
        self._share[there] += weights[own]
        self.windows += 1

    def result(self) -> NDArray[np.float32]:
        """(C, Z, Y, X)

        Raises:
            LoaderError: there are voxels that no window has.
        """
        if self._total is None or not self._share.min() > 0:
            raise LoaderError("stitch: there are voxels that no window has; say all windows of the grid")
        return np.asarray(self._total / self._share, np.float32)


def stitch(
    shape_zyx: Sequence[int],
    windows: Iterable[tuple[Sequence[int], NDArray[np.floating]]],
    weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(C, Z, Y, X) the weighted mean of overlapping windows.

    Args:
        shape_zyx, weights: see ``WindowAccumulator``.
        windows: (start_zyx, values (C, d, h, w)) of each.

    Raises:
        LoaderError: no window, one that does not fit, or a voxel that no window has.
    """
    whole = WindowAccumulator(shape_zyx, weights)
    for start, values in windows:
        whole.add(start, values)
    return whole.result()
