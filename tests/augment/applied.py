"""A list of operations applied to one picture, as the loader does it: drawn, then sampled by the engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medshard.augment import Operation
from medshard.augment.geometry import FREE, Geometry, draw_geometries
from medshard.engine import CODECS, JOB, BatchLayout, Engine
from medshard.loader.draws import ItemDraws
from medshard.record.conversation import Keeps


def draw(
    operations: Sequence[Operation],
    size_hw: tuple[int, int],
    *,
    seed: int = 0,
    epoch: int = 0,
    item: int = 0,
    keeps: Keeps = FREE,
    regions: Sequence[Sequence[float]] = (),
    view: int = 0,
) -> Geometry:
    """The geometry of one item, as the loader draws it."""
    draws = ItemDraws(seed, epoch, np.array([item]))
    height, width = np.array([size_hw[0]]), np.array([size_hw[1]])
    return draw_geometries(operations, height, width, draws, [keeps], [regions], view=view)[0]  # type: ignore[arg-type]


def sampled(
    picture: NDArray[np.generic], geometry: Geometry, layout: BatchLayout, *, scale: float = 1.0, bias: float = 0.0
) -> NDArray[np.generic]:
    """(C, H, W) of one picture or mask."""
    job = np.array([geometry.job], JOB)
    stored = np.ascontiguousarray(picture)
    job["address"], job["size"], job["codec"] = stored.ctypes.data, stored.nbytes, CODECS[stored.dtype.name]
    job["raw"] = (*stored.shape[:2], 1 if stored.ndim == 2 else stored.shape[2])
    job["scale"], job["bias"] = scale, bias
    if layout.mask:
        job["fill"] = geometry.mask_fill
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
