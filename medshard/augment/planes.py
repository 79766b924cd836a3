"""Pictures of volumes: a slice, a slab, several slices, a montage. What a plane is shows ``plane_frame``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from medshard.augment.operations import Operation, Stage
from medshard.augment.plane_frame import AXES, Axis, Orientation
from medshard.errors import LoaderError

__all__ = ["Montage", "Planes", "Run", "TakeSlab", "TakeSlice", "TakeSlices", "Within"]

Run: TypeAlias = tuple[int, int]
"""First plane of a picture, and the one after its last."""


@dataclass(frozen=True)
class Within:
    """What bounds the choice of planes.

    Attributes:
        length: planes of the volume.
        first, stop: those that show every place which the item's text cites.
        foreground: a plane that meets what the mask marks; None when nothing is marked or no mask is asked for.
    """

    length: int
    first: int
    stop: int
    foreground: int | None = None

    @classmethod
    def all_of(cls, length: int) -> Within:
        """Every plane."""
        return cls(length, 0, length)


@dataclass(frozen=True)
class Planes(Operation):
    """Base of what makes pictures of volumes; pictures pass unchanged.

    Args:
        axis: along which planes follow one another: ``z``, ``y`` or ``x`` of the stored array; or ``axial``,
            ``coronal`` or ``sagittal``, the axis that is nearest to it by the volume's affine.
        orientation: ``stored``, or ``radiological``: turned by quarters and mirrored by the affine, so that the
            patient's left is at the right of axial and coronal pictures, and the head is up.
        square_pixels: pixels are made square in millimetres before the geometry, without a sampling of their own.
    """

    axis: Axis = "z"
    orientation: Orientation = field(default="stored", kw_only=True)
    square_pixels: bool = field(default=False, kw_only=True)
    stage: ClassVar[Stage] = "volume"

    def __post_init__(self) -> None:
        self._check("axis", self.axis in AXES, "z, y, x, axial, coronal or sagittal")
        self._check("orientation", self.orientation in ("stored", "radiological"), "stored or radiological")

    def _check(self, argument: str, good: bool, allowed: str) -> None:
        if not good:
            found = getattr(self, argument)
            raise LoaderError(f"{type(self).__name__}: {argument} is {allowed}; found {found!r}")

    @property
    def several(self) -> bool:
        """Whether an item has several pictures."""
        return False

    @property
    def pictures(self) -> int | None:
        """How many an item has; None where that depends on the volume."""
        return 1

    @property
    def as_video(self) -> bool:
        """Whether they are frames of one video."""
        return False

    @property
    def tiles(self) -> tuple[int, int] | None:
        """Rows and columns of planes in one picture."""
        return None

    @property
    def reduce(self) -> Literal["mean", "max", "min"] | None:
        """What becomes of the planes of a run."""
        return None

    @property
    def needs_spacing(self) -> bool:
        """Whether ``runs`` asks for the distance of planes."""
        return False

    @property
    def needs_foreground(self) -> bool:
        """Whether ``runs`` asks for what the mask marks."""
        return False

    def runs(self, within: Within, step_mm: float | None, uniform: Callable[[int], float]) -> list[Run]:
        """The planes of each picture or tile, in stored order.

        Args:
            step_mm: distance of neighbouring planes, where ``needs_spacing``.
            uniform: a number in [0, 1) for a number of the draw.

        Raises:
            LoaderError: the volume has no such plane.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class _AtIndex(Planes):
    index: Literal["middle", "random", "foreground"] | int = "middle"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = isinstance(self.index, int) and not isinstance(self.index, bool)
        good = whole or self.index in ("middle", "random", "foreground")
        self._check("index", good, "middle, random, foreground or a whole number")

    @property
    def needs_foreground(self) -> bool:
        """For ``foreground``."""
        return self.index == "foreground"

    def _plane(self, within: Within, uniform: Callable[[int], float]) -> int:
        if isinstance(self.index, int):
            if not -within.length <= self.index < within.length:
                raise LoaderError(f"{type(self).__name__}: index {self.index} of {within.length} planes")
            return self.index % within.length
        if self.index == "foreground" and within.foreground is not None:
            return within.foreground
        count = within.stop - within.first
        return within.first + (count // 2 if self.index == "middle" else int(uniform(0) * count))


@dataclass(frozen=True)
class TakeSlice(_AtIndex):
    """One plane of a volume as a picture; pictures pass unchanged.

    Args:
        axis: along which planes follow one another: ``z``, ``y`` or ``x`` of the stored array; or ``axial``,
            ``coronal`` or ``sagittal``, the axis that is nearest to it by the volume's affine.
        index: ``middle``, ``random`` for another plane an epoch, ``foreground`` for a random one that meets what the
            loader's mask marks, or a number of the stored array, from the end where negative.
        orientation: ``stored``, or ``radiological``: turned by quarters and mirrored by the affine, so that the
            patient's left is at the right of axial and coronal pictures, and the head is up.
        square_pixels: pixels are made square in millimetres before the geometry, without a sampling of their own.
    """

    def runs(self, within: Within, step_mm: float | None, uniform: Callable[[int], float]) -> list[Run]:
        """One plane."""
        plane = self._plane(within, uniform)
        return [(plane, plane + 1)]


@dataclass(frozen=True)
class TakeSlab(_AtIndex):
    """Neighbouring planes of a volume as one picture: their mean, or their maximum or minimum intensity projection.

    Without ``slices`` and ``thickness_mm`` it is the whole axis. At an end of the volume the slab moves inwards.

    Args:
        axis, index, orientation, square_pixels: as for ``TakeSlice``; ``index`` is the slab's middle.
        slices: how many planes.
        thickness_mm: as many planes as come nearest to it, at least one; the affine must be known.
        reduce: ``mean``, ``max`` (MIP) or ``min`` of each ray.
        mask: what a ray of a mask becomes: ``max``, its highest label, or ``middle``, the label of the middle plane.
    """

    slices: int | None = None
    thickness_mm: float | None = None
    reduce: Literal["mean", "max", "min"] = "mean"
    mask: Literal["max", "middle"] = "max"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("slices", self.slices is None or (isinstance(self.slices, int) and self.slices >= 1), "1 or more")
        thick = self.thickness_mm
        self._check("thickness_mm", thick is None or (thick > 0 and math.isfinite(thick)), "above 0")
        if self.slices is not None and thick is not None:
            raise LoaderError("TakeSlab: give slices or thickness_mm, one of the two")
        self._check("reduce", self.reduce in ("mean", "max", "min"), "mean, max or min")
        self._check("mask", self.mask in ("max", "middle"), "max or middle")

    @property
    def needs_spacing(self) -> bool:
        """For millimetres."""
        return self.thickness_mm is not None

    def runs(self, within: Within, step_mm: float | None, uniform: Callable[[int], float]) -> list[Run]:
        """One run around the index."""
        count = within.length
        if self.thickness_mm is not None:
            assert step_mm is not None
            count = max(1, round(self.thickness_mm / step_mm))
        elif self.slices is not None:
            count = self.slices
        count = min(count, within.length)
        first = self._plane(within, uniform) - (count - 1) // 2
        first = min(max(first, 0), within.length - count)
        return [(first, first + count)]


@dataclass(frozen=True)
class _Spread(Planes):
    def _evenly(self, length: int, count: int, shares: Callable[[int], float]) -> list[Run]:
        """A plane of each of ``count`` equal stretches; a volume of fewer planes shows some of them again."""
        planes = [min(length - 1, int((number + shares(number)) * length / count)) for number in range(count)]
        return [(plane, plane + 1) for plane in planes]


@dataclass(frozen=True)
class TakeSlices(_Spread):
    """Several planes of a volume as several pictures of an item, or as the frames of a video.

    Args:
        axis, orientation, square_pixels: as for ``TakeSlice``.
        count: one from each of as many equal stretches of the axis, or ``all`` planes.
        choose: ``even``, the middle of each stretch, or ``random``, another plane of each an epoch.
        shown_as: ``images``, or ``video``: frames of one video for families that take videos.
    """

    count: int | Literal["all"] = 8
    choose: Literal["even", "random"] = "even"
    shown_as: Literal["images", "video"] = "images"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = isinstance(self.count, int) and not isinstance(self.count, bool) and self.count >= 1
        self._check("count", whole or self.count == "all", "a whole number of 1 or more, or all")
        self._check("choose", self.choose in ("even", "random"), "even or random")
        self._check("shown_as", self.shown_as in ("images", "video"), "images or video")

    @property
    def several(self) -> bool:
        """Also where it is one."""
        return True

    @property
    def pictures(self) -> int | None:
        """As many as said."""
        return None if self.count == "all" else self.count

    @property
    def as_video(self) -> bool:
        """As said."""
        return self.shown_as == "video"

    def runs(self, within: Within, step_mm: float | None, uniform: Callable[[int], float]) -> list[Run]:
        """One plane a picture."""
        if self.count == "all":
            return [(plane, plane + 1) for plane in range(within.length)]
        return self._evenly(within.length, self.count, uniform if self.choose == "random" else lambda _: 0.5)


@dataclass(frozen=True)
class Montage(_Spread):
    """Planes of a volume side by side in one picture, row by row, the middle of each of equal stretches of the axis.

    Args:
        axis, orientation, square_pixels: as for ``TakeSlice``.
        rows, columns: of planes.
    """

    rows: int = 3
    columns: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rows", "columns"):
            edge = getattr(self, name)
            self._check(name, isinstance(edge, int) and 1 <= edge <= 64, "1 to 64")

    @property
    def tiles(self) -> tuple[int, int]:
        """As said."""
        return self.rows, self.columns

    def runs(self, within: Within, step_mm: float | None, uniform: Callable[[int], float]) -> list[Run]:
        """One plane a tile."""
        return self._evenly(within.length, self.rows * self.columns, lambda _: 0.5)
