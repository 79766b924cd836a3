"""A list of operations applied to one picture, as the loader does it: drawn, then sampled by the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.augment import Operation
from medshard.augment.geometry import FREE, Geometry, draw_geometry
from medshard.engine import CODECS, JOB, BatchLayout, Engine
from medshard.loader.counter import uniform
from medshard.record.conversation import Keeps


def draws(seed: int = 0, epoch: int = 0, item: int = 0) -> Callable[[int, int], float]:
    """The numbers of one item, as the loader counts them."""
    return lambda place, number: uniform(seed, 11, epoch, item, place, number)


def draw(
    operations: Sequence[Operation],
    size_hw: tuple[int, int],
    *,
    seed: int = 0,
    epoch: int = 0,
    item: int = 0,
    keeps: Keeps = FREE,
    regions: Sequence[Sequence[float]] = (),
) -> Geometry:
    return draw_geometry(operations, *size_hw, draws(seed, epoch, item), keeps, regions)


def sampled(picture: NDArray[np.generic], geometry: Geometry, layout: BatchLayout) -> NDArray[np.generic]:
    """(C, H, W) of one picture or mask."""
    job = np.zeros(1, JOB)
    stored = np.ascontiguousarray(picture)
    job["address"], job["size"], job["codec"] = stored.ctypes.data, stored.nbytes, CODECS[stored.dtype.name]
    job["raw"] = (*stored.shape[:2], 1 if stored.ndim == 2 else stored.shape[2])
    job["box"], job["bounds"] = geometry.box_xyxy, geometry.bounds_xyxy
    job["height"], job["width"] = geometry.height, geometry.width
    job["flip_x"], job["flip_y"], job["scale"] = geometry.flip_x, geometry.flip_y, 1.0
    out = np.zeros((1, layout.channels, layout.height, layout.width), np.int32 if layout.mask else np.float32)
    failed = Engine(1).run(job, out.ctypes.data, layout, keep_alive=(stored,))
    assert failed == {}
    return out[0]


def as_picture(picture: NDArray[np.float32], geometry: Geometry) -> NDArray[np.generic]:
    """(H, W, 3), values as they are stored."""
    layout = BatchLayout(geometry.height, geometry.width, 3, clamp=False)
    return sampled(picture, geometry, layout).transpose(1, 2, 0)


def as_mask(mask: NDArray[np.int16], geometry: Geometry) -> NDArray[np.generic]:
    """(H, W), labels as they are stored."""
    return sampled(mask, geometry, BatchLayout(geometry.height, geometry.width, 1, "int32", mask=True))[0]
