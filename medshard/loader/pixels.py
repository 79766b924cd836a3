"""The pixels of a batch: geometry is drawn, jobs are filled in, the native engine does the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment import Compiled
from medshard.augment.geometry import Geometry, draw_geometries
from medshard.augment.program import DrawnValues
from medshard.augment.views import output_size
from medshard.engine import CODECS, JOB, BatchLayout, Engine, address_of
from medshard.errors import LoaderError, MedshardError
from medshard.families import Delivered, View
from medshard.loader.conversation import Box3D, ItemText, no_text
from medshard.loader.counter import fold
from medshard.loader.draws import ItemDraws
from medshard.loader.planes import PlanePlan, draw_planes
from medshard.loader.selection import ItemLine, MediumLine, Part
from medshard.loader.slots import SlotMemory
from medshard.readers.base import Affine
from medshard.shards.sample_parts import INT16_OFFSET
from medshard.storage.base import Bytes

__all__ = [
    "DTYPES",
    "BegunPixels",
    "PixelPlan",
    "Source",
    "VolumeSeen",
    "begin_views",
    "draw_items",
    "mapping_of",
    "picture_seed",
    "smallest_enough",
    "source_of",
    "sources_of",
    "window_of",
]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "uint8": torch.uint8}
_MASK_DTYPES = {"int32": torch.int32}

Source: TypeAlias = "tuple[int, int, tuple[int, int, int], int]"
"""Address, bytes, height, width and channels of raw samples, codec."""


@dataclass(frozen=True)
class PixelPlan:
    """What is done with the pictures of one item.

    Attributes:
        geometry: None for an item without a picture; of the first view, where there are several.
        planes: what is seen of a volume; None for a picture.
        regions_xyxy: boxes that the text cites, in pixels of the picture that the geometry begins with.
        more: geometries of the views after the first.
        views: what a family's rule makes of the picture; empty without one.
        ruled_hw: (height, width) of the picture that the rule was asked about: the geometry's, before the rule.
    """

    geometry: Geometry | None
    planes: PlanePlan | None = None
    regions_xyxy: tuple[tuple[float, ...], ...] = ()
    more: tuple[Geometry, ...] = ()
    views: tuple[View, ...] = ()
    ruled_hw: tuple[int, int] | None = None

    @property
    def pictures(self) -> int:
        """How many the item has."""
        return self.planes.pictures if self.planes is not None else int(self.geometry is not None)

    @property
    def is_video(self) -> bool:
        """Whether they are the frames of a video."""
        return self.planes is not None and self.planes.take.as_video

    def delivered(self) -> Delivered:
        """For text: the map from stored pixels to delivered ones, and what is seen of a volume."""
        assert self.geometry is not None
        seen = self.geometry.delivered()
        if self.planes is None:
            return seen
        planes = self.planes
        pictures = 1 if self.is_video else planes.pictures
        return replace(
            seen,
            pictures=pictures,
            video=self.is_video,
            spacing_mm=planes.spacing_mm(seen),
            of_volume=lambda region: planes.box(Box3D.of(region)),
        )


@dataclass(frozen=True)
class VolumeSeen:
    """What a choice of planes may ask of a volume.

    Attributes:
        affine_ijk_to_ras: None when unknown.
        foreground_zyx: gives a voxel that the mask marks, for a number in [0, 1); None for none.
    """

    affine_ijk_to_ras: Affine | None = None
    foreground_zyx: Callable[[float], Sequence[int] | None] | None = None


def draw_items(
    lines: Sequence[ItemLine],
    texts: Sequence[ItemText | None],
    compiled: Compiled | None,
    seed: int,
    epoch: int,
    volumes: Sequence[VolumeSeen | MedshardError | None] | None = None,
) -> list[PixelPlan | LoaderError]:
    """The random choices of each item: a function of (seed, epoch, item, operation).

    Args:
        volumes: of the items whose picture is one; nothing is known of any by default.
    """
    plans: list[PixelPlan | LoaderError] = [PixelPlan(None)] * len(lines)
    if compiled is None:
        return plans
    volumes = volumes or [None] * len(lines)
    begun: dict[int, _Begun] = {}
    for place, (line, text, volume) in enumerate(zip(lines, texts, volumes, strict=True)):
        if line.picture is None or text is None:
            continue
        try:
            begun[place] = _begin(line, text, compiled, volume, seed, epoch)
        except LoaderError as error:
            plans[place] = error
    if begun:
        _draw(lines, texts, begun, compiled, seed, epoch, plans)
    return plans


@dataclass(frozen=True)
class _Begun:
    """A picture before its geometry: its size, and with square pixels."""

    planes: PlanePlan | None
    size_hw: tuple[int, int]
    square_hw: tuple[int, int]
    regions_xyxy: tuple[tuple[float, ...], ...]


def _begin(
    line: ItemLine,
    text: ItemText,
    compiled: Compiled,
    volume: VolumeSeen | MedshardError | None,
    seed: int,
    epoch: int,
) -> _Begun:
    assert line.picture is not None
    if line.picture.kind != "volume":
        size_hw = line.picture.size_hw
        return _Begun(None, size_hw, size_hw, text.regions_xyxy)
    if isinstance(volume, MedshardError):
        raise LoaderError(str(volume))
    if text.names_image_side:
        raise LoaderError("its text names a side of the picture, and a volume has none; give the side of the patient")
    known = volume or VolumeSeen()
    planes = draw_planes(
        line, compiled.planes, text.boxes_3d, known.affine_ijk_to_ras, known.foreground_zyx, seed, epoch
    )
    regions = (*text.regions_xyxy, *(planes.box(box) for box in text.boxes_3d))
    return _Begun(planes, planes.size_hw, planes.square_hw, regions)


def _draw(
    lines: Sequence[ItemLine],
    texts: Sequence[ItemText | None],
    begun: Mapping[int, _Begun],
    compiled: Compiled,
    seed: int,
    epoch: int,
    plans: list[PixelPlan | LoaderError],
) -> None:
    places, pictures = list(begun), list(begun.values())
    keeps = [(texts[place] or no_text()).keeps for place in places]
    regions = [picture.regions_xyxy for picture in pictures]
    draws = ItemDraws(seed, epoch, np.array([lines[place].item for place in places], np.int64))
    height, width = np.array([picture.size_hw for picture in pictures], np.int64).T
    square = None
    if compiled.planes is not None and compiled.planes.square_pixels:
        square = np.array([picture.square_hw for picture in pictures], np.int64)
    drawn = [
        draw_geometries(operations, height, width, draws, keeps, regions, view=view, square_hw=square)
        for view, operations in enumerate(compiled.views)
    ]
    for row, (place, picture) in enumerate(zip(places, pictures, strict=True)):
        try:
            geometry, *more = [view[row] for view in drawn]
            plans[place] = PixelPlan(geometry, picture.planes, picture.regions_xyxy, tuple(more))
        except LoaderError as error:
            plans[place] = error


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


@dataclass(frozen=True)
class BegunPixels:
    """Pictures (or masks) of a batch that the engine works on.

    Attributes:
        views: (B, C, H, W) each, or (B, H, W) for masks of one channel; with several pictures an item (B, N, ...).
            Written until the ticket's batch is finished.
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
    each = max((plan.pictures for plan in plans if isinstance(plan, PixelPlan)), default=1)
    each = max(each, (compiled.planes.pictures if compiled.planes is not None else None) or 1)
    sizes = [output_size(view) or (layout.height, layout.width) for view in compiled.views]
    out, begins, whole = _allocate(memory, len(media) * each, sizes, layout)
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
            found = sources_of(part, plane)  # type: ignore[arg-type]
            for view, geometry in enumerate((plan.geometry, *plan.more)):
                if layout.mask:
                    mapping = (float(plan.geometry.mask_fill), 0.0)
                else:
                    window = window_of(place, compiled, values[view] if values else None)
                    mapping = mapping_of(medium, window, plane)  # type: ignore[arg-type]
                job = geometry.reduced(factors[place]).job
                for number, source in enumerate(found):
                    if layout.steps:
                        params.append(programs[view] + place * values[view].params.strides[0])
                        noise_seeds.append(picture_seed(values[view], place, number))
                    records.append(job)
                    sources.append(source)
                    outs.append(begins[view] + (place * each + number) * slots[view])
                    mappings.append(mapping)
                    filled.append(place)
                if len(found) < each:
                    out[view][place * each + len(found) : (place + 1) * each].zero_()
            there[place] = True
            continue
        for view_out in out:
            view_out[place * each : (place + 1) * each].zero_()
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
    if compiled.planes is not None and compiled.planes.several:
        shown = [view.unflatten(0, (len(media), each)) for view in shown]
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


def sources_of(part: Bytes | None, planes: NDArray[np.generic] | None) -> list[Source]:
    """Where the pictures of an item lie: a part of a shard, or planes (N, H, W) of a volume."""
    return [source_of(part, None)] if planes is None else [source_of(None, plane) for plane in planes]


def picture_seed(values: DrawnValues, place: int, number: int) -> int:
    """Of the noise of one of an item's pictures, which differ in it alone."""
    seed = values.noise_seeds[place : place + 1]
    return int((fold(seed, number) if number else seed)[0])


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

    Planes of a volume without either span their own lowest to highest value, since nothing says what its numbers mean.
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
