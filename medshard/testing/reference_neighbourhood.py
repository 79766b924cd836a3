"""numpy references of the neighbourhood steps: each defines what the native engine does to a sampled crop.

A picture is (C, H, W) float64; parameters are those of csrc/pipeline/program.hpp, without the first.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medshard.testing.reference_values import luma

__all__ = ["clahe", "gaussian_blur", "jpeg", "sharpness"]

Array = NDArray[np.float64]
Params = Sequence[float]

BINS = 256


def _along(picture: Array, weights: Array, axis: int) -> Array:
    """Convolved with an odd kernel along one axis; the border is mirrored about its outermost pixel."""
    reach = len(weights) // 2
    pads = [(0, 0)] * 3
    pads[axis] = (reach, reach)
    padded = np.pad(picture, pads, "reflect")
    length = picture.shape[axis]
    return np.asarray(
        sum(weight * padded.take(range(k, k + length), axis) for k, weight in enumerate(weights)), np.float64
    )


def gaussian_blur(picture: Array, params: Params) -> Array:
    """Weights across, then weights down."""
    across, down = int(params[0]), int(params[1])
    weights = np.array(params[2:])
    return _along(_along(picture, weights[:across], 2), weights[across : across + down], 1)


def sharpness(picture: Array, params: Params) -> Array:
    """factor * v + (1 - factor) * smoothed by [[1 1 1] [1 5 1] [1 1 1]] / 13; the outermost pixels stay."""
    height, width = picture.shape[1:]
    if height < 3 or width < 3:
        return picture
    smoothed = sum(
        (5 if (dy, dx) == (1, 1) else 1) / 13 * picture[:, dy : dy + height - 2, dx : dx + width - 2]
        for dy in range(3)
        for dx in range(3)
    )
    out = picture.copy()
    out[:, 1:-1, 1:-1] = np.clip(params[0] * picture[:, 1:-1, 1:-1] + (1 - params[0]) * smoothed, 0, 1)
    return np.asarray(out, np.float64)


def _tile_map(tile: Array, clip_limit: float) -> Array:
    """(257,) what each bin of a tile becomes, 0..1; the last stands twice for interpolation."""
    histogram = np.bincount(np.floor(tile.ravel() + 0.5).astype(int), minlength=BINS)
    limit = max(int(clip_limit * tile.size / BINS), 1)
    excess = int(np.maximum(histogram - limit, 0).sum())
    histogram = np.minimum(histogram, limit) + excess // BINS
    left = excess % BINS
    if left:
        step = max(BINS // left, 1)
        histogram[np.arange(0, BINS, step)[:left]] += 1
    mapped = np.cumsum(histogram) / tile.size
    return np.asarray(np.append(mapped, mapped[-1]), np.float64)


def clahe(picture: Array, params: Params) -> Array:
    """OpenCV's CLAHE of the luma with values between bins interpolated; channels move by its change."""
    clip_limit, rows, columns = float(params[0]), int(params[1]), int(params[2])
    grey = luma(picture)[0]
    bins = np.clip(grey, 0, 1) * (BINS - 1)
    height, width = grey.shape
    fits = height % rows == 0 and width % columns == 0
    pads = (0, 0) if fits else (rows - height % rows, columns - width % columns)
    padded = np.pad(bins, ((0, pads[0]), (0, pads[1])), "reflect")
    tile_height, tile_width = padded.shape[0] // rows, padded.shape[1] // columns
    tiles = padded.reshape(rows, tile_height, columns, tile_width).swapaxes(1, 2)
    maps = np.array([[_tile_map(tile, clip_limit) for tile in row] for row in tiles])
    (y0, y1, dy), (x0, x1, dx) = _between(height, tile_height, rows), _between(width, tile_width, columns)
    bin_below = np.floor(bins).astype(int)
    part = bins - bin_below

    def mapped(ty: NDArray[np.int64], tx: NDArray[np.int64]) -> Array:
        low, high = maps[ty[:, None], tx[None], bin_below], maps[ty[:, None], tx[None], bin_below + 1]
        return np.asarray(low + part * (high - low), np.float64)

    above = mapped(y0, x0) * (1 - dx) + mapped(y0, x1) * dx
    below = mapped(y1, x0) * (1 - dx) + mapped(y1, x1) * dx
    equalized = above * (1 - dy[:, None]) + below * dy[:, None]
    return np.asarray(np.clip(picture + (equalized - grey), 0, 1), np.float64)


def _between(length: int, tile: int, tiles: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    middle = np.arange(length) / tile - 0.5
    first = np.floor(middle).astype(np.int64)
    return np.maximum(first, 0), np.minimum(first + 1, tiles - 1), middle - first


def jpeg(picture: Array, params: Params) -> Array:
    """Through a JPEG of 8 bits written and read by Pillow."""
    pixels = np.floor(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=int(params[0]))
    decoded = np.asarray(Image.open(stream), np.float64) / 255
    return np.asarray(decoded[None] if decoded.ndim == 2 else decoded.transpose(2, 0, 1), np.float64)
