"""Classes, flags and numbers: four states, closed maps, and no absence that the source does not state."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_source import Source, blank, looked_for, read_source, states, table

from medshard.errors import ReadError, SpecError
from medshard.record.facts import LabelFact, MeasureFact

BODY = """\
sources:
  images: {files: "{id}.png"}
  cases: {csv: cases.csv}
samples: {from: images, join: {cases: {using: [id], need: one}}, patient: unknown, split: none}
media: {image: {from: images, kind: image}}
facts:
"""

CLASS = BODY + "  diagnosis: {kind: class, value: dx, covers: COVERS, map: {N: normal, T: tumour, C: cyst} MORE}\n"

FLAGS = (
    BODY
    + """\
  finding:
    kind: flags
    columns: [nodule, mass, cyst]
    states: {"1": present, "0": absent, "?": uncertain, "": not_annotated}
    map: same_name
    by: report_nlp
"""
)


def pictures(root: Path, body: str, columns: str, rows: list[tuple[str, ...]]) -> Source:
    files: dict[str, str | bytes] = {f"{row[0]}.png": blank(8, 6) for row in rows}
    return read_source(root / "data", body, {**files, "cases.csv": table(columns, rows)})


def of_class(root: Path, *values: str, covers: str = "all", more: str = "") -> Source:
    rows = [("n", "N"), ("t", "T"), ("c", "C"), *((f"x{place}", value) for place, value in enumerate(values))]
    return pictures(root, CLASS.replace("COVERS", covers).replace("MORE", more), "id,dx", rows)


def test_a_class_is_one_label_and_a_scope_of_all(tmp_path: Path) -> None:
    sample = of_class(tmp_path).sample("t")
    assert states(sample, "finding") == {"finding/tumour": "present"}
    (label,) = [fact for fact in sample.facts if isinstance(fact, LabelFact) and fact.concept == "finding/tumour"]
    assert label.slots == ["image"]
    assert (label.source[0].field, label.source[0].raw) == ("dx", "T")
    row = next(row for row in sample.source if row.id == label.source[0].id)
    assert (row.file, row.row) == ("cases.csv", 2)
    assert looked_for(sample) == [(("image",), "set:small/diagnosis")]
    assert looked_for(sample, "instances") == []


def test_a_class_that_was_only_named_has_no_scope(tmp_path: Path) -> None:
    for covers in ("named_only", "{named_only: the largest lesion}", "{sampled: every tenth slice}"):
        sample = of_class(tmp_path / covers[1:6], covers=covers).sample("t")
        assert states(sample, "finding") == {"finding/tumour": "present"}
        assert sample.scopes == []


@pytest.mark.parametrize(("no_value", "looked"), [("absent", True), ("not_annotated", False), ("missing", False)])
def test_an_empty_cell_means_what_the_spec_says(tmp_path: Path, no_value: str, looked: bool) -> None:
    sample = of_class(tmp_path, "", more=f", no_value: {no_value}").sample("x0")
    assert states(sample, "finding") == {}
    assert looked_for(sample) == ([(("image",), "set:small/diagnosis")] if looked else [])


def test_an_empty_cell_without_a_meaning_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="1 values are empty; say no_value"):
        of_class(tmp_path, "")


def test_maps_are_closed_both_ways(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the value 'Q' is not mapped"):
        of_class(tmp_path / "more", "Q")
    body = CLASS.replace("COVERS", "all").replace("MORE", "")
    with pytest.raises(SpecError, match=r"map\.C"):
        pictures(tmp_path / "fewer", body, "id,dx", [("n", "N"), ("t", "T")])


def test_a_dropped_value_is_neither_present_nor_absent(tmp_path: Path) -> None:
    sample = of_class(tmp_path, "?", more=", drop: {'\\?': reader unsure}").sample("x0")
    assert states(sample, "finding") == {}
    assert sample.scopes == [], "a dropped value does not say that all classes are absent"


def test_a_class_of_the_study_is_no_statement_about_its_picture(tmp_path: Path) -> None:
    sample = of_class(tmp_path, more=", scope: study").sample("t")
    (label,) = [fact for fact in sample.facts if isinstance(fact, LabelFact) and fact.concept == "finding/tumour"]
    assert label.slots == []
    assert sample.scopes == []


def test_flags_keep_four_states(tmp_path: Path) -> None:
    rows = [("a", "1", "0", "?"), ("b", "", "", "")]
    source = pictures(tmp_path, FLAGS, "id,nodule,mass,cyst", rows)
    sample = source.sample("a")
    assert states(sample, "finding") == {
        "finding/nodule": "present",
        "finding/mass": "absent",
        "finding/cyst": "uncertain",
    }
    labels = [fact for fact in sample.facts if isinstance(fact, LabelFact) and fact.concept != "modality/xray"]
    cited = {fact.concept: (fact.source[0].field, fact.source[0].raw, fact.by) for fact in labels}
    assert cited["finding/mass"] == ("mass", "0", "report_nlp")
    assert sample.scopes == [], "states that are stated need no scope, and those left empty have none"
    assert states(source.sample("b"), "finding") == {}


def test_flags_that_cover_all_have_a_scope_but_not_when_of_the_study(tmp_path: Path) -> None:
    rows = [("a", "1", "0", "?"), ("b", "", "", "")]
    covered = pictures(tmp_path / "a", FLAGS + "    covers: all\n", "id,nodule,mass,cyst", rows)
    assert looked_for(covered.sample("b")) == [(("image",), "set:small/finding")]
    study = pictures(tmp_path / "b", FLAGS + "    covers: all\n    scope: study\n", "id,nodule,mass,cyst", rows)
    assert study.sample("a").scopes == []
    assert {fact.state for fact in study.sample("a").facts if isinstance(fact, LabelFact) and not fact.slots} == {
        "present",
        "absent",
        "uncertain",
    }


def test_a_flag_with_a_state_that_is_not_listed_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the cell '2' stands 1 times"):
        pictures(tmp_path, FLAGS, "id,nodule,mass,cyst", [("a", "1", "0", "?"), ("b", "2", "", "")])


NUMBER = BODY + "  size: {kind: number, value: v, concept: CONCEPT, unit: UNIT, by: expert MORE}\n"


def of_number(root: Path, value: str, concept: str = "lesion_size", unit: str = "cm", more: str = "") -> Source:
    body = NUMBER.replace("CONCEPT", concept).replace("UNIT", unit).replace("MORE", more)
    return pictures(root, body, "id,v", [("a", value)])


def test_a_number_has_its_unit_its_resolution_and_its_cell(tmp_path: Path) -> None:
    sample = of_number(tmp_path, "3.70", more=", resolution: 0.1").sample("a")
    (measure,) = [fact for fact in sample.facts if isinstance(fact, MeasureFact)]
    assert (measure.concept, measure.value, measure.unit, measure.resolution) == (
        "quantity/lesion_size",
        3.7,
        "cm",
        0.1,
    )
    assert measure.source[0].raw == "3.70"


def test_a_plain_number_has_no_unit(tmp_path: Path) -> None:
    sample = of_number(tmp_path, "4", "count", '"1"').sample("a")
    (measure,) = [fact for fact in sample.facts if isinstance(fact, MeasureFact)]
    assert (measure.value, measure.unit) == (4.0, None)


@pytest.mark.parametrize(("cell", "said"), [("60.5", "plausible range 0 to 60"), ("-1", "plausible range")])
def test_a_number_outside_its_range_is_a_mistake(tmp_path: Path, cell: str, said: str) -> None:
    with pytest.raises(ReadError, match=said):
        of_number(tmp_path, cell).sample("a")


@pytest.mark.parametrize("cell", ["nan", "inf", "three"])
def test_what_is_no_finite_number_is_told_without_its_value(tmp_path: Path, cell: str) -> None:
    with pytest.raises(ReadError, match="is not a finite number") as caught:
        of_number(tmp_path, cell).sample("a")
    assert cell not in str(caught.value).replace("finite", "")


def test_no_number_no_fact(tmp_path: Path) -> None:
    sample = of_number(tmp_path, "", more=", no_value: missing").sample("a")
    assert [fact for fact in sample.facts if isinstance(fact, MeasureFact)] == []


@pytest.mark.parametrize(("cell", "value", "raw"), [("89", 89.0, "89"), ("90", 90.0, None), ("104", 90.0, None)])
def test_ages_over_89_are_one_group_and_their_cell_is_not_kept(
    tmp_path: Path, cell: str, value: float, raw: str | None
) -> None:
    sample = of_number(tmp_path, cell, "age", "a", ", quasi_identifier: age").sample("a")
    (measure,) = [fact for fact in sample.facts if isinstance(fact, MeasureFact)]
    assert (measure.value, measure.source[0].raw) == (value, raw)


def test_what_the_spec_states_of_every_sample_is_cited_as_such(tmp_path: Path) -> None:
    sample = of_class(tmp_path).sample("n")
    assert states(sample, "modality", "anatomy") == {"modality/xray": "present", "anatomy/chest": "present"}
    (label,) = [fact for fact in sample.facts if isinstance(fact, LabelFact) and fact.concept == "modality/xray"]
    row = next(row for row in sample.source if row.id == label.source[0].id)
    assert (row.file, row.row) == ("spec:small", None)
    assert sample.axes.modality == ["xray"]


def test_a_modality_of_the_sample_goes_before_the_datasets(tmp_path: Path) -> None:
    body = BODY + "  kind: {kind: class, value: k, covers: all, map: {C: ct, M: mri}, by: device}\n"
    sample = pictures(tmp_path, body, "id,k", [("a", "C"), ("b", "M")]).sample("b")
    assert states(sample, "modality") == {"modality/mri": "present"}
    assert sample.axes.modality == ["mri"]
