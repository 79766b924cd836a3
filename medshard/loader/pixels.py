"""The pixels of a batch: geometry is drawn, jobs are filled in, the native engine does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment import Compiled, TakeSlice
from medshard.augment.geometry import Geometry, draw_geometries
from medshard.augment.program import DrawnValues
from medshard.augment.views import output_size
from medshard.corpus.corpus import Corpus
from medshard.engine import CODECS, JOB, BatchLayout, Engine, address_of
from medshard.errors import LoaderError, MedshardError
from medshard.families import View
from medshard.loader.conversation import ItemText, no_text
from medshard.loader.counter import uniform
from medshard.loader.draws import ItemDraws
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.loader.slots import SlotMemory
from medshard.shards.sample_parts import INT16_OFFSET
from medshard.storage.base import Bytes
from medshard.volumes import VolumeReader

__all__ = [
    "DTYPES",
    "BegunPixels",
    "PixelPlan",
    "Source",
    "begin_views",
    "draw_items",
    "mapping_of",
    "read_planes",
    "smallest_enough",
    "source_of",
    "window_of",
]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "uint8": torch.uint8}
_MASK_DTYPES = {"int32": torch.int32}

Source: TypeAlias = "tuple[int, int, tuple[int, int, int], int]"
"""Address, bytes, height, width and channels of raw samples, codec."""

_SALT_SLICE = 12  # keeps the uses of one seed apart; the geometry's is in draws.py


@dataclass(frozen=True)
class PixelPlan:
    """What is done with the pictures of one item.

    Attributes:
        geometry: None for an item without a picture; of the first view, where there are several.
        plane: place along the slice axis, for volumes.
        more: geometries of the views after the first.
        views: what a family's rule makes of the picture; empty without one.
        ruled_hw: (height, width) of the picture that the rule was asked about: the geometry's, before the rule.
    """

    geometry: Geometry | None
    plane: int | None = None
    more: tuple[Geometry, ...] = ()
    views: tuple[View, ...] = ()
    ruled_hw: tuple[int, int] | None = None


def draw_items(
    lines: Sequence[ItemLine], texts: Sequence[ItemText | None], compiled: Compiled | None, seed: int, epoch: int
) -> list[PixelPlan | LoaderError]:
    """The random choices of each item: a function of (seed, epoch, item, operation)."""
    plans: list[PixelPlan | LoaderError] = [PixelPlan(None)] * len(lines)
    if compiled is None:
        return plans
    places: list[int] = []
    sizes: list[tuple[int, int]] = []
    planes: list[int | None] = []
    for place, (line, text) in enumerate(zip(lines, texts, strict=True)):
        if line.picture is None or text is None:
            continue
        if line.picture.kind == "volume":
            try:
                plane, size = _draw_plane(line, line.picture, compiled.take_slice, seed, epoch)
            except LoaderError as error:
                plans[place] = error
                continue
        else:
            plane, size = None, line.picture.size_hw
        places.append(place)
        planes.append(plane)
        sizes.append(size)
    if not places:
        return plans
    seen = [texts[place] or no_text() for place in places]
    keeps = [text.keeps for text in seen]
    regions = [text.regions_xyxy for text in seen]
    draws = ItemDraws(seed, epoch, np.array([lines[place].item for place in places], np.int64))
    height, width = np.array(sizes, np.int64).T
    drawn = [
        draw_geometries(operations, height, width, draws, keeps, regions, view=view)
        for view, operations in enumerate(compiled.views)
    ]
    for row, place in enumerate(places):
        try:
            geometry, *more = [view[row] for view in drawn]
            plans[place] = PixelPlan(geometry, planes[row], tuple(more))
        except LoaderError as error:
            plans[place] = error
    return plans


def _draw_plane(
    line: ItemLine, picture: MediumLine, take: TakeSlice | None, seed: int, epoch: int
) -> tuple[int, tuple[int, int]]:
    """Which plane of a volume is seen, and its height and width."""
    if take is None:
        raise LoaderError(f"{line.key} is a volume: begin the transform with TakeSlice('z') to see a plane of it")
    axis, height, width = _plane_of(picture, take)
    length = picture.shape[axis]
    middle = take.index == "middle"
    plane = length // 2 if middle else int(uniform(seed, _SALT_SLICE, epoch, line.item) * length)
    return plane, (height, width)


def smallest_enough(medium: MediumLine, plan: PixelPlan | LoaderError, oversampling: float) -> Part | None:
    """The part of the smallest level that has enough pixels for the output, or else the picture's own.

    Args:
        oversampling: pixels of the level for each of the output, on a side; with 1 the rule is that of the DCT
            reduction of a JPEG, csrc/pipeline/run.cpp.
    """
    if isinstance(plan, LoaderError) or plan.geometry is None:
        return medium.part
    scale = min(geometry.scale for geometry in (plan.geometry, *plan.more))
    return next((level for level in medium.levels if level.factor * oversampling <= scale), medium.part)


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
    found: list[NDArray[np.generic] | MedshardError | None] = [None] * len(media)
    if take is None:
        return found

    def read(place: int, medium: MediumLine, plane: int) -> None:
        try:
            found[place] = _read_plane(corpus, medium, plane, take)
        except (MedshardError, IndexError) as error:
            found[place] = error if isinstance(error, MedshardError) else LoaderError(str(error))

    reading = [
        executor.submit(read, place, medium, plan.plane)
        for place, (medium, plan) in enumerate(zip(media, plans, strict=True))
        if medium is not None and medium.volume is not None
        if isinstance(plan, PixelPlan) and plan.plane is not None
    ]
    for future in reading:
        future.result()
    return found


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


@dataclass(frozen=True)
class BegunPixels:
    """Pictures (or masks) of a batch that the engine works on.

    Attributes:
        views: (B, C, H, W) each, or (B, H, W) for masks of one channel; written until the ticket's batch is finished.
        there: which items have one.
        jobs: place in the batch of each job.
        failed: why items failed before they came to the engine, by place.
    """

    ticket: int
    views: list[torch.Tensor]
    there: list[bool]
    jobs: list[int]
    failed: dict[int, str]

    def name_of(self, slot: str) -> str:
        """Of the batch's field: ``image`` and ``mask``, or with several views ``views`` and ``mask_views``."""
        return slot if len(self.views) == 1 else "views" if slot == "image" else f"{slot}_views"

    def fields(self, slot: str) -> dict[str, Any]:
        """Of the batch, once it is finished."""
        shown = self.views if len(self.views) > 1 else self.views[0]
        return {self.name_of(slot): shown, f"has_{slot}": torch.tensor(self.there, dtype=torch.bool)}

    def finish(self, engine: Engine) -> dict[int, str]:
        """Wait; gives why items failed, by place.

        Raises:
            BatchCancelled: the batch was given up.
        """
        reasons = engine.wait(self.ticket)
        return {**self.failed, **{self.jobs[number]: reason for number, reason in reasons.items()}}


