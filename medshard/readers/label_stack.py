"""Parts that are drawn slice by slice become one label array; parts that overlap are kept apart in channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.errors import ReadError
from medshard.readers.base import Array
from medshard.readers.limits import check_volume

__all__ = ["LabelStack"]

_MAX_CHANNELS = 64


class LabelStack:
    """Label slices in the making: value v stands where any channel equals v.

    A part goes into the first channel in which its slice is free, so that nothing is merged and memory follows the
    depth of the overlaps, not the number of parts.

    Args:
        shape_zyx: of the grid.
        highest: the highest value that will be put.

    Raises:
        ReadError: the array would be larger than a volume may be.
    """

    def __init__(self, shape_zyx: tuple[int, int, int], highest: int) -> None:
        self._shape = shape_zyx
        self._dtype = np.dtype(np.uint8 if highest <= 255 else np.uint16)
        check_volume(shape_zyx, self._dtype.itemsize)
        self._channels: list[Array] = [np.zeros(shape_zyx, self._dtype)]

    def put(self, slice_index: int, value: int, inside: NDArray[np.bool_]) -> None:
        """Mark pixels (Y, X) of a slice with a value above 0.

        Raises:
            ReadError: more parts lie over one another than there may be channels.
        """
        if not inside.any():
            return
        for channel in self._channels:
            taken = channel[slice_index][inside]
            if not ((taken != 0) & (taken != value)).any():
                break
        else:
            if len(self._channels) == _MAX_CHANNELS:
                raise ReadError(
                    f"more than {_MAX_CHANNELS} parts of the mask lie over one another", error_class="mask_overlap"
                )
            check_volume((len(self._channels) + 1, *self._shape), self._dtype.itemsize)
            channel = np.zeros(self._shape, self._dtype)
            self._channels.append(channel)
        channel[slice_index][inside] = value

    def labels(self, space: int) -> Array:
        """(Z, Y, X), or (C, Z, Y, X) where parts overlap; with ``space`` 2 (Y, X) or (Y, X, C) of the only slice."""
        if len(self._channels) == 1:
            return self._channels[0] if space == 3 else self._channels[0][0]
        if space == 3:
            return np.stack(self._channels)
        return np.ascontiguousarray(np.stack([channel[0] for channel in self._channels], axis=-1))
