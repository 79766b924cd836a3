"""The pixels of a batch: geometry is drawn, jobs are filled in, the native engine does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment import Compiled, TakeSlice
from medshard.augment.geometry import Geometry, draw_geometry
from medshard.corpus.corpus import Corpus
from medshard.engine import CODECS, JOB, BatchLayout, Engine, address_of
from medshard.errors import LoaderError, MedshardError
from medshard.families import View
from medshard.loader.conversation import ItemText
from medshard.loader.counter import uniform
from medshard.loader.selection import ItemLine, MediumLine
from medshard.shards.sample_parts import INT16_OFFSET
from medshard.storage.base import Bytes
from medshard.volumes import VolumeReader

__all__ = ["DTYPES", "PixelPlan", "draw_items", "fill_mapping", "fill_source", "read_planes", "sample_pixels"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "uint8": torch.uint8}
_MASK_DTYPES = {"int32": torch.int32}

_SALT_GEOMETRY, _SALT_SLICE = 11, 12  # keep the uses of one seed apart


@dataclass(frozen=True)
class PixelPlan:
    """What is done with the pictures of one item.

    Attributes:
        geometry: None for an item without a picture.
        plane: place along the slice axis, for volumes.
        views: what a family's rule makes of the picture; empty without one.
        ruled_hw: (height, width) of the picture that the rule was asked about: the geometry's, before the rule.
    """

    geometry: Geometry | None
    plane: int | None = None
    views: tuple[View, ...] = ()
    ruled_hw: tuple[int, int] | None = None


def draw_items(
    lines: Sequence[ItemLine], texts: Sequence[ItemText | None], compiled: Compiled | None, seed: int, epoch: int
) -> list[PixelPlan | LoaderError]:
    """The random choices of each item: a function of (seed, epoch, item, operation)."""
    plans: list[PixelPlan | LoaderError] = []
    for line, text in zip(lines, texts, strict=True):
        if line.picture is None or compiled is None or text is None:
            plans.append(PixelPlan(None))
            continue
        try:
            plans.append(_draw(line, line.picture, text, compiled, seed, epoch))
        except LoaderError as error:
            plans.append(error)
    return plans


def _draw(line: ItemLine, picture: MediumLine, text: ItemText, compiled: Compiled, seed: int, epoch: int) -> PixelPlan:
    def drawn(place: int, number: int) -> float:
        return uniform(seed, _SALT_GEOMETRY, epoch, line.item, place, number)

    plane = None
    if picture.kind == "volume":
        if compiled.take_slice is None:
            raise LoaderError(f"{line.key} is a volume: begin the transform with TakeSlice('z') to see a plane of it")
        axis, height, width = _plane_of(picture, compiled.take_slice)
        length = picture.shape[axis]
        middle = compiled.take_slice.index == "middle"
        plane = length // 2 if middle else int(uniform(seed, _SALT_SLICE, epoch, line.item) * length)
    else:
        height, width = picture.size_hw
    geometry = draw_geometry(compiled.geometry, height, width, drawn, text.keeps, text.regions_xyxy)
    return PixelPlan(geometry, plane)


def _plane_of(medium: MediumLine, take: TakeSlice) -> tuple[int, int, int]:
    """Axis of the array along which a plane is taken, and the plane's height and width."""
    axis = medium.axes.index(take.axis.upper())
    space = [medium.shape[medium.axes.index(letter)] for letter in "ZYX" if letter != take.axis.upper()]
    return axis, space[0], space[1]


def read_planes(
    corpus: Corpus,
    media: Sequence[MediumLine | None],
    plans: Sequence[PixelPlan | LoaderError],
    take: TakeSlice | None,
    executor: Executor,
) -> list[NDArray[np.generic] | MedshardError | None]:
    """The planes of volumes, (Y, X) or (Y, X, 3); None for items whose picture is a part of a shard."""

    def read(job: tuple[MediumLine | None, PixelPlan | LoaderError]) -> NDArray[np.generic] | MedshardError | None:
        medium, plan = job
        if (
            medium is None
            or medium.volume is None
            or isinstance(plan, LoaderError)
            or plan.plane is None
            or take is None
        ):
            return None
        try:
            return _read_plane(corpus, medium, plan.plane, take)
        except (MedshardError, IndexError) as error:
            return error if isinstance(error, MedshardError) else LoaderError(str(error))

    return list(executor.map(read, zip(media, plans, strict=True)))


