"""The files of a mask slot become one label array, in which each value marks one region.

One rule for all masks: the region of value v is where any channel equals v. Label maps have one channel; layers and
instances that overlap go to further channels, so that nothing is merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medshard.errors import ReadError
from medshard.facts.runs import index_values
from medshard.readers.base import Affine, Array

__all__ = [
    "MaskLabels",
    "MaskPoint",
    "MaskRegion",
    "foreground",
    "label_map",
    "measure_regions",
    "named_regions",
    "pack_regions",
    "single_channel",
    "tight_box",
]

MAX_PLANE_CHANNELS = 4  # what a PNG holds
MAX_VOLUME_CHANNELS = 64


@dataclass(frozen=True)
class MaskRegion:
    """One region of a mask.

    Attributes:
        value: what marks it in the stored array.
        raw: the source's name for it: a value as text, a layer's name, or nothing for an instance.
        instance: number of the instance, from 1; None for a class as a whole.
        size_px: number of pixels or voxels.
        box: first index inside and first index outside an axis, in the order of the axes; None when empty.
        file: the file that shows it.
    """

    value: int
    raw: str
    instance: int | None
    size_px: int
    box: tuple[tuple[int, ...], tuple[int, ...]] | None
    file: str


@dataclass(frozen=True)
class MaskPoint:
    """A landmark that stands in a mask's file.

    Attributes:
        raw: the source's name for it.
        ras_mm: x, y, z.
        file: the file that shows it.
    """

    raw: str
    ras_mm: tuple[float, float, float]
    file: str


@dataclass
class MaskLabels:
    """A mask as it is stored.

    Attributes:
        labels: (Y, X), (Y, X, C), (Z, Y, X) or (C, Z, Y, X), uint8 or uint16.
        space: axes of space: 2 or 3.
        regions: what its values mark; a declared layer without pixels is listed with size 0.
        affine_ijk_to_ras: for volumes.
        named: whether regions have names of their own, so that no value is the background.
        free_names: whether these names are free text, which may identify: no message and no record quotes them.
        covers_image: whether the whole image was looked at; where not, a class that is not seen is not known to be
            absent.
        points: landmarks, which mark no voxel.
    """

    labels: Array
    space: int
    regions: list[MaskRegion] = field(default_factory=list)
    affine_ijk_to_ras: Affine | None = None
    named: bool = False
    free_names: bool = False
    covers_image: bool = True
    points: list[MaskPoint] = field(default_factory=list)

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape in space, without channels."""
        if self.space == 2:
            return self.labels.shape[:2]
        return self.labels.shape[-3:]

    def region(self, value: int) -> Array:
        """Where a value stands, as booleans on the grid."""
        hit = self.labels == value
        if hit.ndim == self.space:
            return np.asarray(hit)
        return np.asarray(hit.any(axis=-1 if self.space == 2 else 0))


def foreground(values: Array, condition: str) -> Array:
    """Where a condition such as ``> 0`` or ``= 255`` holds."""
    for operator, compare in (
        (">=", np.greater_equal),
        ("<=", np.less_equal),
        ("!=", np.not_equal),
        (">", np.greater),
        ("<", np.less),
        ("=", np.equal),
    ):
        if condition.startswith(operator):
            return np.asarray(compare(values, float(condition[len(operator) :])))
    raise ValueError(f"{condition!r} is no condition")


def single_channel(values: Array, channel: int | None) -> Array:
    """One number a pixel: the named channel, or the common value of equal channels.

    Raises:
        ReadError: the channels differ and none is named.
    """
    if values.ndim == 2:
        return values
    colour = values[..., :3] if values.shape[-1] == 4 and channel is None else values
    if channel is not None:
        if channel >= values.shape[-1]:
            raise ReadError(
                f"the mask has {values.shape[-1]} channels, channel: {channel} is not one", error_class="mask"
            )
        return np.ascontiguousarray(values[..., channel])
    if not (colour == colour[..., :1]).all():
        raise ReadError("the mask is coloured; say channel: (0 red, 1 green, 2 blue)", error_class="mask")
    return np.ascontiguousarray(colour[..., 0])


