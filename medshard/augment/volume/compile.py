"""Compiles a list of operations into a crop, what moves its voxels, and the steps on its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medshard.augment.operations import Operation
from medshard.augment.pointwise import (
    GaussianNoise,
    Normalize,
    PercentileNormalize,
    RandomInvert,
    Window,
    ZScoreNormalize,
)
from medshard.augment.steps import Floats, Step
from medshard.augment.volume.crops import Crop3D, ForegroundCrop3D, GridCrop3D, Resize3D, Spacing
from medshard.augment.volume.draws import CropDraws, PlacedDraws
from medshard.augment.volume.geometry import Floats as Matrix
from medshard.augment.volume.geometry import VolumeGeometry, compose, identity, resampled_shape, scaled
from medshard.augment.volume.intensity import ModalityDropout, Step3D
from medshard.augment.volume.masking import PatchMask3D
from medshard.augment.volume.spatial import Allowed, ElasticTransform3D, Spatial3D
from medshard.augment.volume.views import Views3D
from medshard.errors import LoaderError
from medshard.volumes.foreground import Foreground

__all__ = ["CompiledVolume", "DrawnStep", "compile_volume", "draw_steps", "draw_volume", "is_volume_transform"]

SHARED_STEPS = (Window, PercentileNormalize, ZScoreNormalize, Normalize, GaussianNoise, RandomInvert)
"""Steps on pictures that mean the same in 3D."""


@dataclass(frozen=True)
class CompiledVolume:
    """Operations by what does them; the number beside each is its place in the list.

    Attributes:
        spacing: to which the volume is resampled first.
        crop: the part that is taken.
        spatial: what moves its voxels, in order.
        steps: on its values, in order.
        dropout: which channels are left out.
        masking: which patches of the crop are masked.
        views: crops of each item beside one another.
    """

    spacing: Spacing | None
    crop: Crop3D
    crop_place: int
    spatial: tuple[tuple[int, Spatial3D], ...]
    steps: tuple[tuple[int, Step | Step3D], ...]
    dropout: tuple[int, ModalityDropout] | None
    masking: tuple[int, PatchMask3D] | None = None
    views: int = 1

    @property
    def size_zyx(self) -> tuple[int, int, int]:
        """Of every output."""
        return self.crop.size

    @property
    def needs_foreground(self) -> bool:
        """Whether the crop is drawn from the index of a mask."""
        return isinstance(self.crop, ForegroundCrop3D)

    @property
    def grid(self) -> GridCrop3D | None:
        """The sliding grid, where the crop is a window of it."""
        return self.crop if isinstance(self.crop, GridCrop3D) else None

    def grid_shape(
        self, shape_zyx: tuple[int, ...], spacing_zyx_mm: tuple[float, float, float] | None
    ) -> tuple[int, int, int]:
        """Voxels of the volume that the crop is taken from: the stored ones, or those of another spacing.

        Raises:
            LoaderError: the spacing is asked for and unknown.
        """
        z, y, x = shape_zyx[-3:]
        if self.spacing is None:
            return z, y, x
        if spacing_zyx_mm is None:
            raise LoaderError("Spacing: the spacing of this volume is unknown; leave such volumes or the operation out")
        return resampled_shape((z, y, x), spacing_zyx_mm, tuple(self.spacing.spacing_zyx_mm))


def is_volume_transform(operations: Sequence[Operation]) -> bool:
    """Whether a list makes crops of volumes."""
    return any(isinstance(operation, Crop3D) for operation in operations)


def compile_volume(operations: Sequence[Operation]) -> CompiledVolume:
    """Put operations into the order views → spacing → crop → spatial → steps.

    Raises:
        LoaderError: an operation that is none of volumes, a wrong order, or not exactly one crop.
    """
    known = (Views3D, Spacing, Crop3D, Spatial3D, Step3D, ModalityDropout, PatchMask3D, *SHARED_STEPS)
    for operation in operations:
        if not isinstance(operation, known):
            name = type(operation).__name__ if isinstance(operation, Operation) else repr(operation)
            raise LoaderError(f"{name} does not work on crops of volumes; see medshard.augment.volume.__all__")
    crops = [operation for operation in operations if isinstance(operation, Crop3D)]
    if len(crops) != 1:
        raise LoaderError(f"a transform of volumes has one crop, such as RandomCrop3D; found {len(crops)}")
    ranks = [_rank(operation) for operation in operations]
    if ranks != sorted(ranks):
        names = ", ".join(type(operation).__name__ for operation in sorted(operations, key=_rank))
        raise LoaderError(f"operations are in an order that cannot be done; this one works: {names}")
    for single in (Views3D, Spacing, ElasticTransform3D, ModalityDropout, PatchMask3D, Window):
        if sum(isinstance(operation, single) for operation in operations) > 1:
            raise LoaderError(f"{single.__name__} stands twice; once is enough")
    for operation in operations:
        if isinstance(operation, Step) and operation.whole:
            raise LoaderError(f"{type(operation).__name__}: statistics of a volume's crop only; say statistics='crop'")
    if any(isinstance(operation, Resize3D) for operation in operations) and any(
        isinstance(operation, Spacing) for operation in operations
    ):
        raise LoaderError("Resize3D gives the whole volume at one size, whatever its spacing; leave Spacing out")
    for masking in (operation for operation in operations if isinstance(operation, PatchMask3D)):
        masking.grid_zyx(crops[0].size)
    placed = list(enumerate(operations))
    return CompiledVolume(
        spacing=next((op for op in operations if isinstance(op, Spacing)), None),
        crop=crops[0],
        crop_place=operations.index(crops[0]),
        spatial=tuple((place, op) for place, op in placed if isinstance(op, Spatial3D)),
        steps=tuple((place, op) for place, op in placed if isinstance(op, (Step, Step3D))),
        dropout=next(((place, op) for place, op in placed if isinstance(op, ModalityDropout)), None),
        views=next((op.count for op in operations if isinstance(op, Views3D)), 1),
        masking=next(((place, op) for place, op in placed if isinstance(op, PatchMask3D)), None),
    )


def _rank(operation: Operation) -> int:
    kinds = (Views3D, Spacing, Crop3D, Spatial3D)
    return next((rank for rank, kind in enumerate(kinds) if isinstance(operation, kind)), len(kinds))


def draw_volume(
    compiled: CompiledVolume,
    shape_zyx: tuple[int, ...],
    draws: CropDraws,
    *,
    spacing_zyx_mm: tuple[float, float, float] | None = None,
    foreground: Foreground | None = None,
    window: int | None = None,
    allowed: Allowed = Allowed(),  # noqa: B008 - frozen
) -> VolumeGeometry:
    """Draw how one crop of a volume is sampled.

    Args:
        shape_zyx: of the stored volume; leading axes are left out.
        spacing_zyx_mm: of its voxels; None when unknown.
        foreground: index of the mask, for crops that are drawn from it.
        window: number of the window, for GridCrop3D.
        allowed: what the item's text allows.

    Raises:
        LoaderError: a spacing or an index is needed and not there.
    """
    z, y, x = shape_zyx[-3:]
    stored = (z, y, x)
    grid = compiled.grid_shape(stored, spacing_zyx_mm)
    source_from_grid: Matrix = identity() if grid == stored else scaled(grid, stored)
    crop = compiled.crop
    if isinstance(crop, Resize3D):
        matrix = scaled(crop.size, stored)
    else:
        if isinstance(crop, GridCrop3D):
            if window is None:
                raise LoaderError("GridCrop3D: a window is chosen by its number")
            start = crop.starts(grid)[window]
        else:
            scale = np.array(stored) / np.array(grid)
            start = crop.start(grid, PlacedDraws(draws, compiled.crop_place, 1), foreground, scale)
        shift = identity()
        shift[:, 3] = start
        matrix = compose(source_from_grid, shift)
    geometry = VolumeGeometry(crop.size, matrix, None, crop.outside, crop.mask_outside)
    for place, operation in compiled.spatial:
        geometry = operation.applied(geometry, PlacedDraws(draws, place, 1), allowed)
    return geometry


@dataclass(frozen=True)
class DrawnStep:
    """What one step does to one crop.

    Attributes:
        kind: of the native engine.
        params: (C, 1 + P): of each channel 1 or 0, whether it is changed, and the parameters.
        place: of the operation in its list: the stream of its noise.
        seed: of its noise.
    """

    kind: str
    params: Floats
    place: int
    seed: int


def draw_steps(compiled: CompiledVolume, draws: CropDraws, channels: int, *, intensity: bool = True) -> list[DrawnStep]:
    """Draw what is done to the values of one crop.

    Args:
        intensity: the item's text allows other intensities; else only windows and normalisation are done.
    """
    found = []
    for place, step in compiled.steps:
        drawn = PlacedDraws(draws, place, channels)
        if isinstance(step, Step3D):
            params = step.drawn(drawn) if intensity else None
        else:
            params = _of_picture_step(step, drawn, intensity)
        if params is not None:
            found.append(DrawnStep(step.kind, params, place, drawn.seed))
    return found


def _of_picture_step(step: Step, drawn: PlacedDraws, intensity: bool) -> Floats | None:
    one = drawn.of_one(intensity=intensity)
    if not step.applied(one)[0]:
        return None
    params = step.bounds(one)[0] if isinstance(step, Window) else step.params(one)[0]
    rows = np.tile(np.concatenate([[1.0], params]), (drawn.channels, 1))
    if isinstance(step, Normalize):
        if step.channels not in (1, drawn.channels):
            raise LoaderError(f"Normalize names {step.channels} channels, the crop has {drawn.channels}")
        for channel in range(drawn.channels):
            which = channel if step.channels > 1 else 0
            rows[channel, 1:3] = step.mean[which], step.std[which]
        return rows[:, :3]
    return rows
