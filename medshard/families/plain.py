"""The plain grammar: boxes as whole pixels of the picture as delivered."""

from __future__ import annotations

import math

from medshard.families.base import Delivered
from medshard.families.image_rule import ImageRule, VideoRule
from medshard.record.conversation import MediaBlock

__all__ = ["FAMILY", "PlainFamily"]


class PlainFamily:
    """``<image>``, ``<video>``, ``[x0, y0, x1, y1]``, ``[SEG]``, ``12.0s-95.4s``."""

    name: str = "plain"
    image: ImageRule | None = None
    video: VideoRule | None = None

    def media(self, block: MediaBlock) -> str:
        """The tag that LLaVA-style readers count."""
        return "<video>" if block.as_ in ("video", "frames") else "<image>"

    def box(self, box: tuple[float, float, float, float], delivered: Delivered) -> str:
        """Edges rounded half up to whole pixels."""
        return _rounded(box)

    def box3d(self, box: tuple[float, ...]) -> str:
        """The same, of six edges."""
        return _rounded(box)

    def mask(self) -> str:
        """A token that a trainer replaces by its own."""
        return "[SEG]"

    def interval(self, start_s: float, end_s: float) -> str:
        """Seconds with one decimal."""
        return f"{start_s:.1f}s-{end_s:.1f}s"


def _rounded(edges: tuple[float, ...]) -> str:
    return f"[{', '.join(str(math.floor(edge + 0.5)) for edge in edges)}]"


FAMILY = PlainFamily()
