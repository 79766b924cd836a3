"""Warps, several views and memory formats through the whole loader: pixels, masks, text, threads and resuming."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.utils.data import DataLoader

from medshard.augment import (
    ElasticTransform,
    Letterbox,
    MultiCrop,
    Operation,
    RandomAffine,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRot90,
    RandomRotation,
    Resize,
    TakeSlice,
    to_source,
)
from medshard.corpus.corpus import Corpus
from medshard.loader.conversation import ItemText, read_item_text
from medshard.loader.loader import Loader

WARPED: list[Operation] = [
    TakeSlice("z", index="random"),
    RandomResizedCrop(32, scale=(0.4, 1.0)),
    RandomAffine(40, (0.1, 0.1), (0.8, 1.2), 10),
    ElasticTransform(25.0, 4.0),
    RandomRot90(),
    RandomHorizontalFlip(),
]
VIEWS: list[Operation] = [TakeSlice("z"), MultiCrop(40, 16, 2, 3), RandomHorizontalFlip()]


def loader(corpus: Corpus, transform: list[Operation], **options: Any) -> Loader:
    return Loader(corpus, **{"global_batch_size": 9, "transform": transform, "seed": 3, "threads": 2, **options})


def pictures(corpus: Corpus, batch: dict[str, Any]) -> list[tuple[int, NDArray[Any], float]]:
    """(place, stored pixels, highest value) of the 2D pictures of a batch."""
    found = []
    for place, key in enumerate(batch["key"]):
        media = [m for m in corpus.sample(key).record.media if m.present and m.kind == "image"]
        if media and batch["has_image"][place]:
            stored = np.asarray(corpus.sample(key).array(media[0].slot))
            stored = np.repeat(stored[..., None], 3, 2) if stored.ndim == 2 else stored
            found.append((place, stored, 255.0 if stored.dtype == np.uint8 else 65535.0))
    return found


@pytest.mark.parametrize("elastic", [False, True])
def test_source_coordinates_of_a_batch_say_where_its_pixels_and_labels_are_from(corpus: Corpus, elastic: bool) -> None:
    """An enlarged picture is one interpolation of stored pixels, at the points that ``to_source`` gives."""
    transform: list[Operation] = [TakeSlice("z"), Resize((120, 130)), RandomRotation(180)]
    if elastic:
        transform.append(ElasticTransform(90.0, 8.0))
    checked = masked = 0
    rows, columns = np.mgrid[:120, :130] + 0.5
    for batch in loader(corpus, transform, by="sample", mask="mask"):
        assert batch["geometry"].shape == (len(batch["key"]), 2, 3)
        assert ("elastic" in batch) == elastic
        for place, stored, highest in pictures(corpus, batch):
            displacement = batch["elastic"][place] if elastic else None
            source = to_source(np.stack([columns, rows], -1), batch["geometry"][place], displacement)
            if max(stored.shape[0] / 120, stored.shape[1] / 130) > 0.9:
                continue  # rotated, it is reduced in some direction
            at = [source[..., 1] - 0.5, source[..., 0] - 0.5]
            planes = [
                ndimage.map_coordinates(stored[..., c].astype(float), at, order=1, mode="grid-constant")
                for c in range(3)
            ]
            np.testing.assert_allclose(batch["image"][place].numpy(), np.stack(planes) / highest, atol=3e-5)
            checked += 1
            if batch["has_mask"][place]:
                labels = np.asarray(corpus.sample(batch["key"][place]).array("mask"))
                x, y = np.floor(source[..., 0]).astype(int), np.floor(source[..., 1]).astype(int)
                inside = (x >= 0) & (y >= 0) & (x < labels.shape[1]) & (y < labels.shape[0])
                expected = np.where(inside, labels[y.clip(0, labels.shape[0] - 1), x.clip(0, labels.shape[1] - 1)], 0)
                near = np.abs(source - np.rint(source)).min(-1) < 1e-6  # on the edge between two pixels
                assert np.array_equal(batch["mask"][place].numpy()[~near], expected[~near])
                masked += int(expected.any())
    assert checked > 5
    assert masked > 2


def test_boxes_in_text_follow_a_rotation(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The box of a class, as its text gives it, is the hull of what its stored box became.

    The tasks' own templates refuse turning; here they do not.
    """

    def read(*arguments: Any) -> ItemText:
        text = read_item_text(*arguments)
        return dataclasses.replace(text, keeps=text.keeps.model_copy(update={"rotate": "free"}))

    monkeypatch.setattr("medshard.loader.loader.read_item_text", read)
    labels = {"nodule": 1, "mass": 2}
    turned = 0
    for epoch in range(3):
        running = loader(corpus, [TakeSlice("z"), Letterbox((160, 160)), RandomAffine(60, (0.1, 0.1))], mask="mask")
        running.set_epoch(epoch)
        for batch in running:
            for place, item in enumerate(batch["item"]):
                words = " ".join(turn["content"] for turn in batch["text"][place])
                asked = [name for name in labels if name in words[: max(words.find("["), 0)]]
                if "[SEG]" in words or len(asked) != 1 or not batch["has_mask"][place]:
                    continue
                numbers = [int(number) for number in words[words.index("[") + 1 : words.index("]")].split(",")]
                stored = np.argwhere(np.asarray(corpus.sample(batch["key"][place]).array("mask")) == labels[asked[0]])
                (y0, x0), (y1, x1) = stored.min(0), stored.max(0) + 1
                matrix = batch["geometry"][place].numpy()
                corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) @ matrix[:, :2].T + matrix[:, 2]
                np.testing.assert_allclose(numbers, [*corners.min(0), *corners.max(0)], atol=0.51, err_msg=item)
                assert min(numbers) >= 0, "cited regions stay whole"
                assert max(numbers) <= 160
                turned += bool(abs(matrix[0, 1]) > 1e-6)
    assert turned > 3


