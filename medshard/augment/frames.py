"""Pictures as they are after some operations, many at a time: which part of the stored picture, and how it lies.

Coordinates are continuous pixels: (0, 0) is the outer corner of the first pixel, x before y. Until the first rotation a
frame is an axis-aligned window; from then on it is a map from its points to stored ones.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frames", "compose", "inverted"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


def compose(outer: Floats, inner: Floats) -> Floats:
    """The map that does ``inner``, then ``outer``; both (..., 2, 3)."""
    linear = outer[..., :2] @ inner[..., :2]
    offset = outer[..., :2] @ inner[..., 2:] + outer[..., 2:]
    return np.concatenate([linear, offset], -1)


def inverted(matrix: Floats) -> Floats:
    """The inverse of maps, (..., 2, 3)."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    linear = np.stack([np.stack([d, -b], -1), np.stack([-c, a], -1)], -2) / (a * d - b * c)[..., None, None]
    return np.concatenate([linear, -(linear @ matrix[..., 2:])], -1)


class Frames:
    """One frame a picture.

    Args:
        height, width: (n,) stored pixels.
        square_hw: (n, 2) pixels that operations see instead, as when pixels are made square; no sampling of their own.

    Attributes:
        height, width: (n,) pixels of each frame.
        window, real: (n, 4) x0 y0 x1 y1 along the stored axes, in whole units: what the frame shows, and where there
            are pixels; the border makes the rest.
        unit, origin: (n, 2) stored pixels a unit, and where unit 0 lies, x and y: a unit is a stored pixel, a pixel
            made square, or a pixel after resizing.
        bounds, extent: (n, 4) stored pixels that the antialiasing filter may read, and those that count, with what was
            padded; None until something is resampled.
        flip: (n, 2) whether the frame runs against the stored x and y.
        transposed: (n,) whether its columns lie along the stored y.
        warp: (n, 2, 3) from a frame's points to stored ones, once the frame is no window; or, after an elastic
            displacement, to the plane on which that works.
        plane: (n, 2, 3) from that plane to stored points; None without a displacement.
    """

    def __init__(self, height: Ints, width: Ints, square_hw: Ints | None = None) -> None:
        zero = np.zeros(len(height))
        size_hw = np.stack([height, width], 1)
        square_hw = size_hw if square_hw is None else square_hw
        self.height, self.width = square_hw.T.astype(np.float64)
        self.window = np.stack([zero, zero, self.width, self.height], 1)
        self.real = self.window
        self.unit: Floats = (size_hw / square_hw)[:, ::-1]
        self.origin: Floats = np.zeros((len(height), 2))
        self.bounds: Floats | None = None
        self.extent: Floats | None = None
        self.flip: Flags = np.zeros((len(height), 2), np.bool_)
        self.transposed: Flags | None = None
        self.warp: Floats | None = None
        self.plane: Floats | None = None
        self.padded = False

    # -- what keeps axes -----------------------------------------------------------------------------------------

    def crop(self, top: Floats, left: Floats, height: Floats, width: Floats) -> None:
        """A part of each frame; it may reach outside, which pads."""
        if self.warp is not None:
            self.warp[:, :, 2] += self.warp[:, :, 0] * left[:, None] + self.warp[:, :, 1] * top[:, None]
        else:
            x, wide, y, high = left, width, top, height
            if self.transposed is not None:
                x, y = np.where(self.transposed, top, left), np.where(self.transposed, left, top)
                wide, high = np.where(self.transposed, height, width), np.where(self.transposed, width, height)
            old = self.window
            x0 = np.where(self.flip[:, 0], old[:, 2] - x - wide, old[:, 0] + x)
            y0 = np.where(self.flip[:, 1], old[:, 3] - y - high, old[:, 1] + y)
            self.window = np.stack([x0, y0, x0 + wide, y0 + high], 1)
        self.height, self.width = height, width

    def pad(self, left: Floats, top: Floats, right: Floats, bottom: Floats) -> None:
        """Pixels of the border around each frame."""
        if self.warp is None:
            self.real = _intersected(self.real, self.window)
            self.padded = True
        self.crop(-top, -left, self.height + top + bottom, self.width + left + right)

    def resize(self, height: Floats, width: Floats) -> None:
        """Each frame at another size."""
        if self.warp is not None:
            self.warp[:, :, 0] *= (self.width / width)[:, None]
            self.warp[:, :, 1] *= (self.height / height)[:, None]
        else:
            self._freeze()
            wide, high = width, height
            if self.transposed is not None:
                wide, high = np.where(self.transposed, height, width), np.where(self.transposed, width, height)
            size = np.stack([wide, high], 1)
            self.origin = self.origin + self.unit * self.window[:, :2]
            self.unit = self.unit * (self.window[:, 2:] - self.window[:, :2]) / size
            self.window = np.concatenate([np.zeros_like(size), size], 1)
            self.real, self.padded = self.window, False
        self.height, self.width = height, width

    def flip_horizontal(self, rows: Flags) -> None:
        """Mirrors left and right where ``rows`` says."""
        if self.warp is not None:
            self._turn_points(rows, [[-1, 0], [0, 1]], self.width, 0 * self.height)
        elif self.transposed is None:
            self.flip = self.flip ^ (rows[:, None] & np.array([True, False]))
        else:
            self.flip = self.flip ^ (rows[:, None] & np.stack([~self.transposed, self.transposed], 1))

    def flip_vertical(self, rows: Flags) -> None:
        """Mirrors top and bottom where ``rows`` says."""
        if self.warp is not None:
            self._turn_points(rows, [[1, 0], [0, -1]], 0 * self.width, self.height)
        elif self.transposed is None:
            self.flip = self.flip ^ (rows[:, None] & np.array([False, True]))
        else:
            self.flip = self.flip ^ (rows[:, None] & np.stack([self.transposed, ~self.transposed], 1))

    def turn(self, rows: Flags) -> None:
        """A quarter turn counter-clockwise where ``rows`` says: the right edge becomes the top."""
        # A new point (x, y) was (width - y, x): mirrored across, then transposed.
        if self.warp is not None:
            self._turn_points(rows, [[0, -1], [1, 0]], self.width, 0 * self.height)
        else:
            self.flip_horizontal(rows)
            self.transposed = rows if self.transposed is None else self.transposed ^ rows
        height, width = np.where(rows, self.width, self.height), np.where(rows, self.height, self.width)
        self.height, self.width = height, width

    def _turn_points(self, rows: Flags, linear: list[list[int]], x: Floats, y: Floats) -> None:
        assert self.warp is not None
        inner = np.concatenate([np.broadcast_to(np.array(linear, float), (len(x), 2, 2)), _columns(x, y)], -1)
        self.warp = np.where(rows[:, None, None], compose(self.warp, inner), self.warp)

    # -- what does not -------------------------------------------------------------------------------------------

    def transform(self, inverse: Floats, height: Floats, width: Floats) -> None:
        """A frame of a size, whose points were at ``inverse`` (n, 2, 3) of the old one."""
        self._leave_window()
        assert self.warp is not None
        self.warp = compose(self.warp, inverse)
        self.height, self.width = height, width

    def displace(self) -> None:
        """From here on points go through an elastic displacement on the frame as it is now."""
        self._leave_window()
        self.plane = self.warp
        self.warp = np.broadcast_to(np.eye(2, 3), (len(self.height), 2, 3)).copy()

    def to_stored(self) -> Floats:
        """(n, 2, 3) from a frame's points to stored ones, without the displacement."""
        if self.warp is not None:
            return self.warp if self.plane is None else compose(self.plane, self.warp)
        step = np.where(self.flip, -self.unit, self.unit)
        start = self.origin + self.unit * np.where(self.flip, self.window[:, 2:], self.window[:, :2])
        matrix = np.zeros((len(step), 2, 3))
        matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, :, 2] = step[:, 0], step[:, 1], start
        if self.transposed is not None:
            swapped = matrix[:, :, [1, 0, 2]]
            matrix = np.where(self.transposed[:, None, None], swapped, matrix)
        return matrix

    def seen(self) -> Floats:
        """(n, 4) the stored pixels x0 y0 x1 y1 that the window shows and that are there."""
        part = _intersected(self.real, self.window)
        return np.concatenate([self.origin + self.unit * part[:, :2], self.origin + self.unit * part[:, 2:]], 1)

    def _leave_window(self) -> None:
        """What the window shows of the picture is the picture from here on; the border is all around it."""
        if self.warp is not None:
            return
        matrix = self.to_stored()
        if self.bounds is None:
            self.window = _intersected(self.real, self.window)
            self._freeze()
        else:
            self.window = _intersected(self.real, self.window)
        self.warp = matrix

    def _freeze(self) -> None:
        """The first resampling reads what is there now."""
        if self.bounds is None:
            real, window = self.real, self.window
            inside: Flags = np.all((real[:, :2] <= window[:, :2]) & (real[:, 2:] >= window[:, 2:]), axis=1)
            self.bounds, self.extent = (
                self._whole_pixels(window_or_real)
                for window_or_real in (np.where(inside[:, None], window, real), window)
            )

    def _whole_pixels(self, units: Floats) -> Floats:
        """Stored pixels that a window of units touches."""
        slack = 1e-6  # a whole number that rounding puts just beside itself stays that number
        low = np.floor(self.origin + self.unit * units[:, :2] + slack)
        return np.concatenate([low, np.ceil(self.origin + self.unit * units[:, 2:] - slack)], 1)

    def frozen(self) -> tuple[Floats, Floats]:
        """``bounds`` and ``extent``, of frames that were not resampled too."""
        self._freeze()
        assert self.bounds is not None
        assert self.extent is not None
        return self.bounds, self.extent


def _columns(x: Floats, y: Floats) -> Floats:
    return np.stack([x, y], -1)[..., None]


def _intersected(a: Floats, b: Floats) -> Floats:
    """What lies in both; ``a`` where nothing does."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    some: Flags = np.all(low < high, axis=1)
    return np.where(some[:, None], np.concatenate([low, high], 1), a)
