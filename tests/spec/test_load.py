"""Messages for bad specs: all at once, each with line, field, what is allowed and the nearest name."""

from __future__ import annotations

import pytest

from medshard.errors import Problem, SpecError
from medshard.spec.load import load_spec_text

GOOD = """\
spec: 1
name: tiles
about: {title: Tiles, modality: histopathology, anatomy: colon}
licence: {id: CC-BY-4.0, evidence: page}
sources:
  tiles: {files: "{label}/{id}.tif"}
samples: {from: tiles, patient: unknown, split: train}
media:
  image: {from: tiles, kind: image, spacing_yx_um: [0.5, 0.5], evidence: page}
facts:
  tissue: {kind: class, value: label, covers: all, map: {NORM: normal, TUM: tumour}}
expect:
  - {samples: 100, evidence: page}
"""


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        load_spec_text(text, "tiles.yaml")
    return caught.value.problems


def test_a_good_spec_loads_typed() -> None:
    (loaded,) = load_spec_text(GOOD)
    assert loaded.spec.media["image"].spacing_yx_um == (0.5, 0.5)
    assert loaded.spec.expect[0].samples == 100


def test_the_digest_is_of_the_content_not_the_layout() -> None:
    (first,) = load_spec_text(GOOD)
    (second,) = load_spec_text(GOOD.replace("spec: 1", "# a comment\nspec:   1"), "elsewhere.yaml")
    (third,) = load_spec_text(GOOD.replace("100", "101"))
    assert first.digest == second.digest != third.digest


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "kind: image",
            "kind: imge",
            "tiles.yaml:9 media.image.kind: 'imge' is not allowed here. Did you mean 'image'? "
            "Allowed: image, volume, mask.",
        ),
        (
            "anatomy: colon",
            "anatomi: colon",
            "tiles.yaml:3 about.anatomi: 'anatomi' is not a field here. Did you mean 'anatomy'? "
            "Allowed: anatomy, department, home, modality, note, paper, title, version.",
        ),
        ("patient: unknown, ", "", "tiles.yaml:7 samples: the line 'patient' is missing."),
        (
            "kind: class",
            "kind: clas",
            "tiles.yaml:11 facts.tissue: a fact has a kind. Did you mean 'class'? "
            "Allowed: class, flags, number, boxes, mask_classes, mask_instances, text, qa.",
        ),
        (
            "{files:",
            "{fils:",
            "tiles.yaml:6 sources.tiles: a source has exactly one kind of listing. Did you mean 'files'? "
            "Allowed: files, csv, tsv, xlsx, json, jsonl, xml, coco, dicom.",
        ),
        (
            "[0.5, 0.5], evidence: page",
            "[0.5, 0.5]",
            "tiles.yaml:9 media.image: a spacing needs evidence: seen, code, page, recall or unknown; found ",
        ),
        (
            "[0.5, 0.5]",
            "[0.5, wide]",
            "tiles.yaml:9 media.image.spacing_yx_um[1]: Input should be a valid number, unable to parse string as a "
            "number; found 'wide'.",
        ),
        (", covers: all", "", "tiles.yaml:11 facts.tissue: the line 'covers' is missing."),
    ],
)
def test_messages(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    (problem,) = problems_of(GOOD.replace(old, new))
    assert str(problem).startswith(expected)


def test_all_problems_at_once() -> None:
    text = (
        GOOD.replace("kind: image", "kind: imge")
        .replace("patient: unknown, ", "")
        .replace("id: CC-BY-4.0, evidence: page", "id: x, evidence: pag")
    )
    assert {problem.line for problem in problems_of(text)} == {4, 7, 9}


def test_a_union_tells_of_the_member_that_got_furthest() -> None:
    text = GOOD.replace('"{label}/{id}.tif"', '[{pattern: "{label}/{id}.tif"}, {patern: "x/{id}.tif"}]')
    problems = problems_of(text)
    assert [problem.code for problem in problems] == ["missing-field", "unknown-field"]
    assert problems[1].nearest == "pattern"


VARIANTS = """\
spec: 1
name: msd-{slug}
variants:
  - {slug: spleen, task: Task09, map: {1: spleen}, extra: mri}
  - {slug: liver, task: Task03, map: {1: liver_region, 2: tumour}}
about: {title: "MSD {task}", modality: ct, note: "{extra}"}
licence: {id: CC-BY-SA-4.0, evidence: page}
sources: {images: {files: "{task}/{id:{slug}_\\\\d+}.nii.gz"}}
samples: {from: images, patient: unknown, split: train}
media: {mask: {from: images, kind: mask}}
facts: {structure: {kind: mask_classes, of: mask, covers: all, map: "{map}"}}
"""


def test_variants_fill_text_and_structure_and_drop_null_lines() -> None:
    spleen, liver = load_spec_text(VARIANTS)
    assert (spleen.spec.name, liver.spec.name) == ("msd-spleen", "msd-liver")
    assert spleen.spec.sources["images"].files == "Task09/{id:spleen_\\d+}.nii.gz"  # type: ignore[union-attr]
    assert liver.spec.facts["structure"].map == {"1": "liver_region", "2": "tumour"}  # type: ignore[union-attr]
    assert (spleen.spec.about.note, liver.spec.about.note) == ("mri", None)


def test_a_parameter_that_nothing_uses_is_a_mistake() -> None:
    (problem,) = problems_of(VARIANTS.replace("slug: spleen,", "slug: spleen, slugg: x,"))
    assert "slugg" in problem.message
    assert problem.line == 4


def test_variants_of_one_name_are_refused() -> None:
    assert problems_of(VARIANTS.replace("name: msd-{slug}", "name: msd-x"))[0].code == "variants"
