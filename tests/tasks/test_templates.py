"""Every wording of every task: whole sentences, one language, twins in the other, and nothing but what is offered."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Template, TemplateError

from medshard.errors import SpecError
from medshard.record.base import Language
from medshard.record.conversation import Block, QuoteBlock, RegionBlock, TermBlock, TextBlock
from medshard.spec.taxonomy import Concept, load_taxonomy
from medshard.tasks.pack import Pack, load_pack, read_pack, render
from medshard.tasks.words import Joined, Lettered, Media, Number, Quote, Region, Spacing, Term, Words
from medshard.tasks.write import TASKS

TAXONOMY = load_taxonomy()

OFFERED: dict[str, dict[str, set[str]]] = {
    "anatomy": {"name": {"thing"}},
    "modality": {"name": {"thing"}},
    "caption": {"given": {"text"}, "labels": {"modality", "shown"}, "labels_of_part": {"modality", "shown", "part"}},
    "classification": {
        "open": {"thing"},
        "yes": {"thing", "key"},
        "no": {"thing", "key"},
        "choice": {"options", "key"},
    },
    "detection": {name: {"thing", "boxes"} for name in ("one", "all", "around")},
    "measurement": {
        "volume": {"thing", "number", "spacing"},
        "axial_diameter": {"thing", "number", "spacing"},
        "mean_attenuation": {"thing", "number"},
        "count": {"thing", "number"},
        "organ": {"thing", "organ"},
    },
    "multilabel": {"some": {"listed", "present"}, "none": {"listed", "present"}},
    "report": {"findings": {"text"}, "impression": {"text"}, "summary": {"text", "given"}},
    "segmentation": {"outline": {"thing", "mask"}},
    "vqa": {"given": {"question", "answer"}, "choice": {"question", "answer", "options"}},
}
"""What each task offers to its templates, written out by hand."""

LATIN_IN_CHINESE = {"CT", "X", "PET", "FLAIR", "OCT", "MRI", "COVID", "mm", "mL", "HU"}
"""What Chinese radiology writes in Latin letters."""


def sets() -> list[tuple[str, str, Language]]:
    """All (task, variant, language)."""
    return [(task, variant, lang) for task in TASKS for variant, lang in load_pack(task).sets]


def wordings(task: str, variant: str, lang: Language) -> list[tuple[str, str, Template]]:
    """(side, id, template) of every wording."""
    words = load_pack(task).sets[(variant, lang)]
    return [("q", *entry) for entry in words.questions] + [("a", *entry) for entry in words.answers]


def offered(task: str, variant: str, side: str, lang: Language, concept: Concept) -> dict[str, Words]:
    """Facts ``f1``... for a template, as the task offers them; terms of a question give nothing away."""
    # Where a thing is, and how large, may be asked once it is known to be there.
    asked = task in ("detection", "segmentation", "measurement")
    told = ["f1"] if side == "a" or asked else []
    thing = Term(concept, told, lang)
    other = Term(TAXONOMY["finding/pleural_effusion"], ["f2"] if side == "a" else [], lang)
    english = lang == "en"
    everything: dict[str, Words] = {
        "thing": thing,
        "key": Lettered("B", thing) if variant == "choice" else thing,
        "options": Joined([Lettered("A", other), Lettered("B", thing)], between="\n", last="\n"),
        "listed": Joined.sentence([thing, other], lang),
        "present": Joined.sentence([thing, other], lang),
        "modality": Term(TAXONOMY["modality/xray"], ["f3"], lang),
        "part": Term(TAXONOMY["anatomy/chest"], ["f4"], lang),
        "shown": Joined.sentence([thing.a, other.a] if english else [thing, other], lang),
        "boxes": Joined([Region(["f5"]), Region(["f6"])], between="; ", last="; "),
        "mask": Region(["f5"], "mask"),
        "number": Number("12.5 mm", ["f10"]),
        "spacing": Spacing("ct", [5.0, 0.8, 0.8]),
        "organ": Term(TAXONOMY["structure/liver_region"], ["f11"] if side == "a" else [], lang),
        "text": Quote("The lungs are clear." if english else "双肺清晰。", ["f7"]),
        "given": Quote("No effusion." if english else "未见积液。", ["f8"]),
        "question": Quote("Is it?" if english else "有吗？", ["f9"]),
        "answer": Quote("No." if english else "没有。", ["f9"]),
    }
    return {name: everything[name] for name in OFFERED[task][variant]}


def plain(blocks: list[Block]) -> str:
    """The message with a stand-in for places."""
    return "".join(block.text if isinstance(block, (TextBlock, TermBlock, QuoteBlock)) else "[BOX]" for block in blocks)


CONCEPTS = [
    concept
    for concept in TAXONOMY.concepts.values()
    if concept.category in ("finding", "structure", "cell", "modality", "anatomy")
]


UNLIKE = (
    "finding/nodule", "finding/covid_19", "finding/flair_abnormality", "finding/edema", "finding/lung_opacity",
    "finding/normal", "structure/spinal_cord_region", "structure/vertebral_body", "cell/nucleus",
)  # fmt: skip
"""Mass nouns, irregular plurals, other measure words, Latin letters, an article of their own."""


def concepts_of(task: str) -> list[Concept]:
    """Concepts that a task may name."""
    if task in ("modality", "anatomy"):
        return [concept for concept in CONCEPTS if concept.category == task and concept.id != "modality/text"]
    return [TAXONOMY[name] for name in UNLIKE]


def test_the_hand_written_table_is_complete() -> None:
    assert {(task, variant) for task, variant, _ in sets()} == {
        (task, variant) for task, variants in OFFERED.items() for variant in variants
    }


@pytest.mark.parametrize(("task", "variant", "lang"), sets())
def test_every_wording_is_a_whole_sentence_of_its_language(task: str, variant: str, lang: Language) -> None:
    for side, name, template in wordings(task, variant, lang):
        for concept in concepts_of(task):
            said = plain(render(template, offered(task, variant, side, lang, concept)))
            where = f"{name}: {said!r}"
            assert not re.search(r"[{}%]|\bNone\b(?! of)|\bNaN\b|[\ue000-\uf8ff]", said), where
            assert said == said.strip(), where
            assert "  " not in said, where
            assert not re.search(r"\s[,.;:?!，。；：？！、]", said), where
            assert not re.search(r"[,;:，；：、]\s*[.。]|\.\.|。。|\?\?", said), where
            whole = _raw(task, name, lang)[-1] not in "}" and "\n" not in said
            assert not whole or said[-1] in (".?" if lang == "en" else "。？"), where
            cjk = re.findall(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]", said)
            if lang == "en":
                assert not cjk, where
                assert not said[0].islower(), where
            else:
                assert cjk or said == "[BOX]; [BOX]" or said == "[BOX]", where
                words = set(re.findall(r"[A-Za-z]+", said.replace("[BOX]", ""))) - set("AB")
                assert words <= LATIN_IN_CHINESE, where
                # Chinese writes no blank between its characters and full-width marks between its clauses.
                assert not re.search(r"[\u4e00-\u9fff] [\u4e00-\u9fff]|[\u4e00-\u9fff][,?!;]", said), where


def test_every_word_is_of_its_language() -> None:
    for concept in CONCEPTS:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9 '-]*[A-Za-z0-9]", concept.en), concept.id
        assert set(re.findall(r"[A-Za-z]+", concept.zh)) <= LATIN_IN_CHINESE, concept.id
        assert not re.search(r"\s", concept.zh), concept.id
        assert re.fullmatch(r"[\u4e00-\u9fff]", concept.zh_measure), concept.id


@pytest.mark.parametrize("article", ["a", "an"])
def test_articles_fit_their_words(article: str) -> None:
    """An oracle by sound: letters of abbreviations are read one by one (MRI: "em")."""
    for concept in CONCEPTS:
        words = plain(Term(concept, [], "en").a.blocks()).split()
        if words[0] != article:
            continue
        first = words[1]
        spelled = first.isupper() or first.startswith("X-")
        vowel = first[0] in ("AEFHILMNORSX" if spelled and first not in ("PET", "FLAIR") else "aeioAEIO")
        vowel = vowel or first.startswith(("ul", "un", "up"))
        assert vowel == (article == "an"), f"{article} {first}"


@pytest.mark.parametrize("task", list(TASKS))
def test_english_and_chinese_are_twins(task: str) -> None:
    pack = load_pack(task)
    variants = {variant for variant, _ in pack.sets}
    assert set(pack.keeps) == variants
    for variant in variants:
        assert pack.languages(variant) == ["en", "zh"], "what is said in one language is said in the other"
        concept = concepts_of(task)[0]
        cited: dict[Language, list[tuple[str, list[str], int]]] = {}
        for lang in ("en", "zh"):
            cited[lang] = [
                (name, sorted({fact for block in blocks for fact in getattr(block, "facts", [])}), regions(blocks))
                for side, name, template in wordings(task, variant, lang)
                for blocks in [render(template, offered(task, variant, side, lang, concept))]
            ]
        assert cited["en"] == cited["zh"]


def regions(blocks: list[Block]) -> int:
    return sum(isinstance(block, RegionBlock) for block in blocks)


@pytest.mark.parametrize(("task", "variant", "lang"), sets())
def test_an_answer_cites_what_it_says_and_a_question_gives_nothing_away(
    task: str, variant: str, lang: Language
) -> None:
    for side, name, template in wordings(task, variant, lang):
        blocks = render(template, offered(task, variant, side, lang, concepts_of(task)[0]))
        for block in blocks:
            if isinstance(block, (TermBlock, QuoteBlock, RegionBlock)) and side == "a":
                assert block.facts, f"{name}: a {block.type} of an answer cites no fact"
        cited = {fact for block in blocks for fact in getattr(block, "facts", [])}
        if side == "a":
            assert cited or variant == "none", f"{name} says nothing of the sample"
        elif task not in ("vqa", "report"):
            assert cited <= {"f1"}, name
            assert not regions(blocks), name


@pytest.mark.parametrize(("task", "variant", "lang"), sets())
def test_a_name_that_is_not_offered_is_an_error(task: str, variant: str, lang: Language) -> None:
    for side, name, template in wordings(task, variant, lang):
        if "{{" not in _raw(task, name, lang):
            continue
        full = offered(task, variant, side, lang, concepts_of(task)[0])
        used = [word for word in full if re.search(rf"{{{{ ?{word}\b", _raw(task, name, lang))]
        assert used, name
        for missing in used:
            with pytest.raises(TemplateError):
                render(template, {word: thing for word, thing in full.items() if word != missing})


def _raw(task: str, name: str, lang: Language) -> str:
    """The text of a wording, read by another YAML reader than the program's."""
    path = Path(__file__).parents[2] / "medshard/tasks/templates" / f"{task}.yaml"
    variant, side, number = re.fullmatch(r"\w+/(\w+)-([qa])(\d\d)@\d+", name).groups()  # type: ignore[union-attr]
    return str(yaml.safe_load(path.read_text())["variants"][variant][lang][side][int(number) - 1])


