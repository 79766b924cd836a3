"""Flips, turns, affine maps and elastic displacement of crops of volumes.

A crop is a window on the volume: what is turned in from beyond its border is read, not invented.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from medshard.augment.operations import Operation
from medshard.augment.spatial import check_probability
from medshard.augment.steps import span
from medshard.augment.volume.draws import PlacedDraws
from medshard.augment.volume.geometry import Elastic3D, Floats, VolumeGeometry, about_centre, compose, identity
from medshard.errors import LoaderError

__all__ = ["Allowed", "ElasticTransform3D", "RandomAffine3D", "RandomFlip3D", "RandomRot90In3D", "Spatial3D"]


@dataclass(frozen=True)
class Allowed:
    """What an item's text allows: mirroring, turning, and losing what is moved out of the crop."""

    mirror: bool = True
    turn: bool = True
    move: bool = True


@dataclass(frozen=True)
class Spatial3D(Operation):
    """Base of what moves voxels of a crop."""

    stage: ClassVar[Literal["volume"]] = "volume"

    def applied(self, geometry: VolumeGeometry, drawn: PlacedDraws, allowed: Allowed) -> VolumeGeometry:
        """The geometry with this operation after it."""
        raise NotImplementedError


def _after(geometry: VolumeGeometry, matrix: Floats) -> VolumeGeometry:
    """A geometry whose output is seen through a map from the new output to the old one."""
    elastic = geometry.elastic
    if elastic is not None:
        elastic = replace(elastic, plane_from_output_zyx=compose(elastic.plane_from_output_zyx, matrix))
    whole = compose(geometry.source_from_output_zyx, matrix)
    return replace(geometry, source_from_output_zyx=whole, elastic=elastic)


@dataclass(frozen=True)
class RandomFlip3D(Spatial3D):
    """Each of some axes is mirrored with probability ``p``; none where the item's text refuses mirroring.

    Args:
        axes: letters of the crop's axes.
        p: of each axis by itself.
    """

    axes: str = "zyx"
    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomFlip3D", self.p)
        if not self.axes or not set(self.axes) <= set("zyx"):
            raise LoaderError(f"RandomFlip3D: axes are letters of zyx; found {self.axes!r}")

    def applied(self, geometry: VolumeGeometry, drawn: PlacedDraws, allowed: Allowed) -> VolumeGeometry:
        """Three draws, one an axis."""
        signs = [
            -1.0 if letter in self.axes and allowed.mirror and drawn.uniform(axis) < self.p else 1.0
            for axis, letter in enumerate("zyx")
        ]
        return _after(geometry, about_centre(np.diag(signs), geometry.size_zyx))


@dataclass(frozen=True)
class RandomRot90In3D(Spatial3D):
    """Turned by 0, 90, 180 or 270 degrees in one plane, all alike; its two axes have one length.

    Args:
        plane: two letters of the crop's axes.
        p: probability that it is turned at all.
    """

    plane: str = "yx"
    p: float = 1.0

    def __post_init__(self) -> None:
        check_probability("RandomRot90In3D", self.p)
        if len(self.plane) != 2 or len(set(self.plane) & set("zyx")) != 2:
            raise LoaderError(f"RandomRot90In3D: plane is two letters of zyx; found {self.plane!r}")

    def applied(self, geometry: VolumeGeometry, drawn: PlacedDraws, allowed: Allowed) -> VolumeGeometry:
        """Two draws."""
        first, second = ("zyx".index(letter) for letter in self.plane)
        if geometry.size_zyx[first] != geometry.size_zyx[second]:
            raise LoaderError(
                f"RandomRot90In3D: the axes {self.plane} have one length; the crop is {geometry.size_zyx}"
            )
        turns = drawn.whole(1, 4) if drawn.uniform(0) < self.p and allowed.turn else 0
        turn = np.eye(3)
        turn[[first, second]] = 0
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
        turn[first, first] = turn[second, second] = cos
        turn[first, second], turn[second, first] = -sin, sin
        return _after(geometry, about_centre(turn, geometry.size_zyx))


