"""A B-mode picture of a breast: layers, speckle, lesions and what lies behind them.

Brightness is 0 to 1 on the log-compressed scale of the display. Depth runs downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.paint import (
    Plane,
    Support,
    band,
    blur,
    deform_rows,
    ellipse_radius,
    grid,
    smooth_noise,
    smooth_step,
    stamp,
)

__all__ = ["draw_lesions", "fill_lesion", "scan", "tissue"]

_LOOKS = 3


@dataclass(frozen=True)
class Tissue:
    """Brightness before speckle, and the depth in rows of the boundaries at each column."""

    echo: Plane
    chest_wall_row_x: Plane


def _ramp(start: float, stop: float, count: int) -> Plane:
    return np.linspace(start, stop, count, dtype=np.float32)


def _boundary(rng: np.random.Generator, width: int, depth: float, tilt: float, wave: float) -> Plane:
    """Relative depth of a layer's lower edge at each column, tilted and wavy."""
    x = _ramp(-0.5, 0.5, width)
    ripple = smooth_noise(rng, (1, width), 1, width / 9)[0]
    line: Plane = depth + tilt * x + wave * ripple
    return line


def tissue(rng: np.random.Generator, shape_yx: tuple[int, int]) -> Tissue:
    """Skin, fat with septa, glandular tissue, muscle, chest wall; every layer leans to one side."""
    rows, columns = shape_yx
    depth = np.broadcast_to(_ramp(0, 1, rows)[:, None], shape_yx)
    tilt = float(rng.uniform(0.05, 0.13)) * (1 if rng.random() < 0.5 else -1)
    skin = _boundary(rng, columns, 0.045, 0.2 * tilt, 0.002)
    fat = _boundary(rng, columns, float(rng.uniform(0.17, 0.27)), tilt, 0.018)
    gland = _boundary(rng, columns, float(rng.uniform(0.58, 0.68)), tilt, 0.016)
    wall = _boundary(rng, columns, float(rng.uniform(0.78, 0.86)), tilt, 0.008)
    follow = (gland - gland.mean()) * rows

    unit = rows / 400
    coarse = smooth_noise(rng, shape_yx, 9 * unit, 26 * unit)
    fine = deform_rows(smooth_noise(rng, shape_yx, 1.4 * unit, 9 * unit), follow)
    fibres = deform_rows(smooth_noise(rng, shape_yx, 1.2 * unit, 30 * unit), follow)
    # Where smooth noise crosses zero are thin wandering lines, like the septa between lobules of fat.
    crossing = deform_rows(smooth_noise(rng, shape_yx, 10 * unit, 34 * unit), follow)
    septa = np.exp(-((crossing / 0.15) ** 2)) * np.clip(0.6 + 0.6 * coarse, 0, 1)

    in_fat = 0.30 + 0.045 * coarse + 0.015 * fine + 0.30 * septa
    in_gland = 0.47 + 0.075 * coarse + 0.065 * fine + 0.045 * fibres + 0.14 * septa - 0.10 * np.clip(crossing - 1, 0, 1)
    in_muscle = 0.33 + 0.085 * fibres + 0.03 * coarse
    behind = 0.17 + 0.03 * coarse + 0.06 * fibres * np.clip(1.2 - (depth - wall) * 7, 0, 1)

    echo = in_fat
    for edge, deeper in ((fat, in_gland), (gland, in_muscle), (wall, behind)):
        share = smooth_step(depth - edge, 0.02)
        echo = echo * (1 - share) + deeper * share
    strength = 0.7 + 0.3 * np.sign(fibres) * np.minimum(np.abs(fibres), 1)
    for edge, half_width, gain in ((fat, 0.006, 0.16), (gland, 0.007, 0.26), (wall, 0.009, 0.42)):
        echo = echo + gain * strength * band(depth - edge, half_width)
    below_skin = smooth_step(depth - skin, 0.012)
    skin_echo = 0.50 + 0.35 * band(depth - skin, 0.008) + 0.35 * band(depth - 0.008, 0.010)
    echo = skin_echo * (1 - below_skin) + echo * below_skin

    # Absorption beyond what the gain makes up for, poor contact in some columns, one side darker than the other.
    contact = np.minimum(smooth_noise(rng, (1, columns), 1, columns / 24)[0], 0.4)
    lean = float(np.sign(tilt)) * _ramp(-0.06, 0.06, columns)
    edges = 0.14 * np.abs(_ramp(-1, 1, columns)) ** 6
    echo = echo - 0.07 * depth**2 + (0.045 * contact)[None, :] * (0.4 + depth) + (lean - edges)[None, :] * depth
    return Tissue(echo=echo, chest_wall_row_x=wall * rows)