def begin_views(
    engine: Engine,
    memory: SlotMemory,
    media: Sequence[MediumLine | None],
    plans: Sequence[PixelPlan | LoaderError],
    data: Sequence[Bytes | MedshardError | None],
    planes: Sequence[NDArray[np.generic] | MedshardError | None],
    layout: BatchLayout,
    compiled: Compiled,
    factors: Sequence[int] | None = None,
    values: Sequence[DrawnValues] = (),
) -> BegunPixels:
    """Have every picture (or mask) of a batch decoded and sampled into a tensor a view; zeros where there is none.

    An item is decoded once for all of its views. With ``layout.channels_last`` tensors keep their shape, and their
    memory is that of ``torch.channels_last``.

    Args:
        factors: by which what ``data`` holds of each picture is smaller than the picture; 1 by default.
        values: what the steps of ``layout`` do to each picture, a view each.
    """
    factors = factors or [1] * len(media)
    sizes = [output_size(view) or (layout.height, layout.width) for view in compiled.views]
    out, begins, whole = _allocate(memory, len(media), sizes, layout)
    slots = [layout.slot_bytes_of(size) for size in sizes]
    failed: dict[int, str] = {}
    there = [False] * len(media)
    filled: list[int] = []
    records: list[np.void] = []
    sources: list[Source] = []
    outs: list[int] = []
    mappings: list[tuple[float, float]] = []
    programs = [drawn.params.ctypes.data for drawn in values]
    params: list[int] = []
    noise_seeds: list[int] = []
    for place, (medium, plan, part, plane) in enumerate(zip(media, plans, data, planes, strict=True)):
        problem = next((entry for entry in (plan, part, plane) if isinstance(entry, MedshardError)), None)
        if problem is not None:
            failed[place] = str(problem)
        elif medium is not None and isinstance(plan, PixelPlan) and plan.geometry is not None:
            source = source_of(part, plane)  # type: ignore[arg-type]
            for view, geometry in enumerate((plan.geometry, *plan.more)):
                if layout.mask:
                    mapping = (float(plan.geometry.mask_fill), 0.0)
                else:
                    window = window_of(place, compiled, values[view] if values else None)
                    mapping = mapping_of(medium, window, plane)  # type: ignore[arg-type]
                if layout.steps:
                    params.append(programs[view] + place * values[view].params.strides[0])
                    noise_seeds.append(int(values[view].noise_seeds[place]))
                records.append(geometry.reduced(factors[place]).job)
                sources.append(source)
                outs.append(begins[view] + place * slots[view])
                mappings.append(mapping)
                filled.append(place)
            there[place] = True
            continue
        for view_out in out:
            view_out[place].zero_()
    jobs = np.array(records, JOB)
    if records:
        jobs["address"], jobs["size"] = [source[0] for source in sources], [source[1] for source in sources]
        jobs["raw"], jobs["codec"] = [source[2] for source in sources], [source[3] for source in sources]
        jobs["out"] = outs
        if layout.mask:
            jobs["fill"] = [fill for fill, _ in mappings]
        else:
            jobs["scale"], jobs["bias"] = np.array(mappings).T
        if layout.steps:
            jobs["params"], jobs["noise_seed"] = params, np.array(noise_seeds, np.uint64)
    ticket = engine.submit(jobs, whole.data_ptr(), layout, keep_alive=(whole, data, planes, values))
    shown = [view[:, 0] if layout.mask and layout.channels == 1 else view for view in out]
    return BegunPixels(ticket, shown, there, filled, failed)


