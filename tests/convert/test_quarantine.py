"""Nothing is lost in silence: what cannot be read stands in the ledger with its reason, and the account adds up."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mixed_tree import SPEC, Quiet, Tree, build, write_mixed_tree
from PIL import Image

from medshard.convert.dataset import DatasetBuild
from medshard.errors import MedshardError


def quarantine(corpus: Path) -> list[dict[str, Any]]:
    return pq.read_table(corpus / "quarantine.parquet").to_pylist()  # type: ignore[no-any-return]


def assert_account(account: DatasetBuild, corpus: Path) -> None:
    """Rows of the samples' own source = rows in samples + rows left out, each by name."""
    rows = quarantine(corpus)
    planned = [row for row in rows if row["stage"] != "read" and row["source"] == "cases"]
    failed = [row for row in rows if row["stage"] == "read"]
    told = account.account
    assert told["rows"] == told["rows_in_planned_samples"] + len(planned)
    assert told["planned_samples"] == told["samples"] + told["failed_samples"]
    assert told["failed_samples"] == len(failed)
    assert told["samples"] == pq.read_metadata(corpus / "samples.parquet").num_rows
    assert (
        told["samples"] == sum(shard["samples"] for shard in account.shards) == sum(account.counts["samples"].values())
    )
    grouped = Counter((row["source"], row["stage"], row["error_class"]) for row in rows)
    assert grouped == {(r["source"], r["stage"], r["error_class"]): r["count"] for r in account.left_out}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"no picture at all" * 40)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def smaller(path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.uint8)).save(path)


def bad_voxels(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))


BREAKS: list[tuple[str, Callable[[Path], None], str]] = [
    ("img/photo0.jpg", cut, "photo0"),
    ("img/photo1.jpg", garbage, "photo1"),
    ("img/flat1.png", cut, "flat1"),
    ("img/deep0.png", empty, "deep0"),
    ("mask/flat0.png", smaller, "flat0"),
    ("mask/deep1.png", garbage, "deep1"),
    ("ct/scan0.nii.gz", cut, "scan0"),
    ("ct/scan1.nii.gz", bad_voxels, "scan1"),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, Path, DatasetBuild]:
    folder = tmp_path_factory.mktemp("broken")
    tree = write_mixed_tree(folder / "data", each=2)
    for name, spoil, _ in BREAKS:
        spoil(tree.root / name)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tree.root / "img" / "orphan.png")
    return tree, folder / "corpus", build(tree.root, folder / "corpus")


def test_each_broken_file_is_in_the_ledger_with_its_reason(broken: tuple[Tree, Path, DatasetBuild]) -> None:
    tree, corpus, account = broken
    rows = {row["row"]: row for row in quarantine(corpus) if row["stage"] == "read"}
    numbers = {name: number for number, name in enumerate(tree.cases, start=1)}
    assert set(rows) == {numbers[sample] for _, _, sample in BREAKS}
    for name, _, sample in BREAKS:
        row = rows[numbers[sample]]
        assert row["dataset"] == "mixed"
        assert row["file"] == (f"img/{sample}.png" if name.startswith("mask") else name)
        assert row["error_class"] not in ("", "defect"), row
        assert len(row["message"]) > 10
    assert rows[numbers["flat0"]]["error_class"] == "grid_mismatch"
    assert_account(account, corpus)
    assert account.account["failed_samples"] == len(BREAKS)


def test_files_that_belong_to_no_sample_are_named(broken: tuple[Tree, Path, DatasetBuild]) -> None:
    _, corpus, _ = broken
    (row,) = [row for row in quarantine(corpus) if row["stage"] != "read"]
    assert (row["source"], row["file"], row["error_class"]) == ("images", "img/orphan.png", "orphan")


def test_the_report_names_what_was_left_out(broken: tuple[Tree, Path, DatasetBuild]) -> None:
    _, corpus, _ = broken
    page = (corpus / "report.html").read_text()
    for row in quarantine(corpus):
        assert row["file"] in page


def test_the_whole_sample_is_left_out_and_the_others_are_there(broken: tuple[Tree, Path, DatasetBuild]) -> None:
    tree, corpus, _ = broken
    keys = set(pq.read_table(corpus / "samples.parquet")["key"].to_pylist())
    assert keys == {f"mixed-{name}" for name in tree.cases} - {f"mixed-{sample}" for _, _, sample in BREAKS}
    assert {volume.name for volume in corpus.glob("datasets/mixed/*/volumes/*")} == set()


def test_the_account_adds_up_without_failures(built: tuple[Path, DatasetBuild]) -> None:
    corpus, account = built
    assert_account(account, corpus)
    assert quarantine(corpus) == []


