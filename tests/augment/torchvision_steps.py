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


def rotation_matrix(angle: float, center_xy: Sequence[float]) -> NDArray[np.float64]:
    """(2, 3) from output to input of ``rotate``: counter-clockwise degrees about a point."""
    return affine_matrix(-angle, (0, 0), 1.0, (0, 0), center_xy)


def affine_matrix(
    angle: float,
    translate_xy: Sequence[float],
    scale: float,
    shear_xy: Sequence[float],
    center_xy: Sequence[float],
) -> NDArray[np.float64]:
    """(2, 3) from output to input of ``affine``, by its definition: M = T C (rotation, scale, shear) C⁻¹, clockwise.

    Rotation, scale and shear are the scale times
    [cos(a - y) / cos y, -cos(a - y) tan x / cos y - sin a; sin(a - y) / cos y, -sin(a - y) tan x / cos y + cos a].
    """
    a, x, y = (np.radians(degrees) for degrees in (angle, *shear_xy))
    forward = scale * np.array(
        [
            [np.cos(a - y) / np.cos(y), -np.cos(a - y) * np.tan(x) / np.cos(y) - np.sin(a)],
            [np.sin(a - y) / np.cos(y), -np.sin(a - y) * np.tan(x) / np.cos(y) + np.cos(a)],
        ]
    )
    inverse = np.linalg.inv(forward)
    center = np.asarray(center_xy, float)
    return np.concatenate([inverse, (center - inverse @ (center + np.asarray(translate_xy)))[:, None]], 1)


def warp(picture: Picture, matrix: NDArray[np.float64], size_hw: tuple[int, int], padding: str) -> Picture:
    """(H, W, C) at the map of the output's pixel middles: bilinear, by torch's ``grid_sample``."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
    grid = torch.tensor(np.stack([2 * x / width - 1, 2 * y / height - 1], -1)[None])
    planes = torch.tensor(picture.transpose(2, 0, 1)[None].copy(), dtype=torch.float64)
    seen = torch.nn.functional.grid_sample(planes, grid, "bilinear", padding, align_corners=False)
    return seen[0].permute(1, 2, 0).numpy()


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