def _allocate(
    memory: SlotMemory, count: int, sizes: Sequence[tuple[int, int]], layout: BatchLayout
) -> tuple[list[torch.Tensor], list[int], torch.Tensor]:
    """A tensor a view, one after another in memory; where each begins in bytes from the first; all of the memory."""
    dtype = _MASK_DTYPES[layout.dtype] if layout.mask else DTYPES[layout.dtype]
    lengths = [count * layout.channels * height * width for height, width in sizes]
    whole = memory.empty((sum(lengths),), dtype)
    views, begins, begin = [], [], 0
    for length, (height, width) in zip(lengths, sizes, strict=True):
        flat = whole[begin : begin + length]
        if layout.channels_last:
            views.append(flat.view(count, height, width, layout.channels).permute(0, 3, 1, 2))
        else:
            views.append(flat.view(count, layout.channels, height, width))
        begins.append(begin * whole.element_size())
        begin += length
    return views, begins, whole


def source_of(part: Bytes | None, plane: NDArray[np.generic] | None) -> Source:
    """Where a picture lies: a part of a shard, or a plane of a volume."""
    if plane is not None:
        raw = (plane.shape[0], plane.shape[1], 1 if plane.ndim == 2 else plane.shape[2])
        return plane.ctypes.data, plane.nbytes, raw, CODECS[plane.dtype.name]
    assert part is not None
    return address_of(part), len(part), (0, 0, 0), CODECS["compressed"]


def window_of(place: int, compiled: Compiled, values: DrawnValues | None) -> tuple[float, float] | None:
    """The window asked for, as it was drawn for this item."""
    if compiled.window is None:
        return None
    if values is None or values.windows is None:
        return compiled.window.low, compiled.window.high
    return float(values.windows[place, 0]), float(values.windows[place, 1])


def mapping_of(
    medium: MediumLine, window: tuple[float, float] | None, plane: NDArray[np.generic] | None
) -> tuple[float, float]:
    """Scale and bias that bring stored values to 0..1: the window asked for, the file's own, or the whole range.

    A plane of a volume without either spans its own lowest to highest value, since nothing says what its numbers mean.
    """
    offset = INT16_OFFSET if medium.dtype == "int16" and plane is None else 0
    if window is not None:
        low, high = window
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
