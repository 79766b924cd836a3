"""docs/spec.md: every whole spec in it is clean, and every key of the language is in its reference, once."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from medshard.convert.preview import preview
from medshard.spec.check import check_file
from medshard.spec.json_schema import spec_json_schema
from medshard.spec.load import load_spec_text
from medshard.spec.schema import Spec
from medshard.spec.taxonomy import _File, _Terms, load_taxonomy
from medshard.spec.yaml_text import parse_yaml
from medshard.tasks.write import TASKS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
EXAMPLES = {
    re.search(r"^name: (\S+)$", block, re.M)[1]: block  # type: ignore[index]
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
}
GUIDE, REFERENCE = PAGE.split("\n## All keys\n")

SECTIONS = {
    "The spec": ["Spec"],
    "`about`": ["About"],
    "`licence`": ["Licence"],
    "`sources`: every kind": ["_Source"],
    "A pattern": ["FilePattern", "FirstOf"],
    "`unpivot`": ["Unpivot"],
    "`unnest`": ["Unnest"],
    "`samples`": ["Samples"],
    "`join`": ["Join"],
    "`patient`, `split` and `subject`": ["AtMost", "SplitMap", "SplitFolds", "SplitRandom", "SubjectColumns", "Sex"],
    "`media`": ["MediaSlot"],
    "`channels`": ["ChannelFiles"],
    "`rescale`": ["Rescale"],
    "`slices`": ["SliceFiles"],
    "`contours`": ["Contours"],
    "`renditions`": ["Renditions"],
    "`facts`: every kind": ["_Fact"],
    "`map`, `match` and `drop`": ["_Mapped"],
    "`left_is_left`": ["LeftIsLeft"],
    "A concept with a side": ["ConceptRef"],
    "`covers`": ["NamedOnly", "Sampled"],
    "`by`": ["By"],
    "`kind: class`": ["ClassFact"],
    "`kind: flags`": ["FlagFact"],
    "`kind: number`": ["NumberFact"],
    "`kind: boxes`": ["BoxFact"],
    "`kind: mask_classes`": ["MaskClassFact"],
    "`kind: mask_instances`": ["InstanceFact"],
    "`kind: text`": ["TextColumnFact"],
    "`kind: qa`": ["QaColumnsFact"],
    "`tasks`": ["TaskChoice"],
    "`expect`": ["Claim"],
}
"""Heading of the reference → models whose own keys stand below it. Kinds of sources have sections of their own."""


def _models(model: type[BaseModel], found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """Every model that a spec can hold, and their bases, by name."""
    for one in model.__mro__:
        if issubclass(one, BaseModel) and one.__module__.startswith("medshard.spec.schema") and one.__name__ != "Node":
            if one.__name__ in found:
                continue
            found[one.__name__] = one
            for field in one.model_fields.values():
                for leaf in _leaves(field.annotation):
                    _models(leaf, found)
    return found


def _leaves(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [leaf for part in typing.get_args(annotation) for leaf in _leaves(part)]


MODELS = _models(Spec, {})


def _keys(model: type[BaseModel], *, own: bool = False) -> dict[str, bool]:
    """Key as written in a spec → whether it must stand; ``own`` without those of its bases."""
    inherited = {
        name
        for base in model.__mro__[1:]
        if issubclass(base, BaseModel) and base.__module__.startswith("medshard.spec.schema")
        for name in base.model_fields
    }
    return {
        field.alias or name: field.is_required()
        for name, field in model.model_fields.items()
        if not own or name not in inherited
    }


def _section(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of the reference."""
    text = REFERENCE.split(f"\n### {heading}\n")
    assert len(text) == 2, f"docs/spec.md needs the heading '### {heading}' under All keys, once"
    lines = [line for line in text[1].split("\n### ")[0].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _rows(heading: str) -> dict[str, bool]:
    """Key → whether it is marked as one that must stand."""
    found: dict[str, bool] = {}
    for first, *_ in _section(heading):
        key = first.split("`")[1]
        assert key not in found, f"{heading}: {key} stands twice"
        found[key] = first.endswith("*")
    return found


def test_the_page_grows_from_ten_lines_to_all_kinds() -> None:
    assert len(EXAMPLES) >= 10
    assert len(next(iter(EXAMPLES.values())).splitlines()) <= 10
    for key in ("csv:", "xml:", "coco:", "jsonl:", "json:", "dicom:", "instances: file", "kind: volume", "variants:"):
        assert any(key in text for text in EXAMPLES.values()), f"no example shows {key}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_clean(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name.partition('-{')[0]}.yaml"
    path.write_text(EXAMPLES[name], encoding="utf-8")
    loaded, problems = check_file(path, load_taxonomy())
    assert [str(problem) for problem in problems] == []
    assert loaded


TREES: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "my-skin": (
        {"skin/benign/0001.jpg": "", "skin/benign/0002.jpg": "", "skin/malignant/0003.jpg": ""},
        {"train": 3},
    ),
    "chest-studies": (
        {
            "img/p1/0001/frontal.png": "",
            "img/p1/0001/lateral.png": "",
            "img/p1/0002/frontal.png": "",
            "img/p2/0003/frontal.png": "",
            "labels.csv": "study_no,fold,status,age,Cardiomegaly,Pleural Effusion\n"
            "1,a,ok,61,1,0\n2,b,withdrawn,61,-1,\n3,c,ok,55,-1,\n",
        },
        {"train": 1, "test": 1},
    ),
    "my-voc": (
        {
            **{f"JPEGImages/{name}.jpg": "" for name in "abc"},
            **{
                f"ImageSets/Main/{part}.txt": f"{name}\n"
                for part, name in zip(("train", "val", "test"), "abc", strict=True)
            },
            **{
                f"Annotations/{name}.xml": f"<annotation><object><name>{label}</name><bndbox><xmin>1</xmin>"
                "<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
                for name, label in zip("abc", ("WBC", "RBC", "Platelets"), strict=True)
            },
        },
        {"train": 1, "validation": 1, "test": 1},
    ),
    "my-coco": (
        {
            **{f"{part}/s_{part}.jpg": "" for part in ("train", "valid")},
            **{
                f"{part}/_annotations.coco.json": json.dumps(
                    {
                        "images": [{"id": 1, "file_name": f"s_{part}.jpg", "width": 9, "height": 9}],
                        "categories": [{"id": 1, "name": "rbc"}, {"id": 2, "name": "wbc"}],
                        "annotations": [
                            {
                                "id": kind,
                                "image_id": 1,
                                "category_id": kind,
                                "bbox": [0, 0, 4, 4],
                                "area": 16,
                                "iscrowd": 0,
                            }
                            for kind in (1, 2)
                        ],
                    }
                )
                for part in ("train", "valid")
            },
        },
        {"train": 1, "validation": 1},
    ),
    "my-masks": (
        {"img/1.png": "", "img/2.png": "", "regions/1.png": "", "layers/1_cord.png": "", "layers/1_lesion.png": ""},
        {"none": 2},
    ),
    "my-nuclei": (
        {"n1/images/n1.png": "", "n1/masks/0.png": "", "n1/masks/1.png": "", "n2/images/n2.png": ""},
        {"train": 1},
    ),
    "my-nifti": (
        {
            "data/case_00001/imaging.nii.gz": "",
            "data/case_00001/segmentation.nii.gz": "",
            "data/case_00210/imaging.nii.gz": "",
            "data/clinical.json": '[{"case_id": "case_00001", "gender": "male", "age": 60, "bmi": 22.5},'
            ' {"case_id": "case_00210", "gender": "female", "age": 41.5, "bmi": 30}]',
        },
        {"train": 1, "test": 1},
    ),
}
"""Files of a tiny dataset, and the samples a split that its example makes of them; no pixel is read."""


