"""Crops through the engine's steps, and through their references."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from engine_jobs import fill, whole
from numpy.typing import NDArray

from medshard.augment import Operation, Resize, compile_operations
from medshard.augment.program import DrawnValues, draw_values
from medshard.augment.steps import Draws, Floats
from medshard.engine import JOB, BatchLayout, Engine
from medshard.testing.reference import to_channels
from medshard.testing.reference_steps import run_steps

Pixels = NDArray[np.generic]


def generator(seed: int, count: int) -> Callable[[int, int], Floats]:
    return lambda place, number: np.random.default_rng([seed, place, number]).random(count)


def drawn(
    operations: Sequence[Operation], size: tuple[int, int], count: int, *, channels: int = 3, seed: int = 0
) -> DrawnValues:
    """Parameters for ``count`` items of which the texts allow everything."""
    compiled = compile_operations([Resize(size), *operations])
    uniform = generator(seed, count)
    draws = Draws(lambda number: uniform(0, number), *size, channels, np.ones(count, bool), np.ones(count, bool))
    seeds = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    return draw_values(compiled, draws, uniform, seeds)


def through_engine(
    pictures: Sequence[Pixels],
    values: DrawnValues,
    *,
    channels: int = 3,
    scale: float = 1.0,
    bias: float = 0.0,
    engine: Engine | None = None,
    dtype: str = "float32",
) -> NDArray[np.generic]:
    """(N, C, H, W) of pictures of one size."""
    height, width = pictures[0].shape[:2]
    layout = BatchLayout(height, width, channels, dtype, steps=values.steps)
    jobs = np.zeros(len(pictures), JOB)
    for place, picture in enumerate(pictures):
        fill(jobs[place], whole(picture, (height, width), scale=scale, bias=bias))
        jobs[place]["out"] = place * layout.slot_bytes
        jobs[place]["params"] = values.params.ctypes.data + place * values.params.strides[0]
        jobs[place]["noise_seed"] = values.noise_seeds[place]
    jobs["height"], jobs["width"] = height, width
    kinds = {"float32": np.float32, "float16": np.float16, "uint8": np.uint8}
    out = np.full((len(pictures), channels, height, width), 77, kinds[dtype])
    failed = (engine or Engine(1)).run(jobs, out.ctypes.data, layout, keep_alive=(pictures, values))
    assert failed == {}
    return out


def through_reference(
    pictures: Sequence[Pixels], values: DrawnValues, *, channels: int = 3, scale: float = 1.0, bias: float = 0.0
) -> NDArray[np.float64]:
    done = []
    for place, picture in enumerate(pictures):
        array = np.asarray(picture, np.float64)
        planes = to_channels(array if array.ndim == 3 else array[..., None], channels).transpose(2, 0, 1)
        seed = int(values.noise_seeds[place])
        whole_picture = np.atleast_3d(array)[..., :3].transpose(2, 0, 1)
        own = values.params[place]
        done.append(run_steps(planes, values.steps, own, scale=scale, bias=bias, noise_seed=seed, whole=whole_picture))
    return np.stack(done)