def _read_plane(corpus: Corpus, medium: MediumLine, plane: int, take: TakeSlice) -> NDArray[np.generic]:
    assert medium.volume is not None
    reader = VolumeReader(corpus.storage, medium.volume)
    axis = medium.axes.index(take.axis.upper())
    start, size = [0] * len(medium.shape), list(medium.shape)
    start[axis], size[axis] = plane, 1
    if medium.axes[0] in "CT":
        size[0] = 1  # one channel or time of several: the first
    values = reader.read_crop(tuple(start), tuple(size)).squeeze(axis)
    if medium.axes[0] in "CT":
        values = values[0]
    if values.dtype.name not in CODECS:
        values = values.astype(np.float32)
    return np.ascontiguousarray(values)


def sample_pixels(
    engine: Engine,
    media: Sequence[MediumLine | None],
    plans: Sequence[PixelPlan | LoaderError],
    data: Sequence[Bytes | MedshardError | None],
    planes: Sequence[NDArray[np.generic] | MedshardError | None],
    layout: BatchLayout,
    compiled: Compiled,
) -> tuple[torch.Tensor, list[bool], dict[int, str]]:
    """Decode and sample every picture (or mask) of a batch into one tensor.

    Returns:
        (B, C, H, W), or (B, H, W) for masks; which items have one; and why items failed, by place.
    """
    count = len(media)
    dtype = _MASK_DTYPES[layout.dtype] if layout.mask else DTYPES[layout.dtype]
    out = torch.zeros((count, layout.channels, layout.height, layout.width), dtype=dtype)
    jobs = np.zeros(count, JOB)
    filled: list[int] = []
    failed: dict[int, str] = {}
    there = [False] * count
    for place, (medium, plan, part, plane) in enumerate(zip(media, plans, data, planes, strict=True)):
        problem = next((entry for entry in (plan, part, plane) if isinstance(entry, MedshardError)), None)
        if problem is not None:
            failed[place] = str(problem)
        elif medium is not None and isinstance(plan, PixelPlan) and plan.geometry is not None:
            job = jobs[len(filled)]
            fill_source(job, part, plane)  # type: ignore[arg-type]
            _fill_geometry(job, plan.geometry, place * layout.slot_bytes)
            if not layout.mask:
                fill_mapping(job, medium, compiled, plane)  # type: ignore[arg-type]
            filled.append(place)
            there[place] = True
    reasons = engine.run(jobs[: len(filled)], out.data_ptr(), layout, keep_alive=(data, planes))
    for number, reason in reasons.items():
        failed[filled[number]] = reason
    return (out[:, 0] if layout.mask and layout.channels == 1 else out), there, failed


def fill_source(job: NDArray[np.void], part: Bytes | None, plane: NDArray[np.generic] | None) -> None:
    """Where a job's picture lies: a part of a shard, or a plane of a volume."""
    if plane is not None:
        job["address"], job["size"] = plane.ctypes.data, plane.nbytes
        job["raw"] = (plane.shape[0], plane.shape[1], 1 if plane.ndim == 2 else plane.shape[2])
        job["codec"] = CODECS[plane.dtype.name]
    else:
        assert part is not None
        job["address"], job["size"] = address_of(part), len(part)


def _fill_geometry(job: NDArray[np.void], geometry: Geometry, out: int) -> None:
    job["box"], job["bounds"] = geometry.box_xyxy, geometry.bounds_xyxy
    job["height"], job["width"], job["out"] = geometry.height, geometry.width, out
    job["flip_x"], job["flip_y"] = geometry.flip_x, geometry.flip_y


def fill_mapping(
    job: NDArray[np.void], medium: MediumLine, compiled: Compiled, plane: NDArray[np.generic] | None
) -> None:
    """How a job's values become 0..1."""
    job["scale"], job["bias"] = _mapping(medium, compiled, plane)


def _mapping(medium: MediumLine, compiled: Compiled, plane: NDArray[np.generic] | None) -> tuple[float, float]:
    """Scale and bias that bring stored values to 0..1: the window asked for, the file's own, or the whole range.

    A plane of a volume without either spans its own lowest to highest value, since nothing says what its numbers mean.
    """
    offset = INT16_OFFSET if medium.dtype == "int16" and plane is None else 0
    if compiled.window is not None:
        low, high = compiled.window.low, compiled.window.high
    elif medium.dtype == "uint8" and plane is None:
        low, high = 0.0, 255.0
    elif medium.window is not None:
        low, high = medium.window
    elif plane is not None:
        low, high = float(plane.min()), float(plane.max())
    else:
        span = 1 << medium.bits
        low, high = (0.0, span - 1.0) if medium.dtype == "uint16" else (-span / 2, span / 2 - 1)
    if not high > low:
        high = low + 1.0
    return 1.0 / (high - low), -(low + offset) / (high - low)
