"""The geometry stage: crops, resizes and flips of one picture become one sampling of it.

While operations are applied, a *virtual picture* is tracked: its size, and where its pixels lie in the stored picture
(x_stored = x * step_x + start_x; a flip makes the step negative). In the end there is one box to sample, the bounds
within which the antialiasing filter may read, and two flips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from medshard.augment.operations import (
    CenterCrop,
    Operation,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
)
from medshard.errors import LoaderError
from medshard.families.base import Delivered
from medshard.record.conversation import Keeps

__all__ = ["FREE", "Geometry", "draw_geometry", "output_size"]

FREE = Keeps(mirror="free", rotate="free", crop="free", resize="free", intensity="free")
"""What a picture without text allows."""

_CROP_ATTEMPTS = 10  # torchvision gives up after as many and takes the middle
_REGION_ATTEMPTS = 20


@dataclass(frozen=True)
class Geometry:
    """How a stored picture is sampled.

    Attributes:
        box_xyxy: the part of the stored picture that fills the output, continuous pixels.
        bounds_xyxy: whole pixels outside of which the filter does not read.
        flip_x, flip_y: whether the output is mirrored.
        height, width: of the output.
    """

    box_xyxy: tuple[float, float, float, float]
    bounds_xyxy: tuple[int, int, int, int]
    flip_x: bool
    flip_y: bool
    height: int
    width: int

    @property
    def scale(self) -> float:
        """Stored pixels for one of the output, on the side where they are fewer."""
        x0, y0, x1, y1 = self.box_xyxy
        return min((x1 - x0) / self.width, (y1 - y0) / self.height)

    def reduced(self, factor: int) -> Geometry:
        """The same sampling of a level of the picture that is smaller by a factor; its sides are rounded up."""
        if factor == 1:
            return self
        x0, y0, x1, y1 = (edge / factor for edge in self.box_xyxy)
        left, top, right, bottom = self.bounds_xyxy
        bounds = (left // factor, top // factor, -(-right // factor), -(-bottom // factor))
        return replace(self, box_xyxy=(x0, y0, x1, y1), bounds_xyxy=bounds)

    def delivered(self) -> Delivered:
        """The map from stored pixels to delivered ones."""
        x0, y0, x1, y1 = self.box_xyxy
        scale_x, scale_y = self.width / (x1 - x0), self.height / (y1 - y0)
        if self.flip_x:
            scale_x, offset_x = -scale_x, x1 * scale_x
        else:
            offset_x = -x0 * scale_x
        if self.flip_y:
            scale_y, offset_y = -scale_y, y1 * scale_y
        else:
            offset_y = -y0 * scale_y
        return Delivered(self.width, self.height, scale_x, offset_x, scale_y, offset_y)


class _Virtual:
    """The picture as it is after some operations."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.step_x = self.step_y = 1.0
        self.start_x = self.start_y = 0.0
        self.bounds: tuple[int, int, int, int] | None = None
        self.stored = (height, width)

    def crop(self, top: float, left: float, height: int, width: int) -> None:
        self.start_x += self.step_x * left
        self.start_y += self.step_y * top
        self.height, self.width = height, width

    def resize(self, height: int, width: int) -> None:
        if self.bounds is None:
            x0, x1 = sorted((self.start_x, self.start_x + self.step_x * self.width))
            y0, y1 = sorted((self.start_y, self.start_y + self.step_y * self.height))
            self.bounds = (round(x0), round(y0), round(x1), round(y1))
        self.step_x *= self.width / width
        self.step_y *= self.height / height
        self.height, self.width = height, width

    def flip_horizontal(self) -> None:
        self.start_x += self.step_x * self.width
        self.step_x = -self.step_x

    def flip_vertical(self) -> None:
        self.start_y += self.step_y * self.height
        self.step_y = -self.step_y

    def geometry(self) -> Geometry:
        x0, x1 = sorted((self.start_x, self.start_x + self.step_x * self.width))
        y0, y1 = sorted((self.start_y, self.start_y + self.step_y * self.height))
        bounds = self.bounds or (round(x0), round(y0), round(x1), round(y1))
        return Geometry((x0, y0, x1, y1), bounds, self.step_x < 0, self.step_y < 0, self.height, self.width)


def output_size(operations: Sequence[Operation]) -> tuple[int, int] | None:
    """(height, width) of every output; None when it depends on the picture."""
    size: tuple[int, int] | None = None
    for operation in operations:
        if isinstance(operation, (CenterCrop, RandomResizedCrop)):
            size = operation.pair
        elif isinstance(operation, Resize):
            size = operation.target(1, 1) if not isinstance(operation.size, int) and len(operation.size) == 2 else None
    return size


