"""numpy references of what is done to values; those of the geometry stage are in ``reference_geometry``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_patches", "map_values", "to_channels"]

Array = NDArray[np.float64]


def cut_patches(canvas: NDArray[np.generic], edge: int, merge: int = 1, repeat: int = 1) -> NDArray[np.generic]:
    """A canvas as squares, in blocks of merge x merge, each held for ``repeat`` frames.

    Args:
        canvas: (C, H, W), whole blocks.

    Returns:
        (squares, C * repeat * edge * edge).
    """
    channels, height, width = canvas.shape
    down, across = height // edge, width // edge
    squares = canvas.reshape(channels, down // merge, merge, edge, across // merge, merge, edge)
    ordered = squares.transpose(1, 4, 2, 5, 0, 3, 6)
    held = np.repeat(ordered[:, :, :, :, :, None], repeat, axis=5)
    return np.ascontiguousarray(held.reshape(down * across, -1))


def to_channels(values: Array, channels: int) -> Array:
    """Grey to three by repetition; RGB(A) to one by ITU-R BT.601 luma; alpha dropped."""
    if values.shape[-1] == 1:
        return np.repeat(values, channels, -1)
    if channels == 1:
        return np.asarray(values[..., :3] @ np.array([[0.299], [0.587], [0.114]]), np.float64)
    return values[..., :3]


def map_values(
    values: Array,
    *,
    scale: float,
    bias: float,
    clamp: bool = True,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
) -> Array:
    """stored * scale + bias, clipped to 0..1, then (value - mean) / deviation a channel."""
    mapped = values * scale + bias
    if clamp:
        mapped = np.clip(mapped, 0.0, 1.0)
    return (mapped - np.asarray(mean)) / np.asarray(deviation) if len(mean) else mapped
