"""Stored voxels become values: bytes to arrays, scaled and narrowed to what a corpus holds.

A corpus holds integers of up to 32 bits and float32. Integers stay integers where that is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Affine, Array
from medshard.readers.limits import check_volume
from medshard.readers.packed import Content

__all__ = ["is_affine", "lps_to_ras", "scaled", "stored_array"]

_BLOCK = 2**18
"""Voxels that are scaled at a time, so that what lies between stays in cache."""


def stored_array(data: Content, dtype: np.dtype[np.generic], shape: tuple[int, ...], offset: int = 0) -> Array:
    """Voxels as they are stored, in native byte order; a view of ``data`` where they are that already.

    Args:
        shape: slowest axis first.
        offset: where in ``data`` they begin.

    Raises:
        ReadError: the shape is empty or larger than allowed.
        DecodeError: the data end before.
    """
    check_volume(shape, dtype.itemsize)
    count = math.prod(shape)
    if offset < 0 or offset + count * dtype.itemsize > len(data):
        raise DecodeError("the voxels are cut off", error_class="truncated")
    stored: Array = np.frombuffer(data, dtype, count, offset)
    return stored.astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def scaled(stored: Array, slope: float = 1.0, inter: float = 0.0) -> tuple[Array, list[str]]:
    """``stored * slope + inter`` as integers of up to 32 bits where that is exact, else float32; and notes.

    Floats are computed in float64.

    Raises:
        ReadError: values do not fit.
    """
    if stored.dtype.kind in "ui" and float(slope).is_integer() and float(inter).is_integer():
        return _scaled_integers(stored, int(slope), int(inter)), []
    return _scaled_floats(stored, slope, inter)


def _scaled_integers(stored: Array, slope: int, inter: int) -> Array:
    if (slope, inter) == (1, 0) and stored.dtype.itemsize <= 4:
        return stored
    ends = [int(stored.min()) * slope + inter, int(stored.max()) * slope + inter]
    low, high = min(ends), max(ends)
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        bounds = np.iinfo(kind)
        if not (bounds.min <= low and high <= bounds.max):
            continue
        if (slope, inter) == (1, 0) and stored.dtype == kind:
            return stored
        # Sums and products modulo 2^n are right wherever the result fits n bits, whatever lies between.
        values = stored.astype(kind)
        modulus = 1 << bounds.bits
        for factor, apply in ((slope, np.multiply), (inter, np.add)):
            apply(values, np.array([factor % modulus], np.uint64).astype(kind), out=values)
        return values
    raise ReadError("values do not fit 32 bits", error_class="pixel_type")


def _scaled_floats(stored: Array, slope: float, inter: float) -> tuple[Array, list[str]]:
    as_stored = stored.dtype == np.float32 and (slope, inter) == (1, 0)
    values = stored if as_stored else np.empty(stored.shape, np.float32)
    flat, filled = stored.reshape(-1), values.reshape(-1)
    # Of integers the ends show whether all fit: scaling keeps their order, or turns it round.
    is_checked = stored.dtype.kind == "f"
    if not is_checked:
        _check_ends(stored, slope, inter)
    all_finite = True
    for block in _blocks(flat.size):
        exact = flat[block]
        if not as_stored:
            with np.errstate(over="ignore", invalid="ignore"):
                exact = np.multiply(exact, slope, dtype=np.float64) + inter
                filled[block] = exact
        if is_checked:
            finite = np.isfinite(exact)
            if not as_stored and not np.array_equal(np.isfinite(filled[block]), finite):
                raise ReadError("values do not fit float32", error_class="pixel_type")
            all_finite = all_finite and bool(finite.all())
    return values, [] if all_finite else ["voxels that are not finite"]


def _check_ends(stored: Array, slope: float, inter: float) -> None:
    ends = np.array([stored.min(), stored.max()], np.float64) * slope + inter
    if not np.abs(ends).max() <= float(np.finfo(np.float32).max):
        raise ReadError("values do not fit float32", error_class="pixel_type")


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))


def lps_to_ras(affine: Affine) -> Affine:
    """An affine to left, posterior, superior (DICOM, ITK) as one to right, anterior, superior."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def is_affine(affine: Affine) -> bool:
    """Whether it is finite and can be inverted."""
    return bool(np.isfinite(affine).all()) and abs(float(np.linalg.det(affine[:3, :3]))) > 0
