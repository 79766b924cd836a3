"""The crops of one step: tasks of a few threads, each written once into its slot of the batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment.volume import deliver, deliver_mask
from medshard.engine import BatchCancelled, Engine
from medshard.errors import LoaderError, MedshardError
from medshard.families.base import Delivered
from medshard.loader.conversation import Box3D
from medshard.loader.delivery import StepItems, StepPixels
from medshard.loader.pixels import DTYPES
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.volumes.boxes import Box, FetchedBox
from medshard.loader.volumes.plans import CropPlan, seen_box
from medshard.readers.base import Affine, Array
from medshard.record.facts import RegionFact

__all__ = ["Crop", "CropLayout", "StepCrops"]


@dataclass(frozen=True)
class CropLayout:
    """What every batch has.

    Attributes:
        size_zyx: of a crop.
        slot_channels: channels of each slot of the image.
        layers: of the mask; 0 for none.
        dtype: of the image.
        grid: whether crops are windows of a sliding grid.
        patches_zyx: patches an axis, where some are masked.
        views: crops of each item beside one another.
        bent: whether crops may have an elastic displacement.
    """

    size_zyx: tuple[int, int, int]
    slot_channels: tuple[int, ...]
    layers: int
    dtype: str
    grid: bool
    patches_zyx: tuple[int, int, int] | None
    views: int
    bent: bool

    @property
    def channels(self) -> int:
        """Of the image."""
        return sum(self.slot_channels)


@dataclass
class Crop:
    """One crop: what is drawn, and where its voxels lie."""

    plan: CropPlan
    affine: Affine | None
    boxes: list[FetchedBox | None]
    mask: FetchedBox | None

    def seen(self, region: RegionFact) -> tuple[float, ...]:
        """A 3D box of the volume in the crop: x0 y0 z0 x1 y1 z1, continuous, within it."""
        low, high = seen_box(self.plan.geometry, *Box3D.of(region).in_voxels(self.affine))
        size = np.array(self.plan.geometry.size_zyx, np.float64)
        edges = [np.clip(edge + 0.5, 0, size)[::-1] for edge in (low, high)]
        return tuple(np.concatenate(edges).tolist())


@dataclass
class StepCrops(StepPixels):
    """The crops of one step.

    Attributes:
        pool: gives the threads that make crops, so many.
        crops: of the first view of each item, then of the second; or why one cannot be made, or None for an item
            without a picture.
    """

    layout: CropLayout
    memory: SlotMemory
    stats: Stats
    pool: Callable[[int], ThreadPoolExecutor]
    items: StepItems
    crops: Sequence[Crop | MedshardError | None]
    image: torch.Tensor | None = None
    mask: torch.Tensor | None = None
    tasks: list[Future[None]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def begin(self, engine: Engine) -> None:
        layout = self.layout
        with self.stats.timed("jobs"):
            count, size = len(self.crops), layout.size_zyx
            self.image = self.memory.empty((count, layout.channels, *size), DTYPES[layout.dtype])
            if layout.layers:
                self.mask = self.memory.empty((count, layout.layers, *size), torch.int32)
            pool = self.pool(engine.threads)
            self.tasks = [pool.submit(self._make, place) for place in range(count)]

    def cancel(self, engine: Engine) -> None:
        self.stopped.set()
        for task in self.tasks:
            task.cancel()

    def finish(self, engine: Engine) -> dict[int, str]:
        failed: dict[int, str] = {}
        for number, task in enumerate(self.tasks):
            try:
                task.result()
            except CancelledError:
                raise BatchCancelled("the batch was cancelled") from None
            except MedshardError as error:
                failed[number % len(self.items.lines)] = str(error)
        if self.stopped.is_set():
            raise BatchCancelled("the batch was cancelled")
        return failed

    def _make(self, place: int) -> None:
        """One crop and its mask, into their slots; zeros where there is none."""
        crop, image, mask = self.crops[place], self.image, self.mask
        assert image is not None
        filled = mask_filled = False
        try:
            if isinstance(crop, MedshardError):
                raise crop
            if crop is not None and not self.stopped.is_set():
                self._fill_image(crop, image[place])
                filled = True
                if crop.mask is not None and mask is not None:
                    self._fill_mask(crop.plan, crop.mask, mask[place])
                    mask_filled = True
        finally:
            if not filled:
                image[place].zero_()
            if mask is not None and not mask_filled:
                mask[place].zero_()

    def _fill_image(self, crop: Crop, slot: torch.Tensor) -> None:
        plan = crop.plan
        with self.stats.timed("unpack"):
            box, voxels = self._channels(crop)
        with self.stats.timed("sample"):
            own = slot.dtype == torch.float32
            out = slot.numpy() if own else np.empty(tuple(slot.shape), np.float32)
            if voxels is not None and box is not None:
                deliver(box.geometry, plan.steps, voxels, box.start_zyx, out)
            for channel, there in enumerate(plan.present):
                if not there:
                    out[channel] = 0
            if slot.dtype == torch.uint8:
                slot.copy_(torch.from_numpy(np.rint(out.clip(0, 1) * 255)))
            elif not own:
                slot.copy_(torch.from_numpy(out))

    def _channels(self, crop: Crop) -> tuple[Box | None, Array | None]:
        """The voxels of all channels, of one type; zeros for channels that are not there."""
        parts: list[tuple[int, Array]] = []
        first, shown = 0, None
        for entry, count in zip(crop.boxes, self.layout.slot_channels, strict=True):
            if entry is not None:
                box = entry.box
                shown = shown or box
                if (box.level, box.start_zyx, box.size_zyx) != (shown.level, shown.start_zyx, shown.size_zyx):
                    raise LoaderError("the channels of a volume have different pyramids; build the corpus again")
                parts.append((first, entry.unpacked()))
            first += count
        if shown is None:
            return None, None
        if len(parts) == 1 and len(parts[0][1]) == self.layout.channels:
            return shown, parts[0][1]
        dtype = np.result_type(*(voxels.dtype for _, voxels in parts))
        if dtype.name in ("int64", "uint64", "float64"):
            dtype = np.dtype(np.float32)
        together = np.zeros((self.layout.channels, *shown.size_zyx), dtype)
        for begin, voxels in parts:
            together[begin : begin + len(voxels)] = voxels
        return shown, together

    def _fill_mask(self, plan: CropPlan, found: FetchedBox, slot: torch.Tensor) -> None:
        with self.stats.timed("unpack"):
            labels = found.unpacked()
        if labels.dtype.kind not in "ui":
            raise LoaderError("the mask holds fractions, not labels; choose another slot for mask=")
        with self.stats.timed("sample"):
            deliver_mask(found.box.geometry, labels, found.box.start_zyx, slot[: len(labels)].numpy())
            slot[len(labels) :].zero_()

    def fields(self) -> dict[str, Any]:
        layout, items = self.layout, len(self.items.lines)
        there = [crop if isinstance(crop, Crop) else None for crop in self.crops]
        found: dict[str, Any] = {**self._pixels("image", self.image), "has_image": _flags(there[:items])}
        if self.mask is not None:
            found |= self._pixels("mask", self.mask[:, 0] if layout.layers == 1 else self.mask)
            found["has_mask"] = _flags([crop.mask if crop is not None else None for crop in there[:items]])
        told = _told(there, layout.channels)
        if layout.patches_zyx is not None:
            told["patch_mask"] = _masked(there, layout.patches_zyx)
        for name, values in told.items():
            by_view = values.reshape(layout.views, items, *values.shape[1:]).swapaxes(0, 1)
            found[name] = torch.from_numpy(np.ascontiguousarray(by_view if layout.views > 1 else values))
        if layout.bent:
            bent = [crop.plan.geometry.elastic if crop is not None else None for crop in there]
            found["elastic"] = [bent[item::items] for item in range(items)] if layout.views > 1 else bent
        found["crop"] = torch.from_numpy(self.items.crops.copy())
        if layout.grid:
            found["window_start_zyx"] = _whole(crop.plan.start_zyx if crop is not None else None for crop in there)
            found["volume_shape_zyx"] = _whole(crop.plan.volume_zyx if crop is not None else None for crop in there)
        return found

    def _pixels(self, slot: str, values: torch.Tensor | None) -> dict[str, Any]:
        """``image`` or ``mask``; with several views ``views`` and ``mask_views``, as of pictures."""
        assert values is not None
        if self.layout.views == 1:
            return {slot: values}
        name = "views" if slot == "image" else f"{slot}_views"
        return {name: list(values.view(self.layout.views, len(self.items.lines), *values.shape[1:]))}

    def seen(self, place: int) -> Mapping[str, Delivered] | None:
        crop, text = self.crops[place], self.items.texts[place]
        if isinstance(crop, MedshardError) or text is None or text.conversation is None:
            return None
        if crop is None:
            return {}
        height, width = crop.plan.geometry.size_zyx[1:]
        affine = crop.plan.geometry.affine_ijk_to_ras(crop.affine)
        spacing_mm = tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist()) if affine is not None else None
        seen = Delivered(width, height, spacing_mm=spacing_mm, in_crop=crop.seen)
        return dict.fromkeys(text.conversation.slots, seen)


def _flags(things: Sequence[object]) -> torch.Tensor:
    return torch.tensor([thing is not None for thing in things], dtype=torch.bool)


def _whole(values: Iterable[tuple[int, int, int] | None]) -> torch.Tensor:
    return torch.tensor([value if value is not None else (0, 0, 0) for value in values], dtype=torch.int64)


def _masked(crops: Sequence[Crop | None], patches_zyx: tuple[int, int, int]) -> NDArray[np.bool_]:
    masked = np.zeros((len(crops), *patches_zyx), bool)
    for place, crop in enumerate(crops):
        if crop is not None and crop.plan.masked is not None:
            masked[place] = crop.plan.masked
    return masked


def _told(crops: Sequence[Crop | None], channels: int) -> dict[str, NDArray[Any]]:
    """``affine``, ``geometry``, ``presence``."""
    affine = np.full((len(crops), 4, 4), np.nan)
    geometry = np.tile(np.eye(3, 4), (len(crops), 1, 1))
    presence: NDArray[np.bool_] = np.zeros((len(crops), channels), bool)
    for place, crop in enumerate(crops):
        if crop is None:
            continue
        own = crop.plan.geometry.affine_ijk_to_ras(crop.affine)
        if own is not None:
            affine[place] = own
        geometry[place] = crop.plan.geometry.delivered_from_stored
        presence[place] = crop.plan.present
    return {"affine": affine, "geometry": geometry, "presence": presence}