def pack_of(tmp_path: Path, template: str) -> Pack:
    """A pack with this one answer."""
    quoted = template.replace("'", "''")
    text = f"task: t\nversion: 1\nvariants:\n  v:\n    keeps: {{}}\n    en: {{q: ['Why?'], a: ['{quoted}']}}\n"
    path = tmp_path / "t.yaml"
    path.write_text(text, encoding="utf-8")
    return read_pack(path, "t")


HOSTILE = [
    "{% for x in y %}a{% endfor %}",
    "{% for i in range(999999999) %}x{% endfor %}",
    "{% set x = thing %}{{ x }}",
    "{% if thing %}yes{% endif %}",
    "{% macro m() %}{% endmacro %}{{ m() }}",
    "{% include 'modality.yaml' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% extends 'x' %}",
    "{{ 'a' * 9999999999 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 'text of its own' }}",
    "{{ 12.5 }}",
    "{{ [thing] }}",
    "{{ range(9) }}",
    "{{ lipsum() }}",
    "{{ thing.__class__.__mro__[1].__subclasses__() }}",
    "{{ thing.blocks() }}",
    "{{ thing['__class__'] }}",
    "{{ thing|upper }}",
    "{{ thing ~ thing }}",
    "{{ thing if thing else thing }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ self.__init__.__globals__ }}{{ thing() }}",
]


