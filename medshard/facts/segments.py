"""The longest segment between points of a set, exact, by branch and bound over directions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Segment", "longest_chord_across", "longest_segment"]

Floats = NDArray[np.float64]

_ENOUGH_PAIRS = 4096  # so few are compared one by one
_FINEST_ANGLE = 1e-4
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Segment:
    """A segment between two points.

    Attributes:
        length: their distance.
        ends: (2, d).
        part: the part that both belong to.
    """

    length: float
    ends: Floats
    part: int


@dataclass(frozen=True)
class _Cone:
    """Directions within ``angle`` of ``axis``: an arc of a half circle, or a square on a face of the cube.

    Attributes:
        place: the middle, as an angle, or on the cube's surface.
        half: half of the arc's angle, or of the square's edge.
        face: the axis of the cube's face; -1 in the plane.
    """

    place: tuple[float, ...]
    half: float
    face: int

    @property
    def axis(self) -> Floats:
        if self.face < 0:
            return np.array([math.cos(self.place[0]), math.sin(self.place[0])])
        place = np.array(self.place)
        return np.asarray(place / np.linalg.norm(place), np.float64)

    @property
    def angle(self) -> float:
        if self.face < 0:
            return self.half
        return math.asin(min(1.0, self.half * math.sqrt(2) / math.hypot(*self.place)))

    def split(self) -> Iterator[_Cone]:
        """Cones that cover it."""
        half = self.half / 2
        if self.face < 0:
            yield from (_Cone((self.place[0] + step,), half, -1) for step in (-half, half))
            return
        free = [axis for axis in range(3) if axis != self.face]
        for first in (-half, half):
            for second in (-half, half):
                place = list(self.place)
                place[free[0]] += first
                place[free[1]] += second
                yield _Cone(tuple(place), half, self.face)


def _all_directions(dimensions: int) -> list[_Cone]:
    """Cones that cover every direction or its opposite."""
    if dimensions == 2:
        return [_Cone((math.pi * (number + 0.5) / 16,), math.pi / 32, -1) for number in range(16)]
    faces = [_Cone(tuple(float(axis == face) for axis in range(3)), 1.0, face) for face in range(3)]
    return [cone for face in faces for quarter in face.split() for cone in quarter.split()]


def longest_segment(points: Floats, part: NDArray[np.int64], offsets: Floats) -> Segment:
    """The longest segment between two points ``p + o`` and ``q + o'`` of one part.

    A segment that is longer than the best so far spans more than its length times cos(angle) along the axis of a cone
    that holds its direction. So most parts, most cones, and in a cone most points are left out; what is left is halved
    until few pairs remain.

    Args:
        points: (n, d) with d 2 or 3, n at least 1.
        part: (n,) number of the part of each, from 0.
        offsets: (m, d), added to every point; with each its opposite.
    """
    cones = _all_directions(points.shape[1])
    order = np.argsort(part, kind="stable")
    points, part = points[order], part[order]
    begins = np.flatnonzero(np.append(True, part[1:] != part[:-1]))
    ends = np.append(begins[1:], len(part))
    bound = np.empty((len(cones), len(begins)))  # of the segments of a part whose direction lies in a cone
    for number, cone in enumerate(cones):
        along = points @ cone.axis
        width = np.maximum.reduceat(along, begins) - np.minimum.reduceat(along, begins)
        bound[number] = (width + 2 * np.abs(offsets @ cone.axis).max()) / math.cos(cone.angle)
    best = Segment(0.0, np.zeros((2, points.shape[1])), -1)
    for place in np.argsort(-bound.max(axis=0), kind="stable").tolist():
        of_part = points[begins[place] : ends[place]]
        for number in np.argsort(-bound[:, place], kind="stable").tolist():
            if bound[number, place] <= best.length:
                break
            best = _longest_in_cone(of_part, offsets, cones[number], best, int(part[begins[place]]))
    return best


def _longest_in_cone(points: Floats, offsets: Floats, whole: _Cone, best: Segment, part: int) -> Segment:
    waiting = [(whole, points, points)]
    while waiting:
        cone, upper, lower = waiting.pop()
        axis = cone.axis
        reach = float(np.abs(offsets @ axis).max())
        above, below = upper @ axis, lower @ axis
        high, low = float(above.max()) + reach, float(below.min()) - reach
        if high - low > best.length * math.cos(cone.angle):
            best = _longer(best, upper[above.argmax()] + offsets, lower[below.argmin()] + offsets, part)
        slack = high - low - best.length * math.cos(cone.angle)
        if slack <= 0:
            continue
        upper, lower = upper[above >= high - reach - slack], lower[below <= low + reach + slack]
        if len(upper) * len(lower) > _ENOUGH_PAIRS and cone.angle > _FINEST_ANGLE:
            waiting += [(part_of, upper, lower) for part_of in cone.split()]
            continue
        tops = (upper[:, None] + offsets).reshape(-1, points.shape[1])
        bottoms = (lower[:, None] + offsets).reshape(-1, points.shape[1])
        best = _longer(best, tops[tops @ axis >= high - slack], bottoms[bottoms @ axis <= low + slack], part)
    return best


def _longer(best: Segment, tops: Floats, bottoms: Floats, part: int) -> Segment:
    rows = max(1, _BLOCK // max(1, len(bottoms)))
    for first in range(0, len(tops), rows):
        some = tops[first : first + rows]
        squares = np.zeros((len(some), len(bottoms)))
        for axis in range(tops.shape[1]):
            squares += (some[:, None, axis] - bottoms[None, :, axis]) ** 2
        if squares.size and squares.max() > best.length**2:
            one, other = np.unravel_index(squares.argmax(), squares.shape)
            best = Segment(math.sqrt(squares.max()), np.stack([some[one], bottoms[other]]), part)
    return best


def longest_chord_across(points: Floats, segment: Floats) -> float:
    """The longest chord, perpendicular to a segment, of the convex hull of points in the plane.

    Args:
        points: (n, 2).
        segment: (2, 2), its ends.
    """
    along = segment[1] - segment[0]
    length = float(np.hypot(*along))
    if length == 0:
        return 0.0
    along = along / length
    frame = points @ np.array([[along[0], -along[1]], [along[1], along[0]]])
    frame = frame[np.lexsort((frame[:, 1], frame[:, 0]))]
    top, bottom = _chain(frame, 1.0), _chain(frame, -1.0)
    places = np.concatenate([top[:, 0], bottom[:, 0]])
    chords = np.interp(places, top[:, 0], top[:, 1]) - np.interp(places, bottom[:, 0], bottom[:, 1])
    return float(chords.max())


def _chain(points: Floats, sign: float) -> Floats:
    """The upper (sign 1) or lower (-1) side of the hull of sorted points (Andrew 1979), one point for each x."""
    first = np.flatnonzero(np.append(True, points[1:, 0] != points[:-1, 0]))
    x, y = points[first, 0], sign * np.maximum.reduceat(sign * points[:, 1], first)
    kept: list[tuple[float, float]] = []
    for px, py in zip(x.tolist(), (sign * y).tolist(), strict=True):
        while len(kept) > 1:
            (ax, ay), (bx, by) = kept[-2], kept[-1]
            if (bx - ax) * (py - ay) < (by - ay) * (px - ax):
                break
            kept.pop()
        kept.append((px, py))
    found = np.array(kept)
    return np.stack([found[:, 0], sign * found[:, 1]], 1)
