"""The taxonomy: words in both languages, one meaning a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from medshard.errors import SpecError
from medshard.spec.taxonomy import load_taxonomy


def test_shipped_taxonomy_is_complete() -> None:
    taxonomy = load_taxonomy()
    for concept in taxonomy.concepts.values():
        assert concept.en
        assert concept.en.isascii()
        assert concept.zh
        assert any(ord(character) > 127 for character in concept.zh) or concept.zh.isupper()


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("x-ray", "modality/xray"),
        ("CT", "modality/ct"),
        ("finding/nodule", "finding/nodule"),
        ("wbc", "cell/white_blood_cell"),
    ],
)
def test_names_synonyms_and_ids_are_found(name: str, concept: str) -> None:
    assert load_taxonomy().find(name).id == concept


def test_a_mistyped_name_gets_the_nearest() -> None:
    with pytest.raises(KeyError, match="did you mean 'nodule'"):
        load_taxonomy().find("nodul")


def test_english_forms() -> None:
    taxonomy = load_taxonomy()
    assert (taxonomy["cell/nucleus"].en_plural, taxonomy["cell/nucleus"].en_article) == ("nuclei", "a")
    assert taxonomy["modality/mri"].en_article == "an"
    assert taxonomy["finding/pneumonia"].en_article == ""


def write(folder: Path, text: str) -> Path:
    (folder / "x.yaml").write_text(text)
    return folder


def test_two_concepts_cannot_claim_one_name(tmp_path: Path) -> None:
    text = (
        "category: finding\nconcepts:\n  a: {en: a, zh: 甲, synonyms: [same]}\n  b: {en: b, zh: 乙, synonyms: [Same]}\n"
    )
    with pytest.raises(SpecError, match="claimed by"):
        load_taxonomy(write(tmp_path, text))


def test_a_parent_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="which is no concept"):
        load_taxonomy(write(tmp_path, "category: finding\nconcepts:\n  a: {en: a, zh: 甲, under: b}\n"))


def test_one_name_in_two_categories_must_be_qualified(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("category: finding\nconcepts:\n  lens: {en: lens, zh: 甲}\n")
    (tmp_path / "b.yaml").write_text("category: structure\nconcepts:\n  lens: {en: lens, zh: 晶状体}\n")
    taxonomy = load_taxonomy(tmp_path)
    with pytest.raises(KeyError, match="finding/lens or structure/lens"):
        taxonomy.find("lens")
    assert taxonomy.find("lens", ("structure",)).id == "structure/lens"
