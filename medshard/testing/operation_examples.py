"""One use of every operation: what tests make, and what the pages show."""

from __future__ import annotations

from medshard.augment import (
    CLAHE,
    JPEG,
    CenterCrop,
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    Normalize,
    Operation,
    PercentileNormalize,
    RandomAdjustSharpness,
    RandomErasing,
    RandomGamma,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomInvert,
    RandomPosterize,
    RandomResizedCrop,
    RandomSolarize,
    RandomStainJitter,
    RandomVerticalFlip,
    Resize,
    TakeSlice,
    Window,
    ZScoreNormalize,
)

__all__ = ["EXAMPLES"]

EXAMPLES: tuple[Operation, ...] = (
    TakeSlice("y", index="random"),
    Resize((160, 120)),
    CenterCrop(96),
    RandomResizedCrop(128, scale=(0.2, 0.6)),
    RandomHorizontalFlip(p=1.0),
    RandomVerticalFlip(p=1.0),
    GaussianBlur(9, sigma=2.0),
    RandomAdjustSharpness(4.0, p=1.0),
    CLAHE(clip_limit=3.0),
    JPEG(quality=8),
    Window.ct("soft_tissue"),
    PercentileNormalize(5, 95),
    ZScoreNormalize(),
    Normalize(mean=[0.5], std=[0.25]),
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.8, hue=0.2),
    RandomGrayscale(p=1.0),
    RandomStainJitter(scale=0.3, shift=0.08),
    RandomGamma(gamma=(2.0, 2.0), p=1.0),
    RandomInvert(p=1.0),
    RandomSolarize(threshold=0.5, p=1.0),
    RandomPosterize(bits=2, p=1.0),
    GaussianNoise(sigma=0.1),
    RandomErasing(p=1.0, scale=(0.02, 0.06), holes=4, value=0.5),
)
"""In the order of the pages: volume, geometry, neighbourhood, pointwise."""
