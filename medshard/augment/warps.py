"""Rotation, shear and elastic displacement: what needs an interpolation of its own.

From the first of them on, the picture is a window on a plane: what was resized and cropped before lies on it, with the
border all around, and crops, pads and resizes that follow move the window. So nothing is cut between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medshard.augment.frames import Floats, Frames
from medshard.augment.spatial import Bordered, Draw, PaddingMode, Size, Spatial
from medshard.errors import LoaderError

__all__ = ["ElasticTransform", "RandomAffine", "RandomRotation"]


@dataclass(frozen=True)
class RandomRotation(Bordered):
    """Rotation by a random angle, counter-clockwise; never where an item's text refuses turning or cropping.

    Args:
        degrees: (lowest, highest), or one number d for (-d, d).
        expand: the frame grows so that all of the picture is in it; else corners are lost.
        center: (x, y) of the frame about which it turns; the middle by default.
        fill: value of what lies outside, after the window, 0 (black) to 1.
        padding_mode: what lies outside: ``constant``, ``edge`` or ``reflect``.
        mask_fill: label of what lies outside, in masks.
    """

    degrees: float | Sequence[float]
    expand: bool = False
    center: Sequence[float] | None = None
    fill: float = 0.0
    padding_mode: PaddingMode = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        _angles("RandomRotation", "degrees", self.degrees)
        _point("RandomRotation", self.center)
        self._check_border()
        if self.expand and self.center is not None:
            raise LoaderError("RandomRotation: expand turns about the middle; leave center out")

    def output_size(self, size: Size | None) -> Size | None:
        """The same, unless it grows."""
        return None if self.expand else size

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Rotates the frames."""
        low, high = _angles("RandomRotation", "degrees", self.degrees)
        angle = low + draw.redrawn(1)[:, 0] * (high - low)
        cos, sin = _cos_sin(-angle)  # y points down, so that counter-clockwise is negative
        height, width = frames.height, frames.width
        if self.expand:
            reach_y = np.abs(frames.width * sin) + np.abs(frames.height * cos)
            reach_x = np.abs(frames.width * cos) + np.abs(frames.height * sin)
            height, width = _whole_pixels(frames.height, reach_y), _whole_pixels(frames.width, reach_x)
        old = _center(frames, self.center)
        new = np.stack([width, height], 1) / 2 if self.expand else old
        frames.transform(_about(np.stack([cos, sin, -sin, cos], 1), new, old), height, width)

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """Itself, where turning is allowed, and either losing corners is or none are lost."""
        return self if turn and (move or self.expand) else None


