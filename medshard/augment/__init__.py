"""Operations as data: a list of them compiles into one sampling and the steps that follow it.

Names and arguments are torchvision's (``torchvision.transforms.v2``) where they mean the same.
"""

from medshard.augment.color import ColorJitter, RandomGrayscale, RandomStainJitter
from medshard.augment.erasing import RandomErasing
from medshard.augment.neighbourhood import CLAHE, JPEG, GaussianBlur, RandomAdjustSharpness
from medshard.augment.operations import (
    CenterCrop,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    TakeSlice,
)
from medshard.augment.pointwise import (
    GaussianNoise,
    Normalize,
    PercentileNormalize,
    RandomGamma,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
    Window,
    ZScoreNormalize,
)
from medshard.augment.stages import Compiled, compile_operations

__all__ = [
    "CLAHE",
    "JPEG",
    "CenterCrop",
    "ColorJitter",
    "Compiled",
    "GaussianBlur",
    "GaussianNoise",
    "Normalize",
    "Operation",
    "PercentileNormalize",
    "RandomAdjustSharpness",
    "RandomErasing",
    "RandomGamma",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomSolarize",
    "RandomStainJitter",
    "RandomVerticalFlip",
    "Resize",
    "TakeSlice",
    "Window",
    "ZScoreNormalize",
    "compile_operations",
]
