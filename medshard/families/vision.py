"""A family that sees pictures by its own rule, and writes places as the plain grammar does."""

from __future__ import annotations

from medshard.families.image_rule import ImageRule, VideoRule
from medshard.families.plain import PlainFamily
from medshard.record.conversation import MediaBlock

__all__ = ["VisionFamily"]


class VisionFamily(PlainFamily):
    """Pictures by a rule, and videos by another.

    Args:
        name: of the family.
        image: rule of pictures.
        video: rule of the frames of a video; None for a family that takes none.
    """

    def __init__(self, name: str, image: ImageRule, video: VideoRule | None = None) -> None:
        self.name, self.image, self.video = name, image, video
        self._marker = image.marker

    def media(self, block: MediaBlock) -> str:
        """The marker that the family's processor expands."""
        return self.video.marker if block.as_ == "video" and self.video is not None else self._marker