@pytest.mark.parametrize("name", TREES)
def test_each_example_makes_samples_of_the_tree_that_it_describes(name: str, tmp_path: Path) -> None:
    files, splits = TREES[name]
    for file, text in files.items():
        path = tmp_path / "data" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (loaded,) = load_spec_text(EXAMPLES[name], f"{name}.yaml")
    shown, problems = preview(loaded, tmp_path / "data", None, partial=False)
    assert [str(problem) for problem in problems] == []
    assert shown["splits"] == splits


def test_the_headings_cover_every_model_of_the_language() -> None:
    named = {model for models in SECTIONS.values() for model in models}
    sources = {name for name in MODELS if name.endswith("Source") or name in ("_Delimited", "XmlColumn")} - {"_Source"}
    assert set(MODELS) - sources == named


@pytest.mark.parametrize("heading", SECTIONS)
def test_each_section_lists_exactly_the_keys_of_its_models(heading: str) -> None:
    expected: dict[str, bool] = {}
    for model in SECTIONS[heading]:
        own = model.endswith("Fact") and model != "_Fact"
        expected |= _keys(MODELS[model], own=own)
    if heading == "The spec":
        expected["variants"] = False
    elif heading == "`facts`: every kind":
        expected["kind"] = True
    elif heading == "`map`, `match` and `drop`":
        expected = _keys(MODELS["_Mapped"], own=True)
    elif heading.startswith("`kind:"):
        expected.pop("kind")
    marked = _rows(heading)
    assert set(marked) == set(expected)
    if len(SECTIONS[heading]) == 1:
        assert marked == expected, "the keys that must stand are marked with *"


