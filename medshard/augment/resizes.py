"""Operations that bring the whole picture to a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medshard.augment.frames import Floats, Frames
from medshard.augment.spatial import Bordered, Draw, PaddingMode, Size, Spatial, edges, is_length, pair
from medshard.errors import LoaderError

__all__ = ["Letterbox", "Resize"]


@dataclass(frozen=True)
class Resize(Spatial):
    """To a size, antialiased.

    Args:
        size: (height, width), or the length of the shorter edge; None with ``max_size`` alone.
        max_size: longest that the longer edge may become, with a single ``size``; alone, the length of the longer edge.
    """

    size: int | Sequence[int] | None
    max_size: int | None = None
    resamples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.size is None and self.max_size is not None:
            if not is_length(self.max_size):
                raise LoaderError(f"Resize: max_size is a whole number, at least 1; found {self.max_size!r}")
            return
        pair("Resize", self.size)  # type: ignore[arg-type]
        if self.max_size is None:
            return
        found = edges(self.size)  # type: ignore[arg-type]
        if len(found) == 2:
            raise LoaderError("Resize: max_size goes with a single size, not with (height, width)")
        if not is_length(self.max_size) or self.max_size <= found[0]:
            raise LoaderError(
                f"Resize: max_size bounds the longer edge and is above size, {found[0]}; found {self.max_size!r}"
            )

    def output_size(self, size: Size | None) -> Size | None:
        """(height, width), or what follows from a known size."""
        if self.size is not None and len(edges(self.size)) == 2:
            return pair("Resize", self.size)
        return self.target(*size) if size is not None else None

    def target(self, height: int, width: int) -> Size:
        """Output size of a picture, as torchvision computes it."""
        high, wide = self._targets(np.array([float(height)]), np.array([float(width)]))
        return int(high[0]), int(wide[0])

    def _targets(self, height: Floats, width: Floats) -> tuple[Floats, Floats]:
        found = edges(self.size) if self.size is not None else ()
        short, long = np.minimum(height, width).astype(np.int64), np.maximum(height, width).astype(np.int64)
        if len(found) == 2:
            return np.full(len(short), float(found[0])), np.full(len(short), float(found[1]))
        if self.size is None:
            assert self.max_size is not None
            # A line of pixels would become none, which torchvision refuses.
            new_short, new_long = np.maximum(self.max_size * short // long, 1), np.full_like(long, self.max_size)
        else:
            new_short, new_long = np.full_like(short, found[0]), (found[0] * long / short).astype(np.int64)
            if self.max_size is not None:
                over = new_long > self.max_size
                new_short = np.where(over, np.maximum(self.max_size * new_short // new_long, 1), new_short)
                new_long = np.where(over, self.max_size, new_long)
        upright = height <= width
        high, wide = np.where(upright, new_short, new_long), np.where(upright, new_long, new_short)
        return high.astype(np.float64), wide.astype(np.float64)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Resizes the frames."""
        frames.resize(*self._targets(frames.height, frames.width))


@dataclass(frozen=True)
class Letterbox(Bordered):
    """The whole picture, as large as it fits into a size without changing its shape; the border fills the rest evenly.

    Args:
        size: (height, width), or both.
        fill: value of the border after the window, 0 (black) to 1.
        padding_mode: ``constant``, ``edge`` or ``reflect``.
        mask_fill: label of the border in masks.
    """

    size: int | Sequence[int]
    fill: float = 0.0
    padding_mode: PaddingMode = "constant"
    mask_fill: int = 0
    resamples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        pair("Letterbox", self.size)
        self._check_border()

    def output_size(self, size: Size | None) -> Size | None:
        """As it says."""
        return pair("Letterbox", self.size)

    def apply(self, frames: Frames, draw: Draw) -> None:
        """Resizes the frames, then pads them."""
        height, width = pair("Letterbox", self.size)
        scale = np.minimum(height / frames.height, width / frames.width)
        high = np.clip(np.rint(frames.height * scale), 1, height)
        wide = np.clip(np.rint(frames.width * scale), 1, width)
        frames.resize(high, wide)
        left, top = (width - wide) // 2, (height - high) // 2
        frames.pad(left, top, width - wide - left, height - high - top)