def draw_geometry(
    operations: Sequence[Operation],
    height: int,
    width: int,
    uniform: Callable[[int, int], float],
    keeps: Keeps = FREE,
    regions_xyxy: Sequence[Sequence[float]] = (),
) -> Geometry:
    """Draw the random choices for one picture.

    What its text refuses is not done: a mirror that is refused is left out; a crop that is refused, or that would cut a
    region which must stay whole, is drawn again and then replaced by the whole picture.

    Args:
        operations: of the geometry stage.
        height, width: of the stored picture.
        uniform: a number in [0, 1) for (place of the operation, number of the draw).
        keeps: what the item's text allows.
        regions_xyxy: boxes that the text cites, in stored pixels.

    Raises:
        LoaderError: a CenterCrop is larger than its picture.
    """
    if keeps.crop in ("refuse", "recount"):
        return _whole(operations, height, width, uniform, keeps)
    attempts = _REGION_ATTEMPTS if keeps.crop == "regions" and regions_xyxy else 1
    for attempt in range(attempts):
        geometry = _apply(operations, height, width, uniform, keeps, first_draw=attempt * 4 * _CROP_ATTEMPTS)
        if attempts == 1 or _holds(geometry, regions_xyxy):
            return geometry
    return _whole(operations, height, width, uniform, keeps)


def _holds(geometry: Geometry, regions: Sequence[Sequence[float]]) -> bool:
    x0, y0, x1, y1 = geometry.box_xyxy
    slack = 1e-6
    return all(
        box[0] >= x0 - slack and box[1] >= y0 - slack and box[2] <= x1 + slack and box[3] <= y1 + slack
        for box in regions
    )


def _whole(
    operations: Sequence[Operation],
    height: int,
    width: int,
    uniform: Callable[[int, int], float],
    keeps: Keeps,
) -> Geometry:
    """The whole picture at the output's size, with the flips that are allowed."""
    virtual = _Virtual(height, width)
    size = output_size(operations)
    for place, operation in enumerate(operations):
        if isinstance(operation, Resize) and size is None:
            virtual.resize(*operation.target(virtual.height, virtual.width))
        else:
            _flip(virtual, operation, uniform(place, 0), keeps)
    if size is not None:
        virtual.resize(*size)
    return virtual.geometry()


def _flip(virtual: _Virtual, operation: Operation, drawn: float, keeps: Keeps) -> None:
    if keeps.mirror != "free":  # "swap" needs a family that can exchange sides in its text; none can yet
        return
    if isinstance(operation, RandomHorizontalFlip) and drawn < operation.p:
        virtual.flip_horizontal()
    elif isinstance(operation, RandomVerticalFlip) and drawn < operation.p:
        virtual.flip_vertical()


def _apply(
    operations: Sequence[Operation],
    height: int,
    width: int,
    uniform: Callable[[int, int], float],
    keeps: Keeps,
    *,
    first_draw: int,
) -> Geometry:
    virtual = _Virtual(height, width)
    for place, operation in enumerate(operations):
        if isinstance(operation, Resize):
            virtual.resize(*operation.target(virtual.height, virtual.width))
        elif isinstance(operation, CenterCrop):
            _center_crop(virtual, operation)
        elif isinstance(operation, RandomResizedCrop):
            top, left, part_height, part_width = _random_part(operation, virtual, place, uniform, first_draw)
            virtual.crop(top, left, part_height, part_width)
            virtual.resize(*operation.pair)
        else:
            _flip(virtual, operation, uniform(place, 0), keeps)
    return virtual.geometry()


def _center_crop(virtual: _Virtual, operation: CenterCrop) -> None:
    crop_height, crop_width = operation.pair
    if crop_height > virtual.height or crop_width > virtual.width:
        raise LoaderError(
            f"CenterCrop({crop_height}, {crop_width}) is larger than a picture of {virtual.height} x {virtual.width}; "
            "put a Resize before it"
        )
    top = round((virtual.height - crop_height) / 2)
    left = round((virtual.width - crop_width) / 2)
    virtual.crop(top, left, crop_height, crop_width)


def _random_part(
    operation: RandomResizedCrop,
    virtual: _Virtual,
    place: int,
    uniform: Callable[[int, int], float],
    first_draw: int,
) -> tuple[int, int, int, int]:
    """Top, left, height, width of a part, drawn as torchvision draws it: log-uniform in shape, uniform in area."""
    height, width = virtual.height, virtual.width
    low, high = math.log(operation.ratio[0]), math.log(operation.ratio[1])
    for attempt in range(_CROP_ATTEMPTS):
        draws = [uniform(place, first_draw + attempt * 4 + number) for number in range(4)]
        area = height * width * (operation.scale[0] + draws[0] * (operation.scale[1] - operation.scale[0]))
        ratio = math.exp(low + draws[1] * (high - low))
        part_width, part_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < part_width <= width and 0 < part_height <= height:
            top = int(draws[2] * (height - part_height + 1))
            left = int(draws[3] * (width - part_width + 1))
            return top, left, part_height, part_width
    return _fallback_part(operation, height, width)


def _fallback_part(operation: RandomResizedCrop, height: int, width: int) -> tuple[int, int, int, int]:
    """The middle, of a shape within the bounds."""
    shape = width / height
    if shape < operation.ratio[0]:
        part_width, part_height = width, max(1, round(width / operation.ratio[0]))
    elif shape > operation.ratio[1]:
        part_width, part_height = max(1, round(height * operation.ratio[1])), height
    else:
        part_width, part_height = width, height
    return (height - part_height) // 2, (width - part_width) // 2, part_height, part_width
