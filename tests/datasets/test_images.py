"""busi and figure1_covid_cxr: classes, captions and notes, joins by name, pixels, against the original files."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from corpora import Built, labels, texts
from oracles import busi, figure1_covid_cxr
from oracles.decode import decode_image
from oracles.expected import Expected

Get = Callable[[str], Built]
LESIONS = {"benign": "benign_lesion", "malignant": "malignant_lesion", "normal": "normal"}
FINDINGS = {"COVID-19": "covid_19", "Pneumonia": "pneumonia", "No finding": "no_abnormality"}
VIEWS = {
    "AP": "frontal_ap",
    "AP erect": "frontal_ap_erect",
    "AP Supine": "frontal_ap_supine",
    "PA": "frontal_pa",
}


@pytest.fixture(scope="module")
def breasts(built: Get) -> tuple[Built, Expected]:
    made = built("busi-captions")
    return made, busi.expected(made.data)


@pytest.fixture(scope="module")
def chests(built: Get) -> tuple[Built, Expected]:
    made = built("figure1-covid-cxr")
    return made, figure1_covid_cxr.expected(made.data)


# -- busi ------------------------------------------------------------------------------------------------------------


def test_breast_class_and_caption_of_each_image(breasts: tuple[Built, Expected]) -> None:
    made, expected = breasts
    assert len(made.corpus) == len(expected.samples) == 74
    for file, sample in expected.samples.items():
        ours = made.of(file)
        assert labels(ours, "finding") == {LESIONS[sample.labels["class"].raw]: "present"}, file
        assert texts(ours, "caption") == [sample.texts["caption"]], file


def test_breast_pixels_are_exact(breasts: tuple[Built, Expected]) -> None:
    made, expected = breasts
    for file in [file for file, sample in expected.samples.items() if sample.pixels is not None]:
        np.testing.assert_array_equal(made.of(file).array("image"), decode_image(made.data / file), file)


def test_captions_of_absent_images_are_named(breasts: tuple[Built, Expected]) -> None:
    made, expected = breasts
    assert made.left_out() == {("captions", "orphan"): expected.left_out["captions_without_image"]}
    assert len({line["row"] for line in made.quarantine}) == len(made.quarantine)


def test_breast_captions_name_the_class_and_never_stand_in_a_question(breasts: tuple[Built, Expected]) -> None:
    """The captions are 30 sentences made of the class: one that stood in a question would answer it."""
    made, expected = breasts
    for file, sample in expected.samples.items():
        ours = made.of(file)
        assert sample.labels["class"].raw in sample.texts["caption"]
        (fact,) = [fact for fact in ours.record.facts if fact.kind == "text"]
        assert fact.by == "derived", "no person described this picture"
        for conversation in ours.conversations:
            asked = " ".join(turn["content"] for turn in ours.text(conversation) if turn["role"] == "user")
            assert sample.texts["caption"] not in asked


def test_breast_splits_are_not_made_up(breasts: tuple[Built, Expected]) -> None:
    made, _ = breasts
    assert {sample.record.split for sample in made.corpus} == {"none"}
    assert {sample.record.group for sample in made.corpus} == {None}


# -- figure1 ---------------------------------------------------------------------------------------------------------


def test_chest_finding_view_sex_and_notes(chests: tuple[Built, Expected]) -> None:
    made, expected = chests
    raw = (made.data / "metadata.csv").read_bytes().decode("cp1252")
    notes = {row["patientid"]: row["notes"].strip() for row in csv.DictReader(io.StringIO(raw, newline=""))}
    assert len(made.corpus) == len(expected.samples) == 50
    for file, sample in expected.samples.items():
        ours = made.of(file)
        finding, view = sample.labels["finding"], sample.labels["view"].raw.strip()
        assert labels(ours, "finding") == ({FINDINGS[finding.raw]: "present"} if finding.raw else {}), file
        assert labels(ours, "view") == ({VIEWS[view]: "present"} if view else {}), file
        note = notes[file.rpartition("/")[2].rpartition(".")[0]]
        assert texts(ours, "note") == ([note] if note else []), file
        assert ours.record.subject.sex == (sample.labels["sex"].raw or None), file


def test_chest_notes_are_windows_1252(chests: tuple[Built, Expected]) -> None:
    """Byte 0x92 is the apostrophe there; as Latin-1 it is a control character."""
    made, expected = chests
    ours = "".join(text for sample in made.corpus for text in texts(sample, "note"))
    theirs = "".join(sample.texts["notes"] for sample in expected.samples.values())
    assert not [letter for letter in ours if 0x7F <= ord(letter) < 0xA0]
    assert ours.count("\u2019") == theirs.count("\u0092") > 0


def test_letters_after_the_number_are_one_patient(chests: tuple[Built, Expected]) -> None:
    made, expected = chests
    ours: dict[str, set[str | None]] = {}
    for file, sample in expected.samples.items():
        ours.setdefault(sample.group, set()).add(made.of(file).record.group)
    assert len(ours) == expected.counts["groups"] == 44
    assert all(len(groups) == 1 for groups in ours.values())
    assert len(set.union(*ours.values())) == 44


def test_an_empty_finding_is_no_statement(chests: tuple[Built, Expected]) -> None:
    made, expected = chests
    silent = [s for s in made.corpus if not labels(s, "finding")]
    assert len(silent) == expected.counts["finding."] == 14
    for sample in silent:
        assert not [c for c in sample.conversations if c.task in ("classification", "multilabel")]


def test_chest_pixels_and_rows_without_an_image(chests: tuple[Built, Expected]) -> None:
    made, expected = chests
    assert made.left_out() == {("metadata", "orphan"): expected.left_out["rows_without_image"]}
    kinds = Counter(sample.array("image").ndim for sample in made.corpus)
    assert kinds == {2: expected.counts["grey"], 3: expected.counts["rgb"]}
    for file in [file for file, sample in expected.samples.items() if sample.pixels is not None]:
        ours, theirs = made.of(file).array("image"), decode_image(made.data / file)
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2, file
