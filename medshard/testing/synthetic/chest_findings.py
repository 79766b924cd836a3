"""Findings on a chest radiograph: each function paints one and returns exactly the pixels that it made denser."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from medshard.testing.synthetic.chest_scene import ChestScene
from medshard.testing.synthetic.paint import Plane, Support, ellipse_radius, smooth_noise

__all__ = ["paint_consolidation", "paint_effusion", "paint_nodule"]

_Side = Literal["left", "right"]


def _lung(scene: ChestScene, side: _Side) -> Support:
    return scene.lung_left if side == "left" else scene.lung_right


def _spot(
    rng: np.random.Generator, scene: ChestScene, side: _Side, taken: Support, radius: float, lowest_v: float
) -> tuple[float, float]:
    """Centre (v, u) of a disc that lies within one lung, away from the hilum and from what is painted already."""
    free = _lung(scene, side) & ~taken & (np.abs(scene.u) > 0.13) & (scene.v < lowest_v)
    cells = np.argwhere(free)
    ring = [(math.sin(a) * radius * scene.scale_px, math.cos(a) * radius * scene.scale_px) for a in range(12)]
    for row, column in cells[rng.permutation(len(cells))[:400]]:
        around = [(int(row + dy), int(column + dx)) for dy, dx in ring]
        if all(0 <= y < free.shape[0] and 0 <= x < free.shape[1] and free[y, x] for y, x in around):
            break
    return float(scene.v[row, column]), float(scene.u[row, column])


def _add(scene: ChestScene, support: Support, amount: Plane) -> Support:
    scene.attenuation = scene.attenuation + np.where(support, amount, 0)
    return support


def paint_nodule(rng: np.random.Generator, scene: ChestScene, side: _Side, taken: Support) -> Support:
    """A round, well defined density of 12 to 24 thousandths of the picture's height in radius."""
    size = float(rng.uniform(0.014, 0.026))
    squash = float(rng.uniform(0.85, 1.1))
    centre = _spot(rng, scene, side, taken, size * 1.5, 0.66)
    radius, _ = ellipse_radius(scene.v, scene.u, centre, (size * squash, size), float(rng.uniform(0, 1)))
    support: Support = (radius < 1) & _lung(scene, side)
    return _add(scene, support, 0.05 + 0.15 * np.sqrt(np.clip(1 - radius**2, 0, 1)))


def paint_effusion(rng: np.random.Generator, scene: ChestScene, side: _Side) -> Support:
    """Fluid at the base of one lung, higher at the chest wall than in the middle."""
    lung = _lung(scene, side)
    rows = np.flatnonzero(lung.any(axis=1))
    bottom = float(scene.v[rows[-1], 0])
    out = np.abs(scene.u)
    widest = float(out[lung].max())
    depth = float(rng.uniform(0.17, 0.24))
    surface = bottom - depth - 0.10 * (out / widest - 0.6) * (out / widest)
    support: Support = lung & (scene.v > surface)
    return _add(scene, support, 0.05 + 0.25 * np.clip((scene.v - surface) / 0.06, 0, 1))


def paint_consolidation(
    rng: np.random.Generator, scene: ChestScene, side: _Side, taken: Support, *, strength: float = 1.0
) -> Support:
    """A patch of filled air spaces with a ragged edge; a low ``strength`` leaves a haze that one may overlook."""
    size = float(rng.uniform(0.060, 0.085))
    centre = _spot(rng, scene, side, taken, size * 0.9, 0.58)
    radius, _ = ellipse_radius(scene.v, scene.u, centre, (size * 0.9, size * 1.15), float(rng.uniform(-0.5, 0.5)))
    shape = scene.attenuation.shape
    ragged = radius + 0.13 * smooth_noise(rng, (shape[0], shape[1]), scene.scale_px / 60, scene.scale_px / 50)
    support: Support = (ragged < 1) & (radius < 1.3) & _lung(scene, side) & ~taken
    patchy = 1 + 0.30 * np.clip(smooth_noise(rng, (shape[0], shape[1]), 2.5, 2.5), -2, 2)
    return _add(scene, support, strength * (0.03 + 0.20 * np.sqrt(np.clip(1 - ragged, 0, 1)) * patchy))
