"""Renditions: smaller levels of large pictures, in sibling shards of the same keys in the same order.

A level of factor f is the mean of blocks of f x f stored pixels, as the DCT reduction of a JPEG is; blocks at the right
and lower edge that reach beyond the picture repeat its last pixels. So a pixel (x, y) of a level covers the stored
pixels from (x * f, y * f) to ((x + 1) * f, (y + 1) * f), and boxes divide by f.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from medshard.engine import STRIP_ROWS, encode_png

__all__ = ["FACTORS", "JPEG_QUALITY", "encode_level", "factors_of", "level_shape", "reduced", "set_suffix"]

FACTORS = (2, 4, 8, 16)
"""Each level is a half of the one before."""

JPEG_QUALITY = 92
"""Of levels of JPEGs, without chroma subsampling: 40 dB or more to levels without loss (docs/formats.md)."""

Pixels = NDArray[Any]


def factors_of(shape: Sequence[int], from_px: int, allowed: Sequence[int] = FACTORS) -> tuple[int, ...]:
    """Factors of the levels that a picture of (Y, X) or (Y, X, C) gets.

    A level is made while the one before it (the picture itself for the first) has ``from_px`` pixels or more on its
    longer side, so the smallest has at least half of that.
    """
    longer = max(shape[:2])
    return tuple(factor for factor in FACTORS if factor in allowed and longer * 2 >= from_px * factor)


def level_shape(shape: Sequence[int], factor: int) -> list[int]:
    """(Y, X) or (Y, X, C) of a level; sides are rounded up."""
    return [-(-shape[0] // factor), -(-shape[1] // factor), *shape[2:]]


def reduced(pixels: Pixels, factors: Sequence[int]) -> dict[int, Pixels]:
    """Levels of a picture.

    Args:
        pixels: (Y, X) or (Y, X, C), uint8 or uint16.
        factors: some of ``FACTORS``.

    Returns:
        Factor → the means of its blocks, halves rounded up, in the type of ``pixels``.
    """
    largest = max(factors, default=1)
    beyond = [(0, -side % largest) for side in pixels.shape[:2]] + [(0, 0)] * (pixels.ndim - 2)
    sums = np.pad(pixels, beyond, mode="edge").astype(np.uint32)  # 65535 * 16 * 16 fits
    levels: dict[int, Pixels] = {}
    for factor in FACTORS:
        if factor > largest:
            break
        rows = sums[0::2] + sums[1::2]
        sums = rows[:, 0::2] + rows[:, 1::2]
        if factor in factors:
            height, width = level_shape(pixels.shape, factor)[:2]
            means = (sums[:height, :width] + factor * factor // 2) // (factor * factor)
            levels[factor] = means.astype(pixels.dtype)
    return levels


def encode_level(pixels: Pixels, extension: str) -> bytes:
    """A level in the format of the picture that it is of: ``jpg`` or ``png``."""
    if extension == "png":
        return encode_png(pixels, strip_rows=STRIP_ROWS)
    stream = io.BytesIO()
    PillowImage.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def set_suffix(factors: Sequence[int]) -> str:
    """What a set's name says of a part with levels, since all samples of a shard have the same: ``-r2-r4``."""
    return "".join(f"-r{factor}" for factor in factors)
