"""Operations on the values of crops of volumes, beside those of ``medshard.augment`` that mean the same in 3D.

They work on values of any range. Statistics are those of the crop, a channel each. Ranges and definitions follow
batchgeneratorsv2 (nnU-Net; Isensee and others, Nature Methods 2021) where nothing else is said. Factors and gammas are
as often below 1 as above, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from medshard.augment.operations import Operation
from medshard.augment.steps import Floats, checked_p, span
from medshard.augment.volume.draws import PlacedDraws
from medshard.errors import LoaderError

__all__ = [
    "GaussianBlur3D",
    "ModalityDropout",
    "RandomBiasField",
    "RandomBrightness3D",
    "RandomContrast3D",
    "RandomGamma3D",
    "SimulateLowResolution",
    "Step3D",
]

MAX_ORDER = 4
"""Of a bias field: 35 terms."""


@dataclass(frozen=True)
class Step3D(Operation):
    """Base of the steps on a crop.

    Attributes:
        kind: its name in the native engine (csrc/volume/steps.hpp).
    """

    stage: ClassVar[Literal["volume"]] = "volume"
    kind: ClassVar[str]
    per_channel: ClassVar[bool] = True

    @property
    def probability(self) -> float:
        """That an item is changed."""
        return float(getattr(self, "p", 1.0))

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """Parameters of one channel, from the draws numbered ``first`` and after it."""
        raise NotImplementedError

    @property
    def p_channel(self) -> float:
        """That a channel is changed when the item is."""
        return float(getattr(self, "p_of_channel", 1.0))

    def drawn(self, drawn: PlacedDraws) -> Floats | None:
        """(C, 1 + P): of each channel 1 or 0, whether it is changed, and the parameters; None when none is changed."""
        if self.probability < 1 and drawn.uniform(0) >= self.probability:
            return None
        rows = []
        for channel in range(drawn.channels):
            first = 1 + (64 * channel if self.per_channel else 0)
            changed = self.p_channel >= 1 or drawn.uniform(first) < self.p_channel
            rows.append((float(changed), *self.params(drawn, first + 1)))
        return np.array(rows)


@dataclass(frozen=True)
class GaussianBlur3D(Step3D):
    """Convolution with a Gaussian, cut off at four deviations; the crop is mirrored about its outermost voxels.

    Args:
        sigma: in voxels, or (low, high) to draw it from, a channel each.
        per_axis: each axis draws one of its own.
        p: probability that an item is changed.
        p_of_channel: that a channel is, when the item is.
    """

    sigma: float | Sequence[float] = (0.5, 1.0)
    per_axis: bool = False
    p: float = 1.0
    p_of_channel: float = 1.0
    kind: ClassVar[str] = "gaussian_blur"

    def __post_init__(self) -> None:
        _check(self, "p", "p_of_channel")
        span("GaussianBlur3D", "sigma", self.sigma, 0.01, 20)

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """The deviations along z, y and x."""
        low, high = span("GaussianBlur3D", "sigma", self.sigma, 0.01, 20)
        z, y, x = (drawn.between(first + (axis if self.per_axis else 0), low, high) for axis in range(3))
        return z, y, x


@dataclass(frozen=True)
class RandomBrightness3D(Step3D):
    """value * factor.

    Args:
        factor: bounds, a channel each.
        p: probability that an item is changed.
    """

    factor: float | Sequence[float] = (0.75, 1.25)
    p: float = 0.15
    kind: ClassVar[str] = "brightness"

    def __post_init__(self) -> None:
        _check(self, "p")
        span("RandomBrightness3D", "factor", self.factor, 0.0)

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """The factor."""
        return (drawn.about_one(first, *span("RandomBrightness3D", "factor", self.factor, 0.0)),)


@dataclass(frozen=True)
class RandomContrast3D(Step3D):
    """(value - mean) * factor + mean.

    Args:
        factor: bounds, a channel each.
        preserve_range: values are held to the range that they had.
        p: probability that an item is changed.
    """

    factor: float | Sequence[float] = (0.75, 1.25)
    preserve_range: bool = True
    p: float = 0.15
    kind: ClassVar[str] = "contrast"

    def __post_init__(self) -> None:
        _check(self, "p")
        span("RandomContrast3D", "factor", self.factor, 0.0)

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """The factor; 1 to hold the range."""
        factor = drawn.about_one(first, *span("RandomContrast3D", "factor", self.factor, 0.0))
        return (factor, float(self.preserve_range))


@dataclass(frozen=True)
class RandomGamma3D(Step3D):
    """((value - least) / range) ** gamma * range + least, of the crop's own range.

    Args:
        gamma: bounds, a channel each.
        invert: of the negated values, which are negated again afterwards.
        retain_stats: mean and deviation become what they were.
        p: probability that an item is changed.
    """

    gamma: float | Sequence[float] = (0.7, 1.5)
    invert: bool = False
    retain_stats: bool = True
    p: float = 0.3
    kind: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        _check(self, "p")
        span("RandomGamma3D", "gamma", self.gamma, 0.01, 100)

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """The exponent; 1 to invert; 1 to keep mean and deviation."""
        low, high = span("RandomGamma3D", "gamma", self.gamma, 0.01, 100)
        return (drawn.about_one(first, low, high), float(self.invert), float(self.retain_stats))


@dataclass(frozen=True)
class SimulateLowResolution(Step3D):
    """Nearest neighbours at a smaller size, then linear interpolation back, as torch's ``interpolate``.

    Args:
        zoom: bounds of the smaller size over the size, a channel each.
        in_plane: only along y and x: for volumes whose slices lie far apart.
        p: probability that an item is changed.
        p_of_channel: that a channel is, when the item is.
    """

    zoom: float | Sequence[float] = (0.5, 1.0)
    in_plane: bool = False
    p: float = 0.25
    p_of_channel: float = 0.5
    kind: ClassVar[str] = "low_resolution"

    def __post_init__(self) -> None:
        _check(self, "p", "p_of_channel")
        span("SimulateLowResolution", "zoom", self.zoom, 0.01, 1)

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """The smaller size over the size; 1 to leave z."""
        zoom = drawn.between(first, *span("SimulateLowResolution", "zoom", self.zoom, 0.01, 1))
        return zoom, float(self.in_plane)


@dataclass(frozen=True)
class RandomBiasField(Step3D):
    """Times exp of a random polynomial in z, y, x from -1 to 1: the uneven field of MR coils.

    All channels have one field. Source: Van Leemput and others 1999; the polynomial is TorchIO's.

    Args:
        coefficients: largest size of each term's coefficient.
        order: of the polynomial, at most 4.
        p: probability that an item is changed.
    """

    coefficients: float = 0.5
    order: int = 3
    p: float = 1.0
    kind: ClassVar[str] = "bias_field"
    per_channel: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check(self, "p")
        if not isinstance(self.order, int) or not 0 <= self.order <= MAX_ORDER:
            raise LoaderError(f"RandomBiasField: order is a whole number from 0 to {MAX_ORDER}; found {self.order!r}")
        if not 0 <= self.coefficients < math.inf:
            raise LoaderError(f"RandomBiasField: coefficients is at least 0; found {self.coefficients!r}")

    def params(self, drawn: PlacedDraws, first: int) -> tuple[float, ...]:
        """The order; then the coefficients of z**a y**b x**c, a slowest, a + b + c at most the order."""
        count = (self.order + 1) * (self.order + 2) * (self.order + 3) // 6
        terms = [drawn.between(first + term, -self.coefficients, self.coefficients) for term in range(count)]
        return (float(self.order), *terms)


@dataclass(frozen=True)
class ModalityDropout(Operation):
    """Channels become 0 and absent, each with probability ``p``, but never the last one that is present.

    Where all would be, one that is drawn stays. ``presence`` in the batch says which are left.
    """

    p: float = 0.5
    stage: ClassVar[Literal["volume"]] = "volume"

    def __post_init__(self) -> None:
        checked_p("ModalityDropout", self.p)

    def kept(self, present: Sequence[bool], drawn: PlacedDraws) -> list[bool]:
        """Of each channel, whether it is still there."""
        left = [there and drawn.uniform(1 + channel) >= self.p for channel, there in enumerate(present)]
        if not any(left) and any(present):
            there = [channel for channel, here in enumerate(present) if here]
            left[there[drawn.whole(0, len(there))]] = True
        return left


def _check(step: Step3D, *names: str) -> None:
    for name in names:
        checked_p(f"{type(step).__name__}: {name}", getattr(step, name))
