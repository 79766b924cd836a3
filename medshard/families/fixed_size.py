"""Families that see every picture at one size: LLaVA-1.5, Gemma 3 (MedGemma), PaliGemma.

Source: transformers, ``models/llava/image_processing_llava.py``, ``models/gemma3/image_processing_gemma3.py`` and
``models/siglip/image_processing_siglip.py`` (PaliGemma), with the numbers of ``llava-hf/llava-1.5-7b-hf``,
``google/gemma-3-4b-it`` and ``google/paligemma2-3b-pt-*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medshard.engine import Patches
from medshard.families.image_rule import CLIP_MEAN, CLIP_STD, HALF, View
from medshard.families.vision import VisionFamily

__all__ = ["GEMMA3", "LLAVA_1_5", "PALIGEMMA_224", "PALIGEMMA_448", "PALIGEMMA_896", "FixedSizeRule"]

_LONGEST_SHAPE = 1000
"""Of pictures whose shorter edge is resized. The processor has no such limit and takes memory without bound."""


@dataclass(frozen=True)
class FixedSizeRule:
    """``pixel_values`` (N, 3, edge, edge).

    Args:
        tokens: of every picture.
        shape: ``squash`` to a square, or ``crop``: the shorter edge is resized, then the middle taken.
        before, after, placeholder: what the marker becomes in text.
    """

    tokens: int
    patches: Patches
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    shape: Literal["squash", "crop"] = "squash"
    filter: Literal["bilinear", "bicubic"] = "bicubic"
    square: bool = True
    marker: str = "<image>"
    before: str = ""
    placeholder: str = "<image>"
    after: str = ""

    def views(self, height: int, width: int) -> tuple[View, ...]:
        """The picture at the family's size.

        Raises:
            ValueError: with ``crop``, of a line of pixels, which would be resized to millions.
        """
        edge = self.patches.edge
        if self.shape == "squash":
            return (View.full(edge, edge),)
        if max(height, width) > _LONGEST_SHAPE * min(height, width):
            raise ValueError(f"a picture of {height} x {width} is more than {_LONGEST_SHAPE} times as long as wide")
        long = int(edge * max(height, width) / min(height, width))
        high, wide = (edge, long) if height <= width else (long, edge)
        return (View(high, wide, edge, edge, -((high - edge) // 2), -((wide - edge) // 2)),)

    def main(self, views: tuple[View, ...]) -> View:
        """The only one."""
        return views[0]

    def token_count(self, height: int, width: int) -> int:
        """The same for all."""
        return self.tokens

    def expanded(self, tokens: int) -> str:
        """Placeholders, and what the processor puts around them."""
        return f"{self.before}{self.placeholder * tokens}{self.after}"

    def columns(self, height: int, width: int) -> dict[str, list[int]]:
        """Nothing."""
        return {}


def _paligemma(edge: int) -> VisionFamily:
    return VisionFamily(f"paligemma-{edge}", FixedSizeRule((edge // 14) ** 2, Patches(edge), HALF, HALF))


LLAVA_1_5 = VisionFamily("llava-1.5", FixedSizeRule(576, Patches(336), CLIP_MEAN, CLIP_STD, "crop"))
GEMMA3 = VisionFamily(
    "gemma3",
    FixedSizeRule(
        256,
        Patches(896),
        HALF,
        HALF,
        filter="bilinear",
        marker="<start_of_image>",
        before="\n\n<start_of_image>",
        placeholder="<image_soft_token>",
        after="<end_of_image>\n\n",
    ),
)
PALIGEMMA_224, PALIGEMMA_448, PALIGEMMA_896 = (_paligemma(edge) for edge in (224, 448, 896))