@pytest.mark.parametrize("transform", [WARPED, VIEWS])
def test_ranks_threads_and_a_restart_change_nothing(corpus: Corpus, transform: list[Operation]) -> None:
    def told(batches: Any) -> list[Any]:
        return [
            {
                name: [v.numpy().tobytes() for v in (value if isinstance(value, list) else [value])]
                if name in ("image", "mask", "views", "mask_views", "geometry")
                else str(value)
                for name, value in batch.items()
                if name != "state"
            }
            for batch in batches
        ]

    whole = told(loader(corpus, transform, mask="mask"))
    assert told(loader(corpus, transform, mask="mask", threads=1)) == whole
    running = loader(corpus, transform, mask="mask")
    batches = iter(running)
    next(batches), next(batches)
    state = running.state_dict()
    del batches
    again = loader(corpus, transform, mask="mask")
    again.load_state_dict(pickle.loads(pickle.dumps(state)))
    assert told(again) == whole[2:]
    inside = DataLoader(loader(corpus, transform, mask="mask"), batch_size=None, num_workers=1)
    assert told(inside) == whole
    other = loader(corpus, transform, mask="mask")
    other.set_epoch(1)
    assert told(other) != whole


def test_views_are_crops_of_one_picture_drawn_apart(corpus: Corpus) -> None:
    batch = next(iter(loader(corpus, VIEWS, by="sample", mask="mask")))
    assert "image" not in batch
    assert [tuple(view.shape[1:]) for view in batch["views"]] == [(3, 40, 40)] * 2 + [(3, 16, 16)] * 3
    assert [tuple(view.shape[1:]) for view in batch["mask_views"]] == [(40, 40)] * 2 + [(16, 16)] * 3
    assert batch["geometry"].shape == (len(batch["key"]), 5, 2, 3)
    moved = batch.to("meta")
    assert all(view.device.type == "meta" for view in moved["views"])
    for place, _, _ in pictures(corpus, batch):
        matrices = batch["geometry"][place].numpy().reshape(5, 6)
        assert len(np.unique(matrices, axis=0)) == 5


def test_the_first_view_is_what_one_crop_alone_gives(corpus: Corpus) -> None:
    alone: list[Operation] = [TakeSlice("z"), RandomResizedCrop(40, scale=(0.4, 1.0)), RandomHorizontalFlip()]
    for several, single in zip(loader(corpus, VIEWS), loader(corpus, alone), strict=True):
        for place, item in enumerate(several["item"]):
            assert torch.equal(several["geometry"][place, 0], single["geometry"][place])
            assert several["text"][place] == single["text"][place], item
            # The most exacting view decides at which size a JPEG is decoded.
            difference = (several["views"][0][place] - single["image"][place]).abs()
            assert difference.mean() < 0.02, item


@pytest.mark.parametrize("transform", [WARPED, [TakeSlice("z"), RandomResizedCrop(32)], VIEWS])
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_and_types_hold_the_same_values(
    corpus: Corpus, transform: list[Operation], channels: int
) -> None:
    options = {"channels": channels, "by": "sample"}

    def views_of(**more: Any) -> list[torch.Tensor]:
        batch = next(iter(loader(corpus, transform, **options, **more)))
        return batch["views"] if "views" in batch else [batch["image"]]

    plain = views_of()
    for dtype in ("float32", "float16", "bfloat16", "uint8"):
        for ours, expected in zip(views_of(dtype=dtype, channels_last=True), plain, strict=True):
            assert ours.shape == expected.shape
            assert ours.is_contiguous(memory_format=torch.channels_last)
            if dtype == "uint8":
                assert torch.equal(ours, (expected * 255).round().to(torch.uint8))
            else:
                assert torch.equal(ours, expected.to(ours.dtype))
