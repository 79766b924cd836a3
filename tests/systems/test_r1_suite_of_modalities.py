"""Row R1: one suite over CT, MR, PET, EM and WSI; the same items at every resolution, painted masks that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from painted_suite import PAINTS, build_suite, overlap, seen_labels, write_suite

import medshard
from medshard.augment import (
    Operation,
    RandomAffine,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRot90,
    Resize,
    TakeSlice,
    TakeSlices,
    Window,
)
from medshard.augment.volume import ForegroundCrop3D, RandomAffine3D, RandomFlip3D
from medshard.corpus.corpus import Corpus

SIZES = (224, 512, 1024)
LEAST_PX = 64


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    root = tmp_path_factory.mktemp("suite")
    write_suite(root / "tree")
    return root / "tree", build_suite(root / "tree", root / "corpus")


Suite = tuple[Path, Corpus]


def slug_of(key: str) -> str:
    return key.split("-")[1]


def window(slug: str) -> Window:
    dark, _, bright = PAINTS[slug].values
    return Window(dark, bright)


def loader(corpus: Corpus, transform: list[Operation], **options: Any) -> medshard.Loader:
    given = {"batch_size": 2, "by": "sample", "mask": "label", "threads": 2, "channels": 1, "seed": 7, **options}
    return medshard.Loader(corpus, transform=transform, **given)


def of(corpus: Corpus, slug: str) -> Corpus:
    return corpus.select(f"dataset = 'suite-{slug}'")


def test_r1_the_same_items_come_in_the_same_order_at_every_size(suite: Suite) -> None:
    _, corpus = suite
    assert len(corpus) == 3 * len(PAINTS)
    for take in (TakeSlice("z", index="random"), TakeSlices("z", count=2)):
        orders = []
        for size in SIZES:
            batches = list(loader(corpus, [take, Resize((size, size))]))
            assert all(batch["image"].shape[-2:] == (size, size) for batch in batches)
            assert all(batch["mask"].shape[-2:] == (size, size) for batch in batches)
            planes = [tuple(row) for batch in batches for row in batch["slice_index"].tolist()]
            orders.append(([item for batch in batches for item in batch["item"]], planes))
        assert orders[0] == orders[1] == orders[2]
        assert len(set(orders[0][0])) == len(corpus)


AUGMENTED: dict[str, list[Any]] = {
    "crop": [lambda size: RandomResizedCrop(size, scale=(0.4, 1.0)), lambda _: RandomHorizontalFlip()],
    "turn": [lambda size: Resize((size, size)), lambda _: RandomRot90()],
    "affine": [lambda size: Resize((size, size)), lambda _: RandomAffine(20, scale=(0.9, 1.3), shear=6, fill=0.5)],
}


@pytest.mark.parametrize("how", AUGMENTED)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("slug", PAINTS)
def test_r1_masks_stay_on_their_pictures(suite: Suite, slug: str, size: int, how: str) -> None:
    """PAINT: intersection over union at least 0.98 a label, and no label that the source lacks."""
    _, corpus = suite
    take = TakeSlices("axial" if slug != "wsi" else "z", count=3, choose="random")
    transform = [take, *(make(size) for make in AUGMENTED[how]), window(slug)]
    compared = 0
    for batch in loader(of(corpus, slug), transform):
        for place in range(len(batch["key"])):
            for number in range(int(batch["pictures"][place])):
                mask = batch["mask"][place, number].numpy()
                assert set(np.unique(mask)) <= {0, 1, 2}
                found = seen_labels(batch["image"][place, number, 0].numpy())
                for label in (1, 2):
                    if (mask == label).sum() >= LEAST_PX**2:
                        assert overlap(found == label, mask == label) >= 0.98
                        compared += 1
    assert compared > 3


@pytest.mark.parametrize("slug", [slug for slug in PAINTS if slug != "wsi"])
def test_r1_crops_in_3d_stay_in_their_masks(suite: Suite, slug: str) -> None:
    """PAINT of the 3D views: a crop that is mirrored, turned and enlarged, resampled once with its mask.

    Enlarged, so that little of the volume's border is seen, where what is half as bright counts as another label.
    """
    _, corpus = suite
    transform: list[Any] = [
        ForegroundCrop3D((48, 48, 48), foreground=1.0),
        RandomFlip3D(),
        RandomAffine3D(15.0, scale=(1.1, 1.4)),
        window(slug),
    ]
    compared = 0
    options = {"batch_size": 1, "image": "image", "crops_per_volume": 8}
    for batch in loader(of(corpus, slug), transform, **options):
        mask = batch["mask"][0].numpy().squeeze()
        assert set(np.unique(mask)) <= {0, 1, 2}
        found = seen_labels(batch["image"][0, 0].numpy())
        if (mask == 2).sum() >= 24**3:  # beyond the volume it is as dark as label 1, and half so at its edge
            assert overlap(found == 2, mask == 2) >= 0.98
            compared += 1
    assert compared > 3


@pytest.mark.parametrize("slug", [slug for slug in PAINTS if slug != "wsi"])
def test_r1_slices_restack_to_the_source_volume(suite: Suite, slug: str) -> None:
    tree, corpus = suite
    dark, _, bright = PAINTS[slug].values
    for sample in of(corpus, slug):
        name = sample.key.removeprefix(f"suite-{slug}-")
        image, labels = (
            np.asarray(nibabel.load(tree / slug / part / f"{name}.nii.gz").dataobj).transpose()
            for part in ("image", "label")
        )
        for axis, letter in enumerate("zyx"):
            source, source_labels = np.moveaxis(image, axis, 0), np.moveaxis(labels, axis, 0)
            transform: list[Operation] = [TakeSlices(letter, count="all"), Resize(source.shape[1:]), window(slug)]  # type: ignore[arg-type]
            (batch,) = loader(of(corpus, slug).select(f"key = '{sample.key}'"), transform)
            stack = np.rint(batch["image"][0, :, 0].numpy().astype(np.float64) * (bright - dark) * 4) / 4 + dark
            np.testing.assert_array_equal(stack, source)
            np.testing.assert_array_equal(batch["mask"][0], source_labels)


@pytest.mark.parametrize("size", SIZES)
def test_r1_frozen_features_see_pixels_without_augmentation(suite: Suite, size: int) -> None:
    """A transform without random operations: each epoch, seed and batch size gives the same bytes, in another order."""
    _, corpus = suite
    transform: list[Operation] = [TakeSlice("z"), Resize((size, size))]
    seen: list[dict[str, torch.Tensor]] = []
    orders = []
    for options in ({"seed": 1}, {"seed": 2, "batch_size": 5, "threads": 1}):
        running = loader(corpus, transform, **options)
        for _ in range(2):
            epoch = {}
            for batch in running:
                epoch |= dict(zip(batch["item"], batch["image"], strict=True))
            seen.append(epoch)
            orders.append(list(epoch))
    assert len({tuple(order) for order in orders}) == len(orders)
    for other in seen[1:]:
        assert all(torch.equal(other[item], seen[0][item]) for item in seen[0])
    still = torch.nn.functional.interpolate
    for sample in corpus:
        stored = torch.from_numpy(sample.array("image").astype(np.float64))
        plane = stored[len(stored) // 2] if stored.ndim == 3 else stored
        low, high = (0.0, 255.0) if stored.ndim == 2 else (plane.min(), plane.max())
        wanted = still(((plane - low) / (high - low))[None, None], (size, size), mode="bilinear", antialias=True)
        item = next(item for item in seen[0] if item.startswith(sample.key))
        assert (seen[0][item][0].double() - wanted[0, 0]).abs().max() < 4e-6, sample.key
