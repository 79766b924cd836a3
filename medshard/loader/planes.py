"""Planes of volumes as pictures: which are drawn, what of the volume is read, and where its points are seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medshard.augment.plane_frame import PlaneFrame, plane_frame
from medshard.augment.planes import Planes, Run, TakeSlab, Within
from medshard.convert.grids import same_grid
from medshard.corpus.corpus import Corpus
from medshard.engine import CODECS
from medshard.errors import LoaderError, MedshardError
from medshard.families.base import Delivered
from medshard.loader.conversation import Box3D
from medshard.loader.counter import uniform
from medshard.loader.selection import ItemLine, MediumLine
from medshard.readers.base import Affine
from medshard.volumes import VolumeReader

__all__ = ["PlanePlan", "draw_planes", "open_volumes", "read_planes"]

_SALT_PLANES = 12  # keeps the uses of one seed apart; the geometry's is in draws.py
_SALT_FOREGROUND = 15

_EVEN = 0.01
"""Share of the distance of planes by which distances may differ and still be told as one."""

_RESAMPLE = "; have the build resample the mask to its volume's grid"


@dataclass(frozen=True, eq=False)
class PlanePlan:
    """The planes of one volume that an item shows.

    Attributes:
        take: the operation.
        frame: how planes lie as pictures.
        runs: first plane and the one after the last, of each picture or tile, in the order in which they are shown.
    """

    take: Planes
    frame: PlaneFrame
    runs: tuple[Run, ...]

    @property
    def pictures(self) -> int:
        """How many; all of one size."""
        return 1 if self.take.tiles is not None else len(self.runs)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of each picture."""
        return self._tiled(self.frame.size_hw)

    @property
    def square_hw(self) -> tuple[int, int]:
        """Height and width with pixels as the operation wants them."""
        return self._tiled(self.frame.square_hw) if self.take.square_pixels else self.size_hw

    def _tiled(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        rows, columns = self.take.tiles or (1, 1)
        return size_hw[0] * rows, size_hw[1] * columns

    @property
    def slice_index(self) -> list[int]:
        """Of each run, its plane, or of several the middle one."""
        return [(start + stop - 1) // 2 for start, stop in self.runs]

    @property
    def position_mm(self) -> list[float]:
        """Of each run's middle along the normal of planes; not a number when unknown."""
        return [self.frame.position_mm((start + stop - 1) / 2) for start, stop in self.runs]

    def spacing_mm(self, seen: Delivered) -> tuple[float, ...] | None:
        """Distance of delivered pixels across and down, and of pictures that are evenly apart; None when unknown."""
        if self.frame.pixel_yx_mm is None:
            return None
        down, across = self.frame.pixel_yx_mm
        places = np.array(self.position_mm)
        steps = np.abs(np.diff(places))
        even = len(steps) > 0 and steps.max() - steps.min() <= _EVEN * steps.max()
        return (*seen.spaced_mm((across, down)), *([float(steps.mean())] if even else []))

    def voxels_from_picture(self) -> NDArray[np.float64]:
        """(N, 3, 4): of each run, the voxel (z, y, x) of a point (x, y, depth, 1) of the picture."""
        height, width = self.frame.size_hw
        columns = (self.take.tiles or (1, 1))[1]
        found = []
        for number, (start, stop) in enumerate(self.runs):
            top, left = divmod(number, columns) if self.take.tiles is not None else (0, 0)
            found.append(self.frame.voxels_from_picture((start + stop - 1) / 2, top * height, left * width))
        return np.stack(found)

    def box(self, box: Box3D) -> tuple[float, float, float, float]:
        """Where a box of the volume is seen: x0 y0 x1 y1 in pixels of the picture.

        Raises:
            LoaderError: no picture shows it, or it is seen in several, which a place in text cannot tell apart.
        """
        low, high = box.in_voxels(self.frame.affine_ijk_to_ras)
        meets = [
            number
            for number, (start, stop) in enumerate(self.runs)
            if start - 0.5 < high[self.frame.axis] and stop - 0.5 > low[self.frame.axis]
        ]
        if self.take.several:
            raise LoaderError("its text cites a place, which several pictures of a volume cannot tell apart")
        if not meets:
            raise LoaderError("its text cites a place that none of the planes shows")
        middle = (low + high)[self.frame.axis] / 2
        number = min(meets, key=lambda one: abs(sum(self.runs[one]) / 2 - 0.5 - middle))
        matrix = self.voxels_from_picture()[number]
        corners = np.linalg.solve(matrix[:, :3], np.stack([low, high], 1) - matrix[:, 3:])[:2]
        (x0, y0), (x1, y1) = corners.min(1), corners.max(1)
        return float(x0), float(y0), float(x1), float(y1)


def draw_planes(
    line: ItemLine,
    take: Planes | None,
    boxes: Sequence[Box3D],
    affine_ijk_to_ras: Affine | None,
    foreground_zyx: Callable[[float], Sequence[int] | None] | None,
    seed: int,
    epoch: int,
) -> PlanePlan:
    """Which planes an item shows: a function of (seed, epoch, item) and of what its text cites.

    Args:
        boxes: places that the text cites; one plane is drawn so that it shows all of them.
        foreground_zyx: gives a voxel that the mask marks, for a number in [0, 1); None for none.

    Raises:
        LoaderError: the transform makes no pictures of volumes, the geometry that it needs is unknown, or no plane
            shows what the text cites.
    """
    assert line.picture is not None
    if take is None:
        raise LoaderError(f"{line.key} is a volume: begin the transform with TakeSlice('z') to see a plane of it")
    shape_zyx = [line.picture.shape[line.picture.axes.index(letter)] for letter in "ZYX"]
    frame = plane_frame(shape_zyx, take.axis, take.orientation, affine_ijk_to_ras)
    within = _within(frame, boxes, line, foreground_zyx, seed, epoch)
    step_mm = frame.step_mm if take.needs_spacing else None
    runs = take.runs(within, step_mm, lambda number: _uniform(seed, epoch, line.item, number))
    plan = PlanePlan(take, frame, tuple(runs[::-1] if frame.flip_axis else runs))
    _ = plan.square_hw  # refuses unknown spacing
    for box in boxes:
        plan.box(box)
    return plan


def _uniform(seed: int, epoch: int, item: int, number: int) -> float:
    counters = (seed, _SALT_PLANES, epoch, item)
    return uniform(*counters, number) if number else uniform(*counters)


def _within(
    frame: PlaneFrame,
    boxes: Sequence[Box3D],
    line: ItemLine,
    foreground_zyx: Callable[[float], Sequence[int] | None] | None,
    seed: int,
    epoch: int,
) -> Within:
    first, stop = 0, frame.length
    for box in boxes:
        low, high = box.in_voxels(frame.affine_ijk_to_ras)
        first = max(first, math.floor(low[frame.axis] + 0.5))
        stop = min(stop, math.ceil(high[frame.axis] + 0.5))
    if first >= stop:
        raise LoaderError("its text cites places that no single plane shows")
    point = foreground_zyx(uniform(seed, _SALT_FOREGROUND, epoch, line.item)) if foreground_zyx is not None else None
    return Within(frame.length, first, stop, int(point[frame.axis]) if point is not None else None)


def open_volumes(
    corpus: Corpus, media: Sequence[MediumLine | None], executor: Executor
) -> list[VolumeReader | MedshardError | None]:
    """The volumes of a batch; None for what is none."""

    def opened(path: str) -> VolumeReader | MedshardError:
        try:
            return corpus.volume(path)
        except MedshardError as error:
            return error

    opening = [
        executor.submit(opened, medium.volume) if medium is not None and medium.volume is not None else None
        for medium in media
    ]
    return [future.result() if future is not None else None for future in opening]


def read_planes(
    readers: Sequence[VolumeReader | MedshardError | None],
    media: Sequence[MediumLine | None],
    plans: Sequence[PlanePlan | None],
    executor: Executor,
    *,
    masks: bool = False,
) -> list[NDArray[np.generic] | MedshardError | None]:
    """The pictures of volumes, (N, H, W) each; None for items whose picture is a part of a shard.

    Args:
        masks: they are of masks, which have no mean: a slab's labels become what its operation says.
    """

    def read(reader: VolumeReader, medium: MediumLine, plan: PlanePlan) -> NDArray[np.generic] | MedshardError:
        try:
            if masks:
                frame = plan.frame
                there = reader.affine_ijk_to_ras
                same_grid(medium.slot, frame.shape_zyx, frame.affine_ijk_to_ras, medium.shape, there, _RESAMPLE)
            return _read(reader, medium, plan, masks)
        except (MedshardError, IndexError) as error:
            return error if isinstance(error, MedshardError) else LoaderError(str(error))

    reading: list[Future[NDArray[np.generic] | MedshardError] | None] = []
    for reader, medium, plan in zip(readers, media, plans, strict=True):
        if isinstance(reader, VolumeReader) and medium is not None and plan is not None:
            reading.append(executor.submit(read, reader, medium, plan))
        else:
            reading.append(None)
    return [
        future.result() if future is not None else reader if isinstance(reader, MedshardError) else None
        for future, reader in zip(reading, readers, strict=True)
    ]


def _read(reader: VolumeReader, medium: MediumLine, plan: PlanePlan, mask: bool) -> NDArray[np.generic]:
    frame = plan.frame
    wanted = np.unique(np.concatenate([np.arange(*run) for run in plan.runs]))
    stack = _planes(reader, medium, frame.axis, wanted)
    reduce: Literal["mean", "max", "min", "middle"] | None = plan.take.reduce
    if mask and isinstance(plan.take, TakeSlab):
        reduce = plan.take.mask
    pictures = np.stack([_reduced(stack[np.searchsorted(wanted, np.arange(*run))], reduce) for run in plan.runs])
    pictures = frame.shown(pictures)
    if plan.take.tiles is not None:
        rows, columns = plan.take.tiles
        _, height, width = pictures.shape
        tiled = pictures.reshape(rows, columns, height, width).swapaxes(1, 2)
        pictures = tiled.reshape(1, rows * height, columns * width)
    if pictures.dtype.name not in CODECS:
        pictures = pictures.astype(np.float32)
    return np.ascontiguousarray(pictures)


def _planes(reader: VolumeReader, medium: MediumLine, axis: int, wanted: NDArray[np.int64]) -> NDArray[np.generic]:
    """Planes (n, ...) at ascending indices; each inner chunk is unpacked once, and none that holds no plane.

    Of several channels or times the first.
    """
    place = medium.axes.index("ZYX"[axis])
    start, size = [0] * len(medium.shape), list(medium.shape)
    size[: len(size) - 3] = [1] * (len(size) - 3)
    edge = reader.layout().inner[place]
    found = []
    for chunk in np.unique(wanted // edge).tolist():
        of_chunk = wanted[wanted // edge == chunk]
        start[place], size[place] = int(of_chunk[0]), int(of_chunk[-1] - of_chunk[0] + 1)
        values = reader.read_crop(tuple(start), tuple(size)).reshape(size[-3:])
        found.append(np.moveaxis(values, axis, 0)[of_chunk - of_chunk[0]])
    return np.concatenate(found)


def _reduced(
    planes: NDArray[np.generic], reduce: Literal["mean", "max", "min", "middle"] | None
) -> NDArray[np.generic]:
    """One plane of several."""
    if reduce is None or reduce == "middle":
        return np.asarray(planes[(len(planes) - 1) // 2])
    if reduce == "mean":
        return np.asarray(planes.mean(0, dtype=np.float64), np.float32)
    return np.asarray(planes.max(0) if reduce == "max" else planes.min(0))
