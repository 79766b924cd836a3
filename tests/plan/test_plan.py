"""Joins, groups, keys, media and facts: every row is in a sample or left out by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from planning import plan, write_tree

from medshard.errors import PlanError
from medshard.plan.keys import MAX_KEY_BYTES, clean_key
from medshard.plan.plan import Plan

IMAGES = {f"img/{name}.png": b"x" for name in ("a", "b", "c")}
BASE = """\
sources:
  images: {files: "img/{id}.png"}
  labels: {csv: labels.csv}
samples:
  from: images
  join: {labels: {using: [id], need: NEED}}
  patient: unknown
  split: train
media: {image: {from: images, kind: image}}
facts:
  finding: {kind: class, value: finding, covers: all, no_value: not_annotated, map: {n: nodule, m: mass}}
"""


def left_out(planned: Plan) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for entry in planned.left_out:
        place = (entry.source, entry.error_class)
        counts[place] = counts.get(place, 0) + 1
    return counts


def test_need_one_leaves_out_both_sides_by_name(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\nb,m\nz,n\n"})
    planned = plan(tmp_path, BASE.replace("NEED", "one"))
    assert [sample.key for sample in planned.samples()] == ["t-a", "t-b"]
    assert left_out(planned) == {("images", "no_labels"): 1, ("labels", "orphan"): 1}
    orphan = next(entry for entry in planned.left_out if entry.error_class == "orphan")
    assert (orphan.file, orphan.row) == ("labels.csv", 3)
    assert planned.base_rows == planned.member_rows + 1


def test_need_maybe_keeps_rows_without_a_partner(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\nb,m\n"})
    planned = plan(tmp_path, BASE.replace("NEED", "maybe"))
    cells = {sample.key: sample.facts[0].cells for sample in planned.samples()}
    assert cells == {"t-a": ("n",), "t-b": ("m",), "t-c": (None,)}


def test_several_partners_where_one_is_needed_are_an_error_with_places(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\na,m\nb,n\nc,n\n"})
    with pytest.raises(PlanError) as caught:
        plan(tmp_path, BASE.replace("NEED", "one"))
    assert str(caught.value.problems[0]).startswith(
        "t.yaml:10 samples.join.labels.need: need: one, but 1 rows of images"
    )
    assert "img/a.png" in str(caught.value)


def test_a_fact_cites_the_row_that_holds_its_value(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\nb,m\na,n\nc,n\n"})
    facts = {sample.key: sample.facts[0] for sample in plan(tmp_path, BASE.replace("NEED", "one")).samples()}
    assert (facts["t-a"].file, facts["t-a"].row, facts["t-a"].field) == ("labels.csv", 2, "finding")


def test_unmapped_and_unseen_values_are_errors_both_ways(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\nb,nn\nc,n\n"})
    with pytest.raises(PlanError) as caught:
        plan(tmp_path, BASE.replace("NEED", "one"))
    codes = {problem.code: problem for problem in caught.value.problems}
    assert codes["unmapped-value"].found == "nn"
    assert codes["unmapped-value"].nearest == "n"
    assert codes["unseen-value"].line == 15
    write_tree(tmp_path, {"labels.csv": "id,finding\na,n\nb,n\nc,n\n"})
    planned = plan(tmp_path, BASE.replace("NEED", "one"), partial=True)
    assert [problem.code for problem in planned.warnings] == ["unseen-value"]


def test_an_empty_value_needs_a_word_for_it(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\nb,m\nc,\n"})
    with pytest.raises(PlanError, match="1 values are empty; say no_value"):
        plan(tmp_path, BASE.replace("NEED", "one").replace(" no_value: not_annotated,", ""))


GROUP = """\
sources:
  slices: {files: "{patient}/{id}_{seq:t1|t2|seg}.nii"}
  clinical: {csv: c.csv}
samples:
  from: slices
  group: [patient, id]
  join: {clinical: {using: [patient], need: maybe}}
  patient: patient
  split: "case when patient < 'p2' then 'train' else 'test' end"
media:
  image: {from: slices, where: "seq != 'seg'", kind: volume, channels: {of: seq, order: [t1, t2], no_file: missing}}
  mask: {from: slices, where: "seq = 'seg'", kind: mask, like: image, no_file: not_annotated}
facts:
  grade: {kind: class, value: grade, covers: all, no_value: missing, map: {"1": nodule, "2": mass}}
