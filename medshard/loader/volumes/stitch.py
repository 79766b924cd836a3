"""Puts what a model says of the windows of a sliding grid together into volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume import GridCrop3D
from medshard.errors import LoaderError

__all__ = ["WindowAccumulator", "stitch", "window_weights"]

Weighting: TypeAlias = Literal["gaussian", "constant"]

_SIGMA = 1 / 8
"""Of the window's edge, as in nnU-Net (Isensee and others, Nature Methods 2021)."""

_LEAST = 1e-3
"""Of the weight in the middle: corners still count where no other window reaches, and no sum is lost in rounding."""


def window_weights(size_zyx: Sequence[int], weighting: Weighting = "gaussian") -> NDArray[np.float32]:
    """(D, H, W) what each voxel of a window counts: 1 in the middle and less towards the edges, or 1 everywhere.

    Raises:
        LoaderError: there is no such weighting.
    """
    if weighting == "constant":
        return np.ones(tuple(size_zyx), np.float32)
    if weighting != "gaussian":
        raise LoaderError(f"weighting={weighting!r}; allowed: gaussian, constant")
    along = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n * _SIGMA)) ** 2) for n in size_zyx]
    weights = along[0][:, None, None] * along[1][:, None] * along[2]
    return np.asarray(np.maximum(weights / weights.max(), _LEAST), np.float32)


class WindowAccumulator:
    """The weighted mean of overlapping windows of one volume.

    Args:
        volume_zyx: shape of the volume.
        weighting: how much the voxels of a window count.
    """

    def __init__(self, volume_zyx: Sequence[int], weighting: Weighting = "gaussian") -> None:
        self._shape, self._weighting = tuple(int(n) for n in volume_zyx), weighting
        self._weights: NDArray[np.float32] | None = None
        self._sum: NDArray[np.float32] | None = None
        self._weight = np.zeros(self._shape, np.float32)
        self.windows = 0

    def add(self, predicted: Any, start_zyx: Sequence[int]) -> None:
        """One window.

        Args:
            predicted: (C, D, H, W), an array or a tensor on the CPU.
            start_zyx: of its first voxel in the volume; what lies outside of the volume is left out.

        Raises:
            LoaderError: windows of different sizes or channels.
        """
        window = np.asarray(predicted, np.float32)
        if self._weights is None or self._sum is None:
            self._weights = window_weights(window.shape[1:], self._weighting)
            self._sum = np.zeros((len(window), *self._shape), np.float32)
        if window.shape != (len(self._sum), *self._weights.shape):
            raise LoaderError(
                f"windows of {(len(self._sum), *self._weights.shape)} and of {window.shape} in one volume"
            )
        inside: list[slice] = []
        here: list[slice] = []
        for start, edge, length in zip(start_zyx, window.shape[1:], self._shape, strict=True):
            first, stop = max(0, int(start)), min(length, int(start) + edge)
            if first >= stop:
                raise LoaderError(f"the window at {tuple(int(n) for n in start_zyx)} lies outside of {self._shape}")
            inside.append(slice(first, stop))
            here.append(slice(first - int(start), stop - int(start)))
        weights = self._weights[tuple(here)]
        for total, values in zip(self._sum, window, strict=True):
            total[tuple(inside)] += values[tuple(here)] * weights
        self._weight[tuple(inside)] += weights
        self.windows += 1

    def result(self) -> NDArray[np.float32]:
        """(C, Z, Y, X) float32.

        Raises:
            LoaderError: some voxels are in no window.
        """
        if self._sum is None or not (self._weight > 0).all():
            raise LoaderError("some voxels of the volume are in no window that was added; add the whole grid")
        return np.asarray(self._sum / self._weight, np.float32)


def stitch(
    open_volumes: dict[str, WindowAccumulator],
    batch: Mapping[str, Any],
    predicted: Any,
    grid: GridCrop3D,
    weighting: Weighting = "gaussian",
) -> list[tuple[str, NDArray[np.float32]]]:
    """Add a batch of windows; gives the key and (C, Z, Y, X) of each volume that is complete with it.

    Args:
        open_volumes: volumes that are not complete yet; begin with an empty dict and hand it in again.
        batch: of a loader whose transform has the grid. Items that are not valid, or only pad, are left out; the
            volumes of the former stay in ``open_volumes``.
        predicted: (B, C, D, H, W) on the CPU.
        grid: the operation of the transform.
    """
    complete = []
    for place, key in enumerate(batch["key"]):
        if not batch["valid"][place] or not batch["has_image"][place] or batch["padded"][place]:
            continue
        z, y, x = (int(n) for n in batch["volume_shape_zyx"][place])
        volume = open_volumes.setdefault(key, WindowAccumulator((z, y, x), weighting))
        volume.add(predicted[place], batch["window_start_zyx"][place])
        if volume.windows == len(grid.starts((z, y, x))):
            complete.append((key, volume.result()))
            del open_volumes[key]
    return complete
