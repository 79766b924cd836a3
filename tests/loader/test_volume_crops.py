"""Crops of volumes: what is delivered is what is stored, as the batch says; nothing else decides which crops come."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixed_tree import build, write_mixed_tree
from phantoms import SEQUENCES, Brain, taken
from torch.utils.data import DataLoader

import medshard
from medshard.augment import GaussianNoise, Normalize, Resize, Window, ZScoreNormalize
from medshard.augment.volume import (
    CenterCrop3D,
    ElasticTransform3D,
    ForegroundCrop3D,
    ModalityDropout,
    RandomAffine3D,
    RandomCrop3D,
    RandomFlip3D,
    Resize3D,
    Spacing,
    to_stored,
)
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError

SIZE = (12, 20, 16)
CROP = [RandomCrop3D(SIZE), RandomFlip3D()]


@pytest.fixture(scope="module")
def brain() -> Brain:
    made = Brain()
    made.add("whole", (70, 66, 40))
    made.add("two", (50, 44, 37), ("t1", "flair"), labelled=False)
    made.add("one", (61, 40, 25), ("t2",))
    made.add("flat", (40, 48, 9), ("t1c", "t2", "flair"))
    made.add("other", (45, 47, 30))
    return made


@pytest.fixture(scope="module")
def folder(brain: Brain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brain.build(tmp_path_factory.mktemp("brain"))


@pytest.fixture
def corpus(folder: Path) -> Corpus:
    return medshard.open(folder)


def loader(corpus: Corpus, batch: int = 4, **options: Any) -> medshard.Loader:
    given: dict[str, Any] = {"image": SEQUENCES, "mask": "tumour", "by": "sample", "transform": CROP, "seed": 5}
    return medshard.Loader(corpus, batch, **{**given, **options})


def told(batch: dict[str, Any]) -> list[tuple[str, int, bytes, bytes]]:
    """(key, crop, pixels, affine) of each item."""
    return [
        (key, int(batch["crop"][n]), batch["image"][n].numpy().tobytes(), batch["affine"][n].numpy().tobytes())
        for n, key in enumerate(batch["key"])
    ]


# -- what is delivered ------------------------------------------------------------------------------------------------


def test_a_crop_is_the_stored_voxels_where_the_geometry_says(brain: Brain, corpus: Corpus) -> None:
    mirrored = 0
    for batch in loader(corpus, crops_per_volume=5, transform=[RandomCrop3D(SIZE, outside=-7.0), RandomFlip3D()]):
        for place, key in enumerate(batch["key"]):
            geometry = batch["geometry"][place].numpy()
            for channel, slot in enumerate(SEQUENCES):
                stored = brain.stored(key, slot)
                assert bool(batch["presence"][place, channel]) == (stored is not None)
                wanted = taken(stored, geometry, SIZE, -7.0) if stored is not None else np.zeros(SIZE)
                np.testing.assert_array_equal(batch["image"][place, channel].numpy(), wanted)
            labels = brain.stored(key, "tumour")
            assert bool(batch["has_mask"][place]) == (labels is not None)
            wanted = taken(labels, geometry, SIZE, 0) if labels is not None else np.zeros(SIZE)
            np.testing.assert_array_equal(batch["mask"][place].numpy(), wanted)
            mirrored += int((np.diag(geometry[:, :3]) < 0).any())
    assert mirrored > 5
    assert batch["image"].dtype == torch.float32
    assert batch["mask"].dtype == torch.int32
    assert batch["affine"].dtype == batch["geometry"].dtype == torch.float64


def test_the_affine_of_a_crop_is_that_of_the_patient(brain: Brain, corpus: Corpus) -> None:
    turned = [RandomCrop3D(SIZE), RandomAffine3D(degrees_zyx=40.0, scale=(0.7, 1.4)), RandomFlip3D()]
    for batch in loader(corpus, transform=turned):
        for place, key in enumerate(batch["key"]):
            stored = np.vstack([batch["geometry"][place].numpy(), [0, 0, 0, 1]])
            affine = brain.affine[key.removeprefix("brain-")]
            np.testing.assert_allclose(batch["affine"][place].numpy() @ stored, affine, atol=1e-4)


def test_spacing_gives_crops_of_that_spacing(corpus: Corpus) -> None:
    wanted = (1.5, 1.2, 1.1)
    for batch in loader(corpus, transform=[Spacing(wanted), RandomCrop3D((6, 8, 10))]):
        for affine in batch["affine"].numpy():
            steps = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
            np.testing.assert_allclose(steps, wanted, rtol=0.05)  # a volume has a whole number of voxels


def test_image_and_mask_stay_together_through_every_map(tmp_path: Path) -> None:
    """PAINT: the image is its own mask, so their difference is that of the two samplings alone."""
    made = Brain()
    z, y, x = np.indices((80, 76, 72))
    values = (((z - 40) ** 2 + (y - 38) ** 2 + (x - 34) ** 2 < 28**2) * 2).astype(np.int16)  # corners would be cut
    made.add("cube", values.shape, ("flair",), values=values)
    made.tumour["cube"] = values.astype(np.uint8)
    corpus = medshard.open(made.build(tmp_path))
    warped = [
        RandomCrop3D((48, 48, 48)),
        RandomAffine3D(degrees_zyx=30.0, scale=(0.8, 1.3), shear_degrees=5.0),
        ElasticTransform3D(spacing=20.0, amplitude=3.0),
        RandomFlip3D(),
    ]
    seen = 0
    for batch in loader(corpus, image="flair", transform=warped, crops_per_volume=4):
        for image, mask in zip(batch["image"][:, 0].numpy() > 1, batch["mask"].numpy() == 2, strict=True):
            assert (image & mask).sum() / (image | mask).sum() >= 0.98
            seen += 1
        assert set(np.unique(batch["mask"].numpy())) <= {0, 2}
    assert seen == 4


def test_points_find_their_voxels_through_an_elastic_displacement(brain: Brain, corpus: Corpus) -> None:
    bent = [CenterCrop3D(SIZE), ElasticTransform3D(spacing=8.0, amplitude=2.0)]
    checked = 0
    for batch in loader(corpus, transform=bent):
        for place, key in enumerate(batch["key"]):
            labels = brain.stored(key, "tumour")
            if labels is None:
                continue
            grid = np.stack(np.meshgrid(*(np.arange(n) for n in SIZE), indexing="ij"), -1)[..., ::-1]
            stored = np.rint(to_stored(grid, batch["geometry"][place].numpy(), batch["elastic"][place])).astype(int)
            inside = ((stored >= 0) & (stored < np.array(labels.shape[::-1]))).all(-1)
            i, j, k = stored[inside].T
            same = labels[k, j, i] == batch["mask"][place].numpy()[inside]
            assert same.mean() > 0.999  # halves may round the other way
            checked += 1
    assert checked
    assert "elastic" not in next(iter(loader(corpus, transform=bent[:1])))


def test_steps_are_those_of_the_reference(brain: Brain, corpus: Corpus) -> None:
    chosen = corpus.select("key = 'brain-whole'")
    (plain,) = loader(chosen, 1, transform=[CenterCrop3D(SIZE)])
    (windowed,) = loader(chosen, 1, transform=[CenterCrop3D(SIZE), Window(-500, 800)])
    wanted = np.clip((plain["image"].double().numpy() + 500) / 1300, 0, 1)
    np.testing.assert_allclose(windowed["image"].numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 5e-4), ("bfloat16", 4e-3), ("uint8", 0.5 / 255 + 1e-6)])
def test_other_types_are_the_same_values_rounded(corpus: Corpus, dtype: str, tolerance: float) -> None:
    transform = [*CROP, Window(-1000, 1999)]
    both = zip(loader(corpus, transform=transform, dtype=dtype), loader(corpus, transform=transform), strict=True)
    for narrow, full in both:
        assert narrow["image"].dtype == getattr(torch, dtype)
        values = narrow["image"].float() / (255 if dtype == "uint8" else 1)
        assert (values - full["image"]).abs().max() <= tolerance


def test_channels_that_are_dropped_are_zeros_and_never_the_last(corpus: Corpus) -> None:
    counts = []
    have = {"brain-whole": 4, "brain-two": 2, "brain-one": 1, "brain-flat": 3, "brain-other": 4}
    noisy = [*CROP, ZScoreNormalize(statistics="crop"), GaussianNoise(sigma=1.0, clip=False), ModalityDropout(0.8)]
    for batch in loader(corpus, crops_per_volume=20, transform=noisy):
        for key, image, presence in zip(batch["key"], batch["image"], batch["presence"], strict=True):
            left = int(presence.sum())
            counts.append(left)
            assert 1 <= left <= have[key]
            assert (image[~presence] == 0).all()
            assert all(channel.std() > 0.1 for channel in image[presence])
    assert counts.count(1) > 20
    assert max(counts) > 1


def test_a_single_slot_is_one_channel(corpus: Corpus) -> None:
    keys = []
    for batch in loader(corpus, image="t1", mask=None):
        assert batch["image"].shape[1:] == (1, *SIZE)
        assert "mask" not in batch
        keys += [key for key, there in zip(batch["key"], batch["has_image"], strict=True) if there]
        assert (batch["has_image"] == batch["presence"][:, 0]).all()
    assert sorted(keys) == ["brain-other", "brain-two", "brain-whole"]


# -- the foreground ---------------------------------------------------------------------------------------------------


def test_foreground_crops_hold_what_is_marked(brain: Brain, corpus: Corpus) -> None:
    chosen = corpus.select("key in ('brain-whole', 'brain-other')")
    for batch in loader(chosen, crops_per_volume=30, transform=[ForegroundCrop3D((5, 5, 5), foreground=1.0)]):
        assert (batch["mask"].flatten(1) > 0).any(1).all()
    seen = [
        int(value)
        for batch in loader(chosen, crops_per_volume=40, transform=[ForegroundCrop3D((1, 1, 1), foreground=1.0)])
        for value in batch["mask"].flatten()
    ]
    assert 25 <= seen.count(1) <= 55  # both values alike, however many voxels they have
    assert seen.count(1) + seen.count(2) == 80


def test_what_has_no_mask_is_cropped_anywhere(corpus: Corpus) -> None:
    chosen = corpus.select("key = 'brain-two'")
    (batch,) = loader(chosen, 8, crops_per_volume=8, transform=[ForegroundCrop3D(SIZE, foreground=1.0)])
    assert batch["valid"].all()
    assert len(set(told(batch))) == 8


def test_a_corpus_without_the_index_says_what_to_do(corpus: Corpus) -> None:
    del corpus.manifest.index["foreground.parquet"]
    with pytest.raises(LoaderError, match=r"no index of what the mask tumour of brain-.* medshard build"):
        list(loader(corpus, transform=[ForegroundCrop3D(SIZE)]))


# -- the whole volume, and levels -------------------------------------------------------------------------------------


def test_a_large_reduction_reads_a_coarser_level(tmp_path: Path) -> None:
    made = Brain()
    smooth = np.indices((130, 129, 140)).sum(0).astype(np.int16)
    made.add("big", smooth.shape, ("t1",), labelled=False, spacing_mm=(1.0, 1.0, 1.0), values=smooth)
    corpus = medshard.open(made.build(tmp_path))
    small = [Resize3D((32, 32, 32))]
    (near,) = loader(corpus, 1, image="t1", mask=None, transform=small)
    whole = loader(corpus, 1, image="t1", mask=None, transform=small, renditions=None)
    (full,) = whole
    assert (near["image"] - full["image"]).abs().max() < 2.0  # a ramp of 0 to 396
    assert near["geometry"].equal(full["geometry"])


# -- the order --------------------------------------------------------------------------------------------------------


def test_crops_are_part_of_the_count(corpus: Corpus) -> None:
    made = loader(corpus, 4, crops_per_volume=3)
    assert len(made) == 4  # 5 volumes, 15 crops
    seen = [(key, crop) for batch in made for key, crop, *_ in told(batch)]
    assert len(seen) == 15
    assert sorted(seen) == [(key, crop) for key in sorted({key for key, _ in seen}) for crop in range(3)]


def test_each_crop_of_a_volume_is_another_one_and_epochs_differ(corpus: Corpus) -> None:
    made = loader(corpus, crops_per_volume=6)
    first = [entry for batch in made for entry in told(batch)]
    second = [entry for batch in made for entry in told(batch)]
    assert len({pixels for *_, pixels, _ in first}) == len(first)
    assert not set(first) & set(second)


def test_threads_ranks_and_workers_change_nothing(corpus: Corpus) -> None:
    def epoch(batches: Any) -> list[Any]:
        return sorted(entry for batch in batches for entry in told(batch))

    wanted = epoch(loader(corpus, crops_per_volume=4, threads=1))
    assert epoch(loader(corpus, crops_per_volume=4, threads=3, prefetch=5)) == wanted
    for world in (2, 8):
        ranks = [loader(corpus, 1, crops_per_volume=4, rank=rank, world_size=world) for rank in range(world)]
        assert epoch(batch for made in ranks for batch in made) == wanted
    inside = DataLoader(
        loader(corpus, crops_per_volume=4), batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    assert epoch(inside) == wanted


def test_an_epoch_goes_on_where_it_was_left(corpus: Corpus) -> None:
    whole = [told(batch) for batch in loader(corpus, 3, crops_per_volume=4)]
    first = loader(corpus, 3, crops_per_volume=4)
    batches = iter(first)
    got = [told(next(batches)) for _ in range(3)]
    state = pickle.loads(pickle.dumps(first.state_dict()))
    batches.close()
    again = loader(corpus, 3, crops_per_volume=4, threads=2)
    again.load_state_dict(state)
    assert got + [told(batch) for batch in again] == whole
    with pytest.raises(LoaderError, match="items was 20 and is 10"):
        loader(corpus, 3, crops_per_volume=2).load_state_dict(state)


def test_a_batch_has_different_volumes(tmp_path: Path) -> None:
    made = Brain()
    for number in range(24):
        made.add(f"v{number}", (10, 9, 8), ("t1",), labelled=False)
    corpus = medshard.open(made.build(tmp_path))
    batches = [batch["key"] for batch in loader(corpus, 4, image="t1", mask=None, crops_per_volume=4)]
    assert sum(len(set(keys)) == 4 for keys in batches) > len(batches) * 0.6


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": [Resize((8, 8))]}, "several slots are the channels of a crop in 3D"),
        ({"transform": [Resize((8, 8))], "image": "t1", "crops_per_volume": 2}, "crops_per_volume is for a transform"),
        ({"crops_per_volume": 0}, "crops_per_volume is 1 or more"),
        ({"mask": None, "transform": [ForegroundCrop3D(SIZE)]}, "say which with mask="),
        ({"family": "qwen2-vl"}, "sees pictures"),
        ({"channels_last": True}, "channels_last"),
        ({"dtype": "uint8"}, "dtype='uint8' holds 0..1"),
        ({"dtype": "uint8", "transform": [*CROP, Window(0, 1), Normalize([0.5], [0.5])]}, "dtype='uint8' holds 0..1"),
    ],
)
def test_what_cannot_be_is_refused_at_once(corpus: Corpus, options: dict[str, Any], message: str) -> None:
    with pytest.raises(LoaderError, match=message):
        loader(corpus, **options)


def test_pictures_of_a_mixed_corpus_are_no_volumes(tmp_path: Path) -> None:
    write_mixed_tree(tmp_path / "tree", each=1)
    build(tmp_path / "tree", tmp_path / "corpus")
    mixed = medshard.open(tmp_path / "corpus")
    made = medshard.Loader(mixed, 4, by="sample", transform=[RandomCrop3D((4, 4, 4))], on_error="skip")
    valid: dict[str, bool] = {}
    for batch in made:
        valid.update(zip(batch["key"], batch["valid"].tolist(), strict=True))
    volumes = {s.key for s in mixed if any(medium.kind == "volume" and medium.present for medium in s.record.media)}
    pictures = {s.key for s in mixed if any(medium.kind == "image" and medium.present for medium in s.record.media)}
    assert volumes
    assert pictures
    assert all(valid[key] for key in volumes - pictures)
    assert not any(valid[key] for key in pictures - volumes)
    assert "crops in 3D are of volumes; leave it out" in made.stats()["failures"][0]["reason"]
