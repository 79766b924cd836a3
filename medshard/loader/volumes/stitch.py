"""Puts what a model says of the windows of batches together into volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume import GridCrop3D, WindowAccumulator, window_weights

__all__ = ["WindowStitcher"]


class WindowStitcher:
    """Volumes from the windows of a sliding grid, batch by batch, each as soon as its last window is there.

    Args:
        grid: the operation of the loader's transform.
        sigma: of the Gaussian weights of a window, see ``window_weights``; ``math.inf`` for equal weights.

    Attributes:
        pending: volumes of which windows are still to come, by key.
    """

    def __init__(self, grid: GridCrop3D, *, sigma: float = 0.125) -> None:
        self._grid, self._weights = grid, window_weights(grid.size, sigma)
        self.pending: dict[str, WindowAccumulator] = {}

    def add(self, batch: Mapping[str, Any], predicted: Any) -> list[tuple[str, NDArray[np.float32]]]:
        """Add a batch; gives the key and (C, Z, Y, X) of each volume that is complete with it.

        Items that are not valid, have no volume or only fill the step are left out; a volume that lacks a window stays
        ``pending``.

        Args:
            batch: of the loader.
            predicted: (B, C, D, H, W), an array or a tensor on the CPU.

        Raises:
            LoaderError: predictions are not of the windows' size.
        """
        complete = []
        for place, key in enumerate(batch["key"]):
            if not batch["valid"][place] or not batch["has_image"][place] or batch["padded"][place]:
                continue
            z, y, x = (int(n) for n in batch["volume_shape_zyx"][place])
            volume = self.pending.setdefault(key, WindowAccumulator((z, y, x), self._weights))
            volume.add(batch["window_start_zyx"][place].tolist(), np.asarray(predicted[place], np.float32))
            if volume.windows == len(self._grid.starts((z, y, x))):
                complete.append((key, volume.result()))
                del self.pending[key]
        return complete
