"""Row R40, MM-DINOv2: multi-sequence MR of the brain in which any sequence may be missing.

What belongs to later issues: weights by which sources are mixed. Here labelled and unlabelled studies are of one
source, each once an epoch, and ``has_mask`` says which is which.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import SEQUENCES, build, oblique, save_nifti

import medshard
from medshard.augment import GaussianNoise, ZScoreNormalize
from medshard.augment.volume import (
    ElasticTransform3D,
    ForegroundCrop3D,
    ModalityDropout,
    RandomAffine3D,
    RandomCrop3D,
    RandomFlip3D,
    RandomGamma3D,
)
from medshard.corpus.corpus import Corpus

SHAPE_IJK = (84, 80, 76)
SIZE = (48, 48, 48)
INSIDE = {"t1": 300, "t1c": 900, "t2": 1500, "flair": 2100}
SUBSETS = [list(kept) for count in range(1, 5) for kept in itertools.combinations(SEQUENCES, count)]

SPEC = """\
spec: 1
name: glioma
about: {title: Glioma with missing sequences, modality: mr, anatomy: brain}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  studies: {json: studies.json, rows: "$[*]"}
  t1: {files: "t1/{id}.nii.gz"}
  t1c: {files: "t1c/{id}.nii.gz"}
  t2: {files: "t2/{id}.nii.gz"}
  flair: {files: "flair/{id}.nii.gz"}
  tumour: {files: "tumour/{id}.nii.gz"}
samples:
  from: studies
  key: id
  patient: unknown
  split: {value: site, map: {inside: train, external: test}}
media:
  t1: {from: t1, using: [id], kind: volume, no_file: missing}
  t1c: {from: t1c, using: [id], kind: volume, no_file: missing}
  t2: {from: t2, using: [id], kind: volume, no_file: missing}
  flair: {from: flair, using: [id], kind: volume, no_file: missing}
  tumour: {from: tumour, using: [id], kind: mask, no_file: missing}
facts:
  tumour: {kind: mask_classes, of: tumour, covers: all, map: {1: mass}}
"""


def shapes(number: int) -> np.ndarray:
    """(i, j, k): a block of a place and size of its own, at least 24 voxels across."""
    inside = np.zeros(SHAPE_IJK, bool)
    first, size = 20 + number % 3 * 3, 30 + number % 5
    inside[first : first + size, 22 : 24 + size, 24 : 24 + size] = True
    return inside


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("r40")
    affine = oblique((1.0, 1.0, 1.2))
    studies = []
    for number, kept in enumerate(SUBSETS):
        name, inside = f"s{number}", shapes(number)
        studies.append({"id": name, "site": "external" if number % 5 == 4 else "inside"})
        for slot in kept:
            values = np.where(inside, INSIDE[slot], 0).astype(np.int16)
            save_nifti(root / f"data/{slot}/{name}.nii.gz", values, affine)
        if number % 2:
            save_nifti(root / f"data/tumour/{name}.nii.gz", inside.astype(np.uint8), affine)
    (root / "data/studies.json").write_text(json.dumps(studies))
    return build(SPEC, root / "data", root / "corpus")


@pytest.fixture
def corpus(folder: Path) -> Corpus:
    return medshard.open(folder).select("split = 'train'")


def number_of(key: str) -> int:
    return int(key.removeprefix("glioma-s"))


def loader(corpus: Corpus, transform: list[Any], **options: Any) -> medshard.Loader:
    given: dict[str, Any] = {"batch_size": 2, "image": SEQUENCES, "mask": "tumour", "by": "sample", "seed": 4}
    return medshard.Loader(corpus, transform=transform, **{**given, **options})


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_r40_any_subset_is_channels_and_a_presence_mask(corpus: Corpus) -> None:
    seen = []
    for batch in loader(corpus, [RandomCrop3D(SIZE)]):
        for key, image, presence in zip(batch["key"], batch["image"], batch["presence"], strict=True):
            kept = SUBSETS[number_of(key)]
            assert presence.tolist() == [slot in kept for slot in SEQUENCES]
            assert not image[~presence].any()
            seen.append(number_of(key))
    assert sorted(seen) == [number for number in range(15) if number % 5 != 4]


def test_r40_present_sequences_share_one_transform(corpus: Corpus) -> None:
    """PAINT across channels and with the mask, through flips, rotation, scale and elastic displacement."""
    warped = [
        ForegroundCrop3D(SIZE, foreground=1.0),
        RandomAffine3D(degrees_zyx=25.0, scale=(0.9, 1.2)),
        ElasticTransform3D(spacing=24.0, amplitude=2.0),
        RandomFlip3D(),
    ]
    compared = 0
    for batch in loader(corpus, warped, crops_per_volume=2):
        for place, presence in enumerate(batch["presence"]):
            painted = [
                batch["image"][place, channel].numpy() > INSIDE[slot] / 2
                for channel, slot in enumerate(SEQUENCES)
                if presence[channel]
            ]
            if batch["has_mask"][place]:
                painted.append(batch["mask"][place].numpy() == 1)
            for one, other in itertools.combinations(painted, 2):
                assert iou(one, other) >= 0.98
                compared += 1
    assert compared > 40


def test_r40_masking_of_sequences_never_hides_the_last(corpus: Corpus) -> None:
    transform = [
        RandomCrop3D((32, 32, 32)),
        ZScoreNormalize(statistics="crop"),
        RandomGamma3D((0.7, 1.5)),
        GaussianNoise(sigma=0.5, clip=False),
        ModalityDropout(0.9),
    ]
    left = np.zeros(5, np.int64)
    for batch in loader(corpus, transform, crops_per_volume=30, batch_size=8):
        for key, image, presence in zip(batch["key"], batch["image"], batch["presence"], strict=True):
            kept = np.array([slot in SUBSETS[number_of(key)] for slot in SEQUENCES])
            assert presence.any()
            assert not (presence.numpy() & ~kept).any()
            assert not image[~presence].any()
            assert all(channel.abs().sum() > 0 for channel in image[presence])
            left[int(presence.sum())] += 1
    assert left[0] == 0
    assert left[1] > left[2:].sum() > 0


def test_r40_labelled_and_unlabelled_studies_come_in_one_stream(corpus: Corpus) -> None:
    batches = list(loader(corpus, [RandomCrop3D(SIZE)], batch_size=4))
    labelled = [
        number_of(key) for batch in batches for key, has in zip(batch["key"], batch["has_mask"], strict=True) if has
    ]
    assert sorted(labelled) == [number for number in range(15) if number % 2 and number % 5 != 4]
    assert any(0 < int(batch["has_mask"].sum()) < len(batch["key"]) for batch in batches)
    for batch in batches:
        assert not batch["mask"][~batch["has_mask"]].any()


def test_r40_the_external_site_is_never_drawn(corpus: Corpus, folder: Path) -> None:
    outside = {f"glioma-s{number}" for number in (4, 9, 14)}
    assert {sample.key for sample in medshard.open(folder).select("split = 'test'")} == outside
    made = loader(corpus, [RandomCrop3D((8, 8, 8))], crops_per_volume=3)
    for epoch in range(5):
        made.set_epoch(epoch)
        drawn = [key for batch in made for key in batch["key"]]
        assert not outside & set(drawn)
        assert len(drawn) == 3 * 12