@dataclass(frozen=True)
class RandomAffine(Bordered):
    """A random rotation (clockwise), translation, scale and shear about the middle, in one map.

    Where an item's text refuses turning, it neither rotates nor shears; where it refuses cropping, it does nothing.

    Args:
        degrees: of rotation: (lowest, highest), or one number d for (-d, d).
        translate: largest shift, as shares of the frame's width and height; whole pixels.
        scale: bounds of the factor.
        shear: degrees: one number s for (-s, s) along x; (lowest, highest) along x; or four, along x and along y.
        fill: value of what lies outside, after the window, 0 (black) to 1.
        center: (x, y) of the frame that stays; the middle by default.
        padding_mode: what lies outside: ``constant``, ``edge`` or ``reflect``.
        mask_fill: label of what lies outside, in masks.
    """

    degrees: float | Sequence[float]
    translate: Sequence[float] | None = None
    scale: Sequence[float] | None = None
    shear: float | Sequence[float] | None = None
    fill: float = 0.0
    center: Sequence[float] | None = None
    padding_mode: PaddingMode = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        _angles("RandomAffine", "degrees", self.degrees)
        _point("RandomAffine", self.center)
        self._check_border()
        if self.translate is not None and not (
            _numbers(self.translate, 2) and all(0 <= share <= 1 for share in self.translate)
        ):
            raise LoaderError(f"RandomAffine: translate is two shares from 0 to 1, x and y; found {self.translate!r}")
        if self.scale is not None and not (_numbers(self.scale, 2) and 0 < self.scale[0] <= self.scale[1]):
            raise LoaderError(f"RandomAffine: scale is (lowest, highest), both above 0; found {self.scale!r}")
        self._shears()

    def _shears(self) -> tuple[float, float, float, float]:
        """Bounds along x, then along y."""
        if self.shear is None:
            return (0.0, 0.0, 0.0, 0.0)
        if _numbers(self.shear, 4):
            bounds = tuple(float(s) for s in self.shear)  # type: ignore[union-attr]
        else:
            bounds = (*_angles("RandomAffine", "shear", self.shear), 0.0, 0.0)
        if not (bounds[0] <= bounds[1] and bounds[2] <= bounds[3] and all(abs(bound) < 90 for bound in bounds)):
            raise LoaderError(
                f"RandomAffine: shear lies between -90 and 90 degrees, lowest first; found {self.shear!r}"
            )
        return bounds[0], bounds[1], bounds[2], bounds[3]

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Transforms the frames."""
        drawn = draw.redrawn(6).T
        low, high = _angles("RandomAffine", "degrees", self.degrees)
        cos, sin = _cos_sin(low + drawn[0] * (high - low))
        share = self.translate if self.translate is not None else (0.0, 0.0)
        shift = np.stack(
            [
                np.rint((2 * drawn[1] - 1) * share[0] * frames.width),
                np.rint((2 * drawn[2] - 1) * share[1] * frames.height),
            ],
            1,
        )
        smallest, largest = self.scale if self.scale is not None else (1.0, 1.0)
        scale = smallest + drawn[3] * (largest - smallest)
        bounds = self._shears()
        along_x = np.tan(np.radians(bounds[0] + drawn[4] * (bounds[1] - bounds[0])))
        along_y = np.tan(np.radians(bounds[2] + drawn[5] * (bounds[3] - bounds[2])))
        # Forward: scale · rotation · [[1, 0], [-along_y, 1]] · [[1, -along_x], [0, 1]], as torchvision composes them.
        # Its inverse, factor by factor from the left: [[1, along_x], [0, 1]] · [[1, 0], [along_y, 1]] · rotation⁻¹.
        a, b, c, d = 1 + along_x * along_y, along_x, along_y, np.ones_like(along_y)
        inverse = np.stack([a * cos - b * sin, a * sin + b * cos, c * cos - d * sin, c * sin + d * cos], 1)
        center = _center(frames, self.center)
        matrix = _about(inverse / scale[:, None], center + shift, center)
        frames.transform(matrix, frames.height, frames.width)

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """What of it is allowed."""
        if not move:
            return None
        return self if turn else replace(self, degrees=0.0, shear=None)


@dataclass(frozen=True)
class ElasticTransform(Bordered):
    """A smooth random displacement; never where an item's text refuses turning or cropping.

    torchvision blurs noise of every pixel; here uniform noise on a lattice, sigma times the root of 3 apart, is joined
    by cubic B-splines, which is as smooth as a Gaussian of sigma (equal variance of the kernels) and scaled to the same
    standard deviation. Only crops, pads, flips, quarter turns and resizes may follow it.

    Args:
        alpha: strength, for x and y or both; a point moves by ``alpha / 2`` times the blurred noise, in pixels of the
            frame, which is torchvision's alpha for a square picture.
        sigma: smoothness in pixels of the frame, for x and y or both, at least 1.
        fill: value of what lies outside, after the window, 0 (black) to 1.
        padding_mode: what lies outside: ``constant``, ``edge`` or ``reflect``.
        mask_fill: label of what lies outside, in masks.
    """

    alpha: float | Sequence[float] = 50.0
    sigma: float | Sequence[float] = 5.0
    fill: float = 0.0
    padding_mode: PaddingMode = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        if not all(0 <= alpha <= 1e5 for alpha in _two("alpha", self.alpha)):
            raise LoaderError(f"ElasticTransform: alpha lies between 0 and 100000; found {self.alpha!r}")
        if not all(1 <= sigma <= 1e4 for sigma in _two("sigma", self.sigma)):
            raise LoaderError(f"ElasticTransform: sigma lies between 1 and 10000 pixels; found {self.sigma!r}")
        self._check_border()

    @property
    def spacing_xy(self) -> tuple[float, float]:
        """Pixels between lattice points: a cubic B-spline of spacing s has variance s² / 3."""
        x, y = _two("sigma", self.sigma)
        return x * math.sqrt(3), y * math.sqrt(3)

    @property
    def amplitude_xy(self) -> tuple[float, float]:
        """Pixels that a lattice value of 1 moves.

        Uniform noise of variance 1/3 a pixel, blurred by Gaussians, keeps 1 / (4 π sigma_x sigma_y) of it; joined by
        B-splines it keeps (151/315)² on average.
        """
        sigma_x, sigma_y = _two("sigma", self.sigma)
        kept = math.sqrt(1 / (4 * math.pi * sigma_x * sigma_y)) / (151 / 315)
        alpha_x, alpha_y = _two("alpha", self.alpha)
        return alpha_x / 2 * kept, alpha_y / 2 * kept

    def apply(self, frames: Frames, draw: Draw) -> None:
        """From here on the frames are displaced."""
        frames.displace()

    def kept(self, *, mirror: bool, turn: bool, move: bool) -> Spatial | None:
        """Itself, where turning and losing corners are allowed."""
        return self if turn and move else None


def _two(argument: str, value: float | Sequence[float]) -> tuple[float, float]:
    found = (value, value) if isinstance(value, (int, float)) else tuple(value) if _numbers(value, 2) else ()
    if len(found) != 2:
        raise LoaderError(f"ElasticTransform: {argument} is a number, or two for x and y; found {value!r}")
    return float(found[0]), float(found[1])


def _numbers(value: object, count: int) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == count
        and all(isinstance(entry, (int, float)) and math.isfinite(entry) for entry in value)
    )


def _angles(name: str, argument: str, degrees: float | Sequence[float]) -> tuple[float, float]:
    """(lowest, highest) of an angle in degrees."""
    if isinstance(degrees, (int, float)) and 0 <= degrees < math.inf:
        return -float(degrees), float(degrees)
    if not _numbers(degrees, 2) or degrees[0] > degrees[1]:  # type: ignore[index]
        raise LoaderError(f"{name}: {argument} is (lowest, highest), or d from 0 on for (-d, d); found {degrees!r}")
    return float(degrees[0]), float(degrees[1])  # type: ignore[index]


def _whole_pixels(size: Floats, length: Floats) -> Floats:
    """Pixels of a frame's grid that a length about its middle touches, as torchvision counts them."""
    slack = 1e-4
    touched = np.ceil((size + length) / 2 - slack) - np.floor((size - length) / 2 + slack)
    return np.where(length == np.rint(length), length, touched)  # a quarter turn changes places, no more


