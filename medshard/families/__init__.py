"""Model families: how each wants pictures cut, and places, times and media written. One small file a family."""

from __future__ import annotations

from medshard.families.base import Delivered, Family
from medshard.families.image_rule import ImageRule, VideoRule, View
from medshard.registry import Entry, Registry

__all__ = ["FAMILIES", "Delivered", "Family", "ImageRule", "VideoRule", "View"]

FAMILIES: Registry[Family] = Registry(
    "family",
    {
        "plain": Entry("medshard.families.plain:FAMILY"),
        "qwen2-vl": Entry("medshard.families.qwen_vl:QWEN2_VL"),
        "qwen2.5-vl": Entry("medshard.families.qwen_vl:QWEN2_5_VL"),
        "qwen3-vl": Entry("medshard.families.qwen_vl:QWEN3_VL"),
        "internvl": Entry("medshard.families.internvl:INTERNVL"),
        "llava-next": Entry("medshard.families.llava_next:LLAVA_NEXT"),
        "llava-1.5": Entry("medshard.families.fixed_size:LLAVA_1_5"),
        "gemma3": Entry("medshard.families.fixed_size:GEMMA3"),
        "paligemma-224": Entry("medshard.families.fixed_size:PALIGEMMA_224"),
        "paligemma-448": Entry("medshard.families.fixed_size:PALIGEMMA_448"),
        "paligemma-896": Entry("medshard.families.fixed_size:PALIGEMMA_896"),
    },
)
