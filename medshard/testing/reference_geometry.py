"""numpy references of the geometry stage: each defines a way of sampling that the native engine implements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard.engine import BORDERS
from medshard.loader.counter import fold

__all__ = [
    "Filter",
    "Outside",
    "displaced",
    "resize_levels",
    "sample_filtered",
    "sample_job",
    "sample_nearest",
    "warp_filtered",
    "warp_nearest",
]

Array = NDArray[np.float64]
Box = Sequence[float]
Filter = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Outside:
    """What lies outside of a picture, and where that counts.

    Attributes:
        border: ``constant``, ``edge`` or ``reflect``.
        fill: stored value of a constant border.
        extent_xyxy: whole pixels that count, beyond the bounds by the border; None for the bounds.
        inner_xyxy: part of the output, before flips and transposition, that is sampled; the border makes the rest from
            it; None for all.
    """

    border: str = "constant"
    fill: float = 0.0
    extent_xyxy: Sequence[int] | None = None
    inner_xyxy: Sequence[int] | None = None


INSIDE = Outside()


def _within(at: int, low: int, high: int, border: str) -> int | None:
    """The place of low .. high - 1 that another stands for; None for a constant border."""
    if low <= at < high:
        return at
    if border == "constant":
        return None
    if border == "edge":
        return min(max(at, low), high - 1)
    period = max(2 * (high - low - 1), 1)
    place = (at - low) % period
    return low + (place if place < high - low else period - place)


def _curve(filter: Filter, distance: Array) -> Array:
    """The triangle, or Keys' cubic with a = -1/2 (Keys 1981, equation 15)."""
    if filter == "bilinear":
        return np.maximum(0.0, 1.0 - distance)
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _axis_weights(
    box: tuple[float, float],
    bounds: tuple[int, int],
    size: int,
    extent: tuple[int, int],
    inner: tuple[int, int],
    border: str,
    filter: Filter = "bilinear",
) -> Array:
    """(size, bounds[1]) weights of a filter, as Pillow computes them (Resample.c, precompute_coeffs).

    Rows sum to less than 1 where the filter meets a constant border.
    """
    scale = (box[1] - box[0]) / size
    stretch = max(scale, 1.0)
    support = stretch * (1.0 if filter == "bilinear" else 2.0)
    weights = np.zeros((size, bounds[1]))
    for i in range(size):
        made = _within(i, *inner, border)
        if made is None:
            continue
        centre = box[0] + (made + 0.5) * scale
        first = max(extent[0], math.floor(centre - support + 0.5))
        last = min(extent[1], math.floor(centre + support + 0.5))
        inputs = np.arange(first, last)
        curve = _curve(filter, np.abs((inputs + 0.5 - centre) / stretch))
        if curve.sum() == 0:
            inputs, curve = np.array([min(max(math.floor(centre), extent[0]), extent[1] - 1)]), np.ones(1)
        for at, weight in zip(inputs.tolist(), curve / sum(curve.tolist()), strict=True):
            place = _within(at, *bounds, border)
            if place is not None:
                weights[i, place] += weight
    return weights


def _part(box: Sequence[int], axis: int) -> tuple[int, int]:
    return int(box[axis]), int(box[axis + 2])


