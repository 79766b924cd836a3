"""A frontal chest radiograph, painted as attenuation: body, lungs, heart, vessels, bones, what lies below.

Coordinates are in picture heights: ``v`` downwards from the top, ``u`` to the image right from the spine. The patient's
left is at the image right, as radiographs are shown, for PA and AP alike. Attenuation is about 0 (air) to 1 (dense).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard.testing.synthetic.chest_bones import bones
from medshard.testing.synthetic.chest_vessels import lung_vessels
from medshard.testing.synthetic.paint import (
    BoxXYXY,
    Plane,
    Support,
    band,
    blur,
    box_of,
    ellipse_radius,
    grid,
    smooth_noise,
    smooth_step,
)

__all__ = ["ChestScene", "Habitus", "expose", "paint_chest"]


@dataclass(frozen=True)
class Habitus:
    """The build of one patient, in picture heights; the same in all pictures of the patient.

    Attributes:
        half_width: of the rib cage at its widest.
        dome_right_v: height of the right half of the diaphragm (image left), the higher one.
        dome_left_v: height of the left half.
        apex_v: top of the lungs.
        heart_scale: 1 for a normal heart.
        female: with breast shadows.
    """

    half_width: float
    dome_right_v: float
    dome_left_v: float
    apex_v: float
    heart_scale: float
    female: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, *, heart_scale: float, female: bool, view: Literal["PA", "AP"]) -> Habitus:
        """A random build; an AP picture is taken in bed: shallow breath, heart magnified."""
        in_bed = view == "AP"
        right = float(rng.uniform(0.70, 0.74)) - 0.03 * in_bed
        return cls(
            half_width=float(rng.uniform(0.355, 0.40)),
            dome_right_v=right,
            dome_left_v=right + float(rng.uniform(0.035, 0.055)),
            apex_v=float(rng.uniform(0.105, 0.13)),
            heart_scale=heart_scale * (1.07 if in_bed else 1.0),
            female=female,
        )


@dataclass
class ChestScene:
    """What is painted so far.

    Attributes:
        attenuation: (Y, X); findings are added to it.
        u: (Y, X) coordinates in picture heights.
        v: (Y, X) coordinates in picture heights.
        lung_right: the patient's right lung, at the image left.
        lung_left: the patient's left lung, without the heart.
        heart: exactly the pixels that were made denser by the heart.
        scale_px: pixels per picture height.
    """

    attenuation: Plane
    u: Plane
    v: Plane
    lung_right: Support
    lung_left: Support
    heart: Support
    scale_px: int


def paint_chest(rng: np.random.Generator, shape_yx: tuple[int, int], build: Habitus) -> ChestScene:
    """Everything but findings, marker and noise."""
    rows, columns = shape_yx
    y, x = grid(shape_yx)
    v, u = y / rows, (x - columns / 2) / rows
    u = u - float(rng.uniform(-0.012, 0.012))
    out = np.abs(u)

    lungs, depth = _lungs(build, u, v)
    right, left = (lungs & (u < 0)), (lungs & (u > 0))
    body = _body(rng, build, u, v)
    belly = smooth_step(v - _dome(build, u) - 0.01, 0.05)

    filled = lungs.astype(np.float32)
    edge = blur(filled, rows / 300)
    aerated = 0.40 * edge * (0.42 + 0.58 * depth) + 0.05 * blur(filled, rows / 40)
    attenuation = body * (0.60 + belly * (0.10 + 0.06 * smooth_step(0.02 - u, 0.12))) - aerated

    heart, thickness = _heart(build, u, v)
    soft = _mediastinum(u, v)
    middle = np.maximum(soft, 0.34 * thickness)
    attenuation += middle * (0.25 + 0.75 * blur(np.clip(edge + heart * 0.4, 0, 1), rows / 120)) * (1 - 0.85 * belly)
    attenuation -= _airway(u, v)
    vessels = lung_vessels(rng, shape_yx, u, v)
    attenuation += vessels * edge * (1 - 0.75 * heart)
    wall_u = _wall(build, v) * _left_narrower(u)
    attenuation += (
        bones(rng, u, v, wall_u=wall_u, half_width=build.half_width, apex_v=build.apex_v) * body * (1 - 0.4 * heart)
    )
    attenuation -= _gastric_bubble(rng, build, u, v)
    if build.female:
        for side in (-1, 1):
            radius, _ = ellipse_radius(v, u, (0.66, side * 0.235), (0.15, 0.16))
            attenuation += 0.055 * smooth_step(1 - radius, 0.25)
    # Muscle and fat of the chest wall and the belly are not even.
    attenuation += 0.012 * smooth_noise(rng, shape_yx, rows / 14, rows / 14) * body
    attenuation += 0.02 * body * (out > wall_u) * np.clip(smooth_noise(rng, shape_yx, rows / 18, rows / 60), -1, 1)
    inner = ~heart & (edge > 0.5)
    return ChestScene(attenuation, u, v, right & inner, left & inner, heart, rows)


def _left_narrower(u: Plane) -> Plane:
    return np.asarray(1 - np.float32(0.035) * (u > 0), np.float32)


def _wall(build: Habitus, v: Plane) -> Plane:
    """Distance of the inner chest wall from the spine at each height."""
    down = np.clip((v - build.apex_v) / (0.62 - build.apex_v), 0, None)
    grow = 1 - (1 - np.minimum(down, 1)) ** 2.2
    wall: Plane = 0.145 + (build.half_width - 0.145) * grow**0.85 * (1 - 0.03 * np.clip(down - 1, 0, 1))
    return wall


def _dome(build: Habitus, u: Plane) -> Plane:
    """Height of the diaphragm; it falls steeply towards the chest wall."""
    out = np.abs(u)
    top = np.where(u < 0, build.dome_right_v, build.dome_left_v)
    centre = 0.50 * build.half_width
    lateral = np.clip((out - centre) / (build.half_width - centre), 0, 1.3)
    medial = np.clip((centre - out) / centre, 0, 1)
    dome: Plane = top + 0.115 * lateral**2.6 + 0.03 * medial**2
    return dome


def _lungs(build: Habitus, u: Plane, v: Plane) -> tuple[Support, Plane]:
    """The lung fields and how much air lies at each point of them, 0 to 1."""
    out = np.abs(u)
    wall = _wall(build, v)
    # The apex is a dome of its own; the left lung is narrower, also without the heart.
    apex = build.apex_v + 0.06 * np.abs((out - 0.14) / np.where(out < 0.14, 0.09, 0.13)) ** 2.2
    medial = 0.052 + 0.008 * (u > 0)
    wall = wall * _left_narrower(u)
    lungs: Support = (v > apex) & (out < wall) & (out > medial) & (v < _dome(build, u))
    across = np.clip((out - (wall + medial) / 2) / np.maximum((wall - medial) / 2, 1e-3), -1, 1)
    depth = (1 - across**4) * np.clip((v - build.apex_v) / 0.10, 0.45, 1)
    # Breathing in moves more air into the upper and middle zones of an upright chest.
    return lungs, depth * (1.05 - 0.25 * np.clip((v - 0.35) / 0.5, 0, 1))


def _body(rng: np.random.Generator, build: Habitus, u: Plane, v: Plane) -> Plane:
    """Neck, shoulders and trunk; 0 in the air around them."""
    out = np.abs(u)
    tilt = 0.015 * float(rng.uniform(-1, 1))
    shoulder_v = (0.185 + tilt * np.sign(u)) * np.clip((out - 0.085) / 0.42, 0, 2) ** 0.75
    trunk = build.half_width + 0.055 + 0.10 * np.clip(0.45 - v, 0, 1) + 0.03 * np.clip(v - 0.6, 0, 1)
    inside = smooth_step(v - shoulder_v + 0.01 * (out < 0.085), 0.02) * smooth_step(trunk - out, 0.03)
    arm = smooth_step(out - trunk - 0.02, 0.03) * smooth_step(v - shoulder_v - 0.05, 0.06) * 0.8
    thick = np.clip(0.80 + 0.35 * (1 - (out / trunk) ** 2), 0.45, None) * np.clip(0.55 + 1.2 * v, 0.7, 1.06)
    body: Plane = np.maximum(inside * thick, arm)
    return body


def _mediastinum(u: Plane, v: Plane) -> Plane:
    """Great vessels, aortic knob on the patient's left, descending aorta beside the spine."""
    column = 0.26 * smooth_step(0.058 - np.abs(u - 0.004), 0.03)
    knob, _ = ellipse_radius(v, u, (0.305, 0.062), (0.052, 0.042))
    trunk, _ = ellipse_radius(v, u, (0.405, 0.060), (0.065, 0.034))
    cava = 0.18 * smooth_step(0.028 - np.abs(u + 0.052), 0.02) * smooth_step(v - 0.20, 0.1)
    aorta = 0.22 * smooth_step(0.026 - np.abs(u - 0.056), 0.012) * smooth_step(v - 0.30, 0.06)
    parts = (0.30 * smooth_step(1 - knob, 0.16), 0.22 * smooth_step(1 - trunk, 0.3), cava, aorta)
    whole = column
    for part in parts:
        whole = np.maximum(whole, part)
    return whole


