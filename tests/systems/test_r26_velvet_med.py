"""Row R26, VELVET-Med: CT scans with reports, two seeded 3D views of each.

A report is not true of a part of its scan, so its item shows all of the volume in both views, which then differ in
their values alone; crops inside the body come with ``by="sample"``, and the sections of the report by key. Sentences
and words as units with offsets belong to the issue on texts of pairs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import build, oblique, save_nifti, taken

import medshard
from medshard.augment import GaussianNoise
from medshard.augment.volume import ForegroundCrop3D, GridCrop3D, RandomCrop3D, RandomFlip3D, Spacing, Views3D
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.order import Order, OrderConfig, Source, rank_slice
from medshard.record.facts import TextFact

SHAPE_IJK = (60, 56, 48)
SIZE = (24, 24, 24)
SPACING_IJK_MM = (0.9, 0.9, 2.5)
PAIRS = 38_875
SCANS = 6

SPEC = """\
spec: 1
name: velvet
about: {title: Scans with reports, modality: ct, anatomy: chest}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  reports: {json: reports.json, rows: "$[*]"}
  scans: {files: "ct/{id}.nii.gz"}
  body: {files: "body/{id}.nii.gz"}
samples: {from: reports, key: id, patient: unknown, split: train}
media:
  ct: {from: scans, using: [id], kind: volume, units: hu, no_file: missing}
  body: {from: body, using: [id], kind: mask, no_file: missing}
facts:
  findings: {kind: text, section: findings, value: findings, language: en, no_value: missing}
  impression: {kind: text, section: impression, value: impression, language: en, no_value: missing}
