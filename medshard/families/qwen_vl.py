"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: any size, rounded to whole merged patches, between two pixel counts.

Source: transformers, ``models/qwen2_vl/image_processing_qwen2_vl.py`` (``smart_resize``, ``patchify``), which all three
use, and ``video_processing_qwen2_vl.py`` of the first two (Qwen3-VL writes times of frames into the text, which planes
of a volume have not), with the numbers of each model's ``preprocessor_config.json``; Qwen2-VL, arXiv 2409.12191,
section 2.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from medshard.engine import Patches
from medshard.families.image_rule import CLIP_MEAN, CLIP_STD, HALF, View
from medshard.families.vision import VisionFamily

__all__ = ["QWEN2_5_VL", "QWEN2_VL", "QWEN3_VL", "QwenRule", "QwenVideoRule"]

_LONGEST_SHAPE = 200
"""Longer edge over shorter edge beyond which the processor refuses."""


@dataclass(frozen=True)
class QwenRule:
    """One view; ``pixel_values`` (N, 3 * 2 * edge * edge) and ``image_grid_thw``.

    Args:
        min_pixels, max_pixels: of the resized picture. They bound memory and tokens: a token is (2 edge)² pixels.
        patches: squares of a frame pair.
    """

    min_pixels: int
    max_pixels: int
    patches: Patches
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    filter: Literal["bilinear", "bicubic"] = "bicubic"
    square: bool = False
    marker: str = "<|vision_start|><|image_pad|><|vision_end|>"

    def __post_init__(self) -> None:
        if not 1 <= self.min_pixels <= self.max_pixels:
            raise ValueError(f"min_pixels is at least 1 and at most max_pixels; found {self}")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that a picture is resized to: whole blocks, its shape kept as nearly as they allow."""
        block = self.patches.edge * self.patches.merge
        if max(height, width) > _LONGEST_SHAPE * min(height, width):
            raise ValueError(f"a picture of {height} x {width} is more than {_LONGEST_SHAPE} times as long as wide")
        high, wide = round(height / block) * block, round(width / block) * block
        if high * wide > self.max_pixels:
            shrink = math.sqrt((height * width) / self.max_pixels)
            high = max(block, math.floor(height / shrink / block) * block)
            wide = max(block, math.floor(width / shrink / block) * block)
        elif high * wide < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            high, wide = math.ceil(height * grow / block) * block, math.ceil(width * grow / block) * block
        return high, wide

    def views(self, height: int, width: int) -> tuple[View, ...]:
        """The resized picture."""
        return (View.full(*self.resized(height, width)),)

    def main(self, views: tuple[View, ...]) -> View:
        """The only one."""
        return views[0]

    def token_count(self, height: int, width: int) -> int:
        """A token a block of merged patches."""
        high, wide = self.resized(height, width)
        return high * wide // (self.patches.edge * self.patches.merge) ** 2

    def expanded(self, tokens: int) -> str:
        """Placeholders between the two tokens that the chat template writes."""
        return f"<|vision_start|>{'<|image_pad|>' * tokens}<|vision_end|>"

    def columns(self, height: int, width: int) -> dict[str, list[int]]:
        """``image_grid_thw``: frame pairs, patches down, patches across."""
        high, wide = self.resized(height, width)
        return {"image_grid_thw": [1, high // self.patches.edge, wide // self.patches.edge]}


@dataclass(frozen=True)
class QwenVideoRule(QwenRule):
    """Frames two by two; ``pixel_values_videos`` (N, 3 * 2 * edge * edge) and ``video_grid_thw``.

    ``min_pixels`` and ``max_pixels`` are of a frame. ``token_count`` is that of a pair of frames.
    """

    marker: str = "<|vision_start|><|video_pad|><|vision_end|>"

    def frame_groups(self, frames: int) -> int:
        """Pairs of frames."""
        return -(-frames // self.patches.repeat)

    def expanded(self, tokens: int) -> str:
        """Placeholders between the two tokens that the chat template writes."""
        return f"<|vision_start|>{'<|video_pad|>' * tokens}<|vision_end|>"

    def video_columns(self, height: int, width: int, frames: int) -> dict[str, list[int]]:
        """``video_grid_thw``: frame pairs, patches down, patches across."""
        _, down, across = self.columns(height, width)["image_grid_thw"]
        return {"video_grid_thw": [self.frame_groups(frames), down, across]}


_RULE_14 = QwenRule(56 * 56, 28 * 28 * 16384, Patches(14, merge=2, repeat=2), CLIP_MEAN, CLIP_STD)

_VIDEO_14 = QwenVideoRule(128 * 28 * 28, 768 * 28 * 28, Patches(14, merge=2, repeat=2), CLIP_MEAN, CLIP_STD)

QWEN2_VL = VisionFamily("qwen2-vl", _RULE_14, _VIDEO_14)
QWEN2_5_VL = VisionFamily("qwen2.5-vl", _RULE_14, _VIDEO_14)
QWEN3_VL = VisionFamily("qwen3-vl", QwenRule(256 * 256, 4096 * 4096, Patches(16, merge=2, repeat=2), HALF, HALF))
