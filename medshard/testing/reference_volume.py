"""What the operations on crops of volumes give, in numpy, float64: the definition that the native engine is held to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume import DrawnStep, Elastic3D, VolumeGeometry
from medshard.testing.reference_values import philox

__all__ = ["displacement", "reference_image", "reference_mask", "reference_steps", "source_points"]

Array = NDArray[np.float64]


def _hashed(seed: int, *counters: NDArray[np.int64] | int) -> NDArray[np.uint64]:
    """``fold`` of medshard.loader.counter, from a seed."""
    state: NDArray[np.uint64] = np.array([seed], np.uint64)
    with np.errstate(over="ignore"):
        for counter in counters:
            folded = np.asarray(counter).astype(np.int64).astype(np.uint64)
            state = (state ^ folded) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def displacement(elastic: Elastic3D, points: Array) -> Array:
    """(..., 3) of points (..., 3) of the plane."""
    at = points / np.array(elastic.spacing_zyx)
    node = np.floor(at).astype(np.int64)
    t = at - node
    weights = np.stack(
        [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6], -2
    )
    total = np.zeros(points.shape)
    for z in range(4):
        for y in range(4):
            for x in range(4):
                weight = weights[..., z, 0] * weights[..., y, 1] * weights[..., x, 2]
                places = node + np.array([z, y, x]) - 1
                for axis in range(3):
                    bits = _hashed(elastic.seed, axis, places[..., 0], places[..., 1], places[..., 2])
                    unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
                    total[..., axis] += weight * unit
    return np.asarray(total * np.array(elastic.amplitude_zyx))


def source_points(geometry: VolumeGeometry) -> Array:
    """(D, H, W, 3): the stored index of every voxel of the crop."""
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in geometry.size_zyx), indexing="ij"), -1)
    if geometry.elastic is None:
        return _through(geometry.source_from_output_zyx, grid)
    plane = _through(geometry.elastic.plane_from_output_zyx, grid)
    return _through(geometry.elastic.source_from_plane_zyx, plane + displacement(geometry.elastic, plane))


def _through(matrix: Array, points: Array) -> Array:
    return np.asarray(points @ matrix[:, :3].T + matrix[:, 3])


def _outside(geometry: VolumeGeometry, channel: Array) -> float | None:
    if geometry.outside == "edge":
        return None
    return float(channel.min()) if geometry.outside == "minimum" else float(geometry.outside)


def reference_image(geometry: VolumeGeometry, stored: NDArray[np.generic], start_zyx: Sequence[int]) -> Array:
    """(C, D, H, W) of the voxels (C, z, y, x) that were read from ``start_zyx`` on.

    Axis by axis where the crop is axis-aligned: a triangle filter as wide as the reduction, normalised over what is
    inside. Else a reduction by one factor, the least of the map, with the same filter, then trilinear interpolation.
    Outside: an edge of one voxel in which values run to that of the outside, beyond it the outside alone.
    """
    out = []
    for channel in np.asarray(stored, np.float64):
        outside = _outside(geometry, channel)
        if geometry.axis_aligned:
            out.append(_separable(geometry, channel, start_zyx, outside))
        else:
            out.append(_warped(geometry, channel, start_zyx, outside))
    return np.stack(out)


def _separable(geometry: VolumeGeometry, voxels: Array, start: Sequence[int], outside: float | None) -> Array:
    matrix = geometry.source_from_output_zyx
    for axis in range(3):
        step, shift = matrix[axis, axis], matrix[axis, 3] - start[axis]
        centres = np.arange(geometry.size_zyx[axis]) * step + shift
        weights = triangle_weights(centres, abs(step), voxels.shape[axis])
        moved = np.moveaxis(voxels, axis, 0)
        mixed = np.tensordot(weights, moved, 1)
        if outside is not None:
            beyond = (centres < -0.5 - 1e-6) | (centres > voxels.shape[axis] - 0.5 + 1e-6)
            mixed[beyond] = outside
        voxels = np.moveaxis(mixed, 0, axis)
    return voxels


def triangle_weights(centres: Array, step: float, length: int) -> Array:
    """(n, length): of each centre, normalised; one that lies outside takes the outermost voxel."""
    width = max(1.0, step)
    places = np.arange(length)
    held = np.clip(centres, 0, length - 1)
    weights = np.maximum(0.0, 1 - np.abs(places[None] - held[:, None]) / width)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _warped(geometry: VolumeGeometry, voxels: Array, start: Sequence[int], outside: float | None) -> Array:
    points = source_points(geometry) - np.array(start)
    factor = geometry.reduction
    if factor > 1 + 1e-9:
        sizes = [max(1, math.ceil(n / factor)) for n in voxels.shape]
        for axis, size in enumerate(sizes):
            # Voxel k of the reduced box lies at k * factor + (factor - 1) / 2.
            centres = np.arange(size) * factor + (factor - 1) / 2
            weights = triangle_weights(centres, factor, voxels.shape[axis])
            voxels = np.moveaxis(np.tensordot(weights, np.moveaxis(voxels, axis, 0), 1), 0, axis)
        points = (points - (factor - 1) / 2) / factor
    return _trilinear(voxels, points, outside)


def _trilinear(voxels: Array, points: Array, outside: float | None) -> Array:
    if outside is None:
        points = np.clip(points, 0, np.array(voxels.shape) - 1)
    low = np.floor(points).astype(np.int64)
    part = points - low
    total = np.zeros(points.shape[:-1])
    for z in range(2):
        for y in range(2):
            for x in range(2):
                corner = low + np.array([z, y, x])
                weight = np.prod(np.where(np.array([z, y, x]) == 1, part, 1 - part), -1)
                inside = ((corner >= 0) & (corner < voxels.shape)).all(-1)
                held = np.clip(corner, 0, np.array(voxels.shape) - 1)
                value = voxels[held[..., 0], held[..., 1], held[..., 2]]
                total += weight * (value if outside is None else np.where(inside, value, outside))
    return total


def reference_mask(
    geometry: VolumeGeometry, stored: NDArray[np.generic], start_zyx: Sequence[int]
) -> NDArray[np.int32]:
    """(C, D, H, W): the label of the nearest voxel, the upper one of two alike."""
    nearest = np.floor(source_points(geometry) - np.array(start_zyx) + 0.5 + 1e-9).astype(np.int64)
    shape = np.array(stored.shape[1:])
    inside = ((nearest >= 0) & (nearest < shape)).all(-1)
    held = np.clip(nearest, 0, shape - 1)
    found = stored[:, held[..., 0], held[..., 1], held[..., 2]].astype(np.int32)
    return np.asarray(np.where(inside, found, geometry.mask_outside), np.int32)


# -- steps ----------------------------------------------------------------------------------------------------------


def reference_steps(crop: Array, steps: Sequence[DrawnStep]) -> Array:
    """(C, D, H, W) after the steps, a channel each."""
    out: Array = np.array(crop, np.float64)
    for step in steps:
        for channel in range(len(out)):
            changed, *params = step.params[channel].tolist()
            if changed:
                out[channel] = _STEPS[step.kind](out[channel], params, step, channel)
    return out


def _window(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    low, high = params
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


def _percentiles(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    low, high = np.percentile(values, params[:2])
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1) if high > low else np.zeros_like(values)


def _zscore(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    deviation = values.std()
    return (
        (values - values.mean()) / deviation
        if deviation > 1e-6 * max(1.0, abs(values.mean()))
        else np.zeros_like(values)
    )


def _normalize(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    return (values - params[0]) / params[1]


def _invert(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    return 1 - values


def _noise(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    mean, sigma, clip = params
    blocks = -(-values.size // 4)
    counters = np.zeros((blocks, 4), np.uint32)
    counters[:, 0], counters[:, 1] = np.arange(blocks), channel
    words = (philox(counters, step.seed) >> np.uint32(8)).astype(np.float64) * 2.0**-24
    normal = []
    for length, turn in ((words[:, 0], words[:, 1]), (words[:, 2], words[:, 3])):
        radius = np.sqrt(-2 * np.log((length + 2.0**-25).astype(np.float32).astype(np.float64)))
        normal += [radius * np.cos(2 * np.pi * turn), radius * np.sin(2 * np.pi * turn)]
    noisy = values + mean + sigma * np.concatenate(normal)[: values.size].reshape(values.shape)
    return np.clip(noisy, 0, 1) if clip else noisy


def _blur(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    for axis, sigma in enumerate(params):
        radius = int(4 * sigma + 0.5)
        taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        taps /= taps.sum()
        n = values.shape[axis]
        places = np.arange(n)[:, None] + np.arange(-radius, radius + 1)[None]
        period = max(1, 2 * (n - 1))
        folded = np.abs((places + n - 1) % period - (n - 1)) if n > 1 else np.zeros_like(places)
        values = np.moveaxis(np.einsum("t,nt...->n...", taps, np.moveaxis(values, axis, 0)[folded]), 0, axis)
    return values


def _brightness(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    return values * params[0]


def _contrast(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    factor, hold = params
    mean = values.mean()
    changed = (values - mean) * factor + mean
    return np.asarray(np.clip(changed, values.min(), values.max()) if hold else changed)


def _gamma(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    gamma, invert, retain = params
    mean, deviation = values.mean(), values.std()
    signed = -values if invert else values
    least, width = signed.min(), signed.max() - signed.min()
    if width <= 0:
        return values
    changed = ((signed - least) / width) ** gamma * width + least
    changed = -changed if invert else changed
    if not retain:
        return np.asarray(changed)
    spread = changed.std()
    return np.asarray((changed - changed.mean()) * (deviation / spread if spread > 0 else 0.0) + mean)


def _low_resolution(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    shape = values.shape
    zoom, in_plane = params
    smaller = [max(1, math.floor(n * zoom + 0.5)) for n in shape]
    if in_plane:
        smaller[0] = shape[0]
    for axis, (size, n) in enumerate(zip(smaller, shape, strict=True)):
        nearest = np.minimum(np.floor((np.arange(size) + 0.5) * (n / size)).astype(int), n - 1)
        values = np.take(values, nearest, axis)
    for axis, (size, n) in enumerate(zip(smaller, shape, strict=True)):
        weights = triangle_weights((np.arange(n) + 0.5) * (size / n) - 0.5, 1.0, size)
        values = np.moveaxis(np.tensordot(weights, np.moveaxis(values, axis, 0), 1), 0, axis)
    return values


def _bias(values: Array, params: list[float], step: DrawnStep, channel: int) -> Array:
    order = int(params[0])
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in values.shape]
    field, term = np.zeros(values.shape), 1
    for a in range(order + 1):
        for b in range(order + 1 - a):
            for c in range(order + 1 - a - b):
                field += params[term] * (axes[0] ** a)[:, None, None] * (axes[1] ** b)[:, None] * axes[2] ** c
                term += 1
    return values * np.exp(field)


_STEPS = {
    "window": _window,
    "percentile_normalize": _percentiles,
    "zscore_normalize": _zscore,
    "normalize": _normalize,
    "invert": _invert,
    "gaussian_noise": _noise,
    "gaussian_blur": _blur,
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "low_resolution": _low_resolution,
    "bias_field": _bias,
}