@dataclass(frozen=True)
class RandomAffine3D(Spatial3D):
    """Rotation, scale, shear and shift about the crop's middle, in one map; voxels are taken as cubes.

    Where an item's text refuses turning, it neither rotates nor shears; where it refuses losing what is moved out, it
    does nothing.

    Args:
        degrees_zyx: largest angle about each axis, one number for all three; drawn uniformly either way.
        scale: bounds of the factor; above 1 enlarges. Its logarithm is drawn uniformly.
        anisotropic: probability that each axis draws a factor of its own.
        shear_degrees: largest angle of each of the six shears.
        translate_zyx: largest shift, in voxels of the crop, one number for all three.
        in_plane: only about z and only along y and x: for volumes whose slices lie far apart.
        p_rotate, p_scale, p_shear: probability of each.
        p: probability that anything is done.
    """

    degrees_zyx: float | Sequence[float] = 15.0
    scale: Sequence[float] = (1.0, 1.0)
    anisotropic: float = 0.0
    shear_degrees: float = 0.0
    translate_zyx: float | Sequence[float] = 0.0
    in_plane: bool = False
    p_rotate: float = 1.0
    p_scale: float = 1.0
    p_shear: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        for name in ("p", "p_rotate", "p_scale", "p_shear", "anisotropic"):
            check_probability(f"RandomAffine3D: {name}", getattr(self, name))
        _three("RandomAffine3D", "degrees_zyx", self.degrees_zyx, 180.0)
        _three("RandomAffine3D", "translate_zyx", self.translate_zyx, math.inf)
        span("RandomAffine3D", "scale", tuple(self.scale), 0.01, 100)
        if not 0 <= self.shear_degrees < 90:
            raise LoaderError(f"RandomAffine3D: shear_degrees is at least 0 and below 90; found {self.shear_degrees!r}")

    def applied(self, geometry: VolumeGeometry, drawn: PlacedDraws, allowed: Allowed) -> VolumeGeometry:
        """Twenty draws."""
        if not allowed.move or drawn.uniform(0) >= self.p:
            return geometry
        kept = np.array([False, True, True]) if self.in_plane else np.ones(3, bool)
        linear = np.eye(3)
        if allowed.turn and drawn.uniform(1) < self.p_rotate:
            linear = self._rotation(drawn)
        if drawn.uniform(2) < self.p_scale:
            low, high = span("RandomAffine3D", "scale", tuple(self.scale), 0.01, 100)
            own = drawn.uniform(3) < self.anisotropic
            factors = np.array([drawn.log_between(7 + (axis if own else 0), low, high) for axis in range(3)])
            linear = np.diag(np.where(kept, factors, 1.0)) @ linear
        if allowed.turn and drawn.uniform(10) < self.p_shear and self.shear_degrees > 0:
            linear = self._shear(drawn, kept) @ linear
        limits = np.array(_three("RandomAffine3D", "translate_zyx", self.translate_zyx, math.inf))
        shift = np.array([drawn.between(17 + axis, -limits[axis], limits[axis]) for axis in range(3)]) * kept
        # What is drawn moves the picture; sampling asks where each voxel of the output comes from.
        inverse = np.asarray(np.linalg.inv(linear), np.float64)
        return _after(geometry, about_centre(inverse, geometry.size_zyx, -inverse @ shift))

    def _rotation(self, drawn: PlacedDraws) -> Floats:
        limits = _three("RandomAffine3D", "degrees_zyx", self.degrees_zyx, 180.0)
        turned = np.eye(3)
        for axis in range(1 if self.in_plane else 3):
            angle = math.radians(drawn.between(4 + axis, -limits[axis], limits[axis]))
            turn, (first, second) = np.eye(3), [other for other in range(3) if other != axis]
            turn[first, first] = turn[second, second] = math.cos(angle)
            turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
            turned = turn @ turned
        return turned

    def _shear(self, drawn: PlacedDraws, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
        sheared, number = np.eye(3), 11
        for row in range(3):
            for column in range(3):
                if row == column:
                    continue
                angle = drawn.between(number, -self.shear_degrees, self.shear_degrees)
                number += 1
                if kept[row] and kept[column]:
                    sheared[row, column] = math.tan(math.radians(angle))
        return sheared


@dataclass(frozen=True)
class ElasticTransform3D(Spatial3D):
    """Voxels are moved by a smooth random field; never where an item's text refuses losing what is moved out.

    Args:
        spacing: of the field's lattice, in voxels of the crop, or (low, high) to draw it from.
        amplitude: the most that a voxel moves along an axis, in voxels of the crop, or (low, high).
        in_plane: only along y and x.
        p: probability that an item is changed.
    """

    spacing: float | Sequence[float] = 32.0
    amplitude: float | Sequence[float] = 8.0
    in_plane: bool = False
    p: float = 1.0

    def __post_init__(self) -> None:
        check_probability("ElasticTransform3D", self.p)
        span("ElasticTransform3D", "spacing", self.spacing, 2.0)
        span("ElasticTransform3D", "amplitude", self.amplitude, 0.0)

    def applied(self, geometry: VolumeGeometry, drawn: PlacedDraws, allowed: Allowed) -> VolumeGeometry:
        """Three draws."""
        if not allowed.move or drawn.uniform(0) >= self.p:
            return geometry
        spacing = drawn.between(1, *span("ElasticTransform3D", "spacing", self.spacing, 2.0))
        amplitude = drawn.between(2, *span("ElasticTransform3D", "amplitude", self.amplitude, 0.0))
        elastic = Elastic3D(
            seed=drawn.seed,
            spacing_zyx=(spacing, spacing, spacing),
            amplitude_zyx=(0.0 if self.in_plane else amplitude, amplitude, amplitude),
            plane_from_output_zyx=identity(),
            source_from_plane_zyx=geometry.source_from_output_zyx,
        )
        return replace(geometry, elastic=elastic)


def _three(name: str, argument: str, value: float | Sequence[float], highest: float) -> tuple[float, float, float]:
    given = (value,) * 3 if isinstance(value, (int, float)) else tuple(value)
    if len(given) != 3 or not all(isinstance(one, (int, float)) and 0 <= one <= highest for one in given):
        raise LoaderError(f"{name}: {argument} is one number or three (z, y, x), each at least 0; found {value!r}")
    z, y, x = given
    return float(z), float(y), float(x)
