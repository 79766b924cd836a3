"""Crops of volumes as a loader delivers them."""

from __future__ import annotations

import math
import os
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from medshard.augment.volume import CompiledVolume, ElasticTransform3D
from medshard.convert.grids import same_grid
from medshard.errors import LoaderError, MedshardError
from medshard.loader.conversation import no_text
from medshard.loader.delivery import Delivery, StepItems
from medshard.loader.draws import VolumeCropDraws
from medshard.loader.selection import ItemLine, MediumLine, Selection
from medshard.loader.slots import SlotMemory
from medshard.loader.stats import Stats
from medshard.loader.units import Units
from medshard.loader.volumes.boxes import FetchedBox, fetch_box, wanted_box
from medshard.loader.volumes.crop import Crop, CropLayout
from medshard.loader.volumes.options import VolumeOptions, layers_of
from medshard.loader.volumes.plans import CropPlan, counts_of_windows, draw_crop
from medshard.loader.volumes.step import StepCrops
from medshard.storage.local import LocalStorage
from medshard.volumes import VolumeReader
from medshard.volumes.foreground import Foreground

__all__ = ["VolumeCrops"]

_RESAMPLE = "; have the build resample one to the other"


class VolumeCrops(Delivery):
    """Crops of volumes, and of masks beside them; each is a task of a few threads, the interpreter being free."""

    def __init__(
        self, selection: Selection, compiled: CompiledVolume, options: VolumeOptions, memory: SlotMemory, stats: Stats
    ) -> None:
        self.selection, self.compiled, self.options = selection, compiled, options
        self.corpus, self.memory, self.stats = selection.corpus, memory, stats
        self.layout = CropLayout(
            compiled.size_zyx,
            layers_of(selection, selection.slots),
            layers_of(selection, [options.mask], masks=True)[0] if options.mask is not None else 0,
            options.dtype,
            compiled.grid is not None,
            compiled.masking[1].grid_zyx(compiled.size_zyx) if compiled.masking is not None else None,
            compiled.views,
            any(isinstance(operation, ElasticTransform3D) for _, operation in compiled.spatial),
        )
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
        wanted = [(place, view) for view in range(self.layout.views) for place in range(len(items.lines))]
        with self.stats.timed("read pixels"):
            if isinstance(self.corpus.storage, LocalStorage):
                # Nothing is fetched from a folder before it is unpacked; threads that draw would wait for each other.
                crops = [self._read(items, *place) for place in wanted]
            else:
                crops = list(executor.map(partial(self._read, items), *zip(*wanted, strict=True)))
        return StepCrops(self.layout, self.memory, self.stats, self.pool, items, crops)

    def pool(self, threads: int) -> ThreadPoolExecutor:
        """Where crops are made; of this process."""
        if self._pool is None or self._pid != os.getpid():
            self._pool, self._pid = ThreadPoolExecutor(threads, thread_name_prefix="medshard-crop"), os.getpid()
        return self._pool

    def _read(self, items: StepItems, place: int, view: int) -> Crop | MedshardError | None:
        """A crop that can be unpacked, or why there is none; None for an item without a picture."""
        try:
            return self._drawn(items, place, view) if items.lines[place].picture is not None else None
        except MedshardError as error:
            return error

    def _drawn(self, items: StepItems, place: int, view: int) -> Crop:
        line, text = items.lines[place], items.texts[place]
        draws = VolumeCropDraws(self.options.seed, items.epoch, line.item, int(items.crops[place]), view)
        there = tuple(
            medium is not None and number < _leading(medium)
            for medium, count in zip(line.pictures, self.layout.slot_channels, strict=True)
            for number in range(count)
        )
        assert line.picture is not None
        reader = self._opened(line.picture)
        plan = draw_crop(
            self.compiled,
            line,
            text or no_text(),
            draws,
            there,
            self._foreground(line),
            reader.affine_ijk_to_ras,
        )
        return self._found(line, plan, reader)

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

    def _found(self, line: ItemLine, plan: CropPlan, first_reader: VolumeReader) -> Crop:
        """The boxes of a crop, opened and checked against one another."""
        assert line.picture is not None
        shape, affine = line.picture.shape, first_reader.affine_ijk_to_ras
        boxes: list[FetchedBox | None] = []
        first = 0
        for medium, count in zip(line.pictures, self.layout.slot_channels, strict=True):
            shown = any(plan.present[first : first + count])
            first += count
            if medium is None:
                boxes.append(None)
                continue
            reader = first_reader
            if medium is not line.picture:
                reader = self._opened(medium)
                same_grid(medium.slot, shape, affine, medium.shape, reader.affine_ijk_to_ras, _RESAMPLE)
            wanted = wanted_box(reader, plan.geometry, self.options.renditions) if shown else None
            boxes.append(fetch_box(reader, wanted) if wanted is not None else None)
        mask = None
        if line.mask is not None:
            reader = self._opened(line.mask)
            same_grid(line.mask.slot, shape, affine, line.mask.shape, reader.affine_ijk_to_ras, _RESAMPLE)
            mask = fetch_box(reader, wanted_box(reader, plan.geometry, None))
        return Crop(plan, affine, boxes, mask)

    def _opened(self, medium: MediumLine) -> VolumeReader:
        if medium.volume is None:
            raise LoaderError(f"{medium.slot} is a picture, and crops in 3D are of volumes; leave it out")
        return self.corpus.volume(medium.volume)


def _leading(medium: MediumLine) -> int:
    """Channels of a volume, or its times."""
    return math.prod(medium.shape[:-3])
