"""Crops of volumes as a loader delivers them."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medshard.augment.volume import CompiledVolume, deliver, deliver_mask
from medshard.engine import BatchCancelled, Engine
from medshard.errors import LoaderError, MedshardError
from medshard.families.base import Delivered
from medshard.loader.conversation import no_text
from medshard.loader.delivery import Delivery, StepItems, StepPixels
from medshard.loader.pixels import DTYPES
from medshard.loader.selection import ItemLine, MediumLine, Selection
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.units import Units
from medshard.loader.volumes.boxes import Box, check_same_grid, read_box, wanted_box
from medshard.loader.volumes.options import VolumeOptions, layers_of
from medshard.loader.volumes.plans import CropPlan, UnitDraws, counts_of_windows, draw_crop
from medshard.readers.base import Affine, Array
from medshard.volumes import VolumeReader
from medshard.volumes.foreground import Foreground

__all__ = ["VolumeCrops"]


class VolumeCrops(Delivery):
    """Crops of volumes, and of masks beside them; each is a task of a few threads, the interpreter being free."""

    def __init__(
        self, selection: Selection, compiled: CompiledVolume, options: VolumeOptions, memory: SlotMemory, stats: Stats
    ) -> None:
        self.selection, self.compiled, self.options = selection, compiled, options
        self.corpus, self.memory, self.stats = selection.corpus, memory, stats
        self.slot_channels = layers_of(selection, selection.slots)
        self.channels = sum(self.slot_channels)
        self.layers = layers_of(selection, [options.mask], masks=True)[0] if options.mask is not None else 0
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}

    def units(self) -> Units:
        """What is ordered: the crops of each item, or the windows of its sliding grid."""
        if self.compiled.grid is None:
            return Units.crops(self.selection, self.options.crops_per_volume)
        lines = self.selection.lines(np.arange(len(self.selection), dtype=np.int64))
        return Units.counted(self.selection, counts_of_windows(self.compiled, lines))

    def read(self, items: StepItems, executor: Executor) -> StepCrops:
        crops: list[_Crop | MedshardError | None] = []
        with self.stats.timed("read pixels"):
            reading = [
                executor.submit(self._read, items, place) if line.picture is not None else None
                for place, line in enumerate(items.lines)
            ]
            for future in reading:
                try:
                    crops.append(future.result() if future is not None else None)
                except MedshardError as error:
                    crops.append(error)
        return StepCrops(self, items, crops)

    def pool(self, threads: int) -> ThreadPoolExecutor:
        """Where crops are made; of this process."""
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(threads, thread_name_prefix="medshard-crop"), os.getpid()
        return self._pool

    def _read(self, items: StepItems, place: int) -> _Crop:
        line, text = items.lines[place], items.texts[place]
        draws = UnitDraws(self.options.seed, items.epoch, line.item, int(items.crops[place]))
        there = tuple(
            medium is not None and number < _leading(medium)
            for medium, count in zip(line.pictures, self.slot_channels, strict=True)
            for number in range(count)
        )
        plan = draw_crop(self.compiled, line, text or no_text(), draws, there, self._foreground(line))
        return self._found(line, plan)

    def _foreground(self, line: ItemLine) -> Foreground | None:
        if not self.compiled.needs_foreground:
            return None
        if line.mask is None:
            nothing = np.zeros(0, np.int64)
            return Foreground(nothing, nothing, np.zeros((0, 2, 3), np.int32), [])
        found = self.corpus.foreground(line.sample, line.mask.slot)
        if found is None:
            raise LoaderError(
                f"ForegroundCrop3D: the corpus has no index of what the mask {line.mask.slot} of {line.key} marks; "
                "build it again with medshard build"
            )
        return found

    def _found(self, line: ItemLine, plan: CropPlan) -> _Crop:
        """The boxes of a crop, opened and checked against one another."""
        assert line.picture is not None
        shape = line.picture.shape[-3:]
        affine: Affine | None = None
        boxes: list[tuple[VolumeReader, Box] | None] = []
        first = 0
        for medium, count in zip(line.pictures, self.slot_channels, strict=True):
            shown = any(plan.present[first : first + count])
            first += count
            if medium is None:
                boxes.append(None)
                continue
            reader = self._opened(medium)
            if medium is line.picture:
                affine = reader.affine_ijk_to_ras
            else:
                check_same_grid(line.picture, affine, shape, medium, reader.affine_ijk_to_ras)
            boxes.append((reader, wanted_box(reader, plan.geometry, self.options.renditions)) if shown else None)
        mask = None
        if line.mask is not None:
            reader = self._opened(line.mask)
            check_same_grid(line.picture, affine, shape, line.mask, reader.affine_ijk_to_ras)
            mask = (reader, wanted_box(reader, plan.geometry, None))
        return _Crop(plan, affine, boxes, mask)

    def _opened(self, medium: MediumLine) -> VolumeReader:
        if medium.volume is None:
            raise LoaderError(f"{medium.slot} is a picture, and crops in 3D are of volumes; leave it out")
        return VolumeReader(self.corpus.storage, medium.volume)


def _leading(medium: MediumLine) -> int:
    """Channels of a volume, or its times."""
    return math.prod(medium.shape[:-3])


@dataclass
class _Crop:
    """One crop: what is drawn, and where its voxels lie."""

    plan: CropPlan
    affine: Affine | None
    boxes: list[tuple[VolumeReader, Box] | None]
    mask: tuple[VolumeReader, Box] | None


@dataclass
class StepCrops(StepPixels):
    """The crops of one step."""

    of: VolumeCrops
    items: StepItems
    crops: Sequence[_Crop | MedshardError | None]
    image: torch.Tensor | None = None
    mask: torch.Tensor | None = None
    tasks: list[Future[None]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def begin(self, engine: Engine) -> None:
        of = self.of
        with of.stats.timed("jobs"):
            count, size = len(self.items.lines), of.compiled.size_zyx
            self.image = of.memory.empty((count, of.channels, *size), DTYPES[of.options.dtype])
            if of.layers:
                self.mask = of.memory.empty((count, of.layers, *size), torch.int32)
            pool = of.pool(engine.threads)
            self.tasks = [pool.submit(self._make, place) for place in range(count)]

    def cancel(self, engine: Engine) -> None:
        self.stopped.set()
        for task in self.tasks:
            task.cancel()

    def finish(self, engine: Engine) -> dict[int, str]:
        failed: dict[int, str] = {}
        for place, task in enumerate(self.tasks):
            try:
                task.result()
            except CancelledError:
                raise BatchCancelled("the batch was cancelled") from None
            except MedshardError as error:
                failed[place] = str(error)
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

    def _fill_image(self, crop: _Crop, slot: torch.Tensor) -> None:
        of, plan = self.of, crop.plan
        with of.stats.timed("unpack"):
            box, voxels = self._channels(crop)
        with of.stats.timed("sample"):
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

    def _channels(self, crop: _Crop) -> tuple[Box | None, Array | None]:
        """The voxels of all channels, of one type; zeros for channels that are not there."""
        of = self.of
        parts: list[tuple[int, Array]] = []
        first, shown = 0, None
        for entry, count in zip(crop.boxes, of.slot_channels, strict=True):
            if entry is not None:
                reader, box = entry
                shown = shown or box
                if (box.level, box.start_zyx, box.size_zyx) != (shown.level, shown.start_zyx, shown.size_zyx):
                    raise LoaderError("the channels of a volume have different pyramids; build the corpus again")
                parts.append((first, read_box(reader, box)))
            first += count
        if shown is None:
            return None, None
        if len(parts) == 1 and len(parts[0][1]) == of.channels:
            return shown, parts[0][1]
        dtype = np.result_type(*(voxels.dtype for _, voxels in parts))
        if dtype.name in ("int64", "uint64", "float64"):
            dtype = np.dtype(np.float32)
        together = np.zeros((of.channels, *shown.size_zyx), dtype)
        for begin, voxels in parts:
            together[begin : begin + len(voxels)] = voxels
        return shown, together

    def _fill_mask(self, plan: CropPlan, found: tuple[VolumeReader, Box], slot: torch.Tensor) -> None:
        reader, box = found
        with self.of.stats.timed("unpack"):
            labels = read_box(reader, box)
        if labels.dtype.kind not in "ui":
            raise LoaderError("the mask holds fractions, not labels; choose another slot for mask=")
        with self.of.stats.timed("sample"):
            deliver_mask(box.geometry, labels, box.start_zyx, slot[: len(labels)].numpy())
            slot[len(labels) :].zero_()

    def fields(self) -> dict[str, Any]:
        of = self.of
        there = [crop if isinstance(crop, _Crop) else None for crop in self.crops]
        found: dict[str, Any] = {"image": self.image, "has_image": _flags(crop is not None for crop in there)}
        if self.mask is not None:
            found["mask"] = self.mask[:, 0] if of.layers == 1 else self.mask
            found["has_mask"] = _flags(crop is not None and crop.mask is not None for crop in there)
        found.update(_told(there, of.channels))
        found["crop"] = torch.from_numpy(self.items.crops.copy())
        if of.compiled.grid is not None:
            found["window_start_zyx"] = _whole(crop.plan.start_zyx if crop is not None else None for crop in there)
            found["volume_shape_zyx"] = _whole(crop.plan.volume_zyx if crop is not None else None for crop in there)
        return found

    def seen(self, place: int) -> Mapping[str, Delivered] | None:
        return {} if isinstance(self.crops[place], _Crop) or self.crops[place] is None else None


def _flags(values: Any) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.bool)


def _whole(values: Any) -> torch.Tensor:
    return torch.tensor([value if value is not None else (0, 0, 0) for value in values], dtype=torch.int64)


def _told(crops: Sequence[_Crop | None], channels: int) -> dict[str, torch.Tensor]:
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
    return {
        "affine": torch.from_numpy(affine),
        "geometry": torch.from_numpy(geometry),
        "presence": torch.from_numpy(presence),
    }
