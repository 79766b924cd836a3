"""Forked processes read or refuse, and never hang.

Each case runs in a process of its own, since whether a process has used obstore is what is tested.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3_server import S3Server

import medshard

pytest_plugins = ["s3_server"]

REFUSED = ("error s3://", 'multiprocessing_context="spawn"')


def run(case: str, url: str, env: dict[str, str]) -> list[str]:
    """Lines that a case prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {**env, "PYTHONPATH": str(Path(medshard.__file__).parents[1])}
    program = str(Path(__file__).with_name("fork_cases.py"))
    done = subprocess.run(
        [sys.executable, program, case, url], env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def url(s3: S3Server) -> str:
    return s3.put_files({"a.bin": b"abc"}, prefix="corpus")


@pytest.mark.parametrize("case", ["fork-after-read", "fork-another-after-read"])
def test_a_child_of_a_process_that_read_refuses_at_once(s3: S3Server, url: str, case: str) -> None:
    for said in run(case, url, s3.env):
        assert all(part in said for part in REFUSED)


def test_a_child_of_a_process_that_did_not_read_has_its_own_client(s3: S3Server, url: str) -> None:
    assert run("fork", url, s3.env) == ["data abc", "data abc"]


def test_a_child_that_read_is_itself_such_a_parent(s3: S3Server, url: str) -> None:
    child, grandchild = run("grandchild", url, s3.env)
    assert child == "data abc"
    assert all(part in grandchild for part in REFUSED)


@pytest.mark.parametrize("case", ["fork", "fork-after-read", "grandchild", "loader-after-read-fork"])
def test_folders_are_read_in_any_child(tmp_path: Path, case: str) -> None:
    if "loader" in case:
        pytest.importorskip("torch")
    (tmp_path / "a.bin").write_bytes(b"abc")
    expected = ["data a b c"] if "loader" in case else ["data abc", "data abc"]
    assert run(case, str(tmp_path), {}) == expected


@pytest.mark.parametrize("case", ["loader-after-read-spawn", "loader-fork"])
def test_workers_of_a_data_loader_read(s3: S3Server, url: str, case: str) -> None:
    pytest.importorskip("torch")
    assert run(case, url, s3.env) == ["data a b c"]


def test_forked_workers_of_a_data_loader_refuse_after_a_read(s3: S3Server, url: str) -> None:
    pytest.importorskip("torch")
    said = "\n".join(run("loader-after-read-fork", url, s3.env))  # torch adds the worker's traceback
    assert said.startswith("error")
    assert 'multiprocessing_context="spawn"' in said
