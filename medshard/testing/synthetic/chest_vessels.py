"""The branching vessels of the lungs; coordinates as in ``chest_scene``."""

from __future__ import annotations

import math

import numpy as np

from medshard.testing.synthetic.paint import Plane, blur, ellipse_radius, smooth_step, stamp

__all__ = ["lung_vessels"]

# Half widths in picture heights of the classes that vessels are drawn in, from the hilum outwards.
_WIDTHS = (0.0058, 0.0036, 0.0023, 0.0014)
_STEP = 0.0016


def lung_vessels(rng: np.random.Generator, shape_yx: tuple[int, int], u: Plane, v: Plane) -> Plane:
    """Attenuation of the hila and of trees that grow from them; the left hilum is the higher one."""
    rows = shape_yx[0]
    origin_u = float(u[0, 0]) - 0.5 / rows
    total = np.zeros(shape_yx, np.float32)
    points: list[list[tuple[float, float]]] = [[] for _ in _WIDTHS]
    for side, hilum_v in ((-1, 0.445), (1, 0.420)):
        radius, _ = ellipse_radius(v, u, (hilum_v, side * 0.082), (0.055, 0.027), side * 0.25)
        total += 0.10 * smooth_step(1 - radius, 0.7)
        for fan in range(10):
            heading = -1.35 + 0.305 * fan + float(rng.normal(0, 0.10))
            start = (side * (0.075 + float(rng.uniform(0, 0.02))), hilum_v + 0.045 * math.sin(heading))
            _grow(rng, points, side, start, heading, 0, float(rng.uniform(0.07, 0.13)))
    for width, cells in zip(_WIDTHS, points, strict=True):
        places = (np.array(cells)[:, ::-1] - np.array([0.0, origin_u])) * rows
        sigma_px = max(width * rows * 0.6, 0.6)
        # A round vessel is as thick as it is wide; a stamped line of unit points has its mass spread over 2.5 sigma.
        line = blur(stamp(shape_yx, places, _STEP * rows), sigma_px) * (2.5 * sigma_px)
        total += np.minimum(line, 1.4) * (0.020 + 9.0 * width)
    return total


def _grow(
    rng: np.random.Generator,
    points: list[list[tuple[float, float]]],
    side: int,
    start: tuple[float, float],
    heading: float,
    order: int,
    length: float,
) -> None:
    """One vessel and its branches; ``heading`` is the angle below the horizontal, away from the spine."""
    u, v = start
    for _ in range(int(length / _STEP)):
        heading += float(rng.normal(0, 0.030))
        u += side * _STEP * math.cos(heading)
        v += _STEP * math.sin(heading)
        points[order].append((u, v))
    if order + 1 < len(_WIDTHS):
        for turn in (-1, 1, 1 if rng.random() < 0.5 else -1):
            bent = heading + turn * float(rng.uniform(0.15, 0.55))
            _grow(rng, points, side, (u, v), bent, order + 1, length * float(rng.uniform(0.55, 0.85)))
