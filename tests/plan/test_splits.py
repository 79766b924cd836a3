"""Splits: claims that are mapped, counted and, by policy, mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from planning import plan, write_tree

from medshard.errors import PlanError

LEAK = """\
sources: {rows: {csv: r.csv}}
samples: {from: rows, key: id, patient: PATIENT, split: SPLIT}
"""
ROWS = "id,who,part\n1,a,train\n2,a,test\n3,b,train\n4,b,train\n5,c,val\n6,c,train\n"
MAP = "{value: part, map: {train: train, val: validation, test: test}}"


def build(root: Path, patient: str, split: str, **options: object) -> object:
    write_tree(root, {"r.csv": ROWS})
    return plan(root, LEAK.replace("PATIENT", patient).replace("SPLIT", split), **options)


def splits(planned) -> dict[str, str]:  # type: ignore[no-untyped-def]
    return {sample.key: sample.split for sample in planned.samples()}


def test_official_keeps_and_counts_conflicts(tmp_path: Path) -> None:
    planned = build(tmp_path, "who", MAP)
    assert planned.split_conflicts == {"test+train": 1, "train+validation": 1}
    assert splits(planned)["t-1"] == "train"


def test_official_strict_takes_from_training_what_the_test_set_touches(tmp_path: Path) -> None:
    planned = build(tmp_path, "who", MAP, split_policy="official_strict")
    assert splits(planned) == {"t-2": "test", "t-3": "train", "t-4": "train", "t-5": "validation"}
    assert [(entry.row, entry.error_class) for entry in planned.left_out] == [(1, "split_leak"), (6, "split_leak")]


def test_by_patient_moves_whole_groups_to_the_most_protected_split(tmp_path: Path) -> None:
    planned = build(tmp_path, "{at_most: who}", MAP, split_policy="by_patient")
    assert splits(planned) == {
        "t-1": "test", "t-2": "test", "t-3": "train", "t-4": "train", "t-5": "validation", "t-6": "validation",
    }  # fmt: skip


def test_policies_need_a_patient(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="needs the patient"):
        build(tmp_path, "unknown", MAP, split_policy="by_patient")


def test_raw_words_must_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"1 samples have the split 'val'; map it"):
        build(tmp_path, "unknown", "part")
    with pytest.raises(PlanError, match=r"'valid' is no split\. Did you mean 'validation'"):
        build(tmp_path, "unknown", "{value: part, map: {train: train, val: valid, test: test}}")


def test_random_shares_keep_patients_together_and_need_them(tmp_path: Path) -> None:
    rows = "id,who,part\n" + "".join(f"{i},p{i // 4},x\n" for i in range(4000))
    write_tree(tmp_path, {"r.csv": rows})
    body = LEAK.replace("SPLIT", "{random: {train: 0.8, test: 0.2}}")
    planned = plan(tmp_path, body.replace("PATIENT", "who"))
    assert planned.split_conflicts == {}
    assert 0.75 < planned.splits()["train"] / 4000 < 0.85
    fewer = plan(
        write_tree(tmp_path / "b", {"r.csv": "\n".join(rows.split("\n")[:41])}), body.replace("PATIENT", "who")
    )
    whole = splits(planned)
    assert all(whole[key] == split for key, split in splits(fewer).items())
    with pytest.raises(PlanError, match="random shares need the patient"):
        plan(tmp_path, body.replace("PATIENT", "unknown"))


def test_folds_are_kept_beside_the_split(tmp_path: Path) -> None:
    planned = build(tmp_path, "unknown", "{folds: who}")
    assert {(sample.split, sample.fold) for sample in planned.samples()} == {
        ("train", "a"),
        ("train", "b"),
        ("train", "c"),
    }
