"""The loader over a small mixed corpus: what is delivered, in which order, and what it refuses."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from streams import TRANSFORM, interleaved, streamed, told
from torch.utils.data import DataLoader

from medshard.augment import CenterCrop, Normalize, Resize, TakeSlice
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.loader import Loader
from medshard.testing.reference import to_channels
from medshard.testing.reference_geometry import sample_filtered

GLOBAL_BATCH = 12


def loader(corpus: Corpus, **options: Any) -> Loader:
    """A loader with this file's usual options."""
    return Loader(
        corpus, **{"global_batch_size": GLOBAL_BATCH, "transform": TRANSFORM, "seed": 3, "threads": 2, **options}
    )


def items_of(corpus: Corpus) -> list[str]:
    """Every item by name, from the index alone."""
    keys = corpus.samples["key"].to_pylist()
    rows = corpus.items.take(corpus.item_rows).select(["sample", "id"]).to_pylist()
    return sorted(f"{keys[row['sample']]}/{row['id']}" if row["id"] else keys[row["sample"]] for row in rows)


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_item_comes_exactly_once_whatever_the_ranks_and_workers(corpus: Corpus, ranks: int, workers: int) -> None:
    whole = streamed(loader(corpus))
    assert sorted(item for step in whole for item, _, _ in step) == items_of(corpus)
    parts = []
    for rank in range(ranks):
        mine = loader(corpus, rank=rank, world_size=ranks)
        batches: Any = mine if not workers else DataLoader(mine, batch_size=None, num_workers=workers)
        parts.append(streamed(batches))
        assert len(parts[-1]) == len(mine)
    assert interleaved(parts) == whole, "ranks and workers change the sequence, pixels or text"


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 4}, {"prefetch": 1}, {"prefetch": 5}])
def test_threads_and_prefetch_change_nothing(corpus: Corpus, options: dict[str, int]) -> None:
    assert streamed(loader(corpus, **options)) == streamed(loader(corpus))


def test_an_epoch_differs_from_the_next_and_can_be_asked_for(corpus: Corpus) -> None:
    running = loader(corpus)
    first, second = streamed(running), streamed(running)
    assert first != second
    assert sorted(item for step in first for item, _, _ in step) == sorted(
        item for step in second for item, _, _ in step
    )
    again = loader(corpus)
    again.set_epoch(1)
    assert streamed(again) == second
    assert streamed(loader(corpus, seed=4)) != first


def test_without_shuffle_the_items_come_as_the_index_lists_them(corpus: Corpus) -> None:
    keys = corpus.samples["key"].to_pylist()
    listed = [
        f"{keys[row['sample']]}/{row['id']}" if row["id"] else keys[row["sample"]] for row in corpus.items.to_pylist()
    ]
    assert [item for step in streamed(loader(corpus, shuffle=False)) for item, _, _ in step] == listed


def test_a_selection_is_all_that_is_streamed(corpus: Corpus) -> None:
    chosen = corpus.select("split = 'test'")
    assert 0 < len(items_of(chosen)) < len(items_of(corpus))
    got = sorted(item for step in streamed(loader(chosen)) for item, _, _ in step)
    assert got == items_of(chosen)


def test_by_sample_gives_each_sample_once_without_text(corpus: Corpus) -> None:
    batches = list(loader(corpus, by="sample"))
    assert sorted(key for batch in batches for key in batch["key"]) == sorted(corpus.samples["key"].to_pylist())
    assert all(text == [] for batch in batches for text in batch["text"])


