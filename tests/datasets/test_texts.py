"""vqa_rad, openi_reports, medquad and pubmedqa: every text and question against the original files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from corpora import Built, build_corpus, labels, questions, texts
from oracles import medquad, openi_reports, pubmedqa, vqa_rad
from oracles.decode import decode_image
from oracles.expected import Expected

Get = Callable[[str], Built]
ORGANS = {"HEAD": "head", "CHEST": "chest", "ABD": "abdomen"}
SECTIONS = ("COMPARISON", "INDICATION", "FINDINGS", "IMPRESSION")


# -- vqa_rad ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vqa(built: Get) -> tuple[Built, Expected]:
    made = built("vqa-rad")
    return made, vqa_rad.expected(made.data)


def _by_split(made: Built) -> dict[str, object]:
    return {f"{file}#{s.record.split}": s for file, both in made.by_file.items() if "images/" in file for s in both}


def test_vqa_has_one_sample_an_image_and_split(vqa: tuple[Built, Expected]) -> None:
    made, expected = vqa
    assert set(_by_split(made)) == set(expected.samples)
    assert len(made.corpus) == len(expected.samples) == 357


def test_vqa_questions_and_answers_are_those_of_the_rows(vqa: tuple[Built, Expected]) -> None:
    made, expected = vqa
    ours = _by_split(made)
    for key, sample in expected.samples.items():
        assert Counter(questions(ours[key])) == Counter(sample.qa), key
        assert labels(ours[key], "anatomy") == {ORGANS[sample.labels["image_organ"].raw]: "present"}, key
    assert sum(len(questions(sample)) for sample in made.corpus) == expected.counts["qa"]


def test_vqa_answer_types_follow_the_answer(vqa: tuple[Built, Expected]) -> None:
    made, _ = vqa
    for sample in made.corpus:
        for fact in sample.record.facts:
            if fact.kind == "qa":
                assert (fact.answer_type == "yesno") == (fact.answer.lower() in ("yes", "no"))


def test_vqa_rows_without_an_image_are_named(vqa: tuple[Built, Expected]) -> None:
    made, expected = vqa
    assert made.left_out() == {("qa", "no_images"): expected.left_out["rows_without_image"]}
    per_split = Counter(line["file"] for line in made.quarantine)
    assert per_split == {
        "data/trainset.json": expected.counts["rows_without_image.train"],
        "data/testset.json": expected.counts["rows_without_image.test"],
    }


def test_vqa_report_says_that_all_test_images_are_in_training(vqa: tuple[Built, Expected]) -> None:
    made, expected = vqa
    leaked = expected.counts["leaked_images"]
    tested = sum(sample.split == "test" for sample in expected.samples.values())
    assert leaked == tested == 142
    assert made.build.split_conflicts == {"test+train": leaked}
    assert str(leaked) in (made.root / "report.html").read_text()
    groups = {split: {s.record.group for s in made.corpus if s.record.split == split} for split in ("train", "test")}
    assert groups["test"] <= groups["train"]


def test_vqa_strict_split_takes_the_leak_out_of_training(built: Get, tmp_path) -> None:
    made = build_corpus("vqa-rad", built("vqa-rad").data, tmp_path, split_policy="official_strict")
    groups = {split: {s.record.group for s in made.corpus if s.record.split == split} for split in ("train", "test")}
    assert not groups["test"] & groups["train"]
    assert len(groups["test"]) == 142
    assert len(groups["train"]) == 215 - 142
    assert made.left_out()["qa", "split_leak"] == 142


def test_vqa_pixels(vqa: tuple[Built, Expected]) -> None:
    made, expected = vqa
    ours = _by_split(made)
    for key in [key for key, sample in expected.samples.items() if sample.pixels is not None]:
        theirs = decode_image(made.data / key.partition("#")[0])
        assert np.abs(ours[key].array("image").astype(int) - theirs.astype(int)).max() <= 2, key


# -- openi -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reports(built: Get) -> tuple[Built, Expected]:
    made = built("openi-reports")
    return made, openi_reports.expected(made.data)


def test_openi_sections_are_those_of_the_archive(reports: tuple[Built, Expected]) -> None:
    made, expected = reports
    assert len(made.corpus) == len(expected.samples) == 3955
    for sample in made.corpus:
        (file,) = {line.file for line in sample.record.source if ".tgz!" in line.file}
        theirs = expected.samples[file.replace("!/", "!")].texts
        for section in SECTIONS:
            wanted = [theirs[section]] if theirs[section] else []
            assert texts(sample, section.lower()) == wanted, (file, section)


def test_openi_redactions_are_counted(reports: tuple[Built, Expected]) -> None:
    made, expected = reports
    redacted = Counter(
        fact.concept for sample in made.corpus for fact in sample.record.facts if fact.kind == "text" and fact.redacted
    )
    for section in SECTIONS:
        assert redacted[f"section/{section.lower()}"] == expected.counts[f"sections_with_XXXX.{section}"]


def test_openi_no_text_to_learn_has_a_redaction(reports: tuple[Built, Expected]) -> None:
    """XXXX stands for a blanked word: nobody should learn to write it."""
    made, _ = reports
    for sample in made.corpus:
        for conversation in sample.conversations:
            answers = [turn for turn in sample.text(conversation) if turn["role"] == "assistant"]
            assert all("XXXX" not in turn["content"] for turn in answers), sample.key


def test_openi_reports_without_text_are_samples_without_it(reports: tuple[Built, Expected]) -> None:
    made, expected = reports
    silent = sum(not texts(s, "findings") and not texts(s, "impression") for s in made.corpus)
    assert silent == expected.counts["reports_without_findings_and_impression"]
    assert made.quarantine == []


# -- medquad ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs(built: Get) -> tuple[Built, Expected]:
    made = built("medquad")
    return made, medquad.expected(made.data)


def test_medquad_pairs_are_those_of_the_files(pairs: tuple[Built, Expected]) -> None:
    made, expected = pairs
    found: Counter[tuple[str, tuple[str, str]]] = Counter()
    for sample in made.corpus:
        (file,) = {line.file for line in sample.record.source if line.file.endswith(".xml")}
        (qa,) = questions(sample)
        found[file, qa] += 1
    wanted = Counter((key.partition("#")[0], sample.qa[0]) for key, sample in expected.samples.items())
    assert found == wanted
    assert len(made.corpus) == expected.counts["qa"] == 676


def test_medquad_pairs_of_another_layout_are_named(pairs: tuple[Built, Expected]) -> None:
    made, expected = pairs
    rows = [line for line in made.quarantine if line["source"] == "other_pairs"]
    assert len(rows) == expected.left_out["pairs_of_another_vocabulary"] == 8
    files = {line["file"] for line in rows}
    assert len(files) == expected.counts["root.doc"] == 2
    assert all(line["message"] and line["row"] for line in rows)
    assert files == {line["file"] for line in made.quarantine if line["source"] == "documents"}


# -- pubmedqa --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def articles(built: Get) -> tuple[Built, Expected]:
    made = built("pubmedqa")
    return made, pubmedqa.expected(made.data)


def test_pubmedqa_decisions_reasons_and_contexts(articles: tuple[Built, Expected]) -> None:
    made, expected = articles
    for key, sample in expected.samples.items():
        ours = made.corpus.sample(f"pubmedqa-{key.partition('#')[2]}")
        (question, long_answer), contexts = sample.qa[0], list(sample.texts.values())
        asked = " ".join([*contexts, question])
        decision = sample.labels["final_decision"].raw
        assert Counter(questions(ours)) == Counter([(asked, decision), (asked, long_answer)]), key
    assert len(made.corpus) == len(expected.samples) == 1000


def test_pubmedqa_splits(articles: tuple[Built, Expected]) -> None:
    made, expected = articles
    for key, sample in expected.samples.items():
        assert made.corpus.sample(f"pubmedqa-{key.partition('#')[2]}").record.split == sample.split
    assert made.build.counts["samples"] == {"test": 500, "train": 500}
    assert made.quarantine == []