def label_map(values: Array, file: str, *, space: int) -> MaskLabels:
    """A mask whose values are labels, 0 among them: which value is the background is for the fact to say.

    Raises:
        ReadError: values are negative, not whole, or above 65535.
    """
    if values.dtype.kind == "f":
        if not np.array_equal(values, np.round(values)):
            raise ReadError("the mask holds fractions; say foreground: to set a threshold", error_class="soft_mask")
        values = values.astype(np.int64)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low < 0 or high > 65535:
        raise ReadError("the mask holds values outside 0 to 65535", error_class="mask")
    labels = np.ascontiguousarray(values.astype(np.uint8 if high <= 255 else np.uint16))
    mask = MaskLabels(labels, space)
    found = index_values(labels if space == 3 else labels[None])
    marked = int(found.counts.sum())
    if marked < labels.size:  # 0 among the values
        box = tight_box(labels == 0)
        mask.regions.append(MaskRegion(0, "0", None, labels.size - marked, box, file))
    for value, count, (low, high) in zip(
        found.values.tolist(), found.counts.tolist(), found.boxes_zyx[..., -space:].tolist(), strict=True
    ):
        mask.regions.append(MaskRegion(value, str(value), None, count, (tuple(low), tuple(high)), file))
    return mask


def named_regions(values: Array, names: Mapping[int, str], file: str, *, space: int) -> MaskLabels:
    """A mask whose file names the region of each value; a value that is named and stands nowhere has size 0.

    Args:
        values: (Y, X), (Y, X, C), (Z, Y, X) or (C, Z, Y, X); value v marks its region in any channel.

    Raises:
        ReadError: more parts lie over one another than the storage has channels for.
    """
    if space == 2 and values.ndim == 3:
        if values.shape[-1] > MAX_PLANE_CHANNELS:
            raise ReadError(
                f"more than {MAX_PLANE_CHANNELS} parts of the mask lie over one another", error_class="mask_overlap"
            )
        if values.shape[-1] == 2:
            values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)  # as in pack_regions
    mask = MaskLabels(np.ascontiguousarray(values), space, named=True)
    mask.regions = [MaskRegion(value, name, None, 0, None, file) for value, name in sorted(names.items())]
    measure_regions(mask)
    return mask


def measure_regions(mask: MaskLabels) -> None:
    """State the size and the box of each region anew, from the labels in one pass."""
    labels = mask.labels
    if mask.space == 2:
        labels = labels[None] if labels.ndim == 2 else np.moveaxis(labels, -1, 0)[:, None]
    found = index_values(np.ascontiguousarray(labels))
    boxes = found.boxes_zyx[..., -mask.space :].tolist()
    known = {
        value: (count, (tuple(low), tuple(high)))
        for value, count, (low, high) in zip(found.values.tolist(), found.counts.tolist(), boxes, strict=True)
    }
    for place, region in enumerate(mask.regions):
        if region.value == 0:
            inside = mask.region(0)
            size, box = int(inside.sum()), tight_box(inside)
        else:
            size, box = known.get(region.value, (0, None))
        mask.regions[place] = replace(region, size_px=size, box=box)


def pack_regions(grid: tuple[int, ...], parts: Sequence[tuple[int, str, int | None, str, Array]]) -> MaskLabels:
    """Binary parts into one array; parts that overlap are kept apart in channels.

    Args:
        grid: shape in space.
        parts: (value, raw name, instance, file, booleans on the grid), values from 1, each once.

    Raises:
        ReadError: more parts lie over one another than the storage has channels for.
    """
    space = len(grid)
    dtype = np.uint8 if max((value for value, *_ in parts), default=0) <= 255 else np.uint16
    channels: list[Array] = [np.zeros(grid, dtype)]
    limit = MAX_PLANE_CHANNELS if space == 2 else MAX_VOLUME_CHANNELS
    regions = []
    for value, raw, instance, file, inside in parts:
        place = next((i for i, channel in enumerate(channels) if not channel[inside].any()), len(channels))
        if place == len(channels):
            if place == limit:
                raise ReadError(f"more than {limit} parts of the mask lie over one another", error_class="mask_overlap")
            channels.append(np.zeros(grid, dtype))
        channels[place][inside] = value
        regions.append(MaskRegion(value, raw, instance, int(inside.sum()), tight_box(inside), file))
    if space == 2 and len(channels) == 2:
        channels.append(np.zeros(grid, dtype))  # a PNG has 1, 3 or 4 channels; an empty third marks nothing
    if len(channels) == 1:
        return MaskLabels(channels[0], space, regions)
    return MaskLabels(np.ascontiguousarray(np.stack(channels, axis=-1 if space == 2 else 0)), space, regions)


def tight_box(inside: Array) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(first index inside, first index outside) an axis; None when there is nothing inside."""
    if not inside.any():
        return None
    low, high = [], []
    for axis in range(inside.ndim):
        others = tuple(other for other in range(inside.ndim) if other != axis)
        hits = np.flatnonzero(inside.any(axis=others))
        low.append(int(hits[0]))
        high.append(int(hits[-1]) + 1)
    return tuple(low), tuple(high)
