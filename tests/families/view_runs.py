"""One picture through a family's rule and the engine, without a corpus."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medshard.augment.geometry import Geometry
from medshard.engine import JOB, Engine
from medshard.families import ImageRule
from medshard.loader.patches import patch_layout, view_jobs
from medshard.loader.pixels import DTYPES, source_of

Source = bytes | NDArray[np.generic]


def part_of(
    box: Sequence[float],
    bounds: Sequence[int],
    height: int,
    width: int,
    *,
    flip_x: bool = False,
    flip_y: bool = False,
    transpose: bool = False,
) -> Geometry:
    """A part of a picture, of a size before the rule."""
    job = np.zeros(1, JOB)
    job["box"], job["bounds"], job["height"], job["width"] = box, bounds, height, width
    job["flip_x"], job["flip_y"], job["transpose"] = flip_x, flip_y, transpose
    return Geometry(job[0], np.eye(2, 3))


def whole(height: int, width: int, *, flip_x: bool = False) -> Geometry:
    """The picture as it is."""
    return part_of((0, 0, width, height), (0, 0, width, height), height, width, flip_x=flip_x)


def png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def run_views(
    pictures: Sequence[tuple[Source, Geometry]],
    rule: ImageRule,
    *,
    engine: Engine | None = None,
    dtype: str = "float32",
    scale: float = 1 / 255,
) -> tuple[torch.Tensor, dict[int, str]]:
    """Patches of all pictures, (N, D), and which jobs failed; memory is filled with a pattern before."""
    parts = []
    for source, geometry in pictures:
        stored = source_of(source, None) if isinstance(source, bytes) else source_of(None, source)
        parts.append(view_jobs(geometry, rule.views(geometry.height, geometry.width), stored, (scale, 0.0)))
    jobs = np.zeros(sum(map(len, parts)), JOB)
    np.concatenate(parts, out=jobs)
    patches = jobs["canvas"][:, 0].astype(np.int64) * jobs["canvas"][:, 1] // rule.patches.edge**2
    width = 3 * rule.patches.repeat * rule.patches.edge**2
    out = torch.full((int(patches.sum()), width), 77.0, dtype=DTYPES[dtype])
    jobs["out"] = (np.cumsum(patches) - patches) * width * out.element_size()
    failed = (engine or Engine(1)).run(jobs, out.data_ptr(), patch_layout(rule, dtype), keep_alive=pictures)
    return out, failed
