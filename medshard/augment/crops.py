"""Operations that choose a part of the picture, or add to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medshard.augment.frames import Floats, Frames
from medshard.augment.spatial import Bordered, Draw, PaddingMode, Size, Spatial, check_bounds, pair
from medshard.errors import LoaderError

__all__ = ["CenterCrop", "MultiCrop", "Pad", "RandomCrop", "RandomResizedCrop"]

_CROP_ATTEMPTS = 10  # torchvision gives up after as many and takes the middle


@dataclass(frozen=True)
class CenterCrop(Spatial):
    """The middle of the picture; it must be at least as large.

    Args:
        size: (height, width), or both.
    """

    size: int | Sequence[int]
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        pair("CenterCrop", self.size)

    def output_size(self, size: Size | None) -> Size | None:
        """As it says."""
        return pair("CenterCrop", self.size)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Crops the frames."""
        height, width = pair("CenterCrop", self.size)
        _check_room(frames, draw, self, height, width, "put a Resize before it")
        top, left = np.rint((frames.height - height) / 2), np.rint((frames.width - width) / 2)
        frames.crop(top, left, np.full_like(top, height), np.full_like(left, width))


@dataclass(frozen=True)
class RandomCrop(Bordered):
    """A part of a size at a random place.

    Args:
        size: (height, width), or both.
        padding: pixels that are added around the picture before: for all sides, (left and right, top and bottom), or
            (left, top, right, bottom).
        pad_if_needed: a smaller picture is padded to the size; else it is an error.
        fill: value of what is added, after the window, 0 (black) to 1.
        padding_mode: ``constant``, ``edge`` or ``reflect``.
        mask_fill: label of what is added, in masks.
    """

    size: int | Sequence[int]
    padding: int | Sequence[int] | None = None
    pad_if_needed: bool = False
    fill: float = 0.0
    padding_mode: PaddingMode = "constant"
    mask_fill: int = 0
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        pair("RandomCrop", self.size)
        if self.padding is not None:
            _sides("RandomCrop", self.padding)
        self._check_border()

    def output_size(self, size: Size | None) -> Size | None:
        """As it says."""
        return pair("RandomCrop", self.size)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Pads where it is to, then crops."""
        height, width = pair("RandomCrop", self.size)
        if self.padding is not None:
            Pad(self.padding).apply(frames, draw)
        if self.pad_if_needed:
            high, wide = np.maximum(height - frames.height, 0), np.maximum(width - frames.width, 0)
            if (high > 0).any() or (wide > 0).any():
                frames.pad(wide, high, wide, high)
        _check_room(frames, draw, self, height, width, "say pad_if_needed=True, or put a Resize before it")
        drawn = draw.redrawn(2)
        top = np.floor(drawn[:, 0] * (frames.height - height + 1))
        left = np.floor(drawn[:, 1] * (frames.width - width + 1))
        frames.crop(top, left, np.full_like(top, height), np.full_like(left, width))


@dataclass(frozen=True)
class Pad(Bordered):
    """Pixels around the picture.

    Args:
        padding: for all sides, (left and right, top and bottom), or (left, top, right, bottom).
        fill: value of what is added, after the window, 0 (black) to 1.
        padding_mode: ``constant``, ``edge`` or ``reflect``.
        mask_fill: label of what is added, in masks.
    """

    padding: int | Sequence[int]
    fill: float = 0.0
    padding_mode: PaddingMode = "constant"
    mask_fill: int = 0

    def __post_init__(self) -> None:
        _sides("Pad", self.padding)
        self._check_border()

    def output_size(self, size: Size | None) -> Size | None:
        """Larger by what is added."""
        left, top, right, bottom = _sides("Pad", self.padding)
        return (size[0] + top + bottom, size[1] + left + right) if size is not None else None

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Pads the frames."""
        whole = np.ones(len(frames.height))
        left, top, right, bottom = (side * whole for side in _sides("Pad", self.padding))
        frames.pad(left, top, right, bottom)


