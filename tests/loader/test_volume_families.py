"""Volumes as vision-language models take them: several pictures or the frames of a video, with as many placeholders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from volume_tree import PaintedTree, build_painted, write_painted_tree

import medshard
from medshard.augment import (
    Montage,
    MultiWindow,
    Operation,
    RandomHorizontalFlip,
    RandomInvert,
    Resize,
    TakeSlab,
    TakeSlice,
    TakeSlices,
    Window,
)
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.families import FAMILIES, ImageRule
from medshard.testing.reference import cut_patches
from medshard.testing.reference_geometry import sample_filtered

WINDOW = Window(-1024, 1024)
COUNT = 5


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> tuple[PaintedTree, Corpus]:
    root = tmp_path_factory.mktemp("painted")
    tree = write_painted_tree(root / "tree")
    return tree, build_painted(root / "tree", root / "corpus")


Painted = tuple[PaintedTree, Corpus]


def loader(corpus: Corpus, family: str, transform: list[Operation], **options: Any) -> medshard.Loader:
    return medshard.Loader(corpus, 4, transform=transform, family=family, image="ct", shuffle=False, **options)


def image_rule(family: str) -> ImageRule:
    rule = FAMILIES.get(family).image
    assert rule is not None
    return rule


def resized(plane: NDArray[np.int16], rule: ImageRule, height: int, width: int) -> NDArray[np.float64]:
    """(3, height, width) of a stored plane, windowed and normalised."""
    box = (0, 0, plane.shape[1], plane.shape[0])
    values = sample_filtered(plane, box, box, (height, width), filter=rule.filter)
    unit = np.clip((values + 1024) / 2048, 0, 1)
    return ((np.repeat(unit, 3, -1) - rule.mean) / rule.std).transpose(2, 0, 1)


def test_slices_are_pictures_of_their_own_for_qwen(painted: Painted) -> None:
    tree, corpus = painted
    rule = image_rule("qwen2.5-vl")
    checked = 0
    for batch in loader(corpus, "qwen2.5-vl", [TakeSlices("z", count=COUNT), WINDOW], by="sample"):
        grids, flat, begin = batch["image_grid_thw"], batch["pixel_values"].numpy(), 0
        assert len(grids) == int(batch["pictures"].sum()) == COUNT * len(batch["key"])
        for place, key in enumerate(batch["key"]):
            volume = tree.zyx(key.removeprefix("painted-"))
            height, width = volume.shape[1:]
            assert int(batch["image_tokens"][place]) == COUNT * rule.token_count(height, width)
            for number, index in enumerate(batch["slice_index"][place].tolist()):
                _, down, across = grids[place * COUNT + number].tolist()
                picture = resized(volume[index], rule, down * 14, across * 14)
                expected = cut_patches(picture, 14, merge=2, repeat=2)
                np.testing.assert_allclose(flat[begin : begin + down * across], expected, rtol=0, atol=2e-5)
                begin += down * across
                checked += 1
        assert begin == len(flat)
    assert checked == COUNT * len(corpus)


def video_patches(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """(patches, 3 * 2 * 14 * 14) of (T, 3, H, W): the axes as Qwen's video processor lists and permutes them."""
    if len(frames) % 2:
        frames = np.concatenate([frames, frames[-1:]])
    count, _, height, width = frames.shape
    axes = frames.reshape(count // 2, 2, 3, height // 28, 2, 14, width // 28, 2, 14)
    ordered = axes.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return ordered.reshape(count // 2 * (height // 14) * (width // 14), -1)


@pytest.mark.parametrize("count", [1, 4, 5])
def test_slices_are_frames_of_a_video_for_qwen(painted: Painted, count: int) -> None:
    tree, corpus = painted
    rule = FAMILIES.get("qwen2-vl").video
    assert rule is not None
    take = TakeSlices("z", count=count, shown_as="video")
    for batch in loader(corpus, "qwen2-vl", [take, WINDOW], by="sample"):
        grids, flat, begin = batch["video_grid_thw"], batch["pixel_values_videos"].numpy(), 0
        assert batch["has_video"].all()
        assert not batch["has_image"].any()
        assert len(batch["pixel_values"]) == 0
        for place, key in enumerate(batch["key"]):
            volume = tree.zyx(key.removeprefix("painted-"))
            pairs, down, across = grids[place].tolist()
            assert pairs == -(-count // 2)
            assert down * across * 14 * 14 >= 128 * 28 * 28, "a video's frames have a size of their own"
            tokens = pairs * down * across // 4
            assert int(batch["video_tokens"][place]) == tokens == pairs * rule.token_count(*volume.shape[1:])
            frames = [resized(volume[n], rule, down * 14, across * 14) for n in batch["slice_index"][place].tolist()]
            expected = video_patches(np.stack(frames))
            np.testing.assert_allclose(flat[begin : begin + len(expected)], expected, rtol=0, atol=2e-5)
            begin += len(expected)
        assert begin == len(flat)


MARKERS = {
    "plain": "<image>",
    "qwen2.5-vl": "<|image_pad|>",
    "qwen3-vl": "<|image_pad|>",
    "internvl": "<IMG_CONTEXT>",
    "llava-next": "<image>",
    "llava-1.5": "<image>",
    "gemma3": "<start_of_image>",
}


@pytest.mark.parametrize("family", MARKERS)
@pytest.mark.parametrize(
    ("take", "count"),
    [
        (TakeSlice("z"), 1),
        (TakeSlab("z", slices=3), 1),
        (TakeSlices("z", count=3), 3),
        (Montage("z", rows=2, columns=2), 1),
    ],
    ids=["slice", "slab", "slices", "montage"],
)
def test_a_text_has_a_placeholder_a_picture(painted: Painted, family: str, take: Operation, count: int) -> None:
    _, corpus = painted
    rule = FAMILIES.get(family).image
    transform = [take, Resize((56, 56))] if rule is None else [take]
    said = 0
    for batch in loader(corpus, family, transform, dtype="bfloat16"):
        assert batch["pictures"].tolist() == [count] * len(batch["key"])
        for text in batch["text"]:
            markers = "".join(turn["content"] for turn in text).count(MARKERS[family])
            assert markers == (count if text else 0)
            assert "<video>" not in str(text)
            said += markers
        if rule is None:
            continue
        edge = rule.patches.edge
        squares = int(batch["tiles"].sum()) if "tiles" in batch else count * len(batch["key"])
        if rule.square:
            assert batch["pixel_values"].shape == (squares, 3, edge, edge)
            assert "tiles" not in batch or len(batch["tiles"]) == count * len(batch["key"])
        assert (batch["image_tokens"] % count == 0).all()
    assert said > 10 * count


@pytest.mark.parametrize(("family", "marker"), [("plain", "<video>"), ("qwen2.5-vl", "<|video_pad|>")])
def test_a_video_has_one_placeholder(painted: Painted, family: str, marker: str) -> None:
    _, corpus = painted
    transform: list[Operation] = [TakeSlices("z", count=4, shown_as="video")]
    transform += [Resize((56, 56))] if family == "plain" else []
    for batch in loader(corpus, family, transform):
        for text in batch["text"]:
            content = "".join(turn["content"] for turn in text)
            assert content.count(marker) == bool(text)
            assert "<image>" not in content
            assert "image_pad" not in content
        if family == "plain":
            assert batch["image"].shape[1:] == (4, 3, 56, 56)


def test_a_family_without_videos_says_what_to_do(painted: Painted) -> None:
    _, corpus = painted
    with pytest.raises(LoaderError, match="the family internvl takes no videos; say shown_as='images'"):
        list(loader(corpus, "internvl", [TakeSlices("z", shown_as="video")]))


def test_pictures_beside_videos_stay_pictures(corpus: Corpus) -> None:
    """The mixed corpus: photographs come by the rule of images, scans by that of videos, each with its marker."""
    transform: list[Operation] = [TakeSlices("z", count=3, shown_as="video")]
    alone = {}
    for batch in medshard.Loader(corpus, 8, transform=[TakeSlice("z")], family="qwen2.5-vl", shuffle=False):
        sizes = [int(tokens) for tokens in batch["image_tokens"]]
        alone |= dict(zip(batch["item"], sizes, strict=True))
    kinds = set()
    for batch in medshard.Loader(corpus, 8, transform=transform, family="qwen2.5-vl", shuffle=False):
        for place, item in enumerate(batch["item"]):
            content = "".join(turn["content"] for turn in batch["text"][place])
            image, video = bool(batch["has_image"][place]), bool(batch["has_video"][place])
            kinds.add((image, video))
            if content:
                assert (content.count("<|image_pad|>"), content.count("<|video_pad|>")) == (image, video)
            if image:
                assert int(batch["image_tokens"][place]) == alone[item]
        assert len(batch["image_grid_thw"]) == int(batch["has_image"].sum())
        assert len(batch["video_grid_thw"]) == int(batch["has_video"].sum())
        assert len(batch["pixel_values"]) == int(batch["image_grid_thw"].prod(1).sum())
        assert len(batch["pixel_values_videos"]) == int(batch["video_grid_thw"].prod(1).sum())
    assert kinds == {(False, False), (True, False), (False, True)}


def test_frames_follow_the_augmentation_not_the_threads(painted: Painted) -> None:
    _, corpus = painted
    take = TakeSlices("axial", count=3, choose="random", shown_as="video", orientation="radiological")
    transform: list[Operation] = [take, RandomHorizontalFlip(), MultiWindow(), RandomInvert()]
    known = corpus.select("key <> 'painted-unknown'")
    runs = [
        [batch["pixel_values_videos"] for batch in loader(known, "qwen2.5-vl", transform, threads=threads)]
        for threads in (1, 3)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    other = [batch["pixel_values_videos"] for batch in loader(known, "qwen2.5-vl", transform, seed=1)]
    assert not all(torch.equal(a, b) for a, b in zip(runs[0], other, strict=True))


def test_a_video_rule_counts_without_pixels() -> None:
    rule = FAMILIES.get("qwen2.5-vl").video
    assert rule is not None
    assert rule.video_columns(512, 512, 32) == {"video_grid_thw": [16, 36, 36]}
    assert rule.frame_groups(7) * rule.token_count(512, 512) == 4 * 18 * 18
    assert rule.expanded(2) == "<|vision_start|><|video_pad|><|video_pad|><|vision_end|>"