def _planes(image: NDArray[np.generic]) -> Array:
    pixels = np.asarray(image, np.float64)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def sample_filtered(
    image: NDArray[np.generic],
    box_xyxy: Box,
    bounds_xyxy: Sequence[int],
    size_hw: tuple[int, int],
    *,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    outside: Outside = INSIDE,
    filter: Filter = "bilinear",
) -> Array:
    """A box of a picture at another size: a separable antialiased filter, the triangle or the cubic.

    Args:
        image: (H, W) or (H, W, C), any numbers.
        box_xyxy: x0 y0 x1 y1, continuous pixels, fills the output.
        bounds_xyxy: whole pixels outside of which nothing is read.
        size_hw: of the output, before the transposition.
        transpose: rows become columns, after the flips.

    Returns:
        (H', W', C), float64.
    """
    extent = outside.extent_xyxy if outside.extent_xyxy is not None else bounds_xyxy
    inner = outside.inner_xyxy if outside.inner_xyxy is not None else (0, 0, size_hw[1], size_hw[0])
    across, down = (
        _axis_weights(
            (box_xyxy[axis], box_xyxy[axis + 2]),
            _part(bounds_xyxy, axis),
            size_hw[1 - axis],
            _part(extent, axis),
            _part(inner, axis),
            outside.border,
            filter,
        )
        for axis in (0, 1)
    )
    part = _planes(image)[: bounds_xyxy[3], : bounds_xyxy[2]]
    sampled = np.einsum("yh,hwc,xw->yxc", down, part, across, optimize=True)
    covered = down.sum(1)[:, None] * across.sum(1)
    sampled = sampled + ((1 - covered) * outside.fill)[..., None]
    sampled = sampled[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.asarray(sampled.transpose(1, 0, 2) if transpose else sampled, np.float64)


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
    part = _planes(image).astype(np.int64)[: bounds_xyxy[3], : bounds_xyxy[2]]
    across, down = (
        _fixed(
            _axis_weights(
                (box_xyxy[axis], box_xyxy[axis + 2]),
                _part(bounds_xyxy, axis),
                size_hw[1 - axis],
                _part(bounds_xyxy, axis),
                (0, size_hw[1 - axis]),
                "edge",
                filter,
            )
        )
        for axis in (0, 1)
    )
    wide = _levels(np.einsum("hwc,xw->hxc", part, across))
    resized = _levels(np.einsum("yh,hxc->yxc", down, wide))
    return resized[:: -1 if flip_y else 1, :: -1 if flip_x else 1].astype(np.uint8)


def _fixed(weights: Array) -> NDArray[np.int64]:
    scaled = weights * 2**22
    return np.asarray(np.sign(scaled) * np.floor(np.abs(scaled) + 0.5), np.int64)


def _levels(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.clip((sums + 2**21) >> 22, 0, 255), np.int64)


def sample_nearest(
    image: NDArray[np.generic],
    box_xyxy: Box,
    size_hw: tuple[int, int],
    *,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
    bounds_xyxy: Sequence[int] | None = None,
    outside: Outside = INSIDE,
) -> NDArray[np.generic]:
    """A box of a mask at another size: the pixel under the centre of each output pixel (torch ``nearest-exact``)."""
    height, width = image.shape[:2]
    bounds = bounds_xyxy if bounds_xyxy is not None else (0, 0, width, height)
    extent = outside.extent_xyxy if outside.extent_xyxy is not None else bounds
    inner = outside.inner_xyxy if outside.inner_xyxy is not None else (0, 0, size_hw[1], size_hw[0])
    places = []
    for axis in (0, 1):
        size = size_hw[1 - axis]
        step = (box_xyxy[axis + 2] - box_xyxy[axis]) / size
        found: list[int | None] = []
        for i in range(size):
            made = _within(i, *_part(inner, axis), outside.border)
            under = None if made is None else math.floor(box_xyxy[axis] + (made + 0.5) * step)
            if under is not None:
                under = min(max(under, extent[axis]), extent[axis + 2] - 1)
                under = _within(under, *_part(bounds, axis), outside.border)
            found.append(under)
        places.append(found[:: -1 if (flip_x, flip_y)[axis] else 1])
    columns, rows = (np.array([-1 if at is None else at for at in found]) for found in places)
    taken = image[np.maximum(rows, 0)][:, np.maximum(columns, 0)].copy()
    taken[rows < 0] = outside.fill
    taken[:, columns < 0] = outside.fill
    return np.asarray(np.swapaxes(taken, 0, 1) if transpose else taken)


def displaced(points_xy: Array, seed: int, spacing_xy: Box, amplitude_xy: Box) -> Array:
    """Points (n, 2) moved by an elastic displacement.

    A lattice of points ``spacing_xy`` apart has two numbers each in [-1, 1), of ``counter.uniform_u64`` gone on from
    the seed's state with (0 for x or 1 for y, row, column). Cubic B-splines join them.
    """
    at = points_xy / np.asarray(spacing_xy)
    whole = np.floor(at)
    t = at - whole
    splines = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3], -1) / 6
    near = whole.astype(np.int64)[..., None] + np.arange(-1, 3)  # (n, 2, 4)
    rows, columns = near[:, 1, :, None], near[:, 0, None, :]
    moved = []
    for axis in (0, 1):
        bits = _states(seed, axis, rows, columns)
        values = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1
        moved.append(np.einsum("nr,nc,nrc->n", splines[:, 1], splines[:, 0], values))
    return np.asarray(points_xy + np.stack(moved, 1) * np.asarray(amplitude_xy), np.float64)