"""


def report(number: int) -> dict[str, str]:
    return {
        "id": f"s{number}",
        "findings": f"The right lung is clear. A nodule of {number + 3} mm lies in the left upper lobe.",
        "impression": f"Left upper nodule, follow-up in {number + 1} months.",
    }


def scan(number: int) -> np.ndarray:
    i, j, k = np.indices(SHAPE_IJK)
    return ((i * 37 + j * 101 + k * 13 + number * 7) % 1500 - 1000).astype(np.int16)


def body() -> np.ndarray:
    found = np.zeros(SHAPE_IJK, np.uint8)
    found[18:44, 16:40, 14:36] = 1
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("r26")
    affine = oblique(SPACING_IJK_MM)
    for number in range(SCANS):
        save_nifti(root / f"data/ct/s{number}.nii.gz", scan(number), affine)
        save_nifti(root / f"data/body/s{number}.nii.gz", body(), affine)
    (root / "data/reports.json").write_text(json.dumps([report(number) for number in range(SCANS)]))
    return build(SPEC, root / "data", root / "corpus")


@pytest.fixture
def corpus(folder: Path) -> Corpus:
    return medshard.open(folder)


def views(corpus: Corpus, seed: int = 3, **options: Any) -> medshard.Loader:
    transform = [Views3D(2), ForegroundCrop3D(SIZE, foreground=1.0), RandomFlip3D()]
    given: dict[str, Any] = {"image": "ct", "mask": "body", "by": "sample", "transform": transform, "seed": seed}
    return medshard.Loader(corpus, 2, **{**given, **options})


def test_r26_two_seeded_views_of_each_scan(corpus: Corpus) -> None:
    for batch in views(corpus):
        assert "image" not in batch
        assert batch["geometry"].shape == (2, 2, 3, 4)
        assert batch["affine"].shape == (2, 2, 4, 4)
        for view in range(2):
            for place, key in enumerate(batch["key"]):
                number = int(key.removeprefix("velvet-s"))
                geometry = batch["geometry"][place, view].numpy()
                for shown, stored in ((batch["views"], scan(number)), (batch["mask_views"], body())):
                    values = shown[view][place].numpy().reshape(SIZE)
                    wanted = taken(stored.transpose(2, 1, 0), geometry, SIZE, 0)
                    np.testing.assert_array_equal(values, wanted)
        assert (batch["geometry"][:, 0] != batch["geometry"][:, 1]).flatten(1).any(1).all()

    def told(made: medshard.Loader) -> list[bytes]:
        return [view.numpy().tobytes() for batch in made for view in batch["views"]]

    assert told(views(corpus)) == told(views(corpus, threads=3))
    assert told(views(corpus)) != told(views(corpus, seed=4))


def test_r26_crops_lie_about_the_body(corpus: Corpus) -> None:
    for batch in views(corpus, crops_per_volume=5):
        for mask in batch["mask_views"]:
            assert mask[:, 11:13, 11:13, 11:13].flatten(1).any(1).all() or mask.flatten(1).float().mean(1).min() > 0.1
            assert (mask.flatten(1).float().mean(1) > 0.1).all()


def test_r26_views_keep_their_spacing(corpus: Corpus) -> None:
    for batch in views(corpus):
        steps = np.linalg.norm(batch["affine"].numpy()[..., :3, :3], axis=-2)
        np.testing.assert_allclose(steps, np.broadcast_to(SPACING_IJK_MM, steps.shape), rtol=1e-5)
    resampled = [Views3D(2), Spacing((2.0, 1.0, 1.0)), RandomCrop3D(SIZE)]
    for batch in views(corpus, transform=resampled):
        steps = np.linalg.norm(batch["affine"].numpy()[..., :3, :3], axis=-2)
        np.testing.assert_allclose(steps, np.broadcast_to((1.0, 1.0, 2.0), steps.shape), rtol=0.02)


def test_r26_sections_of_the_report_are_units_of_their_own(corpus: Corpus) -> None:
    for batch in views(corpus):
        for key in batch["key"]:
            wanted = report(int(key.removeprefix("velvet-s")))
            texts = {fact.concept: fact.text for fact in corpus.sample(key).record.facts if isinstance(fact, TextFact)}
            assert texts == {f"section/{name}": wanted[name] for name in ("findings", "impression")}


def test_r26_a_report_is_shown_with_all_of_its_scan(corpus: Corpus) -> None:
    items = corpus.select("task = 'report'")
    transform = [Views3D(2), RandomCrop3D(SIZE), RandomFlip3D(), GaussianNoise(sigma=(0.1, 0.5), clip=False)]
    sections = 0
    for batch in views(items, by="item", image=None, transform=transform):
        for place, (key, text) in enumerate(zip(batch["key"], batch["text"], strict=True)):
            wanted = report(int(key.removeprefix("velvet-s")))
            assert text[-1]["content"] in (wanted["findings"], wanted["impression"])
            if not batch["has_image"][place]:  # the impression from the findings, without a look at the scan
                assert wanted["findings"] in text[0]["content"]
                continue
            sections += 1
            for geometry in batch["geometry"][place].numpy():
                # Not cut, not mirrored: corner on corner, the whole volume over the whole crop.
                low = geometry @ [-0.5, -0.5, -0.5, 1]
                high = geometry @ [*(np.array(SHAPE_IJK) - 0.5), 1]
                np.testing.assert_allclose(low, -0.5)
                np.testing.assert_allclose(high, np.array(SIZE) - 0.5)
        seen = batch["has_image"]
        assert (batch["views"][0][seen] != batch["views"][1][seen]).flatten(1).any(1).all()
    assert sections == 2 * SCANS


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_r26_an_index_of_all_pairs_is_served_once(world: int) -> None:
    """RANK, for the order of 38,875 pairs, each a group of two crops."""
    runs = [1000 * 2] * 38 + [875 * 2]
    order = Order([Source("sample", runs, group=2)], OrderConfig(seed=1, lanes=16, window_items=32))
    counts = np.zeros(2 * PAIRS, np.int64)
    plan = order.step(0, 0, 64)
    while plan is not None:
        taken_by = [plan.items[rank_slice(len(plan.items), rank, world)] for rank in range(world)]
        counts += np.bincount(np.concatenate(taken_by), minlength=2 * PAIRS)
        plan = order.step(0, plan.offset, 64)
    assert (counts == 1).all()


def test_r26_views_of_a_grid_are_refused(corpus: Corpus) -> None:
    with pytest.raises(LoaderError, match="leave Views3D out"):
        views(corpus, transform=[Views3D(2), GridCrop3D(SIZE)])
