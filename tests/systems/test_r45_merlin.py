"""Row R45, Merlin: whole CT volumes, resampled and cropped, in batches of eight.

Codes that are rolled up and dated, and the suite of 752 tasks, belong to later issues. How much of a step the trainer
waits depends on the machine: it is recorded, not asserted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import CountingStorage, build, oblique, save_nifti

import medshard
from medshard.augment import Window
from medshard.augment.volume import CenterCrop3D, Resize3D, Spacing
from medshard.corpus.corpus import Corpus
from medshard.record.facts import TextFact

SHAPES_ZYX = [(72 + 4 * number, 136 + 8 * (number % 3), 144) for number in range(9)]
SPACING_ZYX_MM = (2.0, 0.9, 0.9)
SIZE = (20, 28, 28)
WANTED_MM = (4.0, 3.6, 3.6)

SPEC = """\
spec: 1
name: merlin
about: {title: Abdominal CT with reports, modality: ct, anatomy: abdomen}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  studies: {json: studies.json, rows: "$[*]"}
  scans: {files: "ct/{id}.nii.gz"}
samples: {from: studies, key: id, patient: unknown, split: train}
media:
  ct: {from: scans, using: [id], kind: volume, units: hu, no_file: missing}
facts:
  findings: {kind: text, section: findings, value: findings, language: en, no_value: missing}
  impression: {kind: text, section: impression, value: impression, language: en, no_value: missing}
"""


def scan(number: int) -> np.ndarray:
    """(Z, Y, X) smooth HU, so that a mean of voxels is near what lies between them."""
    z, y, x = np.indices(SHAPES_ZYX[number]).astype(np.float64)
    return np.rint(300 * np.sin(z / 17 + number) + 200 * np.cos(y / 23) + 150 * np.sin(x / 19) - 50).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("r45")
    for number in range(len(SHAPES_ZYX)):
        save_nifti(root / f"data/ct/s{number}.nii.gz", scan(number).transpose(2, 1, 0), oblique(SPACING_ZYX_MM[::-1]))
    studies = [
        {"id": f"s{number}", "findings": f"Findings of {number}.", "impression": f"Impression of {number}."}
        for number in range(len(SHAPES_ZYX))
    ]
    (root / "data/studies.json").write_text(json.dumps(studies))
    return build(SPEC, root / "data", root / "corpus")


@pytest.fixture
def corpus(folder: Path) -> Corpus:
    return medshard.open(folder)


def loader(corpus: Corpus, transform: list[Any], **options: Any) -> medshard.Loader:
    return medshard.Loader(corpus, 8, image="ct", by="sample", transform=transform, **options)


RESAMPLED = [Spacing(WANTED_MM), CenterCrop3D(SIZE), Window(-600, 600)]


def number_of(key: str) -> int:
    return int(key.removeprefix("merlin-s"))


def resampled(values: np.ndarray, sizes: tuple[int, ...], starts: tuple[int, ...], grid: tuple[int, ...]) -> np.ndarray:
    """An oracle: along each axis the mean under a triangle as wide as two steps, voxel by voxel."""
    for axis in range(3):
        step = values.shape[axis] / grid[axis]
        rows = []
        for place in range(starts[axis], starts[axis] + sizes[axis]):
            centre = (place + 0.5) * step - 0.5
            weights = np.array([max(0.0, 1 - abs(n - centre) / max(step, 1.0)) for n in range(values.shape[axis])])
            rows.append(np.tensordot(weights / weights.sum(), values, (0, axis)))
        values = np.moveaxis(np.stack(rows), 0, axis)
    return values


def wanted(number: int) -> np.ndarray:
    """(D, H, W) of ``RESAMPLED``."""
    sides = zip(SHAPES_ZYX[number], SPACING_ZYX_MM, WANTED_MM, strict=True)
    grid = tuple(int(np.floor(n * have / want + 0.5)) for n, have, want in sides)
    starts = tuple((n - edge) // 2 for n, edge in zip(grid, SIZE, strict=True))
    return np.clip((resampled(scan(number).astype(np.float64), SIZE, starts, grid) + 600) / 1200, 0, 1)


@pytest.mark.parametrize(("renditions", "tolerance"), [(None, 1e-5), (1.0, 2e-3)])
def test_r45_whole_volumes_are_resampled_and_cropped(
    corpus: Corpus, renditions: float | None, tolerance: float
) -> None:
    sizes = []
    for batch in loader(corpus, RESAMPLED, renditions=renditions):
        sizes.append(len(batch["key"]))
        for key, image, affine in zip(batch["key"], batch["image"], batch["affine"], strict=True):
            np.testing.assert_allclose(image[0].numpy(), wanted(number_of(key)), atol=tolerance)
            steps = np.linalg.norm(affine.numpy()[:3, :3], axis=0)[::-1]
            np.testing.assert_allclose(steps, WANTED_MM, rtol=0.05)
    assert sizes == [8, 1]


def test_r45_a_smaller_level_is_read_where_it_suffices(folder: Path) -> None:
    def bytes_of(transform: list[Any], renditions: float | None) -> int:
        corpus = medshard.open(folder)
        storage = CountingStorage(corpus.storage)
        corpus.storage = storage  # type: ignore[assignment]
        for _ in loader(corpus, transform, renditions=renditions):
            pass
        return sum(length for path, _, length in storage.asked if "/c/" in path)

    assert bytes_of([Resize3D((16, 32, 32))], 1.0) < 0.4 * bytes_of([Resize3D((16, 32, 32))], None)
    assert bytes_of(RESAMPLED, 1.0) < 0.5 * bytes_of(RESAMPLED, None)


def test_r45_findings_and_impression_are_apart_and_join_by_study(corpus: Corpus) -> None:
    keys = [key for batch in loader(corpus, RESAMPLED) for key in batch["key"]]
    assert sorted(map(number_of, keys)) == list(range(len(SHAPES_ZYX)))
    for key in keys:
        texts = {fact.concept: fact.text for fact in corpus.sample(key).record.facts if isinstance(fact, TextFact)}
        number = number_of(key)
        assert texts == {
            "section/findings": f"Findings of {number}.",
            "section/impression": f"Impression of {number}.",
        }


def test_r45_a_trainer_of_one_machine_is_fed(corpus: Corpus, record_property: Callable[[str, object], None]) -> None:
    made = loader(corpus, RESAMPLED, threads=2)
    steps = 0
    begin = time.perf_counter()
    for epoch in range(3):
        made.set_epoch(epoch)
        for _ in made:
            time.sleep(0.05)
            steps += 1
    stats = made.stats()
    assert steps == 6
    assert stats["counts"]["delivered"] == 3 * len(SHAPES_ZYX)
    assert {"unpack", "sample", "wait"} <= set(stats["seconds"])
    record_property("share of waiting", stats["seconds"]["wait"] / (time.perf_counter() - begin))