@pytest.mark.parametrize(("options", "stops"), [({"max_failures": 7}, True), ({"max_failures": 8}, False)])
def test_failures_are_bounded(
    broken: tuple[Tree, Path, DatasetBuild], tmp_path: Path, options: dict[str, Any], stops: bool
) -> None:
    tree, _, _ = broken
    if not stops:
        assert build(tree.root, tmp_path / "corpus", **options).account["failed_samples"] == 8
        return
    for _ in range(2):  # again, with the finished units counted from their markers
        with pytest.raises(MedshardError, match=r"8 samples could not be read, --max-failures allows 7; the last: "):
            build(tree.root, tmp_path / "corpus", **options)
    assert not (tmp_path / "corpus" / "corpus.json").exists()


def test_a_share_bounds_failures_too(broken: tuple[Tree, Path, DatasetBuild], tmp_path: Path) -> None:
    tree, _, _ = broken
    with pytest.raises(MedshardError, match="--max-failures allows 6"):
        build(tree.root, tmp_path / "corpus", max_failure_share=0.5)


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from medshard.cli import main; main()"]
    return subprocess.run([*program, *map(str, words)], capture_output=True, text=True, check=False, env={**os.environ})


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.yaml"
    path.write_text(SPEC.replace("NAME", "mixed").replace("EXPECT", ""))
    return path


def test_the_exit_code_tells_of_failures(broken: tuple[Tree, Path, DatasetBuild], spec: Path, tmp_path: Path) -> None:
    tree, _, _ = broken
    arguments = ["build", spec, "--data", tree.root, "--out", tmp_path / "corpus", "--workers", "1"]
    told = command(*arguments)
    assert told.returncode == 4, told.stderr
    assert "left out: 1 of cases (read: grid_mismatch)" in told.stdout
    stopped = command(*arguments, "--max-failures", "10%")
    assert stopped.returncode == 1
    assert "--max-failures allows 1" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_a_claim_that_fails_is_told_and_changes_nothing(mixed: Tree, spec: Path, tmp_path: Path) -> None:
    expect = """\
expect:
  - {samples: 24, split: {train: 18, test: 7}, facts: {qa: 11}, files: {masks: 5}, evidence: page}
"""
    claimed = SPEC.replace("NAME", "mixed").replace("EXPECT", expect)
    spec.write_text(claimed)
    arguments = ["build", spec, "--data", mixed.root, "--out", tmp_path / "corpus", "--workers", "1"]
    told = command(*arguments, "--json")
    assert told.returncode == 5, told.stderr
    (dataset,) = json.loads(told.stdout)["datasets"]
    line = claimed.splitlines().index("expect:") + 2
    assert sorted(dataset["failed_claims"]) == [
        f"mixed.yaml:{line} expect[0].files.masks: files.masks is claimed to be 5 (evidence: page); found 4.",
        f"mixed.yaml:{line} expect[0].split.test: split.test is claimed to be 7 (evidence: page); found 6.",
    ]
    assert dataset["account"]["samples"] == 24
    page = (tmp_path / "corpus" / "report.html").read_text()
    assert "split.test is claimed to be 7" in page
    assert command(*arguments, "--partial").returncode == 0


def test_without_failures_the_exit_code_is_zero(mixed: Tree, spec: Path, tmp_path: Path) -> None:
    told = command("build", spec, "--data", mixed.root, "--out", tmp_path / "corpus", "--workers", "1")
    assert told.returncode == 0, told.stderr
    assert "mixed: 24 samples" in told.stdout


def test_data_that_contradict_the_spec_build_nothing(mixed: Tree, spec: Path, tmp_path: Path) -> None:
    spec.write_text(spec.read_text().replace("m: mass}, by", "q: mass}, by"))
    told = command("build", spec, "--data", mixed.root, "--out", tmp_path / "corpus", "--workers", "1")
    assert told.returncode == 3
    assert "unmapped" in told.stderr or "not in map" in told.stderr or "map" in told.stderr
    assert not (tmp_path / "corpus" / "corpus.json").exists()


def test_a_defect_of_a_reader_costs_one_sample(mixed: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medshard.convert import media

    real = media.read_image

    def failing(blob: Any) -> Any:
        if blob.path == "img/photo2.jpg":
            raise ZeroDivisionError("SECRET NAME")
        return real(blob)

    monkeypatch.setattr(media, "read_image", failing)
    account = build(mixed.root, tmp_path / "corpus", progress=Quiet())
    (row,) = quarantine(tmp_path / "corpus")
    assert (row["file"], row["error_class"]) == ("img/photo2.jpg", "defect")
    assert row["message"].startswith("ZeroDivisionError in convert/test_quarantine.py")
    assert "SECRET" not in row["message"]
    assert_account(account, tmp_path / "corpus")
