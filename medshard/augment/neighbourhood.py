"""Neighbourhood operations: a pixel depends on those around it in the crop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from medshard.augment.steps import Draws, Floats, Role, Step, checked_p, columns, span
from medshard.errors import LoaderError

__all__ = ["CLAHE", "JPEG", "GaussianBlur", "RandomAdjustSharpness"]

_LONGEST_KERNEL = 255


@dataclass(frozen=True)
class GaussianBlur(Step):
    """Convolution with a Gaussian, separable; beyond the border the picture is mirrored about its outermost pixel.

    It is linear, so it may stand before the window (it then smooths stored values, such as HU) or after it.

    Args:
        kernel_size: odd; or (width, height), as torchvision.
        sigma: in pixels of the crop, or (low, high) to draw it from.
        p: probability that an item is changed.
    """

    kernel_size: int | Sequence[int]
    sigma: float | Sequence[float] = (0.1, 2.0)
    p: float = 1.0
    stage: ClassVar[Literal["neighbourhood"]] = "neighbourhood"
    kind: ClassVar[str] = "gaussian_blur"

    def __post_init__(self) -> None:
        checked_p("GaussianBlur", self.p)
        span("GaussianBlur", "sigma", self.sigma, 0.01)
        sizes = self._sizes()
        if len(sizes) != 2 or not all(
            isinstance(size, int) and size % 2 == 1 and 1 <= size <= _LONGEST_KERNEL for size in sizes
        ):
            raise LoaderError(
                f"GaussianBlur: kernel_size is an odd number or (width, height), from 1 to {_LONGEST_KERNEL}; "
                f"found {self.kernel_size!r}"
            )

    def _sizes(self) -> tuple[int, ...]:
        given = (self.kernel_size,) if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
        return given * 2 if len(given) == 1 else given

    @property
    def role(self) -> Role:
        """Any range."""
        return "any"

    def params(self, draws: Draws) -> Floats:
        """Lengths across and down, then the weights of both."""
        sigma = draws.between(1, *span("GaussianBlur", "sigma", self.sigma, 0.01))
        sizes = self._sizes()
        weights = [_gaussian(size, sigma) for size in sizes]
        return np.concatenate([columns(draws.count, *(float(size) for size in sizes)), *weights], 1)


def _gaussian(size: int, sigma: Floats) -> Floats:
    """(N, size) weights."""
    places = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * (places[None] / sigma[:, None]) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


@dataclass(frozen=True)
class RandomAdjustSharpness(Step):
    """Blended with a smoothed picture: 0 smooths, 1 leaves, 2 sharpens; with probability ``p``, as torchvision."""

    sharpness_factor: float
    p: float = 0.5
    stage: ClassVar[Literal["neighbourhood"]] = "neighbourhood"
    kind: ClassVar[str] = "sharpness"

    def __post_init__(self) -> None:
        checked_p("RandomAdjustSharpness", self.p)
        if not 0 <= self.sharpness_factor < math.inf:
            raise LoaderError(f"RandomAdjustSharpness: sharpness_factor is at least 0; found {self.sharpness_factor!r}")

    def params(self, draws: Draws) -> Floats:
        """The factor."""
        return columns(draws.count, self.sharpness_factor)


@dataclass(frozen=True)
class CLAHE(Step):
    """Contrast-limited adaptive histogram equalisation of the luma, as OpenCV defines it for 8 bits.

    Values are not rounded to the 256 bins of the histograms, so that pictures of more bits keep their steps. In colour
    the luma (BT.601) is equalised and each channel moves by its change.

    Args:
        clip_limit: highest bin over the mean one, or (low, high) to draw it from.
        tile_grid_size: rows and columns of tiles.
        p: probability that an item is changed.
    """

    clip_limit: float | Sequence[float] = 2.0
    tile_grid_size: Sequence[int] = (8, 8)
    p: float = 1.0
    stage: ClassVar[Literal["neighbourhood"]] = "neighbourhood"
    kind: ClassVar[str] = "clahe"
    mirrors: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_p("CLAHE", self.p)
        span("CLAHE", "clip_limit", self.clip_limit, 0.01, 256)
        grid = self.tile_grid_size
        if len(grid) != 2 or not all(isinstance(tiles, int) and 1 <= tiles <= 64 for tiles in grid):
            raise LoaderError(f"CLAHE: tile_grid_size is (rows, columns), each from 1 to 64; found {grid!r}")

    def params(self, draws: Draws) -> Floats:
        """Clip limit, rows, columns."""
        limit = draws.between(1, *span("CLAHE", "clip_limit", self.clip_limit, 0.01, 256))
        return columns(draws.count, limit, *(float(tiles) for tiles in self.tile_grid_size))


@dataclass(frozen=True)
class JPEG(Step):
    """The noise of compression: the crop becomes a JPEG of 8 bits (colour at half resolution) and is decoded again.

    Args:
        quality: of libjpeg, 1 to 100, or (low, high) to draw a whole number from, both included.
        p: probability that an item is changed.
    """

    quality: int | Sequence[int]
    p: float = 1.0
    stage: ClassVar[Literal["neighbourhood"]] = "neighbourhood"
    kind: ClassVar[str] = "jpeg"
    mirrors: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_p("JPEG", self.p)
        if any(quality != int(quality) for quality in span("JPEG", "quality", self.quality, 1, 100)):
            raise LoaderError(f"JPEG: quality is a whole number; found {self.quality!r}")

    def params(self, draws: Draws) -> Floats:
        """The quality."""
        low, high = span("JPEG", "quality", self.quality, 1, 100)
        return columns(draws.count, np.floor(draws.between(1, low, high + 1)))
