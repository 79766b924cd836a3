"""Operations as data: a list of them compiles into one sampling and the steps that follow it.

Names and arguments are torchvision's (``torchvision.transforms.v2``) where they mean the same.
"""

from medshard.augment.color import ColorJitter, RandomGrayscale, RandomStainJitter
from medshard.augment.coordinates import from_voxels, to_delivered, to_source, to_voxels
from medshard.augment.crops import CenterCrop, MultiCrop, Pad, RandomCrop, RandomResizedCrop
from medshard.augment.elastic import Elastic
from medshard.augment.erasing import RandomErasing
from medshard.augment.neighbourhood import CLAHE, JPEG, GaussianBlur, RandomAdjustSharpness
from medshard.augment.operations import Operation
from medshard.augment.planes import Montage, TakeSlab, TakeSlice, TakeSlices
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
from medshard.augment.resizes import Letterbox, Resize
from medshard.augment.stages import Compiled, compile_operations
from medshard.augment.turns import RandomHorizontalFlip, RandomRot90, RandomVerticalFlip, Rot90
from medshard.augment.warps import ElasticTransform, RandomAffine, RandomRotation
from medshard.augment.windows import MultiWindow

__all__ = [
    "CLAHE",
    "JPEG",
    "CenterCrop",
    "ColorJitter",
    "Compiled",
    "Elastic",
    "ElasticTransform",
    "GaussianBlur",
    "GaussianNoise",
    "Letterbox",
    "Montage",
    "MultiCrop",
    "MultiWindow",
    "Normalize",
    "Operation",
    "Pad",
    "PercentileNormalize",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomGamma",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRot90",
    "RandomRotation",
    "RandomSolarize",
    "RandomStainJitter",
    "RandomVerticalFlip",
    "Resize",
    "Rot90",
    "TakeSlab",
    "TakeSlice",
    "TakeSlices",
    "Window",
    "ZScoreNormalize",
    "compile_operations",
    "from_voxels",
    "to_delivered",
    "to_source",
    "to_voxels",
]
