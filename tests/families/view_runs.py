"""One picture through a family's rule and the engine, without a corpus."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medshard.augment.geometry import Geometry
from medshard.engine import CODECS, JOB, Engine, address_of
from medshard.families import ImageRule
from medshard.loader.patches import patch_layout, view_jobs
from medshard.loader.pixels import DTYPES

Source = bytes | NDArray[np.generic]


def whole(height: int, width: int) -> Geometry:
    """The picture as it is."""
    return Geometry((0, 0, width, height), (0, 0, width, height), False, False, height, width)


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
        job = np.zeros(1, JOB)
        if isinstance(source, bytes):
            job["address"], job["size"] = address_of(source), len(source)
        else:
            job["address"], job["size"] = source.ctypes.data, source.nbytes
            job["raw"] = (*source.shape[:2], 1 if source.ndim == 2 else source.shape[2])
            job["codec"] = CODECS[source.dtype.name]
        job["scale"] = scale
        parts.append(view_jobs(job, geometry, rule.views(geometry.height, geometry.width)))
    jobs = np.zeros(sum(map(len, parts)), JOB)
    np.concatenate(parts, out=jobs)
    patches = jobs["canvas"][:, 0].astype(np.int64) * jobs["canvas"][:, 1] // rule.patches.edge**2
    width = 3 * rule.patches.repeat * rule.patches.edge**2
    out = torch.full((int(patches.sum()), width), 77.0, dtype=DTYPES[dtype])
    jobs["out"] = (np.cumsum(patches) - patches) * width * out.element_size()
    failed = (engine or Engine(1)).run(jobs, out.data_ptr(), patch_layout(rule, dtype), keep_alive=pictures)
    return out, failed