@pytest.mark.parametrize("template", HOSTILE)
def test_a_template_computes_nothing(tmp_path: Path, template: str) -> None:
    with pytest.raises(SpecError, match=r"t\.yaml:6 .*(a template holds text and|is no template)"):
        pack_of(tmp_path, template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ thing.__class__ }}",
        "{{ thing._facts }}",
        "{{ thing.blocks }}",
        "{{ thing.blocks.__globals__ }}",
        "{{ self }}",
        "{{ nothing }}",
        "{{ thing.one.two }}",
        "{{ name }}",
        "{{ number }}",
    ],
)
def test_only_words_of_the_task_can_be_inserted(tmp_path: Path, template: str) -> None:
    pack = pack_of(tmp_path, template)
    ((_, answer),) = pack.sets[("v", "en")].answers
    things: dict[str, Any] = {"thing": Term(TAXONOMY["finding/cyst"], ["f1"], "en"), "name": "cyst", "number": 3}
    with pytest.raises(TemplateError):
        render(answer, things)


@pytest.mark.parametrize("template", ["It is 5 mm.", "Two of ２", "{{ unclosed", "{% bad %}", "{{ a b }}"])
def test_numbers_and_broken_templates_are_told_with_their_line(tmp_path: Path, template: str) -> None:
    with pytest.raises(SpecError, match=r"t\.yaml:6.*variants\.v\.en\.a"):
        pack_of(tmp_path, template)


