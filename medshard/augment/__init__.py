"""Operations as data: a list of them compiles into geometry and pointwise stages.

Names and arguments are torchvision's (``torchvision.transforms.v2``) where they mean the same.
"""

from medshard.augment.coordinates import to_delivered, to_source
from medshard.augment.crops import CenterCrop, MultiCrop, Pad, RandomCrop, RandomResizedCrop
from medshard.augment.elastic import Elastic
from medshard.augment.operations import Normalize, Operation, TakeSlice, Window
from medshard.augment.resizes import Letterbox, Resize
from medshard.augment.stages import Compiled, compile_operations
from medshard.augment.turns import RandomHorizontalFlip, RandomRot90, RandomVerticalFlip, Rot90
from medshard.augment.warps import ElasticTransform, RandomAffine, RandomRotation

__all__ = [
    "CenterCrop",
    "Compiled",
    "Elastic",
    "ElasticTransform",
    "Letterbox",
    "MultiCrop",
    "Normalize",
    "Operation",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRot90",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "Rot90",
    "TakeSlice",
    "Window",
    "compile_operations",
    "to_delivered",
    "to_source",
]
