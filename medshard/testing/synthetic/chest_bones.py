"""Bones of a frontal chest radiograph; coordinates as in ``chest_scene``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.paint import Plane, band, ellipse_radius, smooth_step

__all__ = ["bones"]

_POSTERIOR_RIBS, _ANTERIOR_RIBS = 10, 6


def bones(rng: np.random.Generator, u: Plane, v: Plane, *, wall_u: Plane, half_width: float, apex_v: float) -> Plane:
    """Attenuation of ribs, clavicles, shoulder blades, humeral heads and spine.

    Args:
        rng: small differences between ribs and sides.
        u: (Y, X) coordinates.
        v: (Y, X) coordinates.
        wall_u: (Y, X) distance of the inner chest wall from the spine.
        half_width: of the rib cage.
        apex_v: top of the lungs.
    """
    out = np.abs(u)
    on_left = (u > 0).astype(np.int64)
    total = _spine(u, v) + _ribs(rng, out, v, on_left, wall_u, half_width, apex_v) + _clavicles(rng, out, v, on_left)
    blade, _ = ellipse_radius(v, out, (0.27, half_width + 0.040), (0.15, 0.055), 0.20)
    head, _ = ellipse_radius(v, out, (0.185, half_width + 0.135), (0.050, 0.052))
    total += 0.06 * smooth_step(1 - blade, 0.20) + 0.17 * smooth_step(1 - head, 0.10)
    return total


def _cortex(distance: Plane, half_width: float | Plane) -> Plane:
    """A flat bone seen edge on: a plateau with brighter rims."""
    across = np.abs(distance) / half_width
    profile: Plane = smooth_step(1 - across, 0.35) * (0.62 + 0.38 * np.minimum(across, 1) ** 4)
    return profile


def _ladder(v: Plane, first: Plane, spacing: Plane, count: int) -> tuple[Plane, NDArray[np.int64]]:
    """Distance to the nearest of ``count`` curves ``first + n * spacing``, and its number n."""
    number = np.clip(np.rint((v - first) / spacing), 0, count - 1)
    return v - first - number * spacing, number.astype(np.int64)


def _ribs(
    rng: np.random.Generator,
    out: Plane,
    v: Plane,
    on_left: NDArray[np.int64],
    wall_u: Plane,
    half_width: float,
    apex_v: float,
) -> Plane:
    """Posterior ribs that fall to the side, fainter anterior ones that fall to the middle, and the chest wall."""
    inside = smooth_step(wall_u + 0.014 - out, 0.010)
    along = out / half_width
    fall = along**2.3
    jitter = 0.004 * rng.standard_normal((2, _POSTERIOR_RIBS), dtype=np.float32)

    first = apex_v - 0.020 - 0.018 * np.sin(np.pi * np.minimum(along * 1.6, 1)) + 0.030 * fall
    distance, number = _ladder(v, first, 0.0635 + 0.0125 * fall, _POSTERIOR_RIBS)
    distance = distance - jitter[on_left, number] * along
    total = 0.088 * _cortex(distance, 0.0125 + 0.004 * along) * inside * smooth_step(out - 0.030, 0.02)

    rise = np.clip(1 - along, 0, None) ** 1.15
    first = apex_v + 0.075 + 0.115 * rise + 0.03 * (along - 0.5) ** 2
    distance, number = _ladder(v, first, 0.082 + 0.012 * rise, _ANTERIOR_RIBS)
    # Their front ends are cartilage, which casts no shadow; it begins further out on the lower ribs.
    bony = smooth_step(along - 0.36 - 0.03 * number, 0.10)
    total += 0.042 * _cortex(distance, 0.0165) * inside * bony * (v > apex_v + 0.06)

    # Ribs seen end on line the chest wall.
    lining = 0.075 * band(out - wall_u - 0.010, 0.017) * smooth_step(v - apex_v - 0.03, 0.04)
    lined: Plane = total + lining * smooth_step(0.80 - v, 0.10)
    return lined


def _clavicles(rng: np.random.Generator, out: Plane, v: Plane, on_left: NDArray[np.int64]) -> Plane:
    """Collar bones: each an S from the breast bone up to the shoulder, one higher than the other."""
    along = np.clip((out - 0.035) / 0.36, 0, 1)
    height = (0.222 + 0.008 * rng.standard_normal(2, dtype=np.float32))[on_left]
    course = height - 0.115 * along + 0.014 * np.sin(2 * np.pi * along)
    shape = smooth_step(out - 0.030, 0.02) * smooth_step(0.40 - out, 0.02)
    bone: Plane = 0.135 * _cortex(v - course, 0.0125 + 0.005 * np.abs(along - 0.5)) * shape
    return bone


def _spine(u: Plane, v: Plane) -> Plane:
    """Vertebrae seen through the mediastinum: bodies, disc spaces, pedicles and spinous processes."""
    level = (v - 0.02) / 0.062
    phase = level - np.floor(level)
    disc = band(phase - 0.02, 0.12) + band(phase - 1.0, 0.10)
    body = smooth_step(0.036 - np.abs(u), 0.012) * (0.055 - 0.045 * disc)
    pedicles = 0.040 * (band(np.hypot((np.abs(u) - 0.023) * 1.3, (phase - 0.42) * 0.062), 0.0095))
    process = 0.030 * band(np.hypot(u * 1.6, (phase - 0.72) * 0.035), 0.012)
    spine: Plane = body + pedicles + process
    return spine
