"""What a family decides, and what it is told of the media that the model sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medshard.families.image_rule import ImageRule, VideoRule
from medshard.record.conversation import Block, MediaBlock, RegionBlock, SpacingBlock, TimeBlock
from medshard.record.facts import Fact, IntervalFact, RegionFact

__all__ = ["Delivered", "Family", "render_blocks"]

_EDGE_POINTS = 8
"""Points of each edge of a box that bends."""


@dataclass(frozen=True)
class Delivered:
    """A picture as the model sees it.

    A stored point (x, y) is delivered at (scale_x · x + shear_x · y + offset_x, shear_y · x + scale_y · y + offset_y);
    a mirrored picture has negative scales, one turned by a quarter has shears and no scales.

    Attributes:
        width, height: pixels.
        moved: the map of points (n, 2) where an elastic displacement is on the way; it replaces the affine one.
        pictures: of a volume, how many are delivered, or None where none is; a video's frames count as one.
        video: they are frames of a video.
        spacing_mm: distance of delivered pixel centres across and down, and of planes where there are several; None
            where it follows from the stored spacing and the map.
        of_volume: of a volume, the box x0 y0 x1 y1 of its picture in which a region's 3D box is seen.
        in_crop: of a crop in 3D, the box x0 y0 z0 x1 y1 z1 in which a region's 3D box is seen.
    """

    width: int
    height: int
    scale_x: float = 1.0
    offset_x: float = 0.0
    scale_y: float = 1.0
    offset_y: float = 0.0
    shear_x: float = 0.0
    shear_y: float = 0.0
    moved: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    pictures: int | None = None
    video: bool = False
    spacing_mm: tuple[float, ...] | None = None
    of_volume: Callable[[RegionFact], tuple[float, float, float, float]] | None = None
    in_crop: Callable[[RegionFact], tuple[float, ...]] | None = None

    def spaced_mm(self, stored_xy_mm: Sequence[float]) -> tuple[float, float]:
        """Distance of delivered pixel centres across and down, of stored ones that are so far apart."""
        inverse = np.linalg.inv([[self.scale_x, self.shear_x], [self.shear_y, self.scale_y]])
        across, down = np.linalg.norm(inverse.T * np.asarray(stored_xy_mm[:2]), axis=1).tolist()
        return across, down

    def points(self, points_xy: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
        """Stored points in delivered pixels; they may lie outside of the picture."""
        if self.moved is not None:
            return [(x, y) for x, y in self.moved(np.asarray(points_xy, np.float64)).tolist()]
        return [
            (x * self.scale_x + y * self.shear_x + self.offset_x, x * self.shear_y + y * self.scale_y + self.offset_y)
            for x, y in points_xy
        ]

    def polygon(self, box: Sequence[float]) -> list[tuple[float, float]]:
        """The outline of a box x0 y0 x1 y1 of stored pixels, in delivered pixels, from its first corner on.

        Four corners, or points along the edges where these bend; they may lie outside of the picture.
        """
        x0, y0, x1, y1 = box
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        if self.moved is None:
            return self.points(corners)
        steps = [number / _EDGE_POINTS for number in range(_EDGE_POINTS)]
        edges = zip(corners, corners[1:] + corners[:1], strict=True)
        return self.points([(a + (c - a) * t, b + (d - b) * t) for (a, b), (c, d) in edges for t in steps])

    def box(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        """A box x0 y0 x1 y1 of stored pixels, in delivered pixels, within the picture: the hull of its outline."""
        outline = self.polygon(box)
        xs, ys = [x for x, _ in outline], [y for _, y in outline]
        return (
            min(max(min(xs), 0.0), float(self.width)),
            min(max(min(ys), 0.0), float(self.height)),
            min(max(max(xs), 0.0), float(self.width)),
            min(max(max(ys), 0.0), float(self.height)),
        )


class Family(Protocol):
    """The grammar of one model family.

    Attributes:
        name: as in ``Loader(family=...)``.
        image: what becomes of pictures; None where the transform alone says it.
        video: what becomes of the frames of a video; None where the family takes none by a rule.
    """

    name: str
    image: ImageRule | None
    video: VideoRule | None

    def media(self, block: MediaBlock) -> str:
        """The placeholder of a medium."""
        ...

    def box(self, box: tuple[float, float, float, float], delivered: Delivered) -> str:
        """A box in delivered pixels, as the family writes it."""
        ...

    def box3d(self, box: tuple[float, ...]) -> str:
        """A box x0 y0 z0 x1 y1 z1 in voxels of a delivered crop, as the family writes it."""
        ...

    def mask(self) -> str:
        """What stands for a mask in text."""
        ...

    def interval(self, start_s: float, end_s: float) -> str:
        """A time of a clip."""
        ...


def render_blocks(
    blocks: Sequence[Block], facts: Sequence[Fact], family: Family, delivered: Mapping[str, Delivered]
) -> str:
    """A message as text.

    Args:
        facts: at least those that the blocks cite.
        delivered: how each slot that a region lies on is seen.

    Raises:
        ValueError: a block cites a fact that it cannot be written from, such as a label as a place.
    """
    by_id = {fact.id: fact for fact in facts}
    pieces: list[str] = []
    for block in blocks:
        if isinstance(block, MediaBlock):
            pieces.append(_media(block, family, delivered.get(block.slot)))
        elif isinstance(block, RegionBlock):
            pieces.append(", ".join(_region(by_id[fact], family, delivered) for fact in block.facts))
        elif isinstance(block, SpacingBlock):
            pieces.append(_spacing(block, delivered[block.slot]))
        elif isinstance(block, TimeBlock):
            pieces.append(", ".join(_time(by_id[fact], family) for fact in block.facts))
        else:
            pieces.append(block.text)
    return "".join(pieces)


def _media(block: MediaBlock, family: Family, seen: Delivered | None) -> str:
    """A placeholder each picture; of a volume as it is delivered, whatever the text calls it."""
    if seen is None or seen.pictures is None:
        return family.media(block) + "\n"
    shown = block.model_copy(update={"as_": "video" if seen.video else "image"})
    return (family.media(shown) + "\n") * seen.pictures


def _spacing(block: SpacingBlock, seen: Delivered) -> str:
    """Across, down, and from plane to plane, with three digits."""
    stored_xyz_mm = block.spacing_mm[::-1]
    lengths = seen.spacing_mm or (*seen.spaced_mm(stored_xyz_mm), *stored_xyz_mm[2:])
    return " x ".join(f"{length:.3g}" for length in lengths)


def _region(region: Fact, family: Family, delivered: Mapping[str, Delivered]) -> str:
    if isinstance(region, RegionFact) and region.shape == "mask":
        return family.mask()
    if isinstance(region, RegionFact) and region.shape == "box" and isinstance(region.coords, list):
        seen = delivered[region.slots[0]]
        return family.box(seen.box([float(edge) for edge in region.coords]), seen)  # type: ignore[arg-type]
    if isinstance(region, RegionFact) and region.shape == "box3d":
        seen = delivered[region.slots[0]]
        if seen.of_volume is not None:
            return family.box(seen.box(seen.of_volume(region)), seen)
        if seen.in_crop is not None:
            return family.box3d(seen.in_crop(region))
    raise ValueError(f"the fact {region.id} is no box and no mask, so it cannot be written as a place")


def _time(interval: Fact, family: Family) -> str:
    if isinstance(interval, IntervalFact):
        return family.interval(interval.start_s, interval.end_s)
    raise ValueError(f"the fact {interval.id} is no interval, so it cannot be written as a time")
