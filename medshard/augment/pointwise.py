"""Pointwise operations: each value becomes another one, whatever lies around it.

Between the window and ``Normalize``, values are 0 to 1. What brightens clips to that range, as torchvision does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from medshard.augment.steps import Draws, Floats, Role, Step, checked_p, columns, span
from medshard.errors import LoaderError, nearest

__all__ = [
    "CT_WINDOWS",
    "GaussianNoise",
    "Normalize",
    "PercentileNormalize",
    "RandomGamma",
    "RandomInvert",
    "RandomPosterize",
    "RandomSolarize",
    "Window",
    "ZScoreNormalize",
]

CT_WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "soft_tissue": (50.0, 400.0),
    "liver": (30.0, 150.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "stroke": (40.0, 40.0),
    "subdural": (75.0, 215.0),
    "temporal_bone": (600.0, 2800.0),
    "spine_soft_tissue": (50.0, 250.0),
}
"""Centre and width in HU by name. Radiopaedia, "Windowing (CT)", article 52108; soft_tissue is its abdomen, bone its
spine; of the ranges that it gives for subdural blood, the middle."""


@dataclass(frozen=True)
class Window(Step):
    """Values from ``low`` to ``high`` become 0 to 1; what lies outside is clipped.

    Without it, 8-bit values are divided by 255, and values of more bits take the window that the file asks for, or else
    the whole range of their significant bits.

    Args:
        low, high: stored units, HU in CT.
        jitter_centre: the centre moves by at most this share of the width, either way.
        jitter_width: the width changes by at most this share of itself, either way.
    """

    low: float
    high: float
    jitter_centre: float = 0.0
    jitter_width: float = 0.0
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "window"
    refused: ClassVar[Literal["never"]] = "never"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise LoaderError(f"Window: low is below high; found {self.low}, {self.high}")
        for name in ("jitter_centre", "jitter_width"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise LoaderError(f"Window: {name} is a share of the width, at least 0 and below 1; found {share!r}")

    @classmethod
    def ct(cls, name: str, jitter_centre: float = 0.0, jitter_width: float = 0.0) -> Window:
        """A usual window of CT by name; see ``CT_WINDOWS``.

        Raises:
            LoaderError: there is none of that name.
        """
        if name not in CT_WINDOWS:
            guess = nearest(name, list(CT_WINDOWS))
            hint = f" Did you mean {guess!r}?" if guess else ""
            raise LoaderError(f"Window.ct: there is no window {name!r}.{hint} Windows: {', '.join(CT_WINDOWS)}")
        centre, width = CT_WINDOWS[name]
        return cls(centre - width / 2, centre + width / 2, jitter_centre, jitter_width)

    @property
    def role(self) -> Role:
        """Maps stored values to 0..1."""
        return "maps"

    def bounds(self, draws: Draws) -> Floats:
        """(N, 2): low and high of each item."""
        centre, width = (self.low + self.high) / 2, self.high - self.low
        moved = draws.between(1, -self.jitter_centre, self.jitter_centre) * width * draws.intensity
        scaled = 1 + draws.between(2, -self.jitter_width, self.jitter_width) * draws.intensity
        return columns(draws.count, centre + moved - width * scaled / 2, centre + moved + width * scaled / 2)


@dataclass(frozen=True)
class PercentileNormalize(Step):
    """Two percentiles become 0 and 1; what lies outside is clipped. It stands in the place of ``Window``.

    Args:
        lower, upper: percentiles, 0 to 100, of the values of all channels, interpolated as numpy does.
        statistics: of the sampled ``crop``, or of the whole picture in its ``file`` (of a volume, the plane that is
            taken), which is then decoded whole; no step may stand before it then.
    """

    lower: float = 0.5
    upper: float = 99.5
    statistics: Literal["crop", "file"] = "crop"
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "percentile_normalize"
    refused: ClassVar[Literal["never"]] = "never"

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 100:
            raise LoaderError(
                f"PercentileNormalize: 0 <= lower < upper <= 100; found {self.lower!r} and {self.upper!r}"
            )
        _check_statistics("PercentileNormalize", self.statistics)

    @property
    def role(self) -> Role:
        """Maps stored values to 0..1."""
        return "maps"

    def params(self, draws: Draws) -> Floats:
        """Both percentiles, 1 for the whole picture."""
        return columns(draws.count, self.lower, self.upper, float(self.whole))


def _check_statistics(name: str, statistics: str) -> None:
    if statistics not in ("crop", "file"):
        raise LoaderError(f"{name}: statistics is crop or file; found {statistics!r}")


@dataclass(frozen=True)
class Normalize(Step):
    """(value - mean) / std, a channel each, of values from 0 to 1."""

    mean: Sequence[float]
    std: Sequence[float]
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "normalize"
    refused: ClassVar[Literal["never"]] = "never"

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise LoaderError("Normalize: mean and std have one number, or one a channel (three)")
        if any(not deviation > 0 for deviation in self.std):
            raise LoaderError(f"Normalize: std is above 0; found {tuple(self.std)}")

    @property
    def role(self) -> Role:
        """Values have any range after it."""
        return "ends"

    @property
    def channels(self) -> int:
        """How many it names."""
        return len(self.mean)

    def params(self, draws: Draws) -> Floats:
        """Three means, three deviations."""
        of_three = [tuple(given) * (3 // len(given)) for given in (self.mean, self.std)]
        return columns(draws.count, *of_three[0], *of_three[1])


@dataclass(frozen=True)
class ZScoreNormalize(Step):
    """(value - mean) / deviation with the picture's own mean and deviation (of the population, as numpy's ``std``).

    Without ``Window`` and without an operation that needs one, it works on stored values, unclipped. A crop of one
    value becomes 0.

    Args:
        channel_wise: each channel by itself.
        statistics: of the ``crop`` as it is at this place of the list, or of the whole picture in its ``file`` (of a
            volume, the plane that is taken), which is then decoded whole; no step may stand before it then.
    """

    channel_wise: bool = False
    statistics: Literal["crop", "file"] = "crop"
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "zscore_normalize"
    refused: ClassVar[Literal["never"]] = "never"

    def __post_init__(self) -> None:
        _check_statistics("ZScoreNormalize", self.statistics)

    @property
    def role(self) -> Role:
        """Values have any range after it."""
        return "ends"

    def params(self, draws: Draws) -> Floats:
        """1 for each channel by itself, 1 for the whole picture."""
        return columns(draws.count, float(self.channel_wise), float(self.whole))


@dataclass(frozen=True)
class RandomGamma(Step):
    """value ** gamma; the logarithm of gamma is drawn uniformly, so that brighter and darker are alike."""

    gamma: float | Sequence[float] = (0.8, 1.25)
    p: float = 0.5
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        span("RandomGamma", "gamma", self.gamma, 0.01, 100)
        checked_p("RandomGamma", self.p)

    def params(self, draws: Draws) -> Floats:
        """The exponent."""
        return columns(draws.count, draws.log_between(1, *span("RandomGamma", "gamma", self.gamma, 0.01, 100)))


@dataclass(frozen=True)
class RandomInvert(Step):
    """1 - value, with probability ``p``."""

    p: float = 0.5
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "invert"

    def __post_init__(self) -> None:
        checked_p("RandomInvert", self.p)


@dataclass(frozen=True)
class RandomSolarize(Step):
    """1 - value where value is at least ``threshold``, with probability ``p``."""

    threshold: float
    p: float = 0.5
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "solarize"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise LoaderError(f"RandomSolarize: threshold lies between 0 and 1; found {self.threshold!r}")
        checked_p("RandomSolarize", self.p)

    def params(self, draws: Draws) -> Floats:
        """The threshold."""
        return columns(draws.count, self.threshold)


@dataclass(frozen=True)
class RandomPosterize(Step):
    """Only the highest ``bits`` of 8 are kept, with probability ``p``: floor(value * 2**bits) / 2**bits."""

    bits: int
    p: float = 0.5
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "posterize"

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or not 1 <= self.bits <= 8:
            raise LoaderError(f"RandomPosterize: bits is a whole number from 1 to 8; found {self.bits!r}")
        checked_p("RandomPosterize", self.p)

    def params(self, draws: Draws) -> Floats:
        """The number of levels."""
        return columns(draws.count, float(2**self.bits))


@dataclass(frozen=True)
class GaussianNoise(Step):
    """mean + sigma * a normal number is added to each value of each channel.

    Args:
        mean: of the noise.
        sigma: its deviation, or (low, high) to draw it from.
        clip: to 0..1 afterwards; without it, the noise may also stand before the window or after ``Normalize``.
        p: probability that an item gets any.
    """

    mean: float = 0.0
    sigma: float | Sequence[float] = 0.1
    clip: bool = True
    p: float = 1.0
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "gaussian_noise"
    mirrors: ClassVar[bool] = False

    def __post_init__(self) -> None:
        span("GaussianNoise", "sigma", self.sigma, 0.0)
        if not math.isfinite(self.mean):
            raise LoaderError(f"GaussianNoise: mean is a finite number; found {self.mean!r}")
        checked_p("GaussianNoise", self.p)

    @property
    def role(self) -> Role:
        """Only clipping needs values from 0 to 1."""
        return "unit" if self.clip else "any"

    def params(self, draws: Draws) -> Floats:
        """Mean, deviation, whether to clip."""
        sigma = draws.between(1, *span("GaussianNoise", "sigma", self.sigma, 0.0))
        return columns(draws.count, self.mean, sigma, float(self.clip))