@dataclass(frozen=True)
class RandomResizedCrop(Spatial):
    """A part of random area and shape, brought to a size, antialiased.

    Args:
        size: (height, width), or both.
        scale: bounds of the part's area, as a share of the picture's.
        ratio: bounds of the part's width over height.
    """

    size: int | Sequence[int]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0)
    resamples: ClassVar[bool] = True
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        pair("RandomResizedCrop", self.size)
        check_bounds("RandomResizedCrop", "scale", self.scale)
        check_bounds("RandomResizedCrop", "ratio", self.ratio)
        if self.scale[1] > 1:
            raise LoaderError(f"RandomResizedCrop: scale is a share of the area, at most 1; found {self.scale}")

    def output_size(self, size: Size | None) -> Size | None:
        """As it says."""
        return pair("RandomResizedCrop", self.size)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Crops and resizes the frames."""
        frames.crop(*self._parts(frames.height, frames.width, draw))
        height, width = pair("RandomResizedCrop", self.size)
        whole = np.ones(len(frames.height))
        frames.resize(height * whole, width * whole)

    def _parts(self, height: Floats, width: Floats, draw: Draw) -> tuple[Floats, Floats, Floats, Floats]:
        """Top, left, height, width, drawn as torchvision draws them: log-uniform in shape, uniform in area.

        A part that does not fit is drawn again, up to ten times; then it is the middle, of a shape within the bounds.
        """
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        parts: Floats = np.zeros((4, len(height)))
        left_over = np.arange(len(height))
        for attempt in range(_CROP_ATTEMPTS):
            some = slice(None) if len(left_over) == len(height) else left_over
            tall, wide = height[some], width[some]
            drawn = draw.redrawn(4, attempt * 4, None if attempt == 0 else left_over).T
            area = tall * wide * (self.scale[0] + drawn[0] * (self.scale[1] - self.scale[0]))
            ratio = np.exp(low + drawn[1] * (high - low))
            part_width, part_height = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
            top, left = np.floor(drawn[2] * (tall - part_height + 1)), np.floor(drawn[3] * (wide - part_width + 1))
            parts[:, some] = (top, left, part_height, part_width)
            fits = (part_width > 0) & (part_width <= wide) & (part_height > 0) & (part_height <= tall)
            if fits.all():
                return parts[0], parts[1], parts[2], parts[3]
            left_over = left_over[~fits]
        parts[:, left_over] = self._middles(height[left_over], width[left_over])
        return parts[0], parts[1], parts[2], parts[3]

    def _middles(self, height: Floats, width: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        narrow, broad = width / height < self.ratio[0], width / height > self.ratio[1]
        part_height = np.where(narrow, np.maximum(1, np.rint(width / self.ratio[0])), height)
        part_width = np.where(broad, np.maximum(1, np.rint(height * self.ratio[1])), width)
        return (height - part_height) // 2, (width - part_width) // 2, part_height, part_width


@dataclass(frozen=True)
class MultiCrop(Spatial):
    """Several random crops of one picture, which is decoded once (DINO: Caron et al., ICCV 2021; SwAV, NeurIPS 2020).

    What stands before and after it is drawn for each view anew. The loader delivers ``batch["views"]``, a list with a
    tensor (B, C, height, width) a view, the global ones first; ``batch["geometry"]`` is (B, views, 2, 3). Where masks
    are asked for, ``batch["mask_views"]`` is their list. Text speaks of the first view.

    Args:
        global_size, local_size: (height, width) of the two kinds of view, or both.
        n_global, n_local: how many of each.
        global_scale, local_scale: bounds of the part's area, as a share of the picture's.
        ratio: bounds of the part's width over height.
    """

    global_size: int | Sequence[int] = 224
    local_size: int | Sequence[int] = 96
    n_global: int = 2
    n_local: int = 6
    global_scale: tuple[float, float] = (0.4, 1.0)
    local_scale: tuple[float, float] = (0.05, 0.4)
    ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0)
    resamples: ClassVar[bool] = True
    crops: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, count, least in (("n_global", self.n_global, 1), ("n_local", self.n_local, 0)):
            if not isinstance(count, int) or isinstance(count, bool) or not least <= count <= 64:
                raise LoaderError(f"MultiCrop: {name} is a whole number from {least} to 64; found {count!r}")
        _ = self.views

    @property
    def views(self) -> tuple[RandomResizedCrop, ...]:
        """The crop of each view."""
        first = RandomResizedCrop(self.global_size, self.global_scale, self.ratio)
        second = RandomResizedCrop(self.local_size, self.local_scale, self.ratio)
        return (first,) * self.n_global + (second,) * self.n_local


def _check_room(frames: Frames, draw: Draw, operation: Spatial, height: int, width: int, advice: str) -> None:
    small = (frames.height < height) | (frames.width < width)
    if small.any():
        name = type(operation).__name__
        reason = f"{name}({height}, {width}) is larger than a picture of {{}} x {{}}; {advice}"
        draw.refuse(small, frames.height, frames.width, reason)


def _sides(name: str, padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    found = (padding,) if isinstance(padding, int) else tuple(padding) if isinstance(padding, (list, tuple)) else ()
    whole = all(isinstance(side, int) and not isinstance(side, bool) and 0 <= side < 2**16 for side in found)
    if len(found) not in (1, 2, 4) or not whole:
        raise LoaderError(
            f"{name}: padding is a whole number, (left and right, top and bottom) or (left, top, right, bottom), none "
            f"below 0; found {padding!r}"
        )
    if len(found) == 4:
        return found[0], found[1], found[2], found[3]
    return found[0], found[-1], found[0], found[-1]