"""


def test_group_makes_parts_of_one_sample(tmp_path: Path) -> None:
    files = {f"{p}/v_{s}.nii": b"12" for p in ("p1", "p2") for s in ("t1", "t2", "seg")}
    del files["p2/v_seg.nii"]
    write_tree(tmp_path, {**files, "c.csv": "patient,grade\np1,1\np2,2\n"})
    one, two = plan(tmp_path, GROUP).samples()
    assert (one.key, one.split, two.key, two.split) == ("t-p1-v", "train", "t-p2-v", "test")
    assert [(m.slot, m.path, m.channel) for m in one.media] == [
        ("image", "p1/v_t1.nii", "t1"), ("image", "p1/v_t2.nii", "t2"), ("mask", "p1/v_seg.nii", None),
    ]  # fmt: skip
    assert {m.slot for m in two.media} == {"image"}
    assert one.group is not None
    assert one.group.startswith("patient:")
    assert "p1" not in one.group


def test_two_values_in_one_group_are_a_contradiction(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a/1.png": b"", "a/2.png": b"", "b/1.png": b"", "l.csv": "folder,n,g\na,1,x\na,2,y\nb,1,x\n"})
    body = """\
sources:
  images: {files: "{folder}/{n}.png"}
  labels: {csv: l.csv}
samples:
  from: images
  group: [folder]
  join: {labels: {using: [folder, n], need: one}}
  patient: unknown
  split: train
facts:
  g: {kind: class, value: g, covers: all, map: {x: nodule, y: mass}}
"""
    planned = plan(tmp_path, body)
    assert [sample.key for sample in planned.samples()] == ["t-b"]
    assert left_out(planned) == {("images", "contradiction"): 2}
    assert planned.base_rows == 3 == planned.member_rows + 2


def test_aggregates_stand_only_under_group(tmp_path: Path) -> None:
    files = {f"{p}/v_{s}.nii": b"12" for p in ("p1", "p2") for s in ("t1", "t2")}
    write_tree(tmp_path, {**files, "c.csv": "patient,grade\np1,1\np2,2\n"})
    body = GROUP.replace("  patient: patient\n", "  patient: patient\n  key: \"patient || '-' || count(*)\"\n")
    assert [sample.key for sample in plan(tmp_path, body).samples()] == ["t-p1-2", "t-p2-2"]
    with pytest.raises(PlanError, match="an aggregate stands only"):
        plan(tmp_path, GROUP.replace("value: grade", 'value: "min(grade)"'))


BOXES = """\
sources:
  images: {files: "img/{id}.png"}
  boxes: {csv: b.csv}
samples:
  from: images
  join: {boxes: {using: [id], need: NEED}}
  patient: unknown
  split: none
facts:
  box:
    {kind: boxes, of: boxes, value: c, corners: [x0, y0, x1, y1], frame: pixel_xy, origin: 0, inclusive: "no",
     covers: all, map: same_name}
"""


def test_many_and_any_rows_of_a_joined_source(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "b.csv": "id,c,x0,y0,x1,y1\na,nodule,1,2,3,4\na,mass,5,6,7,8\nb,nodule,1,1,2,2\n"})
    planned = plan(tmp_path, BOXES.replace("NEED", "any"))
    rows = {sample.key: [fact.cells for fact in sample.facts] for sample in planned.samples()}
    assert rows["t-a"] == [("nodule", "1", "2", "3", "4"), ("mass", "5", "6", "7", "8")]
    assert rows["t-c"] == []
    planned = plan(tmp_path, BOXES.replace("NEED", "many"))
    assert len(planned) == 2
    assert left_out(planned) == {("images", "no_boxes"): 1}


def test_same_name_needs_concepts(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "b.csv": "id,c,x0,y0,x1,y1\na,nodul,1,2,3,4\n"})
    with pytest.raises(PlanError, match="did you mean 'nodule'"):
        plan(tmp_path, BOXES.replace("NEED", "any"))


def test_unknown_and_ambiguous_columns_are_named_with_their_lines(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding,path\na,n,\nb,m,\nc,n,\n"})
    body = BASE.replace("NEED", "one").replace("value: finding", "value: findng").replace(
        "split: train", "split: train\n  leave_out: {empty: \"path = ''\", old: \"labels.path = 'x'\"}"
    )  # fmt: skip
    with pytest.raises(PlanError) as caught:
        plan(tmp_path, body)
    (problem,) = caught.value.problems
    assert problem.code == "ambiguous-column"
    assert "images.path or labels.path" in problem.message
    with pytest.raises(PlanError, match=r"the column 'findng' is not there\. Did you mean 'finding'"):
        plan(tmp_path, body.replace("\"path = ''\"", "\"labels.path = 'y'\""))


def test_an_expression_that_fails_on_some_row_is_named_without_the_value(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\nb,m\nc,SECRET\n"})
    body = BASE.replace("NEED", "one").replace("from: images\n", 'from: images\n  key: "finding::int::varchar"\n', 1)
    with pytest.raises(PlanError, match="cannot be computed for some row") as caught:
        plan(tmp_path, body)
    assert "SECRET" not in str(caught.value)


def test_the_clock_is_no_column(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "labels.csv": "id,finding\na,n\nb,m\nc,n\n"})
    with pytest.raises(PlanError, match="the same result at any time"):
        plan(tmp_path, BASE.replace("NEED", "one").replace("value: finding", 'value: "current_timestamp::varchar"'))


def test_files_that_no_sample_takes_and_samples_without_a_file(tmp_path: Path) -> None:
    write_tree(tmp_path, {**IMAGES, "m/a.png": b"", "m/z.png": b""})
    body = """\