@pytest.mark.parametrize(("remainder", "steps"), [("short", 24), ("pad", 24), ("drop", 23)])
def test_what_becomes_of_the_remainder(corpus: Corpus, remainder: str, steps: int) -> None:
    total = len(items_of(corpus))
    assert total % GLOBAL_BATCH != 0
    running = loader(corpus, remainder=remainder)
    batches = list(running)
    assert len(batches) == len(running) == steps == -(-total // GLOBAL_BATCH) - (remainder == "drop")
    sizes = [len(batch["item"]) for batch in batches]
    last = {"short": total % GLOBAL_BATCH, "pad": GLOBAL_BATCH, "drop": GLOBAL_BATCH}[remainder]
    assert sizes == [GLOBAL_BATCH] * (steps - 1) + [last]
    padded = sum(int(batch["padded"].sum()) for batch in batches)
    assert padded == (GLOBAL_BATCH - total % GLOBAL_BATCH if remainder == "pad" else 0)
    genuine = [item for batch in batches for item, pad in zip(batch["item"], batch["padded"], strict=True) if not pad]
    assert len(set(genuine)) == len(genuine)


@pytest.mark.parametrize(("height", "width"), [(19, 23), (61, 67)])
def test_pixels_are_those_of_the_reference(corpus: Corpus, height: int, width: int) -> None:
    """Whole pictures at another size against numpy: 8 and 16 bits, colour, and planes of volumes.

    A JPEG that is shown at half its size or less is decoded at half its size, which is another low-pass filter.
    """
    transform = [TakeSlice("z"), Resize((height, width)), Normalize([0.4] * 3, [0.2] * 3)]
    seen = set()
    for batch in loader(corpus, by="sample", transform=transform):
        for place, key in enumerate(batch["key"]):
            sample = corpus.sample(key)
            if not batch["has_image"][place]:
                continue
            media = {m.slot: m for m in sample.record.media if m.present and m.kind != "mask"}
            (medium,) = media.values()
            stored = np.asarray(sample.array(medium.slot))
            if medium.kind == "volume":
                stored = stored[stored.shape[0] // 2]
                low, high = medium.window or (float(stored.min()), float(stored.max()))
            else:
                low, high = 0.0, 255.0 if stored.dtype == np.uint8 else 2.0**16 - 1
            whole = (0.0, 0.0, float(stored.shape[1]), float(stored.shape[0]))
            bounds = (0, 0, stored.shape[1], stored.shape[0])
            sampled = sample_filtered(stored, whole, bounds, (height, width))
            expected = (to_channels(np.clip((sampled - low) / (high - low), 0, 1), 3) - 0.4) / 0.2
            halved = medium.part == "image.jpg" and height < 60
            atol = 0.15 if halved else 2e-5
            np.testing.assert_allclose(batch["image"][place].numpy(), expected.transpose(2, 0, 1), atol=atol)
            seen.add((medium.kind, medium.dtype))
    assert {("image", "uint8"), ("image", "uint16"), ("volume", "int16")} <= seen


def test_masks_and_words_follow_the_picture(corpus: Corpus) -> None:
    """A box in the text is the box of its class in the delivered mask, whatever was cropped and mirrored."""
    labels = {"nodule": 1, "mass": 2}
    found, mirrored = 0, 0
    for epoch in range(4):
        running = loader(corpus, mask="mask")
        running.set_epoch(epoch)
        for batch in running:
            for place, item in enumerate(batch["item"]):
                words = " ".join(turn["content"] for turn in batch["text"][place])
                if "[" not in words or "[SEG]" in words or not batch["has_mask"][place]:
                    continue
                numbers = [int(number) for number in words[words.index("[") + 1 : words.index("]")].split(",")]
                asked = [name for name in labels if name in words[: words.index("[")]]
                if len(asked) != 1:
                    continue
                inside = np.argwhere(batch["mask"][place].numpy() == labels[asked[0]])
                assert len(inside), f"{item} cites a region that is not in the picture"
                (y0, x0), (y1, x1) = inside.min(0), inside.max(0) + 1
                np.testing.assert_allclose(numbers, [x0, y0, x1, y1], atol=1.6, err_msg=item)
                found += 1
                mirrored += bool(batch["geometry"][place][0, 0] < 0)
    assert found > 10
    assert mirrored > 0


def test_text_without_picture_has_no_pixels(corpus: Corpus) -> None:
    for batch in loader(corpus.select("modality is null or true")):
        for place, key in enumerate(batch["key"]):
            if "words" in key:
                assert not batch["has_image"][place]
                assert float(batch["image"][place].abs().sum()) == 0


def test_a_batch_moves_and_names_its_fields(corpus: Corpus) -> None:
    batch = next(iter(loader(corpus)))
    assert "keys" not in batch
    assert callable(batch.keys)
    assert {"image", "text", "key", "valid", "state"} <= set(batch)
    moved = batch.to("meta")
    assert moved["image"].device.type == "meta"
    assert moved["key"] == batch["key"]
    assert batch["image"].dtype == torch.float32


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "uint8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_types_and_channels(corpus: Corpus, dtype: str, channels: int) -> None:
    transform = [TakeSlice("z"), Resize(30), CenterCrop(20)]
    batch = next(iter(loader(corpus, transform=transform, dtype=dtype, channels=channels)))
    assert batch["image"].shape == (GLOBAL_BATCH, channels, 20, 20)
    assert str(batch["image"].dtype) == f"torch.{dtype}"


def test_an_iteration_that_is_left_ends_its_threads(corpus: Corpus) -> None:
    before = {thread.name for thread in threading.enumerate() if thread.name.startswith("medshard")}
    running = loader(corpus)
    for number, _ in enumerate(running):
        if number == 1:
            break
    rest = streamed(running)  # the next epoch, whole
    assert len(rest) == len(running)

    def left() -> set[str]:
        alive = {thread.name for thread in threading.enumerate() if thread.name.startswith("medshard")} - before
        return {name for name in alive if "fetch" not in name}

    # A reader ends after the read that it is in.
    deadline = time.monotonic() + 20
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": None}, "the items have pictures: say transform="),
        ({"batch_size": 2}, "give batch_size .* or global_batch_size"),
        ({"global_batch_size": 0}, "at least one item"),
        ({"remainder": "drop", "global_batch_size": 10_000}, "remainder='drop' leaves nothing"),
        ({"remainder": "wrap"}, "remainder='wrap'; allowed: short, pad, drop"),
        ({"device": "cuda"}, "batches are made on the CPU"),
        ({"channels": 2}, "channels is 1 or 3"),
        ({"rank": 1}, "rank and world_size go together"),
        ({"rank": 2, "world_size": 2}, "rank 2 is not below"),
        ({"transform": [Resize(20)]}, "pictures of a batch have one size"),
        ({"transform": [Normalize([0.5] * 3, [0.5] * 3), Resize((8, 8))]}, "this one works: Resize, Normalize"),
    ],
)
def test_contradictions_are_refused_at_once(corpus: Corpus, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LoaderError, match=message):
        loader(corpus, **options)


def test_text_that_says_a_side_is_not_mirrored(corpus: Corpus) -> None:
    """Conversations with a source's own words refuse mirroring; the picture is then delivered as it is."""
    seen = {"refuse": 0, "free": 0}
    for batch in loader(corpus):
        for place, item in enumerate(batch["item"]):
            key, _, name = item.partition("/")
            if not name or not batch["has_image"][place]:
                continue
            (conversation,) = (c for c in corpus.sample(key).conversations if c.id == name)
            mirrored = bool(batch["geometry"][place][0, 0] < 0)
            if conversation.keeps.mirror == "refuse":
                assert not mirrored, item
                seen["refuse"] += 1
            else:
                seen["free"] += mirrored
    assert seen["refuse"] > 5
    assert seen["free"] > 5


def test_pixels_and_text_belong_to_the_item(corpus: Corpus) -> None:
    """The same item is the same pixels and words in any company."""
    alone = {entry[0]: entry for step in streamed(loader(corpus, global_batch_size=1)) for entry in step}
    for batch in loader(corpus, global_batch_size=50):
        assert all(alone[entry[0]] == entry for entry in told(batch))
