"""Jobs for the engine, from arrays and streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.engine import CODECS, JOB, BatchLayout, Engine, address_of

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": np.uint16, "uint8": np.uint8}
MASK_DTYPES = {"uint8": np.uint8, "int16": np.int16, "int32": np.int32}


@dataclass(frozen=True)
class Sampling:
    """What is taken of one source; the whole picture by default."""

    source: NDArray[np.generic] | bytes
    box_xyxy: Sequence[float]
    bounds_xyxy: Sequence[int]
    flip_x: bool = False
    flip_y: bool = False
    scale: float = 1.0
    bias: float = 0.0


def whole(source: NDArray[np.generic] | bytes, size_hw: tuple[int, int], **more: float) -> Sampling:
    height, width = size_hw
    return Sampling(source, (0, 0, width, height), (0, 0, width, height), **more)  # type: ignore[arg-type]


def fill(job: NDArray[np.void], sampling: Sampling) -> None:
    source = sampling.source
    if isinstance(source, np.ndarray):
        assert source.flags.c_contiguous
        job["address"], job["size"] = source.ctypes.data, source.nbytes
        job["raw"] = (*source.shape[:2], 1 if source.ndim == 2 else source.shape[2])
        job["codec"] = CODECS[source.dtype.name]
    elif source:
        job["address"], job["size"] = address_of(source), len(source)
    job["box"], job["bounds"] = sampling.box_xyxy, sampling.bounds_xyxy
    job["flip_x"], job["flip_y"] = sampling.flip_x, sampling.flip_y
    job["scale"], job["bias"] = sampling.scale, sampling.bias


def run(
    samplings: Sequence[Sampling], layout: BatchLayout, *, engine: Engine | None = None, **options: int
) -> tuple[NDArray[np.generic], dict[int, str]]:
    """A batch and what failed; memory is filled with a pattern before, so that an unwritten slot shows."""
    jobs = np.zeros(len(samplings), JOB)
    for slot, sampling in enumerate(samplings):
        fill(jobs[slot], sampling)
        jobs[slot]["out"] = slot * layout.slot_bytes
    jobs["height"], jobs["width"] = layout.height, layout.width
    inner = (layout.height, layout.width)
    shape = (*inner, layout.channels) if layout.channels_last else (layout.channels, *inner)
    dtype = (MASK_DTYPES if layout.mask else DTYPES)[layout.dtype]
    out = np.full((len(samplings), *shape), 77, dtype)
    failed = (engine or Engine(1)).run(jobs, out.ctypes.data, layout, keep_alive=samplings, **options)
    return out, failed
