"""``medshard check``: everything at once, and what a spec would make of data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_runs import Small, run_here, write_spec

from medshard.cli import exit_codes

BROKEN = """\
spec: 1
name: broken
about: {title: A broken spec, modality: [ct, xrai], anatomy: chest}
licence: {id: MIT, access: opn, evidence: page}
sources:
  cases: {csv: cases.csv}
  images: {files: "img/{id.png"}
samples:
  from: casess
  key: lowr(id)
  patient: unknown
  split: train
media:
  image: {from: images, using: [id], kind: picture, no_file: absent}
facts:
  finding: {kind: class, valu: finding, covers: al, map: {n: nodul, m: mass}}
"""


def problems_of(*words: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run_here("check", *words, "--json").out)["problems"]
    return found


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    return path


def test_all_problems_of_form_names_expressions_and_concepts_come_at_once(broken: Path) -> None:
    problems = problems_of(broken)
    assert {problem["file"] for problem in problems} == {str(broken)}
    found = {(problem["line"], problem["field"]): problem["found"] for problem in problems}
    del found[(7, "sources.images.files")]  # a brace that is not closed: what was found is said in the message
    assert found == {
        (3, "about.modality"): "xrai",
        (4, "licence.access"): "opn",
        (9, "samples.from"): "casess",
        (10, "samples.key"): "lowr(id)",
        (14, "media.image.kind"): "picture",
        (16, "facts.finding"): "",  # value is missing
        (16, "facts.finding.valu"): "valu",
        (16, "facts.finding.covers"): "al",
        (16, "facts.finding.map.n"): "nodul",
    }


def test_a_line_of_text_has_file_line_field_found_nearest_and_allowed(broken: Path) -> None:
    ended = run_here("check", broken)
    assert (ended.code, ended.err) == (exit_codes.PROBLEMS, "")
    lines = ended.out.splitlines()
    assert (
        f"{broken}:4 licence.access: 'opn' is not allowed here. Did you mean 'open'? "
        "Allowed: open, registration, agreement, private, unknown."
    ) in lines
    assert any(line.startswith(f"{broken}:9 samples.from: 'casess'") and "'cases'" in line for line in lines)
    assert [int(line.split(":")[1].split()[0]) for line in lines[:-1]] == sorted(
        problem["line"] for problem in problems_of(broken)
    ), "in the order of the file's lines"
    assert lines[-1] == f"1 spec: {len(lines) - 1} problems"


def test_several_specs_are_all_checked(broken: Path, small: Small, tmp_path: Path) -> None:
    ended = run_here("check", tmp_path / "nowhere.yaml", broken, small.spec, "vqa-rad", "vqa-rd")
    assert ended.code == exit_codes.PROBLEMS
    assert f"{tmp_path / 'nowhere.yaml'}: there is no such file" in ended.out
    assert "'vqa-rd'; give a name or the path of a .yaml file. Did you mean 'vqa-rad'?" in ended.out
    assert f"{broken}:4" in ended.out
    assert ended.out.splitlines()[-1].startswith("5 specs: ")
    assert run_here("check", small.spec, "vqa-rad").out == "2 specs: no problems\n"


def test_every_shipped_spec_is_sound() -> None:
    names = sorted({row["spec"] for row in json.loads(run_here("specs", "--json").out)})
    ended = run_here("check", *names)
    assert (ended.code, ended.out) == (0, f"{len(names)} specs: no problems\n")


def test_what_would_be_made_of_data(small: Small) -> None:
    ended = run_here("check", small.spec, "--data", small.tree.root)
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "mixed:",
        "  cases: 1 file, 24 rows",
        "  questions: 1 file, 11 rows",
        "  images: 12 files, 12 rows",
        "  masks: 4 files, 4 rows",
        "  scans: 4 files, 4 rows",
        "  24 samples (test 6, train 18)",
        "1 spec: no problems",
    ]


@pytest.fixture
def spoilt(small: Small, tmp_path: Path) -> Path:
    """The tree with files that belong to nothing."""
    root = tmp_path / "data"
    shutil.copytree(small.tree.root, root)
    (root / "notes.txt").write_text("x")
    (root / "img" / "photo9.gif").write_text("x")
    with (root / "questions.csv").open("a") as table:
        table.write("nobody,Who?,Nobody.\n")
    return root


def test_what_would_be_left_out_and_what_matches_nothing(spoilt: Path, small: Small) -> None:
    ended = run_here("check", small.spec, "--data", spoilt)
    assert ended.code == 0
    rows = sum(map(len, small.tree.questions.values())) + 1
    left_out = f"  left out: 1 of questions: no row of cases has this id (such as questions.csv row {rows})"
    assert left_out in ended.out.splitlines()
    assert "  2 files match no source, such as img/photo9.gif, notes.txt" in ended.out.splitlines()
    (shown,) = json.loads(run_here("check", small.spec, "--data", spoilt, "--json").out)["previews"]
    (row,) = shown["left_out"]
    assert (row["source"], row["count"], row["error_class"]) == ("questions", 1, "orphan")
    assert (shown["unmatched"], shown["unmatched_examples"]) == (2, ["img/photo9.gif", "notes.txt"])


def test_checking_writes_nothing_and_reads_no_pixel(spoilt: Path, small: Small, tmp_path: Path) -> None:
    (spoilt / "img" / "photo0.jpg").write_bytes(b"not a picture")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert run_here("check", small.spec, "--data", spoilt).code == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_data_that_contradict_the_spec(spoilt: Path, small: Small) -> None:
    table = (spoilt / "cases.csv").read_text()
    (spoilt / "cases.csv").write_text(table.replace(",n,", ",q,"))
    ended = run_here("check", small.spec, "--data", spoilt)
    assert ended.code == exit_codes.PROBLEMS
    assert f"{small.spec}:22 facts.finding" in ended.out
    assert "'q'" in ended.out


def test_values_never_seen_are_no_error_with_partial(spoilt: Path, small: Small) -> None:
    table = (spoilt / "cases.csv").read_text()
    (spoilt / "cases.csv").write_text(table.replace(",m,", ",,"))
    ended = run_here("check", small.spec, "--data", spoilt)
    assert ended.code == exit_codes.PROBLEMS
    assert "'m' is declared and never seen in the data" in ended.out
    assert "--partial" in ended.out
    assert run_here("check", small.spec, "--data", spoilt, "--partial").code == 0


def test_claims_that_do_not_hold_have_an_exit_code_of_their_own(small: Small, tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "mixed.yaml", expect="expect:\n  - {samples: 25, evidence: page}\n")
    ended = run_here("check", spec, "--data", small.tree.root)
    assert ended.code == exit_codes.CLAIMS_FAILED
    assert "samples is claimed to be 25 (evidence: page); found 24." in ended.out
    assert ended.out.splitlines()[-1] == "1 spec: no problems, 1 claim that the data do not meet"
    assert run_here("check", spec, "--data", small.tree.root, "--partial").code == 0
    assert run_here("check", spec).code == 0, "without data no claim can fail"


def listing(root: Path, *, before: str = "./", end: str = "\n") -> bytes:
    """As ``find . -type f`` prints it, in the order of the folders."""
    found = [path for path in root.rglob("*") if path.is_file()]
    return "".join(f"{before}{path.relative_to(root)}{end}" for path in found).encode()


@pytest.mark.parametrize(("before", "end"), [("./", "\n"), ("", "\n"), ("./", "\r\n")], ids=["find", "bare", "crlf"])
def test_a_plain_listing_is_enough_for_files(small: Small, before: str, end: str, tmp_path: Path) -> None:
    paths = tmp_path / "list.txt"
    paths.write_bytes(listing(small.tree.root, before=before, end=end))
    ended = run_here("check", small.spec, "--paths", paths)
    assert ended.code == 0
    assert ended.out.splitlines() == [
        "mixed:",
        "  images: 12 files, 12 rows",
        "  masks: 4 files, 4 rows",
        "  scans: 4 files, 4 rows",
        "  not checked without data: source cases",
        "  not checked without data: source questions",
        "1 spec: no problems",
    ]


def test_a_listing_makes_samples_where_these_are_files(tmp_path: Path) -> None:
    paths = tmp_path / "list.txt"
    paths.write_text("BCCD/JPEGImages/BloodImage_00000.jpg\nBCCD/JPEGImages/BloodImage_00001.jpg\nREADME.md\n")
    (shown,) = json.loads(run_here("check", "bccd", "--paths", paths, "--json").out)["previews"]
    assert shown["samples"] == 2
    assert shown["sources"] == {"images": {"files": 2, "rows": 2}}
    assert "source objects" in shown["unchecked"]


def test_a_listing_that_matches_nothing_is_warned_of(small: Small, tmp_path: Path) -> None:
    paths = tmp_path / "list.txt"
    paths.write_bytes(listing(small.tree.root, before="./deeper/"))
    ended = run_here("check", small.spec, "--paths", paths)
    assert ended.code == 0
    warnings = [line for line in ended.out.splitlines() if line.startswith("warning: ")]
    assert [line.split()[2].rstrip(":") for line in warnings] == ["sources.images", "sources.masks", "sources.scans"]
    assert ended.out.splitlines()[-1] == "1 spec: no problems, 3 warnings"


def test_a_listing_of_absolute_paths_is_refused(small: Small, tmp_path: Path) -> None:
    paths = tmp_path / "list.txt"
    paths.write_bytes(listing(small.tree.root, before="/data/mine/"))
    ended = run_here("check", small.spec, "--paths", paths)
    assert (ended.code, ended.out) == (exit_codes.USAGE, "")
    assert "find . -type f" in ended.err


def test_a_listing_with_names_that_are_not_utf8(tmp_path: Path) -> None:
    paths = tmp_path / "list.txt"
    paths.write_bytes(b"BCCD/JPEGImages/caf\xe9.jpg\nBCCD/JPEGImages/plain.jpg\n")
    ended = run_here("check", "bccd", "--paths", paths)
    assert ended.code == 0
    assert "  images: 2 files, 2 rows" in ended.out.splitlines()
