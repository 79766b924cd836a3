"""What is done to a picture, for the peers that leave it to Python: where it is cut, and what its values become."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from workloads import Workload

__all__ = ["Crop", "Draw", "Finish", "random_crop"]

Crop: TypeAlias = tuple[int, int, int, int]
"""left, top, width, height in stored pixels."""

Draw: TypeAlias = Callable[[int, int], Crop]
"""(stored width, stored height) → the part that is taken."""


def random_crop(workload: Workload) -> Draw:
    """torchvision's RandomResizedCrop: uniform in area, log-uniform in shape."""
    lowest, highest = (math.log(bound) for bound in workload.shape)

    def draw(width: int, height: int) -> Crop:
        for _ in range(10):
            area = width * height * random.uniform(*workload.area)
            shape = math.exp(random.uniform(lowest, highest))
            w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < w <= width and 0 < h <= height:
                return random.randint(0, width - w), random.randint(0, height - h), w, h
        return 0, 0, width, height

    return draw


class Finish:
    """Pixels to the sample that is delivered: mirrored half of the time, normalised, float32 (C, H, W)."""

    def __init__(self, workload: Workload) -> None:
        deviation = np.array(workload.deviation, np.float32).reshape(-1, 1, 1)
        self.scale = np.float32(1 / workload.top) / deviation
        self.bias = -np.array(workload.mean, np.float32).reshape(-1, 1, 1) / deviation

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Of (H, W) or (H, W, C)."""
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        planes = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
        out = np.empty(planes.shape, np.float32)
        np.multiply(planes, self.scale, out=out)
        out += self.bias
        return out