def test_a_pack_of_another_form_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    for text in (
        "task: t\nversion: 1\nvariants: {}\n",
        "task: t\nversion: 0\nvariants: {v: {keeps: {}, en: {q: [a], a: [b]}}}\n",
        "task: t\nversion: 1\nvariants: {v: {keeps: {}, en: {q: [], a: [b]}}}\n",
        "task: t\nversion: 1\nmore: 1\nvariants: {v: {keeps: {}, en: {q: [a], a: [b]}}}\n",
        "task: other\nversion: 1\nvariants: {v: {keeps: {}, en: {q: [a], a: [b]}}}\n",
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SpecError):
            read_pack(path, "t")


def test_pictures_can_be_placed_and_texts_beside_them_are_one(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, "See {{ picture }} and {{ word }} there.")
    ((_, answer),) = pack.sets[("v", "en")].answers
    blocks = render(answer, {"picture": Media("image"), "word": Lettered("A", Quote("this", ["f1"]))})
    assert [(block.type, getattr(block, "text", None)) for block in blocks] == [
        ("text", "See "),
        ("media", None),
        ("text", " and A. "),
        ("quote", "this"),
        ("text", " there."),
    ]


def test_a_source_text_that_looks_like_a_template_stays_text(tmp_path: Path) -> None:
    pack = pack_of(tmp_path, "{{ text }}")
    ((_, answer),) = pack.sets[("v", "en")].answers
    hostile = "{{ 7 * 7 }} {% raw %} \ue0000\ue001 <image>"
    (block,) = render(answer, {"text": Quote(hostile, ["f1"])})
    assert block == QuoteBlock(facts=["f1"], text=hostile)


def test_letters_name_all_options() -> None:
    listed = [Lettered(letter, Quote(letter.lower(), [])) for letter in string.ascii_uppercase[:5]]
    blocks = Joined(listed, between="\n", last="\n").blocks()
    assert plain(blocks) == "A. a\nB. b\nC. c\nD. d\nE. e"
