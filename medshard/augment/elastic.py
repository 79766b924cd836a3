"""An elastic displacement that was drawn: how points go through it, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard.augment.frames import Floats, inverted
from medshard.engine import displace

__all__ = ["Elastic"]

Matrix: TypeAlias = "tuple[tuple[float, float, float], tuple[float, float, float]]"

_STEPS = 50


@dataclass(frozen=True)
class Elastic:
    """A delivered point goes through ``before`` to the plane of the displacement, is moved there, and goes through
    ``plane`` to the stored picture. Everything needed to compute it again.

    Attributes:
        seed: state of the counters (seed, epoch, item, operation); see ``medshard.loader.counter``.
        spacing_xy, amplitude_xy: of the lattice and of its values, in pixels of the plane.
        before, plane: (2, 3) maps.
    """

    seed: int
    spacing_xy: tuple[float, float]
    amplitude_xy: tuple[float, float]
    before: Matrix
    plane: Matrix

    @classmethod
    def of(cls, job: np.void, plane: Floats) -> Elastic:
        """From a filled job and the map from the plane to the stored picture."""
        return cls(
            int(job["elastic_seed"]),
            tuple(job["elastic_spacing"].tolist()),
            tuple(job["elastic_amplitude"].tolist()),
            _matrix(job["before"].reshape(2, 3)),
            _matrix(plane),
        )

    @property
    def reach_stored_xy(self) -> Floats:
        """The most that a point can move, in stored pixels; B-splines never exceed their values."""
        reach: Floats = np.abs(np.array(self.plane)[:, :2]) @ np.abs(np.array(self.amplitude_xy))
        return reach

    def to_stored(self, points_xy: NDArray[np.floating]) -> Floats:
        """Delivered points (..., 2) in the stored picture, exactly."""
        return _through(self.plane, self._displaced(_through(self.before, points_xy)))

    def to_delivered(self, points_xy: NDArray[np.floating]) -> Floats:
        """Stored points (..., 2) in the delivered picture, by iteration, to 1e-6 pixel.

        Where alpha is so large that the displacement folds, a stored point may be seen several times; one is given.
        """
        wanted = _through(_inverse(self.plane), points_xy)
        found = wanted.copy()
        for step in range(_STEPS):
            off = self._displaced(found) - wanted
            if np.abs(off).max(initial=0.0) < 1e-7:
                break
            found = found - off * (1.0 if step < _STEPS // 2 else 0.5)
        return _through(_inverse(self.before), found)

    def _displaced(self, points_xy: Floats) -> Floats:
        return displace(points_xy, self.seed, self.spacing_xy, self.amplitude_xy)


def _matrix(matrix: Floats) -> Matrix:
    return tuple(tuple(line) for line in matrix.tolist())  # type: ignore[return-value]


def _through(matrix: Matrix, points_xy: NDArray[np.floating]) -> Floats:
    linear = np.array(matrix)
    return np.asarray(np.asarray(points_xy, np.float64) @ linear[:, :2].T + linear[:, 2], np.float64)


def _inverse(matrix: Matrix) -> Matrix:
    return _matrix(inverted(np.array(matrix)))
