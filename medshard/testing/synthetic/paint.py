"""Brushes: named random streams, smooth noise, bands and blobs on a pixel grid.

Arrays are (Y, X) float32 unless said otherwise; row 0 is the top.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BoxXYXY",
    "Plane",
    "Support",
    "band",
    "blur",
    "box_of",
    "deform_rows",
    "ellipse_radius",
    "grid",
    "smooth_noise",
    "smooth_step",
    "stamp",
    "stream",
]

Plane: TypeAlias = NDArray[np.floating[Any]]
Support: TypeAlias = NDArray[np.bool_]
BoxXYXY: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in continuous pixels: (0, 0) is the outer corner of the first pixel, width is x1 - x0."""

# Noise is made on a grid whose sides are multiples of this, because such lengths are quick for the FFT; cutting the
# picture out of it also keeps the two borders from being each other's neighbour.
_FFT_MULTIPLE = 48


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A random stream of its own for each thing that is named, so that adding a case does not change the others."""
    text = "/".join(str(part) for part in (seed, *names))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def grid(shape_yx: tuple[int, int]) -> tuple[Plane, Plane]:
    """The y and x of every pixel's centre, in pixels."""
    y, x = np.mgrid[0.5 : shape_yx[0], 0.5 : shape_yx[1]].astype(np.float32)
    return y, x


def smooth_noise(rng: np.random.Generator, shape_yx: tuple[int, int], sigma_y: float, sigma_x: float) -> Plane:
    """Gaussian noise of mean about 0 and deviation about 1, smoothed by a Gaussian of the given sigmas in pixels."""
    full_y, full_x = (math.ceil((size + 1) / _FFT_MULTIPLE) * _FFT_MULTIPLE for size in shape_yx)
    white = rng.standard_normal((full_y, full_x), dtype=np.float32)
    frequency_y, frequency_x = np.fft.fftfreq(full_y)[:, None], np.fft.rfftfreq(full_x)[None, :]
    gain = np.exp(-2 * np.pi**2 * ((sigma_y * frequency_y) ** 2 + (sigma_x * frequency_x) ** 2))
    gain[0, 0] = 0
    field = np.fft.irfft2(np.fft.rfft2(white) * gain.astype(np.float32), s=(full_y, full_x))
    cut: Plane = field[: shape_yx[0], : shape_yx[1]] / max(float(field.std()), 1e-12)
    return cut


def blur(image: Plane, sigma_px: float) -> Plane:
    """Gaussian blur with repeated borders."""
    radius = max(1, math.ceil(3 * sigma_px))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    taps = [float(tap) for tap in kernel / kernel.sum()]
    for axis in (0, 1):
        width = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(image, width, mode="edge")
        image = np.zeros_like(image)
        for start, tap in enumerate(taps):
            image += tap * _part(padded, axis, start, image.shape[axis])
    return image


def _part(image: Plane, axis: int, start: int, size: int) -> Plane:
    return image[start : start + size] if axis == 0 else image[:, start : start + size]


def deform_rows(image: Plane, shift_rows_x: Plane) -> Plane:
    """Shift each column down by its own number of rows, wrapping round; makes texture follow a curved layer."""
    rows, columns = image.shape
    source = (np.arange(rows)[:, None] - np.rint(shift_rows_x).astype(np.int64)[None, :]) % rows
    shifted: Plane = image[source, np.arange(columns)[None, :]]
    return shifted


def smooth_step(values: Plane, width: float) -> Plane:
    """0 where values are far below 0, 1 far above, with an edge of about ``width``."""
    ramp = np.clip(values / width * 0.5 + 0.5, 0, 1)
    step: Plane = ramp * ramp * (3 - 2 * ramp)
    return step


def band(distance: Plane, half_width: float | Plane) -> Plane:
    """1 on a line, falling to 0 at ``half_width`` to either side."""
    line: Plane = np.clip(1 - (distance / half_width) ** 2, 0, 1)
    return line


def ellipse_radius(
    y: Plane, x: Plane, centre_yx: tuple[float, float], radii_yx: tuple[float, float], angle_rad: float = 0.0
) -> tuple[Plane, Plane]:
    """Radius (1 on the ellipse) and polar angle of every point, for an ellipse turned clockwise by ``angle_rad``."""
    dy, dx = y - centre_yx[0], x - centre_yx[1]
    across = (dx * math.cos(angle_rad) + dy * math.sin(angle_rad)) / radii_yx[1]
    along = (dy * math.cos(angle_rad) - dx * math.sin(angle_rad)) / radii_yx[0]
    radius: Plane = np.hypot(along, across)
    angle: Plane = np.arctan2(along, across)
    return radius, angle


def stamp(shape_yx: tuple[int, int], points_yx: Plane, weight: float) -> Plane:
    """Add a weight to the pixel of each point; points outside are left out."""
    canvas = np.zeros(shape_yx, np.float32)
    cells = np.floor(points_yx).astype(np.int64)
    inside = np.all((cells >= 0) & (cells < np.array(shape_yx)), axis=1)
    np.add.at(canvas, (cells[inside, 0], cells[inside, 1]), weight)
    return canvas


def box_of(support: Support) -> BoxXYXY:
    """The tight box of a painted area.

    Raises:
        ValueError: nothing is painted.
    """
    if not support.any():
        raise ValueError("box_of: the area is empty; a box needs at least one painted pixel.")
    rows, columns = np.flatnonzero(support.any(axis=1)), np.flatnonzero(support.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
