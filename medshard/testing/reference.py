"""numpy references: each defines an operation that the native engine implements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_patches", "map_values", "resize_levels", "sample_filtered", "sample_nearest", "to_channels"]

Array = NDArray[np.float64]
Filter = Literal["bilinear", "bicubic"]


def _curve(filter: Filter, distance: Array) -> Array:
    """The triangle, or Keys' cubic with a = -1/2 (Keys 1981, equation 15)."""
    if filter == "bilinear":
        return np.maximum(0.0, 1.0 - distance)
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _axis_weights(box: tuple[float, float], bounds: tuple[int, int], size: int, filter: Filter = "bilinear") -> Array:
    """(size, bounds[1]) weights of a filter, as Pillow computes them (Resample.c, precompute_coeffs)."""
    scale = (box[1] - box[0]) / size
    stretch = max(scale, 1.0)
    support = stretch * (1.0 if filter == "bilinear" else 2.0)
    weights = np.zeros((size, bounds[1]))
    for i in range(size):
        centre = box[0] + (i + 0.5) * scale
        first = max(bounds[0], math.floor(centre - support + 0.5))
        last = min(bounds[1], math.floor(centre + support + 0.5))
        inputs = np.arange(first, last)
        curve = _curve(filter, np.abs((inputs + 0.5 - centre) / stretch))
        if curve.sum() == 0:
            inputs, curve = np.array([min(max(math.floor(centre), bounds[0]), bounds[1] - 1)]), np.ones(1)
        weights[i, inputs] = curve / sum(curve.tolist())
    return weights


def sample_filtered(
    image: NDArray[np.generic],
    box_xyxy: Sequence[float],
    bounds_xyxy: Sequence[int],
    size_hw: tuple[int, int],
    *,
    flip_x: bool = False,
    flip_y: bool = False,
    filter: Filter = "bilinear",
) -> Array:
    """A box of a picture at another size: a separable antialiased filter.

    Args:
        image: (H, W) or (H, W, C), any numbers.
        box_xyxy: x0 y0 x1 y1, continuous pixels, fills the output.
        bounds_xyxy: whole pixels outside of which nothing is read.

    Returns:
        (H', W', C), float64.
    """
    pixels = np.asarray(image, np.float64)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    across = _axis_weights((box_xyxy[0], box_xyxy[2]), (bounds_xyxy[0], bounds_xyxy[2]), size_hw[1], filter)
    down = _axis_weights((box_xyxy[1], box_xyxy[3]), (bounds_xyxy[1], bounds_xyxy[3]), size_hw[0], filter)
    part = pixels[: bounds_xyxy[3], : bounds_xyxy[2]]
    sampled = np.einsum("yh,hwc,xw->yxc", down, part, across, optimize=True)
    return np.asarray(sampled[:: -1 if flip_y else 1, :: -1 if flip_x else 1], np.float64)


def resize_levels(
    image: NDArray[np.uint8],
    box_xyxy: Sequence[float],
    bounds_xyxy: Sequence[int],
    size_hw: tuple[int, int],
    *,
    flip_x: bool = False,
    flip_y: bool = False,
    filter: Filter = "bicubic",
) -> NDArray[np.uint8]:
    """A box of an 8-bit picture at another size: columns, then rows, each rounded to whole levels.

    Weights are whole multiples of 2^-22, as Pillow has them (Resample.c, normalize_coeffs_8bpc).

    Args:
        image: (H, W) or (H, W, C).

    Returns:
        (H', W', C), uint8.
    """
    pixels = np.asarray(image, np.int64)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    part = pixels[: bounds_xyxy[3], : bounds_xyxy[2]]
    across = _fixed(_axis_weights((box_xyxy[0], box_xyxy[2]), (bounds_xyxy[0], bounds_xyxy[2]), size_hw[1], filter))
    down = _fixed(_axis_weights((box_xyxy[1], box_xyxy[3]), (bounds_xyxy[1], bounds_xyxy[3]), size_hw[0], filter))
    wide = _levels(np.einsum("hwc,xw->hxc", part, across))
    resized = _levels(np.einsum("yh,hxc->yxc", down, wide))
    return resized[:: -1 if flip_y else 1, :: -1 if flip_x else 1].astype(np.uint8)


def _fixed(weights: Array) -> NDArray[np.int64]:
    scaled = weights * 2**22
    return np.asarray(np.sign(scaled) * np.floor(np.abs(scaled) + 0.5), np.int64)


def _levels(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.clip((sums + 2**21) >> 22, 0, 255), np.int64)


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


def sample_nearest(
    image: NDArray[np.generic],
    box_xyxy: Sequence[float],
    size_hw: tuple[int, int],
    *,
    flip_x: bool = False,
    flip_y: bool = False,
) -> NDArray[np.generic]:
    """A box of a mask at another size: the pixel under the centre of each output pixel (torch ``nearest-exact``)."""
    height, width = image.shape[:2]
    across = np.floor(box_xyxy[0] + (np.arange(size_hw[1]) + 0.5) * (box_xyxy[2] - box_xyxy[0]) / size_hw[1])
    down = np.floor(box_xyxy[1] + (np.arange(size_hw[0]) + 0.5) * (box_xyxy[3] - box_xyxy[1]) / size_hw[0])
    columns, rows = np.clip(across, 0, width - 1).astype(int), np.clip(down, 0, height - 1).astype(int)
    return np.asarray(image[rows[:: -1 if flip_y else 1]][:, columns[:: -1 if flip_x else 1]])


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
