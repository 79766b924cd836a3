"""``--json``: one document on standard output and nothing else, whether the command succeeds or not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_runs import Ended, Small, run_apart, run_here, write_spec

from medshard.cli import _COMMANDS, exit_codes

FAILURE = {"error", "kind", "problems"}
PROBLEM = {"code", "message", "file", "line", "field", "found", "allowed", "nearest", "severity"}


def document(ended: Ended) -> Any:
    """Standard output as the one JSON document that it must be."""
    assert ended.err == ""
    assert ended.out.endswith("\n")
    return json.loads(ended.out)


def test_every_command_that_reports_has_the_option() -> None:
    without = {name for name in _COMMANDS if "--json" not in run_here(name, "--help").out}
    assert without == {"schema"}  # which prints a JSON document anyhow


def test_build(small: Small, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    ended = run_here("build", small.spec, "--data", small.tree.root, "--out", out, "--workers", "1", "--json")
    told = document(ended)
    assert ended.code == 0
    assert set(told) == {"corpus", "counts", "datasets"}
    assert told["corpus"] == str(out)
    assert told["counts"] == json.loads((out / "corpus.json").read_bytes())["counts"]
    (dataset,) = told["datasets"]
    kept = next(out.glob("datasets/mixed/*/build.json"))
    assert dataset == json.loads(kept.read_bytes())
    assert dataset["account"]["samples"] == len(small.tree.cases)


def test_check(small: Small) -> None:
    told = document(run_here("check", small.spec, "--json"))
    assert told == {"problems": [], "previews": []}
    (shown,) = document(run_here("check", small.spec, "--data", small.tree.root, "--json"))["previews"]
    assert shown["name"] == "mixed"
    assert shown["samples"] == len(small.tree.cases)
    assert shown["sources"]["images"] == {"files": len(small.tree.images), "rows": len(small.tree.images)}
    assert shown["splits"] == {"train": 18, "test": 6}


def test_check_of_a_wrong_spec(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(small.spec.read_text().replace("kind: class,", "kind: clas,"))
    ended = run_here("check", path, "--json")
    told = document(ended)
    assert ended.code == exit_codes.PROBLEMS
    assert [set(problem) for problem in told["problems"]] == [PROBLEM] * len(told["problems"])
    (problem,) = told["problems"]
    assert (problem["file"], problem["line"], problem["nearest"]) == (str(path), 22, "class")


def test_show(small: Small) -> None:
    told = document(run_here("show", small.corpus, "--json", "--limit", "3"))
    assert told["samples"] == len(small.tree.cases)
    assert len(told["keys"]) == 3
    chosen = document(run_here("show", small.corpus, "--json", "--where", "split = 'test'", "--limit", "99"))
    assert chosen["samples"] == len(chosen["keys"]) == 6
    record = document(run_here("show", small.corpus, "mixed-flat0", "--json"))
    assert record["key"] == "mixed-flat0"
    assert [medium["shape"] for medium in record["media"] if medium["slot"] == "image"] == [
        list(small.tree.images["flat0"].shape)
    ]


def test_why(small: Small) -> None:
    told = document(run_here("why", small.corpus, "mixed-photo0", "--json"))
    assert {"key", "licence", "spec_digest", "source", "media", "facts", "conversations"} <= set(told)
    first = told["conversations"][0]["id"]
    one = document(run_here("why", small.corpus, f"mixed-photo0/{first}", "--json"))
    assert [line["id"] for line in one["conversations"]] == [first]


def test_stats(small: Small) -> None:
    told = document(run_here("stats", small.corpus, "--json"))
    assert told["samples"] == sum(told["by split"].values()) == len(small.tree.cases)
    assert told["items"] == sum(told["by task"].values()) == sum(told["by language"].values())
    assert sum(told["shapes"].values()) == sum(
        len(arrays) for arrays in (small.tree.images, small.tree.masks, small.tree.volumes)
    ), "with --json all rows are told, not the most frequent only"


def test_verify(small: Small) -> None:
    told = document(run_here("verify", small.corpus, "--json"))
    assert told["problems"] == []
    assert told["checked"]["samples"] == len(small.tree.cases)


def test_retext(small: Small, tmp_path: Path) -> None:
    copy = tmp_path / "corpus"
    shutil.copytree(small.corpus, copy)
    told = document(run_here("retext", copy, "--name", "other", "--items", "1", "--json"))
    assert (told["name"], set(told["files"])) == (
        "other",
        {"conversations.jsonl", "conversations.locator", "items.parquet"},
    )
    assert (copy / told["path"] / "items.parquet").is_file()


def test_doctor() -> None:
    told = document(run_here("doctor", "--json"))
    assert all(set(row) == {"name", "found", "needed", "detail", "install"} for row in told)
    assert {"medshard", "native engine", "codecs", "pyarrow", "torch"} <= {row["name"] for row in told}


def test_specs() -> None:
    told = document(run_here("specs", "--json"))
    assert all(set(row) == {"spec", "name", "modality", "title"} for row in told)
    assert {"bccd", "vqa-rad", "busi-captions"} <= {row["spec"] for row in told}
    assert document(run_here("specs", "no such words anywhere", "--json")) == []


def test_schema() -> None:
    assert document(run_here("schema"))["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "nowhere"], exit_codes.FAILED),
        (["stats", "nowhere"], exit_codes.FAILED),
        (["why", "nowhere", "key"], exit_codes.FAILED),
        (["verify", "nowhere"], exit_codes.FAILED),
        (["retext", "nowhere"], exit_codes.FAILED),
        (["show"], exit_codes.USAGE),
        (["show", "CORPUS", "mixed-flat77"], exit_codes.FAILED),
        (["show", "CORPUS", "--where", "colour = 'red'"], exit_codes.USAGE),
        (["stats", "CORPUS", "--where", "sum("], exit_codes.USAGE),
        (["why", "CORPUS", "mixed-flat0/c99"], exit_codes.FAILED),
        (["build", "no-such-spec", "--data", ".", "--out", "out"], exit_codes.PROBLEMS),
        (["build", "bccd", "--data", "nowhere", "--out", "out"], exit_codes.USAGE),
        (["build", "bccd", "--data", "empty", "--out", "out", "--workers", "1"], exit_codes.PROBLEMS),
        (["doctor", "--everything"], exit_codes.USAGE),
        (["nonsense"], exit_codes.USAGE),
    ],
)
def test_failures_are_documents_too(
    words: list[str], code: int, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    given = [str(small.corpus) if word == "CORPUS" else word for word in words]
    ended = run_here(*given, "--json")
    told = document(ended)
    assert ended.code == code
    assert set(told) == FAILURE
    assert told["error"]
    assert (told["problems"] != []) == (code == exit_codes.PROBLEMS)
    assert all(set(problem) == PROBLEM for problem in told["problems"])


def test_what_check_cannot_find_is_a_problem_of_the_same_form() -> None:
    ended = run_here("check", "no-such-spec", "vqa-rd", "--json")
    told = document(ended)
    assert ended.code == exit_codes.PROBLEMS
    assert [(problem["found"], problem["nearest"]) for problem in told["problems"]][1] == ("vqa-rd", "vqa-rad")


def test_claims_and_refused_files_are_in_the_document_and_in_the_code(small: Small, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small.tree.root, root)
    (root / "img" / "photo0.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    spec = write_spec(tmp_path / "mixed.yaml")
    arguments = ["--data", root, "--out", tmp_path / "corpus", "--workers", "1", "--json"]
    ended = run_here("build", spec, *arguments)
    (dataset,) = document(ended)["datasets"]
    assert ended.code == exit_codes.QUARANTINED
    assert dataset["account"]["failed_samples"] == sum(row["count"] for row in dataset["left_out"]) == 1
    write_spec(spec, expect="expect:\n  - {samples: 25, evidence: page}\n")
    ended = run_here("build", spec, *arguments)
    (dataset,) = document(ended)["datasets"]
    assert ended.code == exit_codes.CLAIMS_FAILED
    assert len(dataset["failed_claims"]) == 1


def test_a_pipe_gets_the_same_document(small: Small, tmp_path: Path) -> None:
    ended = run_apart("stats", small.corpus, "--json", folder=tmp_path)
    assert document(ended) == document(run_here("stats", small.corpus, "--json"))