def _heart(build: Habitus, u: Plane, v: Plane) -> tuple[Support, Plane]:
    """The heart's outline, and its thickness 0 to 1; the apex points to the patient's left (image right)."""
    size = build.heart_scale
    floor = build.dome_left_v - 0.715
    ventricle, _ = ellipse_radius(v, u, (0.600 + floor, 0.088 * size), (0.112 * size**0.5, 0.150 * size), 0.52)
    atrium, _ = ellipse_radius(v, u, (0.585 + floor, -0.032 * size), (0.115, 0.066 * size))
    base, _ = ellipse_radius(v, u, (0.470 + floor, 0.035), (0.105, 0.075 * size**0.5))
    nearest = np.minimum(np.minimum(ventricle, atrium), base)
    support: Support = nearest < 1
    thickness: Plane = np.where(support, 0.45 + 0.55 * np.clip(1 - nearest**2, 0, 1) ** 0.45, 0.0)
    return support, thickness


def _airway(u: Plane, v: Plane) -> Plane:
    """Trachea and main bronchi; the aorta pushes the trachea to the patient's right."""
    middle = -0.010 * np.exp(-(((v - 0.30) / 0.06) ** 2))
    trachea = band(u - middle, 0.021) * smooth_step(0.355 - v, 0.03)
    right = band(u + 0.010 + 0.55 * (v - 0.35), 0.013) * (v > 0.34) * smooth_step(0.43 - v, 0.04)
    left = band(u - 0.006 - 0.95 * (v - 0.35), 0.014) * (v > 0.34) * smooth_step(0.43 - v, 0.04)
    air: Plane = 0.11 * trachea + 0.07 * right + 0.07 * left
    return air


