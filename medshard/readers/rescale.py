"""Stored values → what they mean, in the smallest type that holds them exactly."""

from __future__ import annotations

import numpy as np

from medshard.errors import ReadError
from medshard.readers.base import Array

__all__ = ["exact_integers", "rescaled"]


def rescaled(values: Array, factors: tuple[float, float]) -> Array:
    """stored * slope + intercept: integers where that is exact, else float32."""
    slope, intercept = factors
    if slope.is_integer() and intercept.is_integer():
        return exact_integers(values.astype(np.int64) * int(slope) + int(intercept))
    return (values.astype(np.float64) * slope + intercept).astype(np.float32)


def exact_integers(values: Array) -> Array:
    """The smallest of uint8, int16, uint16, int32 that holds all values."""
    low, high = int(values.min()), int(values.max())
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(kind)
    raise ReadError("rescaled values do not fit 32 bits", error_class="pixel_type")