def _outline(rng: np.random.Generator, theta: Plane, *, malignant: bool) -> Plane:
    """Radius of a lesion's edge at each angle, about 1."""
    edge = np.ones_like(theta)
    if not malignant:
        for order, gain in ((2, 0.035), (3, 0.025)):
            edge += gain * np.cos(order * theta + rng.uniform(0, 2 * np.pi))
        return edge
    for order in range(2, 9):
        edge += 0.20 / order * np.cos(order * theta + rng.uniform(0, 2 * np.pi)) * rng.uniform(0.6, 1.5)
    for _ in range(int(rng.integers(9, 15))):
        away = np.angle(np.exp(1j * (theta - rng.uniform(-np.pi, np.pi))))
        edge += rng.uniform(0.15, 0.40) * np.exp(-((away / rng.uniform(0.05, 0.13)) ** 2))
    return edge * 0.84


def draw_lesions(rng: np.random.Generator, shape_yx: tuple[int, int], count: int, *, malignant: bool) -> list[Support]:
    """Outlines of lesions: the first well off the centre line, a smaller second on the other side.

    Benign ones are wider than tall and smooth, malignant ones taller than wide and spiculated.
    """
    rows, columns = shape_yx
    y, x = grid(shape_yx)
    side = 1 if rng.random() < 0.5 else -1
    supports: list[Support] = []
    for number in range(count):
        away = side * (1 if number == 0 else -1)
        centre = (rows * rng.uniform(0.36, 0.46), columns * (0.5 + away * rng.uniform(0.17, 0.24)))
        size = min(rows, columns) * rng.uniform(0.10, 0.15) * (1.0 if number == 0 else 0.6)
        ratio = rng.uniform(1.15, 1.35) if malignant else rng.uniform(0.55, 0.75)
        lean = rng.uniform(0.10, 0.30) * (1 if rng.random() < 0.5 else -1)
        radius, theta = ellipse_radius(y, x, centre, (size * ratio**0.5, size / ratio**0.5), lean)
        support: Support = radius < _outline(rng, theta, malignant=malignant)
        for other in supports:
            support &= ~other
        supports.append(support)
    return supports


def fill_lesion(rng: np.random.Generator, echo: Plane, support: Support, *, malignant: bool) -> Plane:
    """The brightness with the lesion painted in; changes every pixel of ``support`` and no other."""
    level = rng.uniform(0.13, 0.20) if malignant else rng.uniform(0.03, 0.17)
    inside = level + 0.03 * smooth_noise(rng, support.shape, 6, 9)
    if malignant:
        cells = np.argwhere(support).astype(np.float64)
        bright = cells[rng.integers(0, len(cells), size=6)]
        inside = inside + np.minimum(blur(stamp(support.shape, bright, 4.0), 0.9), 0.45)
    painted: Plane = np.where(support, np.minimum(inside, 0.62 * echo), echo)
    return painted


def _behind(rng: np.random.Generator, support: Support, *, malignant: bool) -> Plane:
    """Change of brightness deeper than a lesion: fluid lets more sound through, a dense tumour less."""
    rows, _ = support.shape
    chord = support.sum(axis=0).astype(np.float32)
    lowest = np.where(chord > 0, rows - 1 - np.argmax(support[::-1], axis=0), rows)
    below = np.arange(rows)[:, None] - lowest[None, :]
    share = (chord / chord.max()) ** 0.5
    fade = np.exp(-np.maximum(below, 0) / (0.30 * rows))
    if malignant:
        effect = -rng.uniform(0.22, 0.30) * share[None, :] * (1.15 - fade * 0.35)
    else:
        effect = rng.uniform(0.20, 0.30) * share[None, :] ** 2 * fade
    return blur(np.where(below > 0, effect, 0.0), rows / 60) * ~support


def scan(
    rng: np.random.Generator, shape_yx: tuple[int, int], lesions: list[Support], *, malignant: bool
) -> NDArray[np.uint8]:
    """The picture as the scanner shows it: (Y, X) uint8.

    The lesions' edges are exact up to the point spread, which softens them by about a pixel.
    """
    rows = shape_yx[0]
    echo = tissue(rng, shape_yx).echo
    for support in lesions:
        echo = echo + _behind(rng, support, malignant=malignant)
    for support in lesions:
        echo = fill_lesion(rng, echo, support, malignant=malignant)
    # Fully developed speckle is the squared length of a complex Gaussian; the beam is wider than the pulse is long.
    # Scanners average looks from several angles, which tames the dark grains.
    unit = rows / 400
    parts = [smooth_noise(rng, shape_yx, 0.7 * unit + 0.2, 1.3 * unit + 0.2) for _ in range(2 * _LOOKS)]
    speckle = 0.5 * np.log(sum((part**2 for part in parts), start=np.zeros(shape_yx, np.float32)) / len(parts) + 0.02)
    grey = blur(echo, 0.8) * (1 + 0.42 * speckle) + 0.02 * speckle
    y, x = grid(shape_yx)
    mark, _ = ellipse_radius(y, x, (9, 8), (5, 5))
    grey = np.where(np.abs(mark - 0.8) < 0.25, 0.9, grey)  # the orientation mark of the probe, at the left
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)
