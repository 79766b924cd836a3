"""Sizes, grids and token counts are those of the real processors, for any size, without a picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from processors import blank, image_processor, module, stub_sizes, text_processor

from medshard.families import FAMILIES, ImageRule
from medshard.families.qwen_vl import QwenRule

EDGES = [(1, 1), (1, 2), (2, 1), (1, 200), (200, 1), (27, 28), (28, 28), (56, 56), (10, 2000), (2000, 10)]
EDGES += [(336, 336), (335, 337), (448, 448), (672, 672), (4096, 4096), (30000, 200), (448, 896), (448, 2240)]


def sizes(count: int = 10_000) -> list[tuple[int, int]]:
    """Heights and widths, log-uniform from 1 to 8192, and shapes at the rules' edges."""
    drawn = np.exp2(np.random.default_rng(5).uniform(0, 13, (count, 2))).astype(int)
    return EDGES + [(int(height), int(width)) for height, width in drawn]


def rule_of(family: str) -> ImageRule:
    rule = FAMILIES.get(family).image
    assert rule is not None
    return rule


@pytest.mark.parametrize("family", ["qwen2-vl", "qwen2.5-vl", "qwen3-vl"])
def test_qwen_grids_and_refusals_are_the_processors(family: str) -> None:
    rule, processor = rule_of(family), image_processor(family)
    smart_resize = module("models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    edge, refused = rule.patches.edge, 0
    bounds = {"min_pixels": processor.size["shortest_edge"], "max_pixels": processor.size["longest_edge"]}
    for height, width in sizes():
        try:
            resized = smart_resize(height, width, 2 * edge, **bounds)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match="more than 200 times"):
                rule.views(height, width)
            continue
        (view,) = rule.views(height, width)
        assert (view.height, view.width) == (view.canvas_height, view.canvas_width) == resized
        down, across = view.grid(edge)
        assert down * across == processor.get_number_of_image_patches(height, width)
        assert rule.columns(height, width) == {"image_grid_thw": [1, down, across]}
        assert rule.token_count(height, width) == down * across // 4
    assert 100 < refused < 5000


def test_qwen_text_is_the_processors() -> None:
    rule, processor = rule_of("qwen2.5-vl"), text_processor("qwen2.5-vl")
    grid = rule.columns(300, 400)["image_grid_thw"]
    pads = processor.replace_image_token(stub_sizes(image_grid_thw=[grid]), 0)
    assert rule.expanded(rule.token_count(300, 400)) == f"<|vision_start|>{pads}<|vision_end|>"


def test_qwen_bounds_are_kept_and_can_be_chosen() -> None:
    rule = rule_of("qwen2.5-vl")
    assert isinstance(rule, QwenRule)
    small = QwenRule(4 * 784, 256 * 784, rule.patches, rule.mean, rule.std)
    smart_resize = module("models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    for height, width in sizes(2000):
        if max(height, width) <= 200 * min(height, width):
            resized = small.resized(height, width)
            assert resized == smart_resize(height, width, 28, 4 * 784, 256 * 784)
            assert small.token_count(height, width) <= max(256, math.ceil(max(resized) / 28))
    with pytest.raises(ValueError, match="min_pixels is at least 1 and at most max_pixels"):
        QwenRule(100, 99, rule.patches, rule.mean, rule.std)


def test_internvl_tiles_are_the_processors() -> None:
    rule, processor = rule_of("internvl"), image_processor("internvl")
    canvas = module("models.got_ocr2.image_processing_pil_got_ocr2").get_optimal_tiled_canvas
    for height, width in sizes():
        views = rule.views(height, width)
        across, down = canvas((height, width), (448, 448), 1, 12)
        assert (views[0].height, views[0].width) == (448 * down, 448 * across)
        tiles = sum(math.prod(view.grid(448)) for view in views)
        assert rule.columns(height, width) == {"tiles": [tiles]}
        assert tiles == processor.get_number_of_image_patches(height, width)
        assert rule.token_count(height, width) == 256 * tiles
    text = text_processor("internvl").replace_image_token({"num_patches": [3]}, 0)
    assert rule.expanded(3 * 256) == text


def test_llava_next_canvases_bars_and_tokens_are_the_processors() -> None:
    rule, processor = rule_of("llava-next"), text_processor("llava-next")
    best = module("image_processing_utils").select_best_resolution
    output = module("image_processing_utils").get_patch_output_size
    first = module("image_utils").ChannelDimension.FIRST
    pinpoints = processor.image_processor.image_grid_pinpoints
    pixels = np.zeros((1, 1, 3, 336, 336), np.uint8)
    for height, width in sizes():
        canvas = best((height, width), pinpoints)
        small, large = rule.views(height, width)
        assert small.grid(336) == (1, 1)
        assert (large.canvas_height, large.canvas_width) == canvas
        assert (large.height, large.width) == output(blank(height, width), canvas, first)
        (top, bottom), (left, right) = processor.image_processor._get_padding_size((large.height, large.width), canvas)
        assert (large.top, large.left) == (top, left)
        assert (large.canvas_height - large.height - top, large.canvas_width - large.width - left) == (bottom, right)
        tiles = 1 + math.prod(large.grid(336))
        assert rule.columns(height, width) == {"image_sizes": [height, width], "tiles": [tiles]}
        told = processor.replace_image_token({"image_sizes": [[height, width]], "pixel_values": pixels}, 0)
        assert len(told) == len("<image>") * rule.token_count(height, width)
    assert rule.expanded(3) == "<image><image><image>"


def test_fixed_sizes_are_the_processors() -> None:
    resized = module("image_transforms").get_resize_output_image_size
    first = module("image_utils").ChannelDimension.FIRST
    rule = rule_of("llava-1.5")
    for height, width in sizes(2000):
        if max(height, width) > 1000 * min(height, width):
            with pytest.raises(ValueError, match="more than 1000 times"):
                rule.views(height, width)
            continue
        (view,) = rule.views(height, width)
        assert (view.height, view.width) == resized(blank(height, width), 336, False, input_data_format=first)
        assert view.grid(336) == (1, 1)
    told = text_processor("llava-1.5").replace_image_token({"pixel_values": np.zeros((1, 3, 336, 336))}, 0)
    assert told == rule.expanded(rule.token_count(5, 7)) == "<image>" * 576
    for edge in (224, 448, 896):
        paligemma = rule_of(f"paligemma-{edge}")
        assert paligemma.token_count(3, 4) == (edge // 14) ** 2
        assert paligemma.views(3, 4)[0].grid(edge) == (1, 1)
    gemma = rule_of("gemma3")
    assert gemma.token_count(3, 4) == 256
    assert gemma.expanded(2) == "\n\n<start_of_image><image_soft_token><image_soft_token><end_of_image>\n\n"
