"""Operations on colours; pictures of one channel pass them, but for brightness and contrast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from medshard.augment.steps import Draws, Floats, Step, checked_p, columns, span
from medshard.errors import LoaderError

__all__ = ["HED_DENSITIES", "ColorJitter", "RandomGrayscale", "RandomStainJitter"]

HED_DENSITIES = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Optical density of red, green and blue of haematoxylin, eosin and DAB (Ruifrok and Johnston, "Quantification of
histochemical staining by color deconvolution", Analyt Quant Cytol Histol 23, 2001; as scikit-image has them)."""


@dataclass(frozen=True)
class ColorJitter(Step):
    """Brightness, contrast, saturation and hue, always in this order, each by a factor drawn for the item.

    Args:
        brightness, contrast, saturation: a number f draws factors from max(0, 1 - f) to 1 + f; or (low, high).
        hue: at most 0.5; a number h draws turns from -h to h of the whole circle; or (low, high).
        p: probability that an item is changed.
    """

    brightness: float | Sequence[float] | None = None
    contrast: float | Sequence[float] | None = None
    saturation: float | Sequence[float] | None = None
    hue: float | Sequence[float] | None = None
    p: float = 1.0
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "color_jitter"

    def __post_init__(self) -> None:
        checked_p("ColorJitter", self.p)
        self._spans()

    def _spans(self) -> list[tuple[float, float]]:
        spans = []
        for name in ("brightness", "contrast", "saturation"):
            given = getattr(self, name)
            if isinstance(given, (int, float)) and given >= 0:
                given = (max(0.0, 1.0 - given), 1.0 + given)
            spans.append((1.0, 1.0) if given is None else span("ColorJitter", name, given, 0.0))
        hue = self.hue
        if isinstance(hue, (int, float)) and hue >= 0:
            hue = (-hue, hue)
        spans.append((0.0, 0.0) if hue is None else span("ColorJitter", "hue", hue, -0.5, 0.5))
        return spans

    def params(self, draws: Draws) -> Floats:
        """Three factors and a turn."""
        return columns(draws.count, *(draws.between(number + 1, *pair) for number, pair in enumerate(self._spans())))


@dataclass(frozen=True)
class RandomGrayscale(Step):
    """All channels become the luma (ITU-R BT.601), with probability ``p``."""

    p: float = 0.1
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "grayscale"

    def __post_init__(self) -> None:
        checked_p("RandomGrayscale", self.p)


@dataclass(frozen=True)
class RandomStainJitter(Step):
    """The amount of each stain of a histological section becomes amount * a + b, in the HED space.

    As Tellez and others, "Whole-slide mitosis detection in H&E breast histology", IEEE Trans Med Imaging 37, 2018.
    Amounts may be negative, so that without a change every colour stays itself.

    Args:
        scale: a is drawn from 1 - scale to 1 + scale, for each stain.
        shift: b is drawn from -shift to shift, in decadic optical density, for each stain.
        p: probability that an item is changed.
    """

    scale: float = 0.05
    shift: float = 0.05
    p: float = 1.0
    stage: ClassVar[Literal["pointwise"]] = "pointwise"
    kind: ClassVar[str] = "stain_jitter"

    def __post_init__(self) -> None:
        checked_p("RandomStainJitter", self.p)
        for name, most in (("scale", 1.0), ("shift", 2.0)):
            if not 0 <= getattr(self, name) <= most:
                raise LoaderError(
                    f"RandomStainJitter: {name} lies between 0 and {most:g}; found {getattr(self, name)!r}"
                )

    def params(self, draws: Draws) -> Floats:
        """A matrix by rows and an offset: log2(rgb) becomes matrix * log2(rgb) + offset."""
        scales = np.stack([draws.between(1 + stain, 1 - self.scale, 1 + self.scale) for stain in range(3)], 1)
        shifts = np.stack([draws.between(4 + stain, -self.shift, self.shift) for stain in range(3)], 1)
        densities = np.array(HED_DENSITIES)
        # density' = ((density @ inverse) * a + b) @ densities, and density = -log10(rgb).
        mixed = np.einsum("is,ns,sj->nji", np.linalg.inv(densities), scales, densities)
        offset = -(shifts @ densities) * math.log2(10)
        return np.concatenate([mixed.reshape(-1, 9), offset], 1)
