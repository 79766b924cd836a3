"""The native engine's calls for crops of volumes. The layouts are those of csrc/volume/{sampling,steps}.hpp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.augment.volume.compile import DrawnStep
from medshard.augment.volume.geometry import Elastic3D, Floats
from medshard.errors import LoaderError
from medshard.readers.base import Array
from medshard.volumes.native import TYPES

__all__ = ["AxisWeights", "do_steps", "mix_axes", "nearest_places", "pick_axes", "warp"]

_OUTSIDE = {"edge": 1, "minimum": 2}

SEPARABLE = np.dtype(
    [
        *(("source", "<u8"), ("out", "<u8"), ("first", "<u8", 3), ("weights", "<u8", 3), ("taps", "<i4", 3)),
        *(("channels", "<i4"), ("source_shape", "<i4", 3), ("out_shape", "<i4", 3), ("outside", "<f4")),
        *(("stored", "u1"), ("outside_mode", "u1"), ("labels", "u1"), ("spare", "u1")),
        *(("mask_outside", "<i4"), ("spare_too", "<i4")),
    ]
)
WARP = np.dtype(
    [
        *(("source", "<u8"), ("out", "<u8"), ("source_from_plane", "<f8", 12), ("plane_from_output", "<f8", 12)),
        *(("spacing", "<f8", 3), ("amplitude", "<f8", 3), ("seed", "<u8"), ("channels", "<i4")),
        *(("source_shape", "<i4", 3), ("out_shape", "<i4", 3), ("outside", "<f4"), ("mask_outside", "<i4")),
        *(("stored", "u1"), ("nearest", "u1"), ("elastic", "u1"), ("outside_mode", "u1")),
    ]
)
MOST_PARAMS = 40
STEP = np.dtype(
    [("seed", "<u8"), ("channel", "<i4"), ("kind", "u1"), ("spare", "u1", 3), ("params", "<f4", MOST_PARAMS)]
)
KINDS = (
    *("window", "percentile_normalize", "zscore_normalize", "normalize", "invert", "gaussian_noise"),
    *("gaussian_blur", "brightness", "contrast", "gamma", "low_resolution", "bias_field"),
)

_BYTES = (_engine.SEPARABLE_BYTES, _engine.WARP_BYTES, _engine.VOLUME_STEP_BYTES)
if (SEPARABLE.itemsize, WARP.itemsize, STEP.itemsize) != _BYTES:
    raise ImportError(
        "medshard/augment/volume/native.py and the built engine are of different versions; build again: "
        "pip install -e ."
    )


@dataclass(frozen=True)
class AxisWeights:
    """What of an axis each output place takes: ``weights[n, t]`` of place ``first[n] + t``.

    Attributes:
        first: (n,) int32, -1 for a place outside.
        weights: (n, taps) float32.
    """

    first: NDArray[np.int32]
    weights: NDArray[np.float32]

    @classmethod
    def triangle(cls, centres: Floats, step: float, length: int, *, outside: bool) -> AxisWeights:
        """A triangle about each centre, as wide as the step but at least one place to both sides, normalised.

        Args:
            centres: (n,) places on an axis of ``length``; one beyond the axis takes the outermost place, or is outside.
            outside: whether places beyond half a place from the axis are outside.
        """
        width = max(1.0, step)
        held = np.clip(centres, 0, length - 1)
        first = np.clip(np.floor(held - width).astype(np.int64) + 1, 0, length - 1)
        last = np.clip(np.ceil(held + width).astype(np.int64) - 1, first, length - 1)
        taps = int((last - first).max(initial=0)) + 1
        first = np.minimum(first, length - taps)
        places = first[:, None] + np.arange(taps)
        weights = np.maximum(0.0, 1 - np.abs(places - held[:, None]) / width)
        weights /= weights.sum(1, keepdims=True)
        if outside:
            first[(centres < -0.5 - 1e-6) | (centres > length - 0.5 + 1e-6)] = -1
        return cls(np.ascontiguousarray(first, np.int32), np.ascontiguousarray(weights, np.float32))


def nearest_places(centres: Floats, length: int) -> NDArray[np.int32]:
    """(n,) the nearest place of an axis, the upper one of two alike; -1 outside."""
    places = np.floor(centres + 0.5 + 1e-9)
    return np.where((places >= 0) & (places < length), places, -1).astype(np.int32)


def pick_axes(box: Array, places: Sequence[NDArray[np.int32]], mask_outside: int, out: NDArray[np.int32]) -> None:
    """(C, z, y, x) stored labels at places of each axis into (C, D, H, W)."""
    box = np.ascontiguousarray(box)
    record = _axes_record(box, out)
    record["first"] = [of_axis.ctypes.data for of_axis in places]
    record["labels"], record["mask_outside"] = 1, mask_outside
    _engine.volume_separable(record.view(np.uint8).reshape(-1))


def mix_axes(box: Array, axes: Sequence[AxisWeights], outside: float | str, out: NDArray[np.float32]) -> None:
    """(C, z, y, x) stored voxels, axis by axis, into (C, D, H, W)."""
    box = np.ascontiguousarray(box)
    record = _axes_record(box, out)
    record["first"] = [axis.first.ctypes.data for axis in axes]
    record["weights"] = [axis.weights.ctypes.data for axis in axes]
    record["taps"] = [axis.weights.shape[1] for axis in axes]
    _set_outside(record, outside)
    _engine.volume_separable(record.view(np.uint8).reshape(-1))


def _axes_record(box: Array, out: NDArray[np.generic]) -> NDArray[np.void]:
    record = np.zeros(1, SEPARABLE)
    record["source"], record["out"] = box.ctypes.data, out.ctypes.data
    record["channels"], record["source_shape"], record["out_shape"] = len(box), box.shape[1:], out.shape[1:]
    record["stored"] = TYPES[box.dtype.name]
    return record


def warp(
    box: Array,
    source_from_output_zyx: Floats,
    elastic: Elastic3D | None,
    outside: float | str,
    mask_outside: int,
    out: NDArray[np.float32] | NDArray[np.int32],
) -> None:
    """(C, z, y, x) stored voxels interpolated into (C, D, H, W) of float32, or the nearest ones into int32.

    Args:
        source_from_output_zyx: (3, 4) index of the box; the elastic's maps are of the box too.

    Raises:
        LoaderError: the lattice of the displacement is too fine for the crop.
    """
    box = np.ascontiguousarray(box)
    record = np.zeros(1, WARP)
    record["source"], record["out"] = box.ctypes.data, out.ctypes.data
    record["source_from_plane"] = source_from_output_zyx.reshape(-1)
    if elastic is not None:
        record["elastic"] = 1
        record["source_from_plane"] = elastic.source_from_plane_zyx.reshape(-1)
        record["plane_from_output"] = elastic.plane_from_output_zyx.reshape(-1)
        record["spacing"], record["amplitude"] = elastic.spacing_zyx, elastic.amplitude_zyx
        record["seed"] = elastic.seed
    record["channels"], record["source_shape"], record["out_shape"] = len(box), box.shape[1:], out.shape[1:]
    record["stored"], record["nearest"] = TYPES[box.dtype.name], out.dtype == np.int32
    record["mask_outside"] = mask_outside
    _set_outside(record, outside)
    try:
        _engine.volume_warp(record.view(np.uint8).reshape(-1))
    except RuntimeError as error:
        raise LoaderError(f"ElasticTransform3D: {error}; say a larger spacing") from error


def displaced(elastic: Elastic3D, points_zyx: Floats) -> Floats:
    """(..., 3) points of the plane, moved."""
    points = np.array(points_zyx, np.float64, copy=True, order="C")
    _engine.volume_displace(points.reshape(-1, 3), elastic.seed, elastic.spacing_zyx, elastic.amplitude_zyx)
    return points


def _set_outside(record: NDArray[np.void], outside: float | str) -> None:
    if isinstance(outside, str):
        record["outside_mode"] = _OUTSIDE[outside]
    else:
        record["outside"] = outside


def do_steps(crop: NDArray[np.float32], steps: Sequence[DrawnStep]) -> None:
    """Change a crop (C, D, H, W) in place."""
    rows = [(step, channel) for step in steps for channel in range(len(crop)) if step.params[channel, 0]]
    if not rows:
        return
    records = np.zeros(len(rows), STEP)
    for record, (step, channel) in zip(records, rows, strict=True):
        record["seed"], record["channel"], record["kind"] = step.seed, channel, KINDS.index(step.kind)
        record["params"][: step.params.shape[1] - 1] = step.params[channel, 1:]
    _engine.volume_steps(crop, records.view(np.uint8).reshape(-1))
