"""What is found in a spec without data: names, patterns, expressions, concepts; every shipped spec is clean."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from medshard.spec.catalog import dataset_specs, find_spec, specs_root
from medshard.spec.check import check_file, check_spec, expressions_of
from medshard.spec.json_schema import spec_json_schema
from medshard.spec.load import load_spec_file, load_spec_text
from medshard.spec.taxonomy import load_taxonomy

BAD = """\
spec: 1
name: bad
about: {title: Bad, modality: ct, anatomy: kidny}
licence: {id: MIT, evidence: page}
sources:
  images: {files: "a/{id:[}.png", where: "now() is not null"}
  masks: {files: "m/{id}.png"}
samples: {from: imags, patient: unknown, split: train, leave_out: {x: "uper(id) = 'A'"}}
media:
  image: {from: images, kind: image}
  mask: {from: mask, using: [id], kind: mask, like: imge, no_file: absent}
facts:
  a: {kind: mask_classes, of: image, covers: all, map: {1: kidny}}
  b: {kind: class, of: labels, value: x, covers: all, map: {1: nodule}, drop: {"(": bad}}
  c: {kind: number, value: y, concept: nodule, unit: mm}
tasks: {only: [detecton]}
"""


def test_every_kind_of_mistake_is_found_at_once() -> None:
    (loaded,) = load_spec_text(BAD, "bad.yaml")
    found = {(problem.line, problem.code, problem.nearest) for problem in check_spec(loaded, load_taxonomy())}
    assert {code for _, code, _ in found} == {
        "expression",
        "pattern",
        "unknown-source",
        "unknown-slot",
        "unknown-concept",
        "not-joined",
        "regex",
        "unknown-task",
    }
    assert (8, "unknown-source", "images") in found
    assert (11, "unknown-source", "masks") in found
    assert (11, "unknown-slot", "image") in found
    assert (13, "unknown-slot", "") in found
    assert (16, "unknown-task", "detection") in found
    concepts = [p for p in check_spec(loaded, load_taxonomy()) if p.code == "unknown-concept"]
    assert {problem.field for problem in concepts} == {"about.anatomy", "facts.a.map.1", "facts.c.concept"}
    assert all("did you mean" in problem.message for problem in concepts if "kidny" in problem.message)


def test_expressions_are_found_wherever_the_schema_has_them() -> None:
    (loaded,) = load_spec_text(BAD, "bad.yaml")
    paths = {".".join(map(str, path)) for path, _ in expressions_of(loaded.spec)}
    assert {"sources.images.where", "samples.leave_out.x", "facts.b.value", "facts.c.value"} <= paths
    assert "media.image.from" not in paths


@pytest.mark.parametrize("name", sorted(dataset_specs()))
def test_shipped_specs_have_no_problems(name: str) -> None:
    for loaded in load_spec_file(find_spec(name)):
        assert check_spec(loaded, load_taxonomy()) == []


def test_the_shipped_json_schema_is_current() -> None:
    path = specs_root() / "medshard.schema.json"
    assert path.read_text() == spec_json_schema(), "run: medshard schema > specs/medshard.schema.json"
    assert json.loads(spec_json_schema())["title"] == "medshard spec"


def test_editors_accept_every_shipped_spec_and_mark_mistakes() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(spec_json_schema()))
    validator.check_schema(validator.schema)
    for name in dataset_specs():
        tree = json.loads(json.dumps(yaml.safe_load(find_spec(name).read_text()), default=str))
        assert [error.message for error in validator.iter_errors(tree)] == [], name
    written = find_spec("demo-breast").read_text()
    for right, wrong in (("covers: all", "covers: al"), ("from: masks", "form: masks"), ("kind: class", "kind: clas")):
        assert right in written
        assert not validator.is_valid(yaml.safe_load(written.replace(right, wrong))), wrong


def test_a_name_finds_its_spec_and_a_mistyped_one_the_nearest(tmp_path: Path) -> None:
    from medshard.errors import SpecError

    assert find_spec("vqa-rad").name == "vqa-rad.yaml"
    with pytest.raises(SpecError, match="Did you mean 'vqa-rad'"):
        find_spec("vqa-rda")
    with pytest.raises(SpecError, match="no such file"):
        find_spec(str(tmp_path / "none.yaml"))


MISTYPED = """\
spec: 1
name: mistyped
about: {title: T, modality: ultrasound, anatomy: breast, departmnt: radiology}
licence: {id: MIT, access: opne, evidence: page}
sources:
  images: {files: "{label:benign|malignant}/{n}.png"}
samples: {from: imags, patient: unknown, split: train, key: "label || foo(n)"}
media:
  image: {from: images, knd: image}
facts:
  a: {kind: class, value: label, covers: al, map: {benign: benign_leson, malignant: malignant_lesion}}
  b: {kind: clss, value: label, covers: all, map: {}}
  c: {kind: number, value: n}
"""


def test_mistakes_of_form_do_not_hide_other_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "mistyped.yaml"
    path.write_text(MISTYPED)
    loaded, problems = check_file(path, load_taxonomy())
    assert loaded == [], "what was mended is not built from"
    assert [(problem.line, problem.field, problem.nearest) for problem in problems] == [
        (3, "about.departmnt", "department"),
        (4, "licence.access", "open"),
        (7, "samples.key", ""),
        (7, "samples.from", "images"),
        (9, "media.image", ""),
        (9, "media.image.knd", "kind"),
        (11, "facts.a.covers", "all"),
        (11, "facts.a.map.benign", ""),
        (12, "facts.b", "class"),
        (13, "facts.c", ""),
        (13, "facts.c", ""),
    ]
    assert path.read_text() == MISTYPED


def test_what_cannot_be_mended_is_told_without_more(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(MISTYPED.replace("samples: {from: imags, ", "samples: {"))
    loaded, problems = check_file(path, load_taxonomy())
    assert loaded == []
    assert "the line 'from' is missing." in {problem.message for problem in problems}
    assert all(problem.field != "facts.a.map.benign" for problem in problems)