def test_each_kind_of_source_and_its_options_are_listed() -> None:
    every = set(_rows("`sources`: every kind"))
    kinds = _rows("`sources`: one of these")
    options = {
        (row[0].strip("`"), kind) for row in _section("`sources`: options of a kind") for kind in row[1].split(", ")
    }
    found = set()
    for name, model in MODELS.items():
        if name.endswith("Source") and not name.startswith("_"):
            kind = name.removesuffix("Source").lower()
            assert kind in kinds
            found |= {(key, kind) for key in _keys(model) if key not in every and key != kind}
    assert options == found


def test_the_json_schema_has_no_key_that_the_page_lacks() -> None:
    schema = json.loads(spec_json_schema())
    keys = {key for part in [schema, *schema["$defs"].values()] for key in part.get("properties", {})}
    documented = set(re.findall(r"`([a-z_]+)`", REFERENCE))
    assert keys - documented == set()
    assert "{all: path}" in REFERENCE  # the one key without a row: of a column of xml


def test_every_word_that_may_stand_is_named() -> None:
    """The words of each closed choice, such as ``absent`` or ``pixel_xy``."""
    missing = set()
    for model in MODELS.values():
        for field in model.model_fields.values():
            missing |= {word for word in _words(field.annotation) if f"`{word}`" not in REFERENCE}
    assert missing == set()


def _words(annotation: Any) -> set[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return {str(word) for word in typing.get_args(annotation)}
    if isinstance(annotation, type):
        return set()
    return {word for part in typing.get_args(annotation) for word in _words(part)}


def test_the_tasks_are_those_that_there_are() -> None:
    line = re.search(r"^Tasks: (.*)\.$", REFERENCE, re.M)
    assert line is not None
    assert re.findall(r"`(\w+)`", line[1]) == sorted(TASKS.names())


def test_the_words_of_sql_that_need_quotes_do() -> None:
    from medshard.spec.expression import ExpressionError, parse_expression

    line = re.search(r"\*\*Words of SQL need double quotes\*\*(.*?)\.", GUIDE, re.S)
    assert line is not None
    words = re.findall(r"`(\w+)`", line[1])
    assert len(words) >= 5
    for word in words:
        with pytest.raises(ExpressionError):
            parse_expression(word)
        assert parse_expression(f'"{word}"').columns == ((word,),)


def test_a_link_within_the_page_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }
    for target in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert target in headings


def test_the_fields_of_a_concept_are_named_and_its_example_is_that_of_the_taxonomy() -> None:
    section = GUIDE.split("\n## Concepts\n")[1]
    for field in _Terms.model_fields:
        assert re.search(rf"`{field}[:`]", section) or f"{field}:" in section, field
    shown = re.search(r"^```\n(category: .*?)^```$", section, re.M | re.S)
    assert shown is not None
    concepts = _File.model_validate(parse_yaml(shown[1], "shown").tree).concepts
    taxonomy = load_taxonomy()
    for name, terms in concepts.items():
        concept = taxonomy.find(f"finding/{name}")
        assert (concept.en, concept.zh) == (terms.en, terms.zh)
        for spelling in (name.replace("_", " "), name.replace("_", "-").upper(), *terms.synonyms):
            assert taxonomy.find(spelling).id == f"finding/{name}"
