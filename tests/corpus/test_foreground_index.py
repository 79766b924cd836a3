"""The foreground index of a built corpus: found by sample and slot, verified, and absent from older corpora."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.parquet as pq
import pytest
from mixed_tree import LIMITS, Quiet

import medshard
from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.verify import verify_corpus
from medshard.errors import CorpusError
from medshard.spec.load import load_spec_text
from medshard.volumes.foreground import Foreground, index_foreground

SPEC = """\
spec: 1
name: scans
about: {title: Scans with organs and lesions, modality: ct, anatomy: abdomen}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  scans: {files: "ct/{id}.nii.gz"}
  organs: {files: "organs/{id}.nii.gz"}
  lesions: {files: "lesions/{id}_{number}.nii.gz"}
samples: {from: scans, patient: unknown, split: train}
media:
  ct: {from: scans, kind: volume, units: hu}
  organs: {from: organs, using: [id], kind: mask, like: ct, no_file: missing}
  lesions: {from: lesions, using: [id], kind: mask, like: ct, instances: file, foreground: "> 0", no_file: missing}
facts:
  organ: {kind: mask_classes, of: organs, covers: all, map: {1: liver, 2: spleen, 300: kidney}}
  lesion: {kind: mask_instances, of: lesions, concept: mass, covers: all}
"""


def write_tree(root: Path) -> None:
    rng = np.random.default_rng(3)
    affine = np.diag([0.8, 0.8, 2.5, 1.0])
    for folder in ("ct", "organs", "lesions"):
        (root / folder).mkdir(parents=True)
    for number in range(5):
        shape = (20 + number, 18, 14)
        scan = rng.integers(-1000, 1000, shape).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(scan, affine), root / "ct" / f"s{number}.nii.gz")
        if number < 3:
            organs = np.zeros(shape, np.int16)
            if number:
                organs[2:17, 1:16, 2:12] = 1
                organs[3, 4, 5] = 2
                organs[15:, 15:] = 300
            nibabel.save(nibabel.Nifti1Image(organs, affine), root / "organs" / f"s{number}.nii.gz")
        for instance in range(number):
            lesion = np.zeros(shape, np.uint8)
            lesion[instance : instance + 6, 3:9, 2:7] = 1  # instances lie over one another
            nibabel.save(nibabel.Nifti1Image(lesion, affine), root / "lesions" / f"s{number}_{instance}.nii.gz")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    write_tree(root / "data")
    (loaded,) = load_spec_text(SPEC, "scans.yaml")
    build_corpus([(loaded, root / "data")], root / "corpus", BuildOptions(workers=1, limits=LIMITS), Quiet())
    return root / "corpus"


def same(one: Foreground, other: Foreground) -> None:
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.boxes_zyx, other.boxes_zyx)
    for points, others in zip(one.points_zyx, other.points_zyx, strict=True):
        np.testing.assert_array_equal(points, others)


def test_every_mask_in_3d_has_the_index_of_what_is_stored(built: Path) -> None:
    corpus = pickle.loads(pickle.dumps(medshard.open(built)))
    seen = 0
    for sample in corpus:
        for slot in ("organs", "lesions"):
            found = corpus.foreground(sample.row, slot)
            if not sample.medium(slot).present:
                assert found is None
                continue
            assert found is not None
            same(found, index_foreground(sample.array(slot)))
            seen += len(found.values)
        assert corpus.foreground(sample.row, "ct") is None
    assert seen == 2 * 3 + (1 + 2 + 3 + 4)


def test_a_mask_without_a_region_has_an_empty_index(built: Path) -> None:
    corpus = medshard.open(built)
    found = corpus.foreground(corpus.sample("scans-s0").row, "organs")
    assert found is not None
    assert (len(found.values), found.boxes_zyx.shape, found.points_zyx) == (0, (0, 2, 3), [])


def test_one_mask_is_a_small_part_of_the_file(built: Path) -> None:
    table = pq.ParquetFile(built / "foreground.parquet")
    assert table.metadata.num_row_groups > 1
    points = table.metadata.row_group(1).column(7)
    assert points.path_in_schema == "points.list.element"
    assert "DELTA_BINARY_PACKED" in points.encodings


def problems(corpus: Path, *, quick: bool = False) -> list[str]:
    return verify_corpus(medshard.open(corpus), quick=quick, progress=Quiet())[0]


def test_the_index_is_verified(built: Path, tmp_path: Path) -> None:
    found, checked = verify_corpus(medshard.open(built), quick=False, progress=Quiet())
    assert found == []
    assert checked["indexed masks"] == 3 + 4
    shutil.copytree(built, tmp_path / "corpus")
    path, manifest = tmp_path / "corpus" / "foreground.parquet", tmp_path / "corpus" / "corpus.json"
    table = pq.read_table(path)
    counts = table["count"].to_numpy().copy()
    counts[1] += 1
    pq.write_table(table.set_column(3, table.schema.field("count"), [counts]), path)
    assert any("foreground.parquet is not the file" in line for line in problems(tmp_path / "corpus"))
    trusted = json.loads(manifest.read_text())
    trusted["index"]["foreground.parquet"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(trusted))
    (line,) = problems(tmp_path / "corpus")
    assert "is not the index of the stored mask" in line
    assert problems(tmp_path / "corpus", quick=True) == []


def test_a_damaged_index_says_so(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "corpus")
    path = tmp_path / "corpus" / "foreground.parquet"
    path.write_bytes(path.read_bytes()[:-60])
    corpus = medshard.open(tmp_path / "corpus")
    with pytest.raises(CorpusError, match=r"foreground\.parquet cannot be read"):
        corpus.foreground(0, "organs")


def test_corpora_from_before_the_index_open(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "corpus")
    manifest = tmp_path / "corpus" / "corpus.json"
    older = json.loads(manifest.read_text())
    del older["index"]["foreground.parquet"]
    manifest.write_text(json.dumps(older))
    (tmp_path / "corpus" / "foreground.parquet").unlink()
    for unit in (tmp_path / "corpus").rglob("*.foreground.parquet"):
        unit.unlink()
    corpus = medshard.open(tmp_path / "corpus")
    assert corpus.foreground(0, "organs") is None
    assert problems(tmp_path / "corpus") == []
