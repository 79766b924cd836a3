"""What is drawn of each crop of a step: where it lies, what is done to its values, which channels are left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume import (
    Allowed,
    CompiledVolume,
    DrawnStep,
    Resize3D,
    VolumeGeometry,
    draw_steps,
    draw_volume,
)
from medshard.augment.volume.draws import PlacedDraws
from medshard.errors import LoaderError
from medshard.loader.conversation import ItemText
from medshard.loader.counter import uniform, uniform_u64
from medshard.loader.selection import ItemLine
from medshard.record.conversation import Keeps
from medshard.volumes.foreground import Foreground

__all__ = ["CropPlan", "UnitDraws", "allowed_of", "draw_crop", "shape_zyx_of"]

_SALT_CROPS = 16  # keeps the uses of one seed apart
_ATTEMPTS = 10


@dataclass(frozen=True)
class UnitDraws:
    """The random numbers of one crop: each a function of (seed, epoch, item, crop, attempt, place, number).

    Attributes:
        attempt: counts on where a crop is drawn again, since it had cut off what the item's text cites.
    """

    seed_of_loader: int
    epoch: int
    item: int
    crop: int
    attempt: int = 0

    @property
    def _key(self) -> tuple[int, ...]:
        return self.seed_of_loader, _SALT_CROPS, self.epoch, self.item, self.crop, self.attempt

    def uniform(self, place: int, number: int) -> float:
        """A number in [0, 1)."""
        return uniform(*self._key, place, number)

    def seed(self, place: int) -> int:
        """64 bits from which further counters go on."""
        return uniform_u64(*self._key, place)


@dataclass(frozen=True)
class CropPlan:
    """One crop of one item.

    Attributes:
        geometry: how it is sampled from the stored voxels of the finest level.
        steps: what is done to its values.
        present: of each channel, whether it is delivered.
        start_zyx: of a window of a sliding grid in its volume; None for other crops.
        volume_zyx: shape of the volume that the grid covers.
    """

    geometry: VolumeGeometry
    steps: tuple[DrawnStep, ...]
    present: tuple[bool, ...]
    start_zyx: tuple[int, int, int] | None = None
    volume_zyx: tuple[int, int, int] | None = None


def shape_zyx_of(axes: str, shape: tuple[int, ...], key: str) -> tuple[int, int, int]:
    """The axes of space of a volume.

    Raises:
        LoaderError: it has none of depth.
    """
    if not axes.endswith("ZYX"):
        raise LoaderError(f"{key} is a picture with the axes {axes}, and crops in 3D are of volumes; leave it out")
    z, y, x = shape[-3:]
    return z, y, x


def draw_crop(
    compiled: CompiledVolume,
    line: ItemLine,
    text: ItemText,
    draws: UnitDraws,
    channels: tuple[bool, ...],
    foreground: Foreground | None,
) -> CropPlan:
    """Draw one crop under what its item's text allows.

    Args:
        channels: of each channel, whether the sample has it.
        foreground: index of its mask, for crops that are drawn from it.

    Raises:
        LoaderError: the item is no volume, or a spacing is needed and unknown.
    """
    assert line.picture is not None
    shape = shape_zyx_of(line.picture.axes, line.picture.shape, line.key)
    spacing = line.picture.spacing_mm[-3:] if line.picture.spacing_mm is not None else None
    spacing_zyx_mm = (spacing[0], spacing[1], spacing[2]) if spacing is not None else None
    allowed = allowed_of(text.keeps)
    number = draws.crop if compiled.grid is not None else None
    if allowed.move:
        geometry = draw_volume(
            compiled,
            shape,
            draws,
            spacing_zyx_mm=spacing_zyx_mm,
            foreground=foreground,
            window=number,
            allowed=allowed,
        )
    else:
        # Nothing may be cut off, so all of it is brought to the size.
        whole = replace(compiled, spacing=None, crop=_whole(compiled))
        geometry = draw_volume(whole, shape, draws, allowed=allowed)
    steps = draw_steps(compiled, draws, len(channels), intensity=text.keeps.intensity == "free")
    present = channels
    if compiled.dropout is not None:
        place, dropout = compiled.dropout
        present = tuple(dropout.kept(channels, PlacedDraws(draws, place, len(channels))))
    start = volume = None
    if compiled.grid is not None and number is not None:
        volume = compiled.grid_shape(shape, spacing_zyx_mm)
        start = compiled.grid.starts(volume)[number]
    return CropPlan(geometry, tuple(steps), present, start, volume)


def allowed_of(keeps: Keeps) -> Allowed:
    """A text's rules for pictures, of crops: "swap" needs a family that can exchange sides in its text."""
    return Allowed(
        mirror=keeps.mirror == "free", turn=keeps.rotate == "free", move=keeps.crop not in ("refuse", "recount")
    )


def _whole(compiled: CompiledVolume) -> Resize3D:
    crop = compiled.crop
    return Resize3D(crop.size, crop.outside, crop.mask_outside)


def counts_of_windows(compiled: CompiledVolume, lines: list[ItemLine]) -> NDArray[np.int64]:
    """How many windows of the sliding grid each item has; one where there is no volume.

    Raises:
        LoaderError: an item is no volume, or a spacing is needed and unknown.
    """
    assert compiled.grid is not None
    found = np.ones(len(lines), np.int64)
    for place, line in enumerate(lines):
        if line.picture is None:
            continue
        spacing = line.picture.spacing_mm
        shape = shape_zyx_of(line.picture.axes, line.picture.shape, line.key)
        spacing_zyx_mm = (spacing[-3], spacing[-2], spacing[-1]) if spacing is not None else None
        found[place] = len(compiled.grid.starts(compiled.grid_shape(shape, spacing_zyx_mm)))
    return found
