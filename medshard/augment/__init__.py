"""Operations as data: a list of them compiles into geometry and pointwise stages.

Names and arguments are torchvision's (``torchvision.transforms.v2``) where they mean the same.
"""

from medshard.augment.operations import (
    CenterCrop,
    Normalize,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    TakeSlice,
    Window,
)
from medshard.augment.stages import Compiled, compile_operations

__all__ = [
    "CenterCrop",
    "Compiled",
    "Normalize",
    "Operation",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomVerticalFlip",
    "Resize",
    "TakeSlice",
    "Window",
    "compile_operations",
]
