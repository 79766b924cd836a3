"""Pictures that cost a decoder about what medical ones cost: soft shapes, and the grain of a sensor.

Run by itself it does nothing: the benchmarks beside it use it.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["jpeg", "paint"]


def paint(edge: int, *, colour: bool, seed: int) -> NDArray[np.float32]:
    """(edge, edge) or (edge, edge, 3) values from 0 to 1."""
    numbers = np.random.default_rng(seed)
    planes = []
    for _ in range(3 if colour else 1):
        soft = sum(
            np.asarray(Image.fromarray(numbers.random((cells, cells), np.float32)).resize((edge, edge), Image.BICUBIC))
            * weight
            for cells, weight in ((5, 0.6), (24, 0.25), (120, 0.15))
        )
        planes.append(soft)
    picture = np.stack(planes, -1) if colour else planes[0]
    grain = numbers.standard_normal(picture.shape[:2], np.float32) * np.float32(0.015)
    return np.clip(picture + (grain[..., None] if colour else grain), 0, 1).astype(np.float32)


def jpeg(picture: NDArray[np.float32]) -> bytes:
    """Quality 90, colours at half resolution: what cameras and archives write."""
    stream = io.BytesIO()
    Image.fromarray((picture * 255).astype(np.uint8)).save(stream, "jpeg", quality=90)
    return stream.getvalue()