sources: {images: {files: "img/{id}.png"}, masks: {files: "m/{id}.png"}}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image}
  mask: {from: masks, using: [id], kind: mask, like: image}
facts: {f: {kind: mask_classes, of: mask, covers: all, map: {1: nodule}}}
"""
    planned = plan(tmp_path, body)
    assert left_out(planned) == {("masks", "orphan"): 1, ("images", "no_mask"): 2}
    assert [sample.key for sample in planned.samples()] == ["t-a"]
    assert len(plan(tmp_path, body.replace("like: image", "like: image, no_file: absent"))) == 3
    with pytest.raises(PlanError, match="2 samples have no file, and no_file says that this is an error"):
        plan(tmp_path, body.replace("like: image", "like: image, no_file: error"))


def test_layers_must_be_one_file_each(tmp_path: Path) -> None:
    write_tree(tmp_path, {"i/a.png": b"", "m1/a_MA.png": b"", "m2/a_MA.png": b"", "i/b.png": b"", "m1/b_EX.png": b""})
    body = """\
sources: {images: {files: "i/{id}.png"}, masks: {files: "{_}/{id:[ab]}_{layer}.png"}}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: image}
  mask: {from: masks, using: [id], kind: mask, layers: layer, like: image, no_file: absent}
facts: {f: {kind: mask_classes, of: mask, covers: all, map: {MA: nodule, EX: mass}}}
"""
    planned = plan(tmp_path, body)
    assert left_out(planned) == {("images", "several_files"): 1}
    assert [(m.slot, m.layer) for sample in planned.samples() for m in sample.media] == [
        ("image", None),
        ("mask", "EX"),
    ]
    assert planned.layer_files == {"masks.EX": 1, "masks.MA": 2}


def test_duplicate_keys_are_an_error_with_both_places(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a/1.png": b"", "b/1.png": b""})
    body = 'sources: {i: {files: "{f}/{id}.png"}}\nsamples: {from: i, patient: unknown, split: none}\n'
    with pytest.raises(PlanError, match=r"two samples have the key 't-1': a/1.png and b/1.png"):
        plan(tmp_path, body)


def test_a_uid_in_a_key_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, {"1.2.840.113619.2.55.3.png": b""})
    body = 'sources: {i: {files: "{id}.png"}}\nsamples: {from: i, patient: unknown, split: none}\n'
    with pytest.raises(PlanError, match="remap_uid"):
        plan(tmp_path, body)
    (sample,) = plan(tmp_path, body.replace("from: i", "from: i, key: remap_uid(id)")).samples()
    assert sample.key.startswith("t-2-25-")


@pytest.mark.parametrize(
    ("raw", "key"),
    [("benign (1)", "d-benign-1"), ("a.b/c", "d-a-b-c"), ("x_y-z", "d-x_y-z")],
)
def test_clean_keys(raw: str, key: str) -> None:
    assert clean_key("d", raw) == key


def test_keys_in_other_scripts_and_long_keys_stay_apart_and_short() -> None:
    assert clean_key("d", "图1") != clean_key("d", "像1")
    long = clean_key("d", "x" * 300)
    assert len(long) <= MAX_KEY_BYTES
    assert long != clean_key("d", "x" * 299)


def test_unpivot_unnest_derive_and_where(tmp_path: Path) -> None:
    write_tree(tmp_path, {"l.csv": 'id,left,right,tags\n1,n,m,"[""x"",""y""]"\n2,,n,[]\n'})
    eyes = plan(
        tmp_path,
        """\
