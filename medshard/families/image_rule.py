"""What a family makes of a picture: sizes, patches and tokens, from its height and width alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from medshard.engine import Patches

__all__ = ["CLIP_MEAN", "CLIP_STD", "HALF", "IMAGENET_MEAN", "IMAGENET_STD", "ImageRule", "VideoRule", "View"]

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class View:
    """One resized copy of a picture, laid on a canvas that is cut into patches.

    Attributes:
        height, width: the picture is resized to this.
        canvas_height, canvas_width: whole numbers of patches.
        top, left: of the resized picture on the canvas; where negative, the canvas shows a part of it. What it does
            not cover is black.
    """

    height: int
    width: int
    canvas_height: int
    canvas_width: int
    top: int = 0
    left: int = 0

    @classmethod
    def full(cls, height: int, width: int) -> View:
        """The picture fills its canvas."""
        return cls(height, width, height, width)

    @classmethod
    def centred(cls, height: int, width: int, canvas_height: int, canvas_width: int) -> View:
        """In the middle of a canvas at least as large; an odd pixel is left over at the bottom or right."""
        top, left = (canvas_height - height) // 2, (canvas_width - width) // 2
        return cls(height, width, canvas_height, canvas_width, top, left)

    def grid(self, edge: int) -> tuple[int, int]:
        """Patches down and across."""
        return self.canvas_height // edge, self.canvas_width // edge


class ImageRule(Protocol):
    """The picture side of a family. All is pure: the picture is never needed, only its size."""

    @property
    def patches(self) -> Patches:
        """How a canvas is cut."""
        ...

    @property
    def mean(self) -> tuple[float, float, float]:
        """Of values from 0 to 1."""
        ...

    @property
    def std(self) -> tuple[float, float, float]:
        """Of values from 0 to 1."""
        ...

    @property
    def filter(self) -> Literal["bilinear", "bicubic"]:
        """Of resizing."""
        ...

    @property
    def square(self) -> bool:
        """Whether ``pixel_values`` is (N, 3, edge, edge), or (N, 3 * repeat * edge * edge)."""
        ...

    @property
    def marker(self) -> str:
        """What stands for a picture in text that the family's processor has not seen yet."""
        ...

    def views(self, height: int, width: int) -> tuple[View, ...]:
        """The copies of a picture, in the order of ``pixel_values``.

        Raises:
            ValueError: the family takes no picture of this shape.
        """
        ...

    def main(self, views: tuple[View, ...]) -> View:
        """The copy that coordinates in text refer to."""
        ...

    def expanded(self, tokens: int) -> str:
        """What the processor makes of the marker: so many placeholders, and what the family puts around them."""
        ...

    def token_count(self, height: int, width: int) -> int:
        """Placeholders that stand for the picture in the text that the model sees, one for each of its embeddings.

        Raises:
            ValueError: as ``views``.
        """
        ...

    def columns(self, height: int, width: int) -> dict[str, list[int]]:
        """What the model is told of a picture beside its pixels: its row of ``image_grid_thw`` and the like."""
        ...


class VideoRule(ImageRule, Protocol):
    """The frames of a video: each is resized as a picture is, and ``patches.repeat`` of them are cut together.

    Where frames are left over, the last one is taken again. All frames have one size.
    """

    def frame_groups(self, frames: int) -> int:
        """How many times ``patches.repeat`` frames, the last of them filled up."""
        ...

    def video_columns(self, height: int, width: int, frames: int) -> dict[str, list[int]]:
        """What the model is told of a video beside its pixels."""
        ...
