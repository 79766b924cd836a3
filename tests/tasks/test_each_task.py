"""What each task asks of small samples, against expectations written by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from small_source import Source, blank, png, read_source, table

from medshard.families import FAMILIES, Delivered
from medshard.families.base import render_blocks
from medshard.record.check import check_sample, given_away
from medshard.record.conversation import Answer, Conversation, MediaBlock, TermBlock
from medshard.record.facts import RegionFact
from medshard.record.sample import Sample
from medshard.tasks.budget import Budget
from medshard.tasks.write import TextOptions

ALL = TextOptions(budget=Budget(items=1000, constant_share=1.0))
"""Everything that can be asked."""

HEAD = """\
sources:
  images: {files: "{id}.png"}
  cases: {csv: cases.csv}
samples: {from: images, join: {cases: {using: [id], need: one}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
"""


def of_table(root: Path, facts: str, columns: str, *rows: tuple[str, ...], **about: str) -> Source:
    files: dict[str, str | bytes] = {f"{row[0]}.png": blank(40, 30) for row in rows}
    return read_source(root / "data", HEAD + facts, {**files, "cases.csv": table(columns, rows)}, text=ALL, **about)  # type: ignore[arg-type]


def asked(sample: Sample, task: str, variant: str | None = None, lang: str = "en") -> list[Conversation]:
    """The conversations of a task and variant."""
    return [
        c
        for c in sample.conversations
        if c.task == task and c.lang == lang and variant in (None, re.split(r"[/-]", c.turns[0].template or "")[1])
    ]


def only(sample: Sample, task: str, variant: str, lang: str = "en") -> Conversation:
    (conversation,) = asked(sample, task, variant, lang)
    return conversation


def said(sample: Sample, conversation: Conversation) -> tuple[str, str]:
    """Question and answer as the plain family writes them, without the pictures' tags."""
    seen = {medium.slot: Delivered(40, 30) for medium in sample.media}
    question, answer = (
        render_blocks(
            [block for block in turn.blocks if not isinstance(block, MediaBlock)],
            sample.facts,
            FAMILIES.get("plain"),
            seen,
        )
        for turn in conversation.turns
    )
    return question, answer


def answer_of(conversation: Conversation) -> Answer:
    answer = conversation.turns[1].answer
    assert answer is not None
    return answer


def fact_ids(sample: Sample, concept: str, kind: str = "label") -> list[str]:
    return [fact.id for fact in sample.facts if fact.concept == concept and fact.kind == kind]


CLASS = "  dx: {kind: class, value: d, covers: all, map: {N: nodule, T: mass, C: cyst, X: normal}}\n"
CLASS_ROWS = [("a", "N"), ("b", "T"), ("c", "C"), ("d", "X")]


def test_classification_in_four_forms(tmp_path: Path) -> None:
    sample = of_table(tmp_path, CLASS, "id,d", *CLASS_ROWS).sample("a")
    assert len(asked(sample, "classification")) == 4
    (label,) = fact_ids(sample, "finding/nodule")
    for conversation in asked(sample, "classification"):
        assert conversation.turns[1].asks == [label]
        assert given_away(sample, conversation.turns[0].blocks, question=True) == set()
        assert label in given_away(sample, conversation.turns[1].blocks, question=False)
    question, answer = said(sample, only(sample, "classification", "open"))
    assert "nodule" not in question
    assert answer in ("This image shows a nodule.", "The category is nodule.", "It is classified as a nodule.")
    assert answer_of(only(sample, "classification", "open")) == Answer(type="text", value="nodule", check="term@1")
    question, answer = said(sample, only(sample, "classification", "yes"))
    assert question in ("Does this image show a nodule?", "Is this classified as a nodule?")
    assert answer in ("Yes, it is classified as a nodule.", "Yes, the category is nodule.")
    assert answer_of(only(sample, "classification", "yes")).value == "yes"
    question, answer = said(sample, only(sample, "classification", "no"))
    assert re.fullmatch(r"Does this image show a (mass|cyst|normal appearance)\?|Is this .*\?", question)
    assert answer in ("No, it is classified as a nodule.", "No, the category is nodule.")
    assert answer_of(only(sample, "classification", "no")).value == "no"


def test_classification_by_letter(tmp_path: Path) -> None:
    source = of_table(tmp_path, CLASS, "id,d", *CLASS_ROWS)
    for key, word in (("a", "nodule"), ("b", "mass"), ("c", "cyst"), ("d", "normal appearance")):
        sample = source.sample(key)
        conversation = only(sample, "classification", "choice")
        question, reply = said(sample, conversation)
        listed = dict(re.findall(r"^([A-E])\. (.+)$", question, flags=re.M))
        assert sorted(listed) == ["A", "B", "C", "D"]
        assert sorted(listed.values()) == ["cyst", "mass", "nodule", "normal appearance"]
        answer = answer_of(conversation)
        assert listed[answer.value] == word
        assert reply == f"{answer.value}. {word}"
        assert answer.key == [answer.value]
        assert {option.letter: option.text for option in answer.options} == listed
        assert [option.why for option in answer.options if option.letter == answer.value] == ["key"]


def test_classification_in_chinese(tmp_path: Path) -> None:
    sample = of_table(tmp_path, CLASS, "id,d", *CLASS_ROWS).sample("c")
    question, answer = said(sample, only(sample, "classification", "open", "zh"))
    assert question in ("这幅图像显示的是什么？", "请对这幅图像进行分类。", "这幅图像属于哪一类？")
    assert answer in ("图像显示的是囊肿。", "类别为囊肿。", "该图像归类为囊肿。")
    _, answer = said(sample, only(sample, "classification", "no", "zh"))
    assert answer in ("不是，该图像归类为囊肿。", "否，类别为囊肿。")


def test_at_most_five_options_and_the_key_among_them(tmp_path: Path) -> None:
    words = ["nodule", "mass", "cyst", "normal", "fracture", "consolidation", "pneumonia", "pneumothorax"]
    facts = "  dx: {kind: class, value: d, covers: all, map: same_name}\n"
    source = of_table(tmp_path, facts, "id,d", *[(f"s{n}", word) for n, word in enumerate(words)])
    shown = set()
    for number, word in enumerate(words):
        answer = answer_of(only(source.sample(f"s{number}"), "classification", "choice"))
        assert [option.letter for option in answer.options] == list("ABCDE")
        assert {option.concept for option in answer.options if option.letter in answer.key} == {f"finding/{word}"}
        assert len({option.concept for option in answer.options}) == 5
        shown |= {option.concept for option in answer.options}
    assert len(shown) == 8


def test_a_wider_or_narrower_class_is_no_wrong_answer(tmp_path: Path) -> None:
    """A kidney tumour is a tumour: 'Is it a tumour? No, a kidney tumour' would be false."""
    facts = "  dx: {kind: class, value: d, covers: all, map: {K: kidney_tumour, T: tumour, C: cyst}}\n"
    source = of_table(tmp_path, facts, "id,d", ("a", "K"), ("b", "T"), ("c", "C"))
    for key in "ab":
        sample = source.sample(key)
        negative = only(sample, "classification", "no")
        assert [block.concept for block in negative.turns[0].blocks if isinstance(block, TermBlock)] == ["finding/cyst"]
        options = {option.concept for option in answer_of(only(sample, "classification", "choice")).options}
        assert len(options & {"finding/tumour", "finding/kidney_tumour"}) == 1
    concepts = {option.concept for option in answer_of(only(source.sample("c"), "classification", "choice")).options}
    assert concepts == {"finding/tumour", "finding/kidney_tumour", "finding/cyst"}


def test_a_class_of_the_study_is_not_asked_of_its_picture(tmp_path: Path) -> None:
    sample = of_table(tmp_path, CLASS.replace("covers", "scope: study, covers"), "id,d", *CLASS_ROWS).sample("a")
    assert {c.task for c in sample.conversations} == {"modality", "anatomy"}


FLAGS = """\
  finding:
    kind: flags
    columns: [nodule, mass, cyst]
    states: {"1": present, "0": absent, "?": uncertain, "": not_annotated}
    map: same_name
"""


def test_multilabel_lists_what_is_known_and_names_what_is_there(tmp_path: Path) -> None:
    source = of_table(tmp_path, FLAGS, "id,nodule,mass,cyst", ("a", "1", "0", "1"),
                      ("b", "0", "0", "?"), ("c", "1", "", ""))  # fmt: skip
    sample = source.sample("a")
    conversation = only(sample, "multilabel", "some")
    question, answer = said(sample, conversation)
    assert question in (
        "Which of the following are present in this image: cyst, mass and nodule?",
        "Consider cyst, mass and nodule. Which of them does the image show?",
    )
    assert answer in ("Present: cyst and nodule.", "The image shows the following: cyst and nodule.")
    assert answer_of(conversation) == Answer(type="set", value=["cyst", "nodule"], check="set@1")
    assert sorted(conversation.turns[1].asks) == sorted(
        fact for word in ("nodule", "mass", "cyst") for fact in fact_ids(sample, f"finding/{word}")
    )
    chinese = only(sample, "multilabel", "some", "zh")
    assert said(sample, chinese)[0] in (
        "下列哪些项目出现在图像中：囊肿、肿块和结节？",
        "请从囊肿、肿块和结节中选出图像所显示的项目。",
    )
    assert said(sample, chinese)[1] in ("出现的有：囊肿和结节。", "图像显示：囊肿和结节。")
    none = source.sample("b")
    question, answer = said(none, only(none, "multilabel", "none"))
    assert "cyst" not in question, "what is uncertain is neither there nor not"
    assert answer in ("None of them is present.", "The image shows none of these.")
    assert answer_of(only(none, "multilabel", "none")).value == []
    assert asked(source.sample("c"), "multilabel") == [], "one known finding is no list"


def test_a_wider_finding_is_not_said_absent_beside_a_narrower_one(tmp_path: Path) -> None:
    facts = FLAGS.replace("[nodule, mass, cyst]", "[tumour, kidney_tumour, cyst]") + "    covers: all\n"
    source = of_table(tmp_path, facts, "id,tumour,kidney_tumour,cyst", ("a", "", "1", "0"), ("b", "", "?", "0"),
                      ("c", "0", "0", ""))  # fmt: skip
    sample = source.sample("a")
    question, answer = said(sample, only(sample, "multilabel", "some"))
    assert "cyst and kidney tumour" in question
    assert "kidney tumour" in answer
    assert asked(source.sample("b"), "multilabel") == []
    assert "kidney tumour" in said(source.sample("c"), only(source.sample("c"), "multilabel", "none"))[0]


def test_what_only_names_the_things_it_sees_is_not_asked_which_are_there(tmp_path: Path) -> None:
    """The list would be its own answer."""
    facts = FLAGS.replace('"0": absent, "?": uncertain, ', "")
    sample = of_table(tmp_path, facts, "id,nodule,mass,cyst", ("a", "1", "1", ""), ("b", "", "", "1")).sample("a")
    assert asked(sample, "multilabel") == []


BOXES = """\
sources:
  images: {files: "{id}.png"}
  objects: {csv: objects.csv}
samples: {from: images, join: {objects: {using: [id], need: any}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
  cell:
    kind: boxes
    of: objects
    value: label
    corners: ["a::int", "b::int", "c::int", "d::int"]
    frame: pixel_xy
    origin: 1
    inclusive: "yes"
    covers: all
    map: {w: white_blood_cell, p: platelet, r: red_blood_cell}
"""

ROWS = [("w", 3, 4, 17, 18), ("p", 1, 1, 2, 2), ("p", 38, 29, 40, 30), ("p", 10, 20, 11, 25), ("r", 5, 5, 9, 9)]


def of_boxes(root: Path, body: str = BOXES, rows: list[tuple[object, ...]] | None = None) -> Sample:
    listed = [("one", *row) for row in (ROWS if rows is None else rows)]
    closing = [("two", label, 1, 1, 5, 5) for label in "wpr"]
    files: dict[str, str | bytes] = {"one.png": blank(40, 30), "two.png": blank(40, 30)}
    files["objects.csv"] = table("id,label,a,b,c,d", [*listed, *closing])
    about = {"modality": "blood_smear", "anatomy": "blood"}
    return read_source(root / "data", body, files, text=ALL, **about).sample("one")  # type: ignore[arg-type]


def test_detection_writes_the_boxes_of_the_facts(tmp_path: Path) -> None:
    sample = of_boxes(tmp_path)
    ones = [c for c in asked(sample, "detection", "one") if "white" in said(sample, c)[0]]
    (one,) = ones
    question, answer = said(sample, one)
    assert question in (
        "Where is the white blood cell? Give its bounding box.",
        "Locate the white blood cell in this image with a bounding box.",
    )
    assert answer in ("[2, 3, 17, 18]", "The white blood cell is at [2, 3, 17, 18].")
    assert answer_of(one).type == "box"
    every = only(sample, "detection", "all")
    question, answer = said(sample, every)
    assert "platelets" in question
    assert re.findall(r"\[.*?\]", answer) == ["[0, 0, 2, 2]", "[37, 28, 40, 30]", "[9, 19, 11, 25]"]
    facts = [fact for fact in sample.facts if isinstance(fact, RegionFact) and fact.concept == "cell/platelet"]
    assert answer_of(every).value == [fact.id for fact in facts] == every.turns[1].asks
    assert answer_of(every).tolerance == {"iou": 0.5}
    chinese = only(sample, "detection", "all", "zh")
    question, answer = said(sample, chinese)
    assert question in ("请用边界框标出图中所有的血小板。", "请给出图中每一个血小板的边界框。")
    assert answer.removeprefix("血小板分别位于").removesuffix("。") == "[0, 0, 2, 2]；[37, 28, 40, 30]；[9, 19, 11, 25]"


def test_every_number_of_a_reply_is_a_facts_to_the_last_digit(tmp_path: Path) -> None:
    sample = of_boxes(tmp_path)
    edges = {
        tuple(int(edge) for edge in fact.coords)  # type: ignore[union-attr, arg-type]
        for fact in sample.facts
        if isinstance(fact, RegionFact)
    }
    written = set()
    for conversation in sample.conversations:
        question, answer = said(sample, conversation)
        assert not re.search(r"\d", question), question
        boxes = re.findall(r"\[(\d+), (\d+), (\d+), (\d+)\]", answer)
        assert not re.search(r"\d", re.sub(r"\[[\d, ]+\]", "", answer)), answer
        written |= {tuple(int(edge) for edge in box) for box in boxes}
    assert written == edges


def test_boxes_that_were_only_named_are_not_all_there_are(tmp_path: Path) -> None:
    sample = of_boxes(tmp_path, BOXES.replace("covers: all", "covers: named_only"))
    assert asked(sample, "detection") == []
    assert asked(sample, "multilabel") == []


def test_a_picture_without_boxes_is_asked_what_it_shows(tmp_path: Path) -> None:
    sample = of_boxes(tmp_path, rows=[])
    assert asked(sample, "detection") == []
    assert said(sample, only(sample, "multilabel", "none"))[1].startswith(("None", "The image shows none"))


def test_more_boxes_than_a_reply_should_hold_are_not_asked(tmp_path: Path) -> None:
    sample = of_boxes(tmp_path, rows=[("p", n % 30 + 1, 1, n % 30 + 2, 5) for n in range(41)])
    assert asked(sample, "detection") == []


def test_the_left_one_is_not_the_one(tmp_path: Path) -> None:
    sided = "{w: {concept: kidney_region, side: left, side_frame: patient}, " \
            "p: {concept: kidney_region, side: right, side_frame: patient}, r: spleen}"  # fmt: skip
    body = BOXES.replace("{w: white_blood_cell, p: platelet, r: red_blood_cell}", sided)
    both = of_boxes(tmp_path / "both", body, rows=[("w", 1, 1, 5, 5), ("p", 9, 1, 12, 5), ("r", 20, 9, 25, 12)])
    assert ["spleen" in said(both, c)[0] for c in asked(both, "detection")] == [True]
    assert said(both, only(both, "multilabel", "some"))[1].count("kidney") == 1


def test_a_caption_of_labels_says_one_or_several(tmp_path: Path) -> None:
    sample = of_boxes(tmp_path)
    _, answer = said(sample, only(sample, "caption", "labels_of_part"))
    assert answer == (
        "A blood smear microscopy image of the blood showing a white blood cell, platelets and a red blood cell."
    )
    _, answer = said(sample, only(sample, "caption", "labels_of_part", "zh"))
    assert answer == "血液血涂片显微镜图像显示白细胞、血小板和红细胞。"


MASKS = """\
sources:
  images: {files: "img/{id}.png"}
  masks: {files: "mask/{id}.png"}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image}
  mask: {from: masks, using: [id], kind: mask, like: image}
facts:
  organ: {kind: mask_classes, of: mask, covers: all, map: MAP BOXES}
"""


def of_mask(root: Path, mapping: str = "{1: spleen, 2: liver_region}", boxes: str = "") -> Sample:
    mask = np.zeros((30, 40), np.uint8)
    mask[4:9, 5:16] = 1
    mask[20:25, 30:40] = 2
    mask[28, 2] = 2
    body = MASKS.replace("MAP", mapping).replace("BOXES", boxes)
    files: dict[str, str | bytes] = {"img/one.png": blank(40, 30), "mask/one.png": png(mask)}
    return read_source(root / "data", body, files, modality="ct", anatomy="abdomen", text=ALL).sample("one")


def test_segmentation_names_the_region_of_the_mask(tmp_path: Path) -> None:
    sample = of_mask(tmp_path)
    found = {said(sample, c) for c in asked(sample, "segmentation", "outline")}
    assert len(found) == 2
    for question, answer in found:
        assert re.fullmatch(r"Segment the (spleen|liver) in this image\.|Outline the (spleen|liver)\.", question)
        assert answer == "[SEG]"
    shapes = {fact.id for fact in sample.facts if isinstance(fact, RegionFact) and fact.shape == "mask"}
    assert {fact for c in asked(sample, "segmentation") for fact in c.turns[1].asks} == shapes
    for question, _ in [said(sample, c) for c in asked(sample, "segmentation", lang="zh")]:
        assert re.fullmatch("请分割图中的(脾脏|肝脏)。|请勾画出(脾脏|肝脏)的轮廓。", question)


def test_the_box_around_a_mask_is_asked_as_such(tmp_path: Path) -> None:
    sample = of_mask(tmp_path)
    answers = sorted(
        said(sample, c)[1].removeprefix("The box is ").removesuffix(".") for c in asked(sample, "detection")
    )
    assert answers == ["[2, 20, 40, 29]", "[5, 4, 16, 9]"]
    assert {re.split("[/-]", c.turns[0].template or "")[1] for c in asked(sample, "detection")} == {"around"}
    parts = of_mask(tmp_path / "parts", boxes=", boxes: component")
    assert asked(parts, "detection") == [], "connected parts are not known to be single things"


def test_two_sides_are_not_outlined_as_one(tmp_path: Path) -> None:
    mapping = (
        "{1: {concept: kidney_region, side: left, side_frame: patient}, "
        "2: {concept: kidney_region, side: right, side_frame: patient}}"
    )
    sample = of_mask(tmp_path, mapping)
    assert asked(sample, "segmentation") == []
    assert asked(sample, "detection") == []


def test_a_caption_does_not_say_one_word_twice(tmp_path: Path) -> None:
    sample = of_mask(tmp_path, "{1: spleen, 2: liver_region}")
    assert said(sample, only(sample, "caption", "labels_of_part"))[1] == (
        "A CT image of the abdomen showing the spleen and the liver."
    )
    body = MASKS.replace("MAP", "{1: liver_region}").replace("BOXES", "")
    mask = np.ones((30, 40), np.uint8)
    files: dict[str, str | bytes] = {"img/one.png": blank(40, 30), "mask/one.png": png(mask)}
    liver = read_source(tmp_path / "b" / "data", body, files, modality="ct", anatomy="liver", text=ALL).sample("one")
    assert said(liver, only(liver, "caption", "labels"))[1] == "A CT image showing the liver."


@pytest.mark.parametrize(("task", "concept", "zh"), [("modality", "CT", "CT"), ("anatomy", "abdomen", "腹部")])
def test_modality_and_anatomy_are_named(tmp_path: Path, task: str, concept: str, zh: str) -> None:
    sample = of_mask(tmp_path)
    question, answer = said(sample, only(sample, task, "name"))
    assert concept not in question
    assert concept in answer
    assert answer_of(only(sample, task, "name")).value == concept
    question, answer = said(sample, only(sample, task, "name", "zh"))
    assert zh not in question
    assert zh in answer


def test_a_modality_of_one_picture_is_asked_of_that_picture(tmp_path: Path) -> None:
    body = """\
sources:
  first: {files: "{id}_a.png"}
  second: {files: "{id}_b.png"}
  cases: {csv: cases.csv}
samples: {from: first, join: {cases: {using: [id], need: one}}, patient: unknown, split: none}
media:
  a: {from: first, kind: image}
  b: {from: second, using: [id], kind: image}
facts:
  kind: {kind: class, value: k, covers: all, slots: [b], map: {C: ct, M: mri}}
"""
    files: dict[str, str | bytes] = {f"{key}_{slot}.png": blank(4, 4) for key in "xy" for slot in "ab"}
    files["cases.csv"] = table("id,k", [("x", "C"), ("y", "M")])
    sample = read_source(tmp_path / "data", body, files, text=ALL).sample("y")
    assert only(sample, "modality", "name").slots == ["b"]


REPORT = """\
  findings: {kind: text, section: findings, value: found, language: en, redaction: XXXX, no_value: missing}
  impression: {kind: text, section: impression, value: meant, language: en, redaction: XXXX, no_value: missing}
  caption: {kind: text, section: caption, value: shown, language: CAPTION, redaction: XXXX, no_value: missing}
"""


def of_report(root: Path, findings: str = "", impression: str = "", caption: str = "", lang: str = "en") -> Sample:
    facts = REPORT.replace("CAPTION", lang)
    return of_table(root, facts, "id,found,meant,shown", ("a", findings, impression, caption)).sample("a")


def test_a_report_is_asked_by_section_and_summed_up(tmp_path: Path) -> None:
    sample = of_report(tmp_path, "Lungs are clear. Heart is large.", "Cardiomegaly.")
    assert said(sample, only(sample, "report", "findings"))[1] == "Lungs are clear. Heart is large."
    assert said(sample, only(sample, "report", "impression"))[1] == "Cardiomegaly."
    summary = only(sample, "report", "summary")
    question, answer = said(sample, summary)
    assert "Lungs are clear. Heart is large." in question
    assert answer == "Cardiomegaly."
    assert summary.slots == []
    assert summary.made_by.kind == "source"
    assert asked(sample, "report", lang="zh") == [], "an English report has no Chinese twin"


def test_sections_of_two_languages_are_not_mixed(tmp_path: Path) -> None:
    facts = """\
  findings: {kind: text, section: findings, value: a, language: en-GB, no_value: missing}
  befund: {kind: text, section: findings, value: b, language: zh-CN, no_value: missing}
  impression: {kind: text, section: impression, value: c, language: zh-CN, no_value: missing}
  other: {kind: text, section: impression, value: d, language: fr, no_value: missing}
"""
    row = ("one", "Lungs are clear.", "双肺清晰。", "未见异常。", "Normal.")
    sample = of_table(tmp_path, facts, "id,a,b,c,d", row).sample("one")
    assert [said(sample, c)[1] for c in asked(sample, "report")] == ["Lungs are clear."]
    question, answer = said(sample, only(sample, "report", "summary", "zh"))
    assert "双肺清晰。" in question
    assert answer == "未见异常。"


@pytest.mark.parametrize("impression", ["Lungs are clear.", "lungs are  CLEAR", "Lungs are clear. Heart is large."])
def test_a_summary_that_stands_in_its_question_is_not_asked(tmp_path: Path, impression: str) -> None:
    sample = of_report(tmp_path, "Lungs are clear. Heart is large.", impression)
    assert asked(sample, "report", "summary") == []
    assert len(asked(sample, "report")) == 2


def test_blanked_sections_are_neither_asked_nor_quoted(tmp_path: Path) -> None:
    sample = of_report(tmp_path, "The XXXX is clear.", "Normal.", "An XXXX image.")
    assert [c.turns[0].template.split("-")[0] for c in asked(sample, "report") if c.turns[0].template] == [
        "report/impression"
    ]
    assert asked(sample, "caption") == []
    assert not any("XXXX" in text for c in sample.conversations for text in said(sample, c))


def test_a_caption_is_the_sources_word_for_word(tmp_path: Path) -> None:
    sample = of_report(tmp_path, caption="A nodule (5 mm) in the left lung.")
    assert said(sample, only(sample, "caption", "given"))[1] == "A nodule (5 mm) in the left lung."
    assert only(sample, "caption", "given").keeps.mirror == "refuse"
    chinese = of_report(tmp_path / "zh", caption="左肺结节。", lang="zh")
    assert said(chinese, only(chinese, "caption", "given", "zh"))[1] == "左肺结节。"
    assert asked(chinese, "caption", "given") == []


QA = """\
sources:
  images: {files: "{id}.png"}
  qa: {json: qa.json, rows: "$[*]"}
samples: {from: images, join: {qa: {using: [id], need: any}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
  qa: {kind: qa, of: qa, question: q, answer: a, answer_type: t, options: o, language: LANG}
"""


def of_question(root: Path, lang: str = "en", **row: object) -> tuple[str, str, Answer]:
    full = {"id": "a", "q": "Is it so?", "t": None, "o": None, **row}
    files: dict[str, str | bytes] = {"a.png": blank(40, 30), "qa.json": json.dumps([full])}
    sample = read_source(root / "data", QA.replace("LANG", lang), files, text=ALL).sample("a")
    (conversation,) = asked(sample, "vqa", lang=lang)
    assert [block.slot for block in conversation.turns[0].blocks if isinstance(block, MediaBlock)] == ["image"]
    return (*said(sample, conversation), answer_of(conversation))


def test_open_questions_pass_through(tmp_path: Path) -> None:
    assert of_question(tmp_path, q="What is it?", a="A cyst.") == (
        "What is it?",
        "A cyst.",
        Answer(type="free", value="A cyst."),
    )


@pytest.mark.parametrize(
    ("lang", "reply", "kind", "value"),
    [
        ("en", "Yes", "yesno", "yes"),
        ("en", "no.", "yesno", "no"),
        ("zh", "有", "yesno", "yes"),
        ("zh", "没有。", "yesno", "no"),
        ("en", "maybe", "free", "maybe"),
        ("en", "Not seen", "free", "Not seen"),
    ],
)
def test_yes_and_no_are_checked_and_maybe_is_not_no(
    tmp_path: Path, lang: str, reply: str, kind: str, value: str
) -> None:
    for place, stated in enumerate((None, "yesno")):
        _, text, answer = of_question(tmp_path / str(place), lang, a=reply, t=stated)
        assert text == reply
        assert (answer.type, answer.value) == (kind, value)


def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    rows = [("What?", "A cyst"), ("Where?", "Left"), ("what?", "a cyst"), ("What?", "A nodule")]
    listed = [{"id": "a", "q": q, "a": a, "t": None, "o": None} for q, a in rows]
    files: dict[str, str | bytes] = {"a.png": blank(40, 30), "qa.json": json.dumps(listed)}
    sample = read_source(tmp_path / "data", QA.replace("LANG", "en"), files, text=ALL).sample("a")
    assert [said(sample, c) for c in asked(sample, "vqa")] == [
        ("What?", "A cyst"),
        ("Where?", "Left"),
        ("What?", "A nodule"),
    ]


def test_options_of_the_source_keep_their_order(tmp_path: Path) -> None:
    question, reply, answer = of_question(tmp_path, q="Which side?", a="right", o='["left", "right", "both"]')
    assert question == "Which side?\nAnswer with the letter.\nA. left\nB. right\nC. both"
    assert reply == "B. right"
    assert (answer.type, answer.value, answer.key) == ("choice", "B", ["B"])
    assert [(option.letter, option.text, option.why) for option in answer.options] == [
        ("A", "left", "given"),
        ("B", "right", "key"),
        ("C", "both", "given"),
    ]


@pytest.mark.parametrize("options", ['["left", "both"]', '["right", "right"]', "[]"])
def test_options_without_one_right_one_are_not_offered(tmp_path: Path, options: str) -> None:
    question, reply, answer = of_question(tmp_path, q="Which side?", a="right", t="choice", o=options)
    assert (question, reply, answer.type) == ("Which side?", "right", "free")


def test_no_question_contains_its_answer(tmp_path: Path) -> None:
    """The words of the key stand in a question only where it is a list, or asks whether or where."""
    samples = [
        of_boxes(tmp_path / "boxes"),
        of_mask(tmp_path / "mask"),
        of_table(tmp_path / "class", CLASS, "id,d", *CLASS_ROWS).sample("a"),
        of_table(tmp_path / "flags", FLAGS, "id,nodule,mass,cyst", ("a", "1", "0", "1"), ("b", "", "?", "")).sample(
            "a"
        ),
        of_report(tmp_path / "report", "Lungs are clear.", "Normal.", "A chest."),
    ]
    checked = 0
    for sample in samples:
        assert check_sample(sample) == []
        for conversation in sample.conversations:
            question, answer = conversation.turns
            told = given_away(sample, question.blocks, question=True)
            assert not told & set(answer.asks), conversation
            variant = re.split("[/-]", question.template or "")[1]
            text, reply = said(sample, conversation)
            if variant not in ("yes", "no", "choice", "some", "none", "one", "all", "around", "outline", "summary"):
                for block in answer.blocks:
                    if isinstance(block, TermBlock):
                        assert block.text.lower() not in text.lower(), (text, reply)
                        checked += 1
            assert reply not in text or variant == "choice", (text, reply)
    assert checked > 15


def test_tasks_can_be_narrowed_by_the_spec(tmp_path: Path) -> None:
    only_one = of_table(tmp_path / "a", CLASS + "tasks: {only: [classification]}\n", "id,d", *CLASS_ROWS).sample("a")
    assert {c.task for c in only_one.conversations} == {"classification"}
    never = of_table(tmp_path / "b", CLASS + "tasks: {never: [caption, anatomy]}\n", "id,d", *CLASS_ROWS).sample("a")
    assert {c.task for c in never.conversations} == {"classification", "modality"}
    weighed = of_table(tmp_path / "c", CLASS + "tasks: {weight: {classification: 0}}\n", "id,d", *CLASS_ROWS)
    assert {c.task for c in weighed.sample("a").conversations} == {"caption", "modality", "anatomy"}


def test_only_the_chosen_languages_are_written(tmp_path: Path) -> None:
    source = of_table(tmp_path, CLASS, "id,d", *CLASS_ROWS)
    english = source.sample("a", TextOptions(languages=("en",), budget=ALL.budget))
    assert {(c.lang, c.twin) for c in english.conversations} == {("en", None)}
    assert [c.id for c in english.conversations] == [f"c{n}" for n in range(1, len(english.conversations) + 1)]
