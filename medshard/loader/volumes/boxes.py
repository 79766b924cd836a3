"""What is read of volumes for a crop: from the coarsest level that suffices, the box that its sampling needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medshard.augment.volume import VolumeGeometry
from medshard.augment.volume.geometry import compose
from medshard.readers.base import Array
from medshard.volumes import Mapping
from medshard.volumes.read import FetchedChunks, VolumeReader

__all__ = ["Box", "FetchedBox", "fetch_box", "wanted_box"]


@dataclass(frozen=True)
class Box:
    """A box of one level.

    Attributes:
        geometry: how the crop is sampled from that level.
    """

    level: int
    start_zyx: tuple[int, int, int]
    size_zyx: tuple[int, int, int]
    geometry: VolumeGeometry


def wanted_box(reader: VolumeReader, geometry: VolumeGeometry, oversampling: float | None) -> Box:
    """The box that a crop needs, of the coarsest level that has enough voxels.

    Args:
        geometry: as it samples level 0.
        oversampling: voxels of the level for each of the crop, along an axis, at least 1; None always takes level 0.
    """
    level, factors = 0, (1, 1, 1)
    if oversampling is not None and reader.levels > 1:
        linear = geometry.source_from_output_zyx[:, :3]
        steps = np.abs(np.diag(linear)) if geometry.axis_aligned else np.full(3, geometry.reduction)
        for number in range(1, reader.levels):
            coarser = _factors(reader, number)
            if (np.array(coarser) * oversampling <= steps * (1 + 1e-9)).all():
                level, factors = number, coarser
    if level:
        geometry = _of_level(geometry, factors)
    start, size = geometry.source_box(reader.layout(level).shape)
    return Box(level, start, size, geometry)


def _factors(reader: VolumeReader, level: int) -> tuple[int, int, int]:
    """By how much each axis of a level is coarser; levels halve, and the last voxel of an odd length is repeated."""
    finest, coarse = reader.layout(0).shape[-3:], reader.layout(level).shape[-3:]
    z, y, x = (2 ** round(math.log2(long / short)) for long, short in zip(finest, coarse, strict=True))
    return z, y, x


def _of_level(geometry: VolumeGeometry, factors_zyx: tuple[int, int, int]) -> VolumeGeometry:
    """The same crop as it samples a level whose voxels are the means of blocks."""
    step = np.array(factors_zyx, np.float64)
    finer = np.concatenate([np.diag(1 / step), (-(step - 1) / 2 / step)[:, None]], 1)
    elastic = geometry.elastic
    if elastic is not None:
        elastic = replace(elastic, source_from_plane_zyx=compose(finer, elastic.source_from_plane_zyx))
    return replace(geometry, source_from_output_zyx=compose(finer, geometry.source_from_output_zyx), elastic=elastic)


@dataclass(frozen=True)
class FetchedBox:
    """A box whose bytes are in memory, or in a local file."""

    reader: VolumeReader
    box: Box
    chunks: FetchedChunks | None

    @property
    def channels(self) -> int:
        """Of the volume, or its times."""
        return math.prod(self.reader.layout(self.box.level).shape[:-3])

    def unpacked(self) -> Array:
        """(C, z, y, x), a channel each for what comes before the axes of space."""
        start, size = _with_leading(self.reader, self.box)
        found = self.reader.read_crop(start, size, level=self.box.level, fetched=self.chunks)
        return found.reshape(-1, *self.box.size_zyx)

    def write(self, out: NDArray[np.float32], mapping: Mapping, flip_zyx: tuple[bool, bool, bool]) -> None:
        """Unpack into (C, z, y, x) float32, mapped and mirrored, in one pass."""
        start, size = _with_leading(self.reader, self.box)
        self.reader.read_values(
            start,
            size,
            mapping,
            flip_zyx=flip_zyx,
            level=self.box.level,
            out=out.reshape(size),
            fetched=self.chunks,
        )


def fetch_box(reader: VolumeReader, box: Box) -> FetchedBox:
    """Fetch what is under a box.

    Raises:
        CorpusError, StorageError: it cannot be read.
    """
    start, size = _with_leading(reader, box)
    return FetchedBox(reader, box, reader.fetch(start, size, level=box.level))


def _with_leading(reader: VolumeReader, box: Box) -> tuple[tuple[int, ...], tuple[int, ...]]:
    leading = reader.layout(box.level).shape[:-3]
    return (0,) * len(leading) + box.start_zyx, leading + box.size_zyx
