"""What part of a volume a crop is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from medshard.augment.operations import Operation
from medshard.augment.volume.draws import PlacedDraws
from medshard.errors import LoaderError
from medshard.volumes.foreground import Foreground

__all__ = ["CenterCrop3D", "Crop3D", "ForegroundCrop3D", "GridCrop3D", "RandomCrop3D", "Resize3D", "Spacing"]


@dataclass(frozen=True)
class Crop3D(Operation):
    """Base of the crops. A crop that is larger than the volume has the volume in its middle.

    Args:
        size_zyx: of the output, in voxels.
        outside: value of what lies outside the volume, in stored units (HU in CT); ``minimum`` for the least value that
            was read, ``edge`` for the outermost voxel.
        mask_outside: its label in masks.
    """

    size_zyx: Sequence[int]
    outside: float | Literal["minimum", "edge"] = "minimum"
    mask_outside: int = 0
    stage: ClassVar[Literal["volume"]] = "volume"

    def __post_init__(self) -> None:
        name, size = type(self).__name__, tuple(self.size_zyx)
        if len(size) != 3 or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in size):
            raise LoaderError(f"{name}: size_zyx is three whole numbers, each at least 1; found {self.size_zyx!r}")
        known = self.outside in ("minimum", "edge")
        if not known and not (isinstance(self.outside, (int, float)) and math.isfinite(self.outside)):
            raise LoaderError(f"{name}: outside is a number, 'minimum' or 'edge'; found {self.outside!r}")

    @property
    def size(self) -> tuple[int, int, int]:
        """(z, y, x)"""
        z, y, x = self.size_zyx
        return z, y, x

    def start(
        self,
        shape_zyx: tuple[int, int, int],
        drawn: PlacedDraws,
        foreground: Foreground | None,
        scale_zyx: NDArray[np.float64],
    ) -> tuple[int, int, int]:
        """The first voxel; below 0 where the crop is larger than the volume.

        Args:
            scale_zyx: stored voxels for one of this grid, to find points of the foreground in it.
        """
        raise NotImplementedError


def _middle(size: tuple[int, int, int], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = ((n - edge) // 2 for edge, n in zip(size, shape, strict=True))
    return z, y, x


def _random(
    size: tuple[int, int, int], shape: tuple[int, int, int], drawn: PlacedDraws, first: int
) -> tuple[int, int, int]:
    middle = _middle(size, shape)
    z, y, x = (
        drawn.whole(first + axis, n - edge + 1) if n > edge else middle[axis]
        for axis, (edge, n) in enumerate(zip(size, shape, strict=True))
    )
    return z, y, x


@dataclass(frozen=True)
class RandomCrop3D(Crop3D):
    """Anywhere inside, all places alike."""

    def start(
        self,
        shape_zyx: tuple[int, int, int],
        drawn: PlacedDraws,
        foreground: Foreground | None,
        scale_zyx: NDArray[np.float64],
    ) -> tuple[int, int, int]:
        """Three draws."""
        return _random(self.size, shape_zyx, drawn, 0)


@dataclass(frozen=True)
class ForegroundCrop3D(Crop3D):
    """With probability ``foreground`` around a voxel of the mask, else anywhere inside.

    The value is drawn first, all that are there alike, then one of its voxels, as in nnU-Net (Isensee and others 2021).
    The crop is moved inside where it would reach outside. A mask without foreground gives a random crop.

    Args:
        foreground: probability.
        values: mask values that count; all but 0 where it is None.
    """

    foreground: float = 1 / 3
    values: Sequence[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.foreground <= 1:
            raise LoaderError(f"ForegroundCrop3D: foreground is a probability, 0 to 1; found {self.foreground!r}")

    def start(
        self,
        shape_zyx: tuple[int, int, int],
        drawn: PlacedDraws,
        foreground: Foreground | None,
        scale_zyx: NDArray[np.float64],
    ) -> tuple[int, int, int]:
        """Six draws."""
        if foreground is None:
            raise LoaderError("ForegroundCrop3D needs the index of a mask's foreground; say mask= to the loader")
        places = [
            place
            for place, (value, points) in enumerate(zip(foreground.values.tolist(), foreground.points_zyx, strict=True))
            if len(points) and (self.values is None or value in self.values)
        ]
        if not places or drawn.uniform(3) >= self.foreground:
            return _random(self.size, shape_zyx, drawn, 0)
        points = foreground.points_zyx[places[drawn.whole(4, len(places))]]
        point = (points[drawn.whole(5, len(points))] + 0.5) / scale_zyx - 0.5
        middle = _middle(self.size, shape_zyx)
        z, y, x = (
            min(max(math.floor(at + 0.5) - edge // 2, 0), n - edge) if n > edge else middle[axis]
            for axis, (at, edge, n) in enumerate(zip(point.tolist(), self.size, shape_zyx, strict=True))
        )
        return z, y, x


@dataclass(frozen=True)
class CenterCrop3D(Crop3D):
    """The middle."""

    def start(
        self,
        shape_zyx: tuple[int, int, int],
        drawn: PlacedDraws,
        foreground: Foreground | None,
        scale_zyx: NDArray[np.float64],
    ) -> tuple[int, int, int]:
        """No draw."""
        return _middle(self.size, shape_zyx)


@dataclass(frozen=True)
class GridCrop3D(Crop3D):
    """A sliding grid over the whole volume, for inference; the last window of an axis ends with the volume.

    Args:
        overlap: of neighbouring windows, as a share of the window.
    """

    overlap: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.overlap < 1:
            raise LoaderError(
                f"GridCrop3D: overlap is a share of the window, at least 0 and below 1; found {self.overlap!r}"
            )

    def starts(self, shape_zyx: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """The first voxel of every window, x fastest.

        The step is the largest whole number of voxels with at least that overlap; windows are then spread evenly, as
        nnU-Net's sliding window does.
        """
        along = []
        for edge, n in zip(self.size, shape_zyx, strict=True):
            if n <= edge:
                along.append([(n - edge) // 2])
                continue
            step = max(1, math.floor(edge * (1 - self.overlap)))
            count = -(-(n - edge) // step) + 1
            along.append([round(place * (n - edge) / (count - 1)) for place in range(count)])
        return [(z, y, x) for z in along[0] for y in along[1] for x in along[2]]

    def start(
        self,
        shape_zyx: tuple[int, int, int],
        drawn: PlacedDraws,
        foreground: Foreground | None,
        scale_zyx: NDArray[np.float64],
    ) -> tuple[int, int, int]:
        """Windows have numbers, see ``starts``; the loader asks for them by number."""
        raise LoaderError("GridCrop3D: a window is chosen by its number")


@dataclass(frozen=True)
class Resize3D(Crop3D):
    """The whole volume at another size, by the separable antialiased filter; masks take the nearest voxel."""

    def start(
        self,
        shape_zyx: tuple[int, int, int],
        drawn: PlacedDraws,
        foreground: Foreground | None,
        scale_zyx: NDArray[np.float64],
    ) -> tuple[int, int, int]:
        """All of it."""
        return (0, 0, 0)


@dataclass(frozen=True)
class Spacing(Operation):
    """The volume at another spacing; the crop after it is measured in the new voxels.

    Volumes of unknown spacing are refused.

    Args:
        spacing_zyx_mm: distance of voxel centres along the array's axes.
    """

    spacing_zyx_mm: Sequence[float]
    stage: ClassVar[Literal["volume"]] = "volume"

    def __post_init__(self) -> None:
        given = tuple(self.spacing_zyx_mm)
        if len(given) != 3 or not all(isinstance(step, (int, float)) and 0 < step < math.inf for step in given):
            raise LoaderError(f"Spacing: spacing_zyx_mm is three numbers above 0; found {self.spacing_zyx_mm!r}")
