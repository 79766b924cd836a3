"""The loader with a model family: packed patches, grids and token counts, of pictures as augmented."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from medshard.augment import (
    ElasticTransform,
    GaussianNoise,
    Letterbox,
    MultiCrop,
    Normalize,
    Operation,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomInvert,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    Rot90,
    TakeSlice,
    ZScoreNormalize,
)
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.engine import Patches
from medshard.errors import LoaderError, MedshardError
from medshard.families import FAMILIES
from medshard.families.qwen_vl import QwenRule
from medshard.families.vision import VisionFamily
from medshard.loader.loader import Loader
from medshard.testing.reference import cut_patches, to_channels
from medshard.testing.reference_geometry import sample_filtered

NATIVE: list[Operation] = [TakeSlice("z")]
AUGMENTED: list[Operation] = [TakeSlice("z"), RandomResizedCrop((90, 130), scale=(0.3, 1)), RandomHorizontalFlip()]
HALF = (0.5, 0.5, 0.5)


def loader(
    corpus: Corpus, family: Any = "qwen2.5-vl", transform: list[Operation] | None = NATIVE, **options: Any
) -> Loader:
    return Loader(corpus, 8, transform=transform, seed=1, family=family, **{"threads": 2, **options})


def per_item(batch: dict[str, Any]) -> list[tuple[str, str]]:
    """(item, digest of its patches) of every item of a batch of Qwen's."""
    ends = np.cumsum([int(grid.prod()) for grid in batch["image_grid_thw"]])
    parts = iter(np.split(batch["pixel_values"].float().numpy(), ends[:-1]) if len(ends) else [])
    assert (ends[-1] if len(ends) else 0) == len(batch["pixel_values"])
    return [
        (item, hashlib.sha256(next(parts).tobytes()).hexdigest() if shown else "")
        for item, shown in zip(batch["item"], batch["has_image"], strict=True)
    ]


