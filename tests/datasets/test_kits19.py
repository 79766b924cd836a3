"""kits19: two small cases of the set, built from copies; masks, numbers and the absent images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from corpora import Built, build_corpus, mask_of, measures, regions
from oracles import kits19_seg
from oracles.expected import Expected, MaskArea

import medshard

CASES = ("case_00004", "case_00007")
CONCEPTS = {"1": "structure/kidney_region", "2": "finding/kidney_tumour"}


@pytest.fixture(scope="module")
def kits(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, Expected]:
    data = tmp_path_factory.mktemp("kits19_data")
    original = shared / "data/kits19_seg/data"
    (data / "data").mkdir()
    shutil.copyfile(original / "kits.json", data / "data/kits.json")
    for case in CASES:
        (data / "data" / case).mkdir()
        shutil.copyfile(original / case / "segmentation.nii.gz", data / "data" / case / "segmentation.nii.gz")
    return build_corpus("kits19", data, tmp_path_factory.mktemp("kits19")), kits19_seg.expected(data)


def test_records_without_a_folder_are_named(kits: tuple[Built, Expected]) -> None:
    made, expected = kits
    assert len(made.corpus) == len(CASES)
    assert made.left_out() == {("clinical", "orphan"): expected.counts["records_without_folder"]}
    assert expected.counts["records_without_folder"] == 208


def test_masks_have_the_voxels_and_the_place_of_their_files(kits: tuple[Built, Expected]) -> None:
    made, expected = kits
    for case in CASES:
        theirs = expected.samples[f"data/{case}/segmentation.nii.gz"]
        ours = made.corpus.sample(f"kits19-{case}")
        medium = ours.medium("mask")
        assert tuple(medium.shape) == theirs.geometry.shape_kji
        assert np.allclose(medium.affine_ijk_to_ras, theirs.geometry.affine_ijk_to_ras, atol=1e-4)
        values = ours.array("mask")
        assert {place: float(values[place]) for place in theirs.geometry.voxels} == theirs.geometry.voxels
        found = {fact.concept: MaskArea.of(mask_of(ours, fact)) for fact in regions(ours, "mask")}
        assert found == {CONCEPTS[value]: area for value, area in theirs.masks.items()}


def test_the_image_is_missing_and_says_so(kits: tuple[Built, Expected]) -> None:
    made, expected = kits
    assert expected.left_out["image_missing"] == len(CASES)
    for sample in made.corpus:
        assert (sample.medium("image").present, sample.medium("image").absent_reason) == (False, "missing")
        assert sample.conversations == [], "nothing is asked of a picture that is not there"


def test_numbers_and_subject_are_those_of_the_record(kits: tuple[Built, Expected]) -> None:
    made, expected = kits
    records = {row["case_id"]: row for row in json.loads((made.data / "data/kits.json").read_text())}
    for case in CASES:
        ours, row = made.corpus.sample(f"kits19-{case}"), records[case]
        found = {
            "bmi": [fact.value for fact in measures(ours, "body_mass_index")],
            "size": [fact.value for fact in measures(ours, "lesion_size")],
        }
        assert found == {"bmi": [row["body_mass_index"]], "size": [row["radiographic_size"]]}
        labels = expected.samples[f"data/{case}/segmentation.nii.gz"].labels
        assert ours.record.subject.sex == {"male": "M", "female": "F"}[labels["gender"].raw]
        assert ours.record.subject.age_years == float(labels["age_at_nephrectomy"].raw)
        assert ours.record.split == "train"
        assert case not in str(ours.record.group)


def test_samples_without_a_picture_are_streamed_once(kits: tuple[Built, Expected]) -> None:
    made, _ = kits
    came = [key for batch in medshard.Loader(made.corpus, 1, seed=0) for key in batch["key"]]
    assert sorted(came) == [f"kits19-{case}" for case in CASES]
