"""torchvision v2's operations one after another, each with its own resampling, on one float picture.

Written from torchvision's documentation with torch alone, which torchvision's functions call; the geometry stage, which
does all of them in one sampling, is compared with this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment import CenterCrop, Operation, RandomHorizontalFlip, RandomVerticalFlip, Resize

Picture = NDArray[np.float32]


def resize(picture: Picture, size_hw: tuple[int, int]) -> Picture:
    """(H, W, C) at another size: bilinear, antialiased."""
    planes = torch.tensor(picture.transpose(2, 0, 1)[None].copy(), dtype=torch.float64)
    sized = torch.nn.functional.interpolate(planes, size=size_hw, mode="bilinear", antialias=True, align_corners=False)
    return sized[0].permute(1, 2, 0).numpy()


def resized_hw(size: int | Sequence[int], max_size: int | None, height: int, width: int) -> tuple[int, int]:
    """torchvision's rule for one number: it is the shorter edge, and the longer follows, cut to a whole number."""
    if not isinstance(size, int) and len(size) == 2:
        return (size[0], size[1])
    edge = size if isinstance(size, int) else size[0]
    short, long = edge, edge * max(height, width) // min(height, width)
    if max_size is not None and long > max_size:
        short, long = max_size * short // long, max_size
    return (short, long) if height <= width else (long, short)


def center_crop(picture: Picture, size: int | Sequence[int]) -> Picture:
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    top = round((picture.shape[0] - height) / 2)
    left = round((picture.shape[1] - width) / 2)
    return picture[top : top + height, left : left + width]


def step_by_step(picture: Picture, operations: Sequence[Operation]) -> Picture:
    """Operations without a random choice; flips have p 0 or 1."""
    for operation in operations:
        if isinstance(operation, Resize):
            picture = resize(picture, resized_hw(operation.size, operation.max_size, *picture.shape[:2]))
        elif isinstance(operation, CenterCrop):
            picture = center_crop(picture, operation.size)
        elif isinstance(operation, RandomHorizontalFlip):
            picture = picture[:, ::-1] if operation.p == 1 else picture
        elif isinstance(operation, RandomVerticalFlip):
            picture = picture[::-1] if operation.p == 1 else picture
        else:
            raise AssertionError(operation)
    return picture