def _states(seed: int, axis: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Counters that go on from the state ``seed``."""
    return fold(np.full(1, seed, np.uint64), axis, rows, columns)


def _grid_points(job: np.void) -> Array:
    """(H, W, 2) grid coordinates of the middles of the output's pixels."""
    rows, columns = np.mgrid[: int(job["height"]), : int(job["width"])] + 0.5
    points = np.stack([columns, rows], -1).reshape(-1, 2)
    if job["elastic_spacing"][0] > 0:
        points = _through(job["before"], points)
        points = displaced(points, int(job["elastic_seed"]), job["elastic_spacing"], job["elastic_amplitude"])
    points = _through(job["map"], points)
    return points.reshape(int(job["height"]), int(job["width"]), 2)


def _through(matrix: Array, points_xy: Array) -> Array:
    linear = np.asarray(matrix, np.float64).reshape(2, 3)
    return np.asarray(points_xy @ linear[:, :2].T + linear[:, 2], np.float64)


def _bounded(places: Array, last: float, border: str) -> Array:
    """Places among cell middles 0 .. last, by the border; a constant one begins a cell outside."""
    if border == "constant":
        return np.clip(places, -1, last + 1)
    if border == "edge":
        return np.clip(places, 0, last)
    if last == 0:
        return np.zeros_like(places)
    turned = np.mod(places, 2 * last)
    return np.where(turned <= last, turned, 2 * last - turned)


def warp_filtered(grid: Array, points_xy: Array, border: str, fill: float) -> Array:
    """A picture (h, w, C) at points (H, W, 2): bilinear between cell middles."""
    height, width = grid.shape[:2]
    ringed = np.pad(grid, ((1, 2), (1, 2), (0, 0)), constant_values=fill)
    x = _bounded(points_xy[..., 0] - 0.5, width - 1, border) + 1
    y = _bounded(points_xy[..., 1] - 0.5, height - 1, border) + 1
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, below = (x - column)[..., None], (y - row)[..., None]
    upper = ringed[row, column] * (1 - right) + ringed[row, column + 1] * right
    lower = ringed[row + 1, column] * (1 - right) + ringed[row + 1, column + 1] * right
    return np.asarray(upper * (1 - below) + lower * below, np.float64)


def warp_nearest(image: NDArray[np.generic], job: np.void, border: str, fill: float) -> NDArray[np.generic]:
    """A mask through the same map: the stored pixel in which each point lies."""
    points, box, bounds = _grid_points(job), job["box"], job["bounds"]
    found = []
    for axis in (0, 1):
        size = int(job["grid"][1 - axis])
        cell = _bounded(points[..., axis] - 0.5, size - 1, border) + 0.5
        step = (box[axis + 2] - box[axis]) / size
        under = np.floor(box[axis] + cell * step).astype(int)
        stand = [_within(int(at), *_part(bounds, axis), border) for at in under.reshape(-1)]
        places = np.array([-1 if at is None else at for at in stand]).reshape(under.shape)
        if border == "constant":
            places = np.where((cell < 0) | (cell >= size), -1, places)
        found.append(places)
    columns, rows = found
    taken = image[np.maximum(rows, 0), np.maximum(columns, 0)].copy()
    taken[(rows < 0) | (columns < 0)] = fill
    return np.asarray(taken)


def sample_job(
    image: NDArray[np.generic], job: np.void, *, mask: bool = False, filter: Filter = "bilinear"
) -> NDArray[np.generic]:
    """What the engine makes of a raw picture or mask for a job (``medshard.engine.JOB``), before scale and bias.

    Returns:
        (H, W, C) float64, or the mask's own type and axes.
    """
    border = {number: name for name, number in BORDERS.items()}[int(job["border"])]
    fill = float(job["fill"]) if mask else (float(job["fill"]) - float(job["bias"])) / float(job["scale"])
    extent, inner = job["extent"].tolist(), job["inner"].tolist()
    outside = Outside(border, fill, extent if any(extent) else None, inner if any(inner) else None)
    box, bounds = job["box"].tolist(), job["bounds"].tolist()
    if job["grid"].any():
        if mask:
            return warp_nearest(image, job, border, fill)
        grid_hw = (int(job["grid"][0]), int(job["grid"][1]))
        grid = sample_filtered(image, box, bounds, grid_hw, outside=outside, filter=filter)
        return warp_filtered(grid, _grid_points(job), border, fill)
    size = (int(job["height"]), int(job["width"]))
    size = size[::-1] if job["transpose"] else size
    flip_x, flip_y, transpose = bool(job["flip_x"]), bool(job["flip_y"]), bool(job["transpose"])
    if mask:
        return sample_nearest(
            image,
            box,
            size,
            flip_x=flip_x,
            flip_y=flip_y,
            transpose=transpose,
            bounds_xyxy=bounds,
            outside=outside,
        )
    return sample_filtered(
        image, box, bounds, size, flip_x=flip_x, flip_y=flip_y, transpose=transpose, outside=outside, filter=filter
    )
