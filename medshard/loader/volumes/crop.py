"""One crop: its voxels, unpacked, sampled and changed, into its place in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume import DrawnStep, deliver, deliver_mask
from medshard.augment.volume.native import do_steps
from medshard.errors import LoaderError
from medshard.loader.conversation import Box3D
from medshard.loader.stats import Stats
from medshard.loader.volumes.boxes import Box, FetchedBox
from medshard.loader.volumes.plans import CropPlan, seen_box
from medshard.readers.base import Affine, Array
from medshard.record.facts import RegionFact
from medshard.volumes import Mapping

__all__ = ["Crop", "CropLayout"]


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

    def write_image(self, layout: CropLayout, out: NDArray[np.float32], stats: Stats) -> None:
        """Fill (C, D, H, W); channels that are not there are zeros.

        Raises:
            CorpusError, LoaderError: it cannot be unpacked.
        """
        steps: Sequence[DrawnStep] = self.plan.steps
        if self._only_copied(layout):
            with stats.timed("unpack"):
                steps = self._copy(layout, out)
            with stats.timed("sample"):
                do_steps(out, steps)
        else:
            with stats.timed("unpack"):
                box, voxels = self._channels(layout)
            with stats.timed("sample"):
                deliver(box.geometry, steps, voxels, box.start_zyx, out)
        for channel, there in enumerate(self.plan.present):
            if not there:
                out[channel] = 0

    def write_mask(self, out: NDArray[np.int32], stats: Stats) -> None:
        """Fill (L, D, H, W) with the nearest labels; layers that the mask does not have are zeros.

        Raises:
            CorpusError, LoaderError: it cannot be unpacked, or has no labels.
        """
        assert self.mask is not None
        with stats.timed("unpack"):
            labels = self.mask.unpacked()
        if labels.dtype.kind not in "ui":
            raise LoaderError("the mask holds fractions, not labels; choose another slot for mask=")
        with stats.timed("sample"):
            box = self.mask.box
            deliver_mask(box.geometry, labels, box.start_zyx, out[: len(labels)])
            out[len(labels) :] = 0

    def _only_copied(self, layout: CropLayout) -> bool:
        """Whether its voxels are those that are stored, all of them inside of the volume."""
        boxes = [entry.box for entry in self.boxes if entry is not None]
        inside = all(box.level == 0 and box.size_zyx == layout.size_zyx for box in boxes)
        return inside and self.plan.geometry.whole_voxels

    def _copy(self, layout: CropLayout, out: NDArray[np.float32]) -> Sequence[DrawnStep]:
        """Shift, mirror and window in one pass over the chunks; gives the steps that are left."""
        mapping, steps = _mapped(self.plan.steps)
        first = 0
        for entry, count in zip(self.boxes, layout.slot_channels, strict=True):
            leading = 0
            if entry is not None:
                leading = entry.channels
                entry.write(out[first : first + leading], mapping, self.plan.geometry.flip_zyx)
            out[first + leading : first + count] = 0
            first += count
        return steps

    def _channels(self, layout: CropLayout) -> tuple[Box, Array]:
        """The voxels of all channels, of one type; zeros for channels that are not there."""
        parts: list[tuple[int, Array]] = []
        first = 0
        boxes = [entry.box for entry in self.boxes if entry is not None]
        shown = boxes[0]
        if any(
            (box.level, box.start_zyx, box.size_zyx) != (shown.level, shown.start_zyx, shown.size_zyx) for box in boxes
        ):
            raise LoaderError("the channels of a volume have different pyramids; build the corpus again")
        for entry, count in zip(self.boxes, layout.slot_channels, strict=True):
            if entry is not None:
                parts.append((first, entry.unpacked()))
            first += count
        if len(parts) == 1 and len(parts[0][1]) == layout.channels:
            return shown, parts[0][1]
        dtype = np.result_type(*(voxels.dtype for _, voxels in parts))
        if dtype.name in ("int64", "uint64", "float64"):
            dtype = np.dtype(np.float32)
        together = np.zeros((layout.channels, *shown.size_zyx), dtype)
        for begin, voxels in parts:
            together[begin : begin + len(voxels)] = voxels
        return shown, together


def _mapped(steps: Sequence[DrawnStep]) -> tuple[Mapping, Sequence[DrawnStep]]:
    """A window that comes first, as a map of stored values; and the other steps."""
    if not steps or steps[0].kind != "window" or (steps[0].params != steps[0].params[0]).any():
        return Mapping(), steps
    changed, low, high = steps[0].params[0].tolist()
    if not changed:
        return Mapping(), steps
    scale = 1.0 / (high - low)
    return Mapping(scale, -low * scale, 0.0, 1.0), steps[1:]
