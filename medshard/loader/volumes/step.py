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

from medshard.engine import BatchCancelled, Engine
from medshard.errors import MedshardError
from medshard.families.base import Delivered
from medshard.loader.delivery import StepItems, StepPixels
from medshard.loader.pixels import DTYPES
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.volumes.crop import Crop, CropLayout

__all__ = ["StepCrops"]


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
        written = mask_written = False
        try:
            if isinstance(crop, MedshardError):
                raise crop
            if crop is not None and not self.stopped.is_set():
                if crop.mask is not None and mask is not None:
                    crop.write_mask(mask[place].numpy(), self.stats)
                self._fill_image(crop, image[place])
                written, mask_written = True, crop.mask is not None
        finally:
            if not written:
                image[place].zero_()
            if mask is not None and not mask_written:
                mask[place].zero_()

    def _fill_image(self, crop: Crop, slot: torch.Tensor) -> None:
        if slot.dtype == torch.float32:
            crop.write_image(self.layout, slot.numpy(), self.stats)
            return
        out = np.empty(tuple(slot.shape), np.float32)
        crop.write_image(self.layout, out, self.stats)
        slot.copy_(torch.from_numpy(np.rint(out.clip(0, 1) * 255) if slot.dtype == torch.uint8 else out))

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