def _gastric_bubble(rng: np.random.Generator, build: Habitus, u: Plane, v: Plane) -> Plane:
    """Air in the stomach under the left dome, with a level of fluid."""
    centre_v = build.dome_left_v + 0.088
    radius, _ = ellipse_radius(v, u, (centre_v, 0.54 * build.half_width), (0.05, float(rng.uniform(0.06, 0.085))))
    level = centre_v + float(rng.uniform(0.012, 0.028))
    air: Plane = 0.20 * smooth_step(1 - radius, 0.25) * smooth_step(level - v, 0.006)
    return air


def expose(rng: np.random.Generator, scene: ChestScene) -> tuple[NDArray[np.uint16], BoxXYXY]:
    """The stored picture, 12 bits, dense is bright, and the box of the side marker.

    The marker is a block, not a letter; it alone has the value 4095.
    """
    rows, columns = scene.attenuation.shape
    attenuation = blur(scene.attenuation, 0.6)
    low, high = 0.03, 1.02
    shown = np.clip((attenuation - low) / (high - low), 0, 1) ** 1.12
    # Fewer photons pass dense parts, so the noise grows there.
    grain = smooth_noise(rng, scene.attenuation.shape, 0.55, 0.55) * (5 + 14 * shown)
    values = np.clip(np.rint(120 + 3560 * shown + grain), 0, 4000).astype(np.uint16)
    side = round(rows * 0.032)
    marker = np.zeros((rows, columns), np.bool_)
    marker_x = round(columns * float(rng.uniform(0.86, 0.90)))
    marker_y = round(rows * float(rng.uniform(0.05, 0.09)))
    marker[marker_y : marker_y + 2 * side, marker_x : marker_x + side] = True
    values[marker] = 4095
    return values, box_of(marker)
