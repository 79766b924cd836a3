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
from medshard.loader.draws import VolumeCropDraws
from medshard.loader.selection import ItemLine, MediumLine
from medshard.readers.base import Affine
from medshard.record.conversation import Keeps
from medshard.volumes.foreground import Foreground

__all__ = ["CropPlan", "allowed_of", "counts_of_windows", "draw_crop", "seen_box", "shape_zyx_of"]

_ATTEMPTS = 10  # as for pictures
_ROUNDING = 1e-6  # of a voxel


@dataclass(frozen=True)
class CropPlan:
    """One crop of one item.

    Attributes:
        geometry: how it is sampled from the stored voxels of the finest level.
        steps: what is done to its values.
        present: of each channel, whether it is delivered.
        start_zyx: of a window of a sliding grid in its volume; None for other crops.
        volume_zyx: shape of the volume that the grid covers.
        masked: which patches of the crop are masked, where the transform masks some.
    """

    geometry: VolumeGeometry
    steps: tuple[DrawnStep, ...]
    present: tuple[bool, ...]
    start_zyx: tuple[int, int, int] | None = None
    volume_zyx: tuple[int, int, int] | None = None
    masked: NDArray[np.bool_] | None = None


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
    draws: VolumeCropDraws,
    channels: tuple[bool, ...],
    foreground: Foreground | None,
    affine_ijk_to_ras: Affine | None,
) -> CropPlan:
    """Draw one crop under what its item's text allows.

    Args:
        channels: of each channel, whether the sample has it.
        foreground: index of its mask, for crops that are drawn from it.
        affine_ijk_to_ras: of the volume.

    Raises:
        LoaderError: the item is no volume, or a spacing or an affine is needed and unknown.
    """
    assert line.picture is not None
    shape = shape_zyx_of(line.picture.axes, line.picture.shape, line.key)
    spacing_zyx_mm = _spacing_of(line.picture)
    number = draws.crop if compiled.grid is not None else None
    allowed = allowed_of(text.keeps)
    cited = [box.in_voxels(affine_ijk_to_ras) for box in text.boxes_3d]
    attempts = [replace(draws, attempt=attempt) for attempt in range(_ATTEMPTS)]
    if not allowed.move:
        attempts = []  # nothing may be cut off
    elif text.keeps.crop != "regions" or not cited:
        attempts = attempts[:1]
    for drawn in attempts:
        geometry = draw_volume(
            compiled,
            shape,
            drawn,
            spacing_zyx_mm=spacing_zyx_mm,
            foreground=foreground,
            window=number,
            allowed=allowed,
        )
        if len(attempts) == 1 or all(_inside(geometry, low, high) for low, high in cited):
            break
    else:
        # All of the volume, brought to the size.
        crop = Resize3D(compiled.crop.size, compiled.crop.outside, compiled.crop.mask_outside)
        whole = replace(compiled, spacing=None, crop=crop)
        geometry = draw_volume(whole, shape, draws, allowed=replace(allowed, move=False))
    if cited:
        geometry = replace(geometry, elastic=None)  # boxes are written by the affine map alone
    present = channels
    if compiled.dropout is not None:
        place, dropout = compiled.dropout
        present = tuple(dropout.kept(channels, PlacedDraws(draws, place, len(channels))))
    masked = None
    if compiled.masking is not None:
        place, masking = compiled.masking
        masked = masking.drawn(compiled.size_zyx, PlacedDraws(draws, place, 1))
    start = volume = None
    if compiled.grid is not None and number is not None:
        volume = compiled.grid_shape(shape, spacing_zyx_mm)
        start = compiled.grid.starts(volume)[number]
    steps = draw_steps(compiled, draws, len(channels), intensity=text.keeps.intensity == "free")
    return CropPlan(geometry, tuple(steps), present, start, volume, masked)


def seen_box(
    geometry: VolumeGeometry, low_zyx: NDArray[np.float64], high_zyx: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The hull of a box of the stored volume in a crop: lowest and highest (z, y, x), in voxel indices of the crop."""
    corners = np.stack(np.meshgrid(*np.stack([low_zyx, high_zyx], 1), indexing="ij"), -1).reshape(-1, 3)
    matrix = geometry.delivered_from_stored
    found = corners[:, ::-1] @ matrix[:, :3].T + matrix[:, 3]
    return found.min(0)[::-1], found.max(0)[::-1]


def _inside(geometry: VolumeGeometry, low_zyx: NDArray[np.float64], high_zyx: NDArray[np.float64]) -> bool:
    low, high = seen_box(geometry, low_zyx, high_zyx)
    return bool((low >= -0.5 - _ROUNDING).all() and (high <= np.array(geometry.size_zyx) - 0.5 + _ROUNDING).all())


def _spacing_of(medium: MediumLine) -> tuple[float, float, float] | None:
    if medium.spacing_mm is None:
        return None
    z, y, x = medium.spacing_mm[-3:]
    return z, y, x


def allowed_of(keeps: Keeps) -> Allowed:
    """A text's rules for pictures, of crops: "swap" needs a family that can exchange sides in its text."""
    return Allowed(
        mirror=keeps.mirror == "free", turn=keeps.rotate == "free", move=keeps.crop not in ("refuse", "recount")
    )


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
        shape = shape_zyx_of(line.picture.axes, line.picture.shape, line.key)
        found[place] = len(compiled.grid.starts(compiled.grid_shape(shape, _spacing_of(line.picture))))
    return found