def test_a_batch_is_ragged_and_its_counts_agree(corpus: Corpus) -> None:
    shapes = set()
    for batch in loader(corpus):
        grids, shown = batch["image_grid_thw"], batch["has_image"]
        assert "image" not in batch
        assert batch["pixel_values"].shape == (int(grids.prod(1).sum()), 3 * 2 * 14 * 14)
        assert len(grids) == int(shown.sum())
        assert batch["image_tokens"][shown].tolist() == (grids.prod(1) // 4).tolist()
        assert batch["image_tokens"][~shown].eq(0).all()
        for text, tokens in zip(batch["text"], batch["image_tokens"], strict=True):
            markers = "".join(turn["content"] for turn in text).count("<|image_pad|>")
            assert markers == (1 if tokens and text else 0)
        shapes |= {tuple(grid.tolist()) for grid in grids}
    assert len(shapes) > 1


@pytest.mark.parametrize(
    ("family", "columns"),
    [
        ("internvl", {"tiles"}),
        ("llava-next", {"tiles", "image_sizes"}),
        ("llava-1.5", set()),
        ("gemma3", set()),
    ],
)
def test_square_tiles_come_with_their_columns(corpus: Corpus, family: str, columns: set[str]) -> None:
    rule = FAMILIES.get(family).image
    assert rule is not None
    edge = rule.patches.edge
    batch = next(iter(loader(corpus, family, dtype="bfloat16")))
    shown = int(batch["has_image"].sum())
    tiles = int(batch["tiles"].sum()) if "tiles" in columns else shown
    assert batch["pixel_values"].shape == (tiles, 3, edge, edge)
    assert batch["pixel_values"].dtype == torch.bfloat16
    assert columns <= set(batch)
    assert all(len(batch[name]) == shown for name in columns)


def test_patches_follow_the_augmentation_not_the_threads(corpus: Corpus) -> None:
    """Each item's patches depend on seed, epoch and item alone; another epoch draws others."""
    runs = [
        [told for batch in loader(corpus, transform=AUGMENTED, threads=threads) for told in per_item(batch)]
        for threads in (1, 3)
    ]
    assert runs[0] == runs[1]
    running = loader(corpus, transform=AUGMENTED)
    first = dict(told for batch in running for told in per_item(batch))
    second = dict(told for batch in running for told in per_item(batch))
    assert first == dict(runs[0])
    assert sum(first[item] != second[item] for item in first if first[item]) > len(first) // 4
    grids = torch.cat([batch["image_grid_thw"] for batch in loader(corpus, transform=AUGMENTED)])
    assert (grids == torch.tensor([1, 6, 10])).all()  # 90 x 130 becomes 84 x 140


def test_a_fixed_size_is_resized_once_by_the_rule(corpus: Corpus) -> None:
    """The rule is asked about the transform's size; the picture is sampled from its stored pixels."""
    native, fixed = loader(corpus, transform=NATIVE), loader(corpus, transform=[TakeSlice("z"), Resize((84, 84))])
    for whole, square in zip(native, fixed, strict=True):
        assert (square["image_grid_thw"] == torch.tensor([1, 6, 6])).all()
        assert whole["item"] == square["item"]
        shown = square["has_image"]
        scale = square["geometry"][shown][:, [0, 1], [0, 1]] / whole["geometry"][shown][:, [0, 1], [0, 1]]
        grids = whole["image_grid_thw"][:, [2, 1]]
        assert torch.allclose(scale * grids, torch.full_like(scale, 6.0))


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_pixels_are_the_stored_picture_resized(corpus: Corpus, turns: int) -> None:
    """An independent path: Pillow, columns then rows, and the published patch order; of turned pictures too."""
    rule = FAMILIES.get("qwen2.5-vl").image
    assert rule is not None
    checked = 0
    for batch in loader(corpus, transform=[*NATIVE, Rot90(turns)], by="sample"):
        ends = np.cumsum([int(grid.prod()) for grid in batch["image_grid_thw"]])
        parts = np.split(batch["pixel_values"].numpy(), ends[:-1])
        keys = [key for key, shown in zip(batch["key"], batch["has_image"], strict=True) if shown]
        for key, grid, patches in zip(keys, batch["image_grid_thw"].tolist(), parts, strict=True):
            sample = corpus.sample(key)
            stored = sample.array("image") if sample.medium("image").present else None
            if stored is None or stored.dtype != np.uint8:
                continue
            _, down, across = grid
            picture = Image.fromarray(np.ascontiguousarray(np.rot90(stored, turns))).convert("RGB")
            wide = picture.resize((across * 14, picture.height), Image.Resampling.BICUBIC)
            resized = wide.resize((across * 14, down * 14), Image.Resampling.BICUBIC)
            values = (np.asarray(resized, np.float64) / 255 - rule.mean) / rule.std
            blocks = values.reshape(down // 2, 2, 14, across // 2, 2, 14, 3).transpose(0, 3, 1, 4, 6, 2, 5)
            held = np.repeat(blocks.reshape(down * across, 3, 1, 14, 14), 2, axis=2)
            np.testing.assert_allclose(patches, held.reshape(down * across, -1), rtol=0, atol=1e-5)
            checked += 1
    assert checked > 5


@pytest.mark.parametrize("family", ["qwen2.5-vl", "llava-next"])
def test_steps_change_each_resized_copy_and_not_the_black_around_it(corpus: Corpus, family: str) -> None:
    """Against the numpy reference: resized in floats, turned over, and only then laid on the canvas."""
    rule = FAMILIES.get(family).image
    assert rule is not None
    checked = barred = 0
    for batch in loader(corpus, family, [*NATIVE, RandomInvert(p=1.0)], by="sample", image="image"):
        place, flat = 0, batch["pixel_values"].flatten(1).numpy()
        for key, shown in zip(batch["key"], batch["has_image"].tolist(), strict=True):
            if not shown:
                continue
            stored = corpus.sample(key).array("image")
            height, width = stored.shape[:2]
            for view in rule.views(height, width):
                down, across = view.grid(rule.patches.edge)
                rows, place = flat[place : place + down * across], place + down * across
                if stored.dtype != np.uint8:
                    continue
                box = (0, 0, width, height)
                values = sample_filtered(stored, box, box, (view.height, view.width), filter=rule.filter)
                inverted = 1 - np.clip(to_channels(values, 3) / 255, 0, 1)
                canvas = np.zeros((view.canvas_height, view.canvas_width, 3))
                top, left = max(view.top, 0), max(view.left, 0)
                part = inverted[top - view.top :, left - view.left :]
                part = part[: view.canvas_height - top, : view.canvas_width - left]
                canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
                mapped = ((canvas - rule.mean) / rule.std).transpose(2, 0, 1)
                expected = cut_patches(mapped, rule.patches.edge, rule.patches.merge, rule.patches.repeat)
                np.testing.assert_allclose(rows, expected, rtol=0, atol=3e-5)
                checked, barred = checked + 1, barred + (part.shape != canvas.shape)
        assert place == len(flat)
    assert checked > 5
    assert (barred > 0) == (family == "llava-next")


def test_noise_follows_the_item_not_the_threads(corpus: Corpus) -> None:
    noisy: list[Operation] = [*AUGMENTED, GaussianNoise(0.0, 0.1)]
    runs = [
        [told for batch in loader(corpus, transform=noisy, threads=threads) for told in per_item(batch)]
        for threads in (1, 3)
    ]
    assert runs[0] == runs[1]
    plain = [told for batch in loader(corpus, transform=AUGMENTED) for told in per_item(batch)]
    assert sum(a != b for a, b in zip(runs[0], plain, strict=True) if a[1]) == sum(bool(told[1]) for told in plain)


def test_a_chosen_picture_comes_only_where_the_text_shows_one(corpus: Corpus) -> None:
    """Items of text alone, on samples with a picture, have no marker and no patches."""
    running, without = loader(corpus, image="image", on_error="skip"), 0
    for batch in running:
        for text, tokens, valid in zip(batch["text"], batch["image_tokens"], batch["valid"], strict=True):
            assert sum(turn["content"].count("<|image_pad|>") for turn in text) == (1 if tokens else 0)
            without += bool(valid and not tokens)
    assert without > 0
    reasons = {failure["reason"] for failure in running.stats()["failures"]}
    assert reasons == {"its text shows a medium that is not delivered; choose it with image=, or leave such items out"}


def test_worker_processes_give_the_same(corpus: Corpus) -> None:
    expected = [per_item(batch) for batch in loader(corpus, transform=AUGMENTED)]
    workers = DataLoader(loader(corpus, transform=AUGMENTED), batch_size=None, num_workers=2)
    assert [per_item(batch) for batch in workers] == expected


def test_a_damaged_picture_leaves_no_patches_and_no_marker(corpus_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(corpus_folder, folder)
    damaged = open_corpus(folder)
    number = next(n for n, shard in enumerate(damaged.manifest.shards) if "image.jpg" in shard.parts)
    shard = damaged.manifest.shards[number]
    offset, size, _ = damaged.locator.place(number, 0, shard.parts.index("image.jpg"))
    data = bytearray((folder / shard.path).read_bytes())
    data[offset + size // 2] ^= 0xFF
    (folder / shard.path).write_bytes(data)
    key = next(sample.key for sample in damaged if damaged.place_of(sample.row) == (number, 0))
    lost = 0
    for batch, sound in zip(loader(open_corpus(folder), on_error="skip"), loader(corpus), strict=True):
        hit = [name == key for name in batch["key"]]
        assert (batch["valid"] == ~torch.tensor(hit)).all()
        assert not batch["has_image"][torch.tensor(hit)].any()
        assert batch["image_tokens"][torch.tensor(hit)].sum() == 0
        assert all(text == [] for text, bad in zip(batch["text"], hit, strict=True) if bad)
        others = [told for told in per_item(sound) if told[0].split("/c")[0] != key]
        assert [told for told, bad in zip(per_item(batch), hit, strict=True) if not bad] == others
        lost += sum(hit)
    assert lost > 0


def test_a_stream_that_does_not_decode_leaves_its_neighbours_whole(corpus: Corpus) -> None:
    """The engine fails after memory is laid out: what it left empty is taken out."""

    class Spoiled(Loader):
        def _read(self, step: Any, executor: Any) -> Any:
            made = super()._read(step, executor)
            pixels: Any = made.pixels
            pictures = pixels.read.pictures
            place = next((n for n, part in enumerate(pictures) if isinstance(part, (bytes, memoryview))), None)
            if place is not None:
                pictures[place] = bytes(pictures[place])[:60]
            return made

    options: dict[str, Any] = {"transform": NATIVE, "seed": 1, "family": "llava-next", "on_error": "skip"}
    lost = 0
    for batch, sound in zip(Spoiled(corpus, 8, **options), Loader(corpus, 8, **options), strict=True):
        gone = sound["has_image"] & ~batch["has_image"]
        lost += int(gone.sum())
        kept = batch["has_image"][sound["has_image"]]
        rows = torch.repeat_interleave(kept, sound["tiles"])
        assert torch.equal(batch["pixel_values"], sound["pixel_values"][rows])
        assert torch.equal(batch["image_sizes"], sound["image_sizes"][kept])
    assert lost > 2


def test_a_shape_that_the_family_refuses_is_named(corpus: Corpus) -> None:
    class Narrow(QwenRule):
        def resized(self, height: int, width: int) -> tuple[int, int]:
            if width > height:
                raise ValueError(f"a picture of {height} x {width} is too wide")
            return super().resized(height, width)

    family = VisionFamily("narrow", Narrow(3136, 50176, Patches(14, merge=2, repeat=2), HALF, HALF))
    running = loader(corpus, family, on_error="skip")
    assert sum(int((~batch["valid"]).sum()) for batch in running) > 0
    assert "too wide; crop or leave out such pictures" in running.stats()["failures"][0]["reason"]
    with pytest.raises(LoaderError, match=r"cannot be delivered: a picture of .* is too wide"):
        list(loader(corpus, family))


def test_a_family_made_by_hand_bounds_the_tokens(corpus: Corpus) -> None:
    rule = QwenRule(784, 8 * 784, Patches(14, merge=2, repeat=2), HALF, HALF)
    batches = list(loader(corpus, VisionFamily("small", rule)))
    assert max(int(batch["image_tokens"].max()) for batch in batches) <= 8


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"transform": [*NATIVE, Normalize([0.5], [0.5])]}, "has its own mean and std; leave Normalize out"),
        ({"transform": [*NATIVE, ZScoreNormalize()]}, "leave ZScoreNormalize out"),
        ({"transform": [*NATIVE, RandomRotation(10)]}, "RandomRotation is made for one size of output"),
        ({"transform": [*NATIVE, RandomAffine(5)]}, "RandomAffine is made for one size"),
        ({"transform": [*NATIVE, ElasticTransform()]}, "ElasticTransform is made for one size"),
        ({"transform": [*NATIVE, Pad(3)]}, "Pad is made for one size"),
        ({"transform": [*NATIVE, Letterbox(56)]}, "Letterbox is made for one size"),
        ({"transform": [*NATIVE, RandomCrop(20, padding=2)]}, "RandomCrop with padding is made for one size"),
        ({"transform": [*NATIVE, MultiCrop(global_size=56, local_size=28)]}, "MultiCrop is made for one size"),
        ({"transform": [*NATIVE, RandomErasing()]}, "RandomErasing is made for one size"),
        ({"channels_last": True}, "channels first"),
        ({"mask": "mask"}, "masks have one size"),
        ({"channels": 1}, "sees 3 channels"),
        ({"dtype": "uint8"}, "float32, float16 or bfloat16"),
        ({"family": "qwen9"}, "qwen2.5-vl"),
    ],
)
def test_arguments_that_contradict_the_family_are_refused(corpus: Corpus, options: dict[str, Any], says: str) -> None:
    with pytest.raises(MedshardError, match=says):
        loader(corpus, **options)
