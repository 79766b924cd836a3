"""Texts and questions of the source come through unchanged, redaction is seen, and empty ones are no facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_source import Source, blank, read_source

from medshard.errors import ReadError
from medshard.record.facts import QaFact, TextFact

TEXTS = """\
sources:
  images: {files: "{id}.png"}
  reports: {json: reports.json, rows: "$[*]"}
samples: {from: images, join: {reports: {using: [id], need: one}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
  findings: {kind: text, section: findings, value: findings, language: en, redaction: XXXX, no_value: missing}
  impression: {kind: text, section: impression, value: impression, language: en, redaction: XXXX, no_value: missing}
  note: {kind: text, section: note, value: note, language: zh-CN, no_value: missing, by: expert}
"""


def texts(root: Path, **cells: str | None) -> dict[str, TextFact]:
    row = {"id": "a", "findings": None, "impression": None, "note": None, **cells}
    files: dict[str, str | bytes] = {"a.png": blank(4, 4), "reports.json": json.dumps([row])}
    sample = read_source(root / "data", TEXTS, files).sample("a")
    return {(fact.concept or ""): fact for fact in sample.facts if isinstance(fact, TextFact)}


def test_words_line_breaks_and_signs_are_the_sources(tmp_path: Path) -> None:
    words = 'Heart size  normal.\n\nLungs: clear, no "effusion"; 5 mm nodule {{ x }} <image> 50% — µ'
    found = texts(tmp_path, findings=f"  {words}\n ", note="双肺纹理清晰。")
    assert found["section/findings"].text == words
    assert found["section/note"].text == "双肺纹理清晰。"
    assert found["section/note"].lang == "zh-CN"
    assert found["section/findings"].source[0].raw is None, "the text is not stored twice"
    assert found["section/findings"].source[0].field == "findings"


@pytest.mark.parametrize("empty", [None, "", "  \n\t "])
def test_an_empty_section_is_no_fact(tmp_path: Path, empty: str | None) -> None:
    assert set(texts(tmp_path, findings="Clear.", impression=empty)) == {"section/findings"}


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("The XXXX is normal.", True),
        ("XXXX-year-old with XXXX.", True),
        ("The XXX is normal.", False),
        ("The heart is normal.", False),
    ],
)
def test_blanked_words_are_seen(tmp_path: Path, text: str, redacted: bool) -> None:
    assert texts(tmp_path, findings=text)["section/findings"].redacted is redacted


def test_what_counts_as_blanked_is_the_specs_word(tmp_path: Path) -> None:
    assert texts(tmp_path, note="XXXX")["section/note"].redacted is False


QA = """\
sources:
  images: {files: "{id}.png"}
  qa: {json: qa.json, rows: "$[*]"}
samples: {from: images, join: {qa: {using: [id], need: any}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
  qa:
    {kind: qa, of: qa, question: q, answer: a, answer_type: t, options: o, order: "n::int", language: LANG,
     no_value: missing}
"""


def questions(root: Path, *rows: dict[str, object], lang: str = "en") -> list[QaFact]:
    plain = {"id": "a", "t": None, "o": None}
    listed = [{**plain, "n": str(place), **row} for place, row in enumerate(rows)]
    files: dict[str, str | bytes] = {"a.png": blank(4, 4), "qa.json": json.dumps(listed)}
    source: Source = read_source(root / "data", QA.replace("LANG", lang), files)
    return [fact for fact in source.sample("a").facts if isinstance(fact, QaFact)]


def test_questions_keep_their_words_and_order(tmp_path: Path) -> None:
    found = questions(tmp_path, {"q": "Second? ", "a": " 2 cm", "n": "10"}, {"q": "First?", "a": "left lobe", "n": "9"})
    assert [(fact.question, fact.answer, fact.answer_type) for fact in found] == [
        ("First?", "left lobe", "open"),
        ("Second?", "2 cm", "open"),
    ]


@pytest.mark.parametrize(
    ("lang", "answer", "kind"),
    [
        ("en", "Yes", "yesno"),
        ("en", "no.", "yesno"),
        ("en", "No evidence of it", "open"),
        ("en", "maybe", "open"),
        ("zh", "是", "yesno"),
        ("zh", "没有。", "yesno"),
        ("zh-CN", "无", "yesno"),
        ("zh", "无明显异常", "open"),
        ("en", "是", "open"),
    ],
)
def test_a_bare_yes_or_no_makes_a_yes_no_question(tmp_path: Path, lang: str, answer: str, kind: str) -> None:
    (fact,) = questions(tmp_path, {"q": "?", "a": answer}, lang=lang)
    assert fact.answer_type == kind


def test_options_and_stated_types(tmp_path: Path) -> None:
    (fact,) = questions(tmp_path, {"q": "Which?", "a": "B", "o": json.dumps(["A", "B", 3])})
    assert (fact.answer_type, fact.options) == ("choice", ["A", "B", "3"])
    (stated,) = questions(tmp_path / "b", {"q": "How many?", "a": "4", "t": "number"})
    assert stated.answer_type == "number"


@pytest.mark.parametrize("row", [{"q": "Why?", "a": ""}, {"q": "", "a": "Because."}, {"q": "Why?", "a": None}])
def test_half_a_question_is_no_fact(tmp_path: Path, row: dict[str, object]) -> None:
    assert questions(tmp_path, row) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"q": "?", "a": "x", "t": "essay"}, "answer_type of a question is none of yesno, choice, number, open"),
        ({"q": "?", "a": "x", "o": "A;B;C"}, "no JSON list"),
        ({"q": "?", "a": "x", "o": '{"A": "x"}'}, "no JSON list"),
    ],
)
def test_what_the_record_cannot_hold_is_a_reason_not_a_defect(
    tmp_path: Path, row: dict[str, object], said: str
) -> None:
    with pytest.raises(ReadError, match=said):
        questions(tmp_path, row)