def _point(name: str, center: Sequence[float] | None) -> None:
    if center is not None and not _numbers(center, 2):
        raise LoaderError(f"{name}: center is (x, y) in pixels of the frame; found {center!r}")


def _center(frames: Frames, center: Sequence[float] | None) -> Floats:
    middle = np.stack([frames.width, frames.height], 1) / 2
    return middle if center is None else np.broadcast_to(np.asarray(center, float), middle.shape)


def _cos_sin(degrees: Floats) -> tuple[Floats, Floats]:
    """Exact at quarter turns, where rounding would blur."""
    quarter = np.rint(degrees / 90)
    rest = np.radians(degrees - quarter * 90)
    cos, sin = np.cos(rest), np.sin(rest)
    turn = quarter.astype(np.int64) % 4
    return np.choose(turn, [cos, -sin, -cos, sin]), np.choose(turn, [sin, cos, -sin, -cos])


def _about(linear: Floats, new: Floats, old: Floats) -> Floats:
    """(n, 2, 3) of the linear map (n, 4) that takes the point ``new`` to ``old``."""
    matrix = np.zeros((len(linear), 2, 3))
    matrix[:, :, :2] = linear.reshape(-1, 2, 2)
    matrix[:, :, 2] = old - (matrix[:, :, :2] @ new[:, :, None])[:, :, 0]
    return matrix
