"""LLaVA-NeXT (1.6): a small copy, then tiles of the picture padded to the best of a few resolutions.

Source: transformers, ``models/llava_next/image_processing_llava_next.py``, ``image_processing_utils.py``
(``select_best_resolution``, ``get_patch_output_size``), ``processing_llava_next.py`` (``_get_number_of_features``),
with the numbers of ``llava-hf/llava-v1.6-mistral-7b-hf``; LLaVA-1.5, arXiv 2310.03744, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from medshard.engine import Patches
from medshard.families.image_rule import CLIP_MEAN, CLIP_STD, View
from medshard.families.vision import VisionFamily

__all__ = ["LLAVA_NEXT", "AnyResolutionRule"]

_PINPOINTS = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))


@dataclass(frozen=True)
class AnyResolutionRule:
    """``pixel_values`` (N, 3, 336, 336), the small copy first; ``image_sizes`` and ``tiles``.

    Args:
        pinpoints: (height, width) of canvases, whole numbers of tiles.
        vision_edge: of the vision tower's own patches.
    """

    pinpoints: tuple[tuple[int, int], ...] = _PINPOINTS
    vision_edge: int = 14
    patches: Patches = Patches(336)
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    filter: Literal["bilinear", "bicubic"] = "bicubic"
    square: bool = True
    marker: str = "<image>"

    def __post_init__(self) -> None:
        edge = self.patches.edge
        if not self.pinpoints or any(min(pair) < edge or pair[0] % edge or pair[1] % edge for pair in self.pinpoints):
            raise ValueError(f"pinpoints are (height, width) of whole tiles of {edge}; found {self.pinpoints}")

    def canvas(self, height: int, width: int) -> tuple[int, int]:
        """The pinpoint that keeps most of the picture's pixels; of equal ones the one that wastes least."""
        best, most, least_wasted = self.pinpoints[0], 0, math.inf
        for high, wide in self.pinpoints:
            scale = min(wide / width, high / height)
            kept = min(int(width * scale) * int(height * scale), width * height)
            wasted = high * wide - kept
            if kept > most or (kept == most and wasted < least_wasted):
                best, most, least_wasted = (high, wide), kept, wasted
        return best

    def views(self, height: int, width: int) -> tuple[View, ...]:
        """The small copy, which forgets the shape, and the canvas with black bars."""
        high, wide = self.canvas(height, width)
        scale_x, scale_y = wide / width, high / height
        if scale_x < scale_y:
            resized = (min(math.ceil(height * scale_x), high), wide)
        else:
            resized = (high, min(math.ceil(width * scale_y), wide))
        edge = self.patches.edge
        return (View.full(edge, edge), View.centred(*resized, high, wide))

    def main(self, views: tuple[View, ...]) -> View:
        """The large one."""
        return views[1]

    def token_count(self, height: int, width: int) -> int:
        """Of the small copy, of the canvas without its bars, and one at the end of each row of it."""
        high, wide = self.canvas(height, width)
        rows, columns = high // self.vision_edge, wide // self.vision_edge
        # Bars are cut off by whole patches on both sides, of the shape as it was before the picture was resized.
        if width / height > columns / rows:
            rows -= (rows - int(round(height * (columns / width), 7))) // 2 * 2
        else:
            columns -= (columns - int(round(width * (rows / height), 7))) // 2 * 2
        return rows * columns + rows + (self.patches.edge // self.vision_edge) ** 2

    def expanded(self, tokens: int) -> str:
        """Placeholders."""
        return "<image>" * tokens

    def columns(self, height: int, width: int) -> dict[str, list[int]]:
        """``image_sizes``: height and width, from which the model finds the bars again. ``tiles``: with the small
        copy."""
        high, wide = self.canvas(height, width)
        return {"image_sizes": [height, width], "tiles": [1 + high * wide // self.patches.edge**2]}


LLAVA_NEXT = VisionFamily("llava-next", AnyResolutionRule())