sources:
  eyes:
    csv: l.csv
    unpivot: {columns: [left, right], name: eye, value: grade}
    derive: {eye_of: "id || eye", id: "'p' || id"}
    where: "grade != ''"
samples: {from: eyes, key: eye_of, patient: id, split: none}
""",
    )
    assert [sample.key for sample in eyes.samples()] == ["t-1left", "t-1right", "t-2right"]
    assert left_out(eyes) == {("eyes", "where"): 1}
    assert eyes.base_rows == 4 == eyes.member_rows + 1
    tags = plan(
        tmp_path,
        """\
sources: {tags: {csv: l.csv, unnest: {column: tags, into: tag}}}
samples: {from: tags, key: "id || tag", patient: unknown, split: none}
""",
    )
    assert [sample.key for sample in tags.samples()] == ["t-1x", "t-1y"]


def test_the_plan_is_the_same_whatever_the_order_of_listing(tmp_path: Path) -> None:
    write_tree(tmp_path / "1", {**IMAGES, "labels.csv": "id,finding\na,n\nb,m\nc,n\n"})
    write_tree(tmp_path / "2", {**dict(reversed(IMAGES.items())), "labels.csv": "id,finding\na,n\nb,m\nc,n\n"})
    body = BASE.replace("NEED", "one")
    assert plan(tmp_path / "1", body).digest == plan(tmp_path / "2", body).digest


@pytest.mark.parametrize(
    "name",
    [
        "i",
        "n",
        "sample",
        "key",
        "first",
        "place",
        "media",
        "facts",
        "slot",
        "cells",
        "said",
        "row_no",
        "s",
        "b",
    ],
)
def test_a_column_of_any_name_is_a_column(name: str, tmp_path: Path) -> None:
    rows = "".join(
        f"{i},{p},{v}\n" for i, p, v in (("a1", "p", "x"), ("a2", "p", "x"), ("b1", "q", "y"), ("b2", "r", "z"))
    )
    write_tree(
        tmp_path, {**{f"img/{n}.png": b"" for n in ("a1", "a2", "b1", "b2")}, "l.csv": f"id,person,{name}\n{rows}"}
    )
    body = f"""\
sources:
  images: {{files: "img/{{id}}.png"}}
  rows: {{csv: l.csv}}
samples:
  from: rows
  group: [{name}]
  join: {{images: {{using: [id], need: one}}}}
  leave_out: {{odd: '"{name}" = ''z'''}}
  key: 'min("{name}")'
  patient: 'min(person)'
  split: train
media: {{image: {{from: images, kind: image, channels: {{of: id, order: [a1, a2, b1], no_file: missing}}}}}}
facts:
  finding: {{kind: class, value: '"{name}"', covers: all, map: {{x: nodule, y: mass}}}}
"""
    planned = plan(tmp_path, body)
    assert [sample.key for sample in planned.samples()] == ["t-x", "t-y"]
    assert [len(sample.media) for sample in planned.samples()] == [2, 1]
    assert [sample.facts[0].cells for sample in planned.samples()] == [("x",), ("y",)]


@pytest.mark.parametrize("said", ["", ", no_value: error", ", no_value: missing"])
@pytest.mark.parametrize(
    "fact",
    [
        "{kind: number, value: v, concept: lesion_size, unit: cm, resolution: 0.1SAID}",
        "{kind: text, section: findings, value: v, language: enSAID}",
        "{kind: qa, question: id, answer: v, answer_type: \"'open'\", language: enSAID}",
    ],
)
def test_an_empty_cell_of_any_fact_needs_a_word_for_it(fact: str, said: str, tmp_path: Path) -> None:
    write_tree(tmp_path, {"l.csv": "id,v\na,1\nb,\n"})
    body = f"""\
sources: {{rows: {{csv: l.csv}}}}
samples: {{from: rows, patient: unknown, split: train}}
facts: {{f: {fact.replace("SAID", said)}}}
"""
    if said.endswith("missing"):
        assert len(list(plan(tmp_path, body).samples())) == 2
    else:
        with pytest.raises(PlanError, match=r"facts\.f: 1 values are empty; .*no_value"):
            plan(tmp_path, body)
