"""A painted torso in CT: organs of simple shapes with labels, on a grid whose planes lie farther apart than pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LABELS", "Torso", "paint_torso"]

LABELS = {1: "right lung", 2: "left lung", 3: "heart", 4: "liver", 5: "spleen", 6: "nodule"}

_SHAPE_ZYX = (64, 150, 200)
_SPACING_ZYX_MM = (5.0, 2.0, 2.0)


@dataclass(frozen=True)
class Torso:
    """A volume and its labels.

    Attributes:
        voxels: (Z, Y, X) int16, HU; z from the feet up, y from front to back, x from the patient's right to left.
        labels: (Z, Y, X) uint8; see ``LABELS``.
        affine_ijk_to_ras: of both.
    """

    voxels: NDArray[np.int16]
    labels: NDArray[np.uint8]
    affine_ijk_to_ras: NDArray[np.float64]


def paint_torso(seed: int = 0) -> Torso:
    """The same for the same seed, which moves vessels and noise."""
    rng = np.random.default_rng(seed)
    sides = [np.arange(n) - (n - 1) / 2 for n in _SHAPE_ZYX]
    z, y, x = np.meshgrid(*(s * mm for s, mm in zip(sides, _SPACING_ZYX_MM, strict=True)), indexing="ij", sparse=True)

    def ellipsoid(centre_xyz: tuple[float, float, float], radii_xyz: tuple[float, float, float]) -> NDArray[np.bool_]:
        (cx, cy, cz), (rx, ry, rz) = centre_xyz, radii_xyz
        return np.asarray(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2 < 1)

    hu = np.full(_SHAPE_ZYX, -1000.0)
    body = (x / 178) ** 2 + (y / 122) ** 2
    hu[np.broadcast_to(body < 1, _SHAPE_ZYX)] = -95
    hu[np.broadcast_to(body < 0.86, _SHAPE_ZYX)] = 45
    rib = np.abs(np.mod(z + 0.35 * y, 32) - 16) < 5
    hu[rib & (body > 0.70) & (body < 0.80) & (z > -90) & (y < 90)] = 420
    labels = np.zeros(_SHAPE_ZYX, np.uint8)
    parts = (
        (1, ellipsoid((-82, 4, 40), (62, 84, 112)), -850.0),
        (2, ellipsoid((84, 4, 46), (56, 82, 104)), -850.0),
        (3, ellipsoid((24, -34, -6), (50, 44, 56)), 130.0),
        (4, ellipsoid((-78, -4, -104), (84, 86, 60)), 70.0),
        (5, ellipsoid((106, 46, -104), (34, 36, 44)), 95.0),
    )
    for label, inside, value in parts:
        hu[inside], labels[inside] = value, label
    for side, lung in ((-1, 1), (1, 2)):
        for _ in range(14):
            end = np.array([side * rng.uniform(50, 120), rng.uniform(-55, 65), rng.uniform(-50, 130)])
            start = np.array([side * 30.0, 10.0, 20.0])
            along = np.clip(_share(x, y, z, start, end), 0, 1)
            away = sum((axis - (a + along * (b - a))) ** 2 for axis, a, b in zip((x, y, z), start, end, strict=True))
            hu[(np.sqrt(away) < 5.2 - 3.6 * along) & (labels == lung)] = 60
    nodule = ellipsoid((-100, 18, 62), (11, 11, 12))
    hu[nodule], labels[nodule] = 35, 6
    spine = (x / 24) ** 2 + ((y - 84) / 20) ** 2 < 1
    hu[spine & (np.mod(z, 30) < 23)] = 380
    hu[spine & (np.mod(z, 30) >= 23)] = 90
    hu[np.broadcast_to((x / 9) ** 2 + ((y - 103) / 7) ** 2 < 1, _SHAPE_ZYX)] = 20
    hu[np.broadcast_to((((x - 22) / 12) ** 2 + ((y - 56) / 12) ** 2 < 1) & (z > -160), _SHAPE_ZYX)] = 190
    hu += rng.normal(0, 9, _SHAPE_ZYX)
    affine = np.diag([-_SPACING_ZYX_MM[2], -_SPACING_ZYX_MM[1], _SPACING_ZYX_MM[0], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(_SHAPE_ZYX[::-1]) - 1) / 2)
    return Torso(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), labels, affine)


def _share(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
) -> NDArray[np.float64]:
    """How far along a segment each point lies."""
    step = end - start
    moved = (x - start[0]) * step[0] + (y - start[1]) * step[1] + (z - start[2]) * step[2]
    return np.asarray(moved / (step @ step), np.float64)
