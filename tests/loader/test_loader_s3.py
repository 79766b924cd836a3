"""Streaming straight from S3: the same batches as from disk, by byte ranges, in spawned workers, never a hang."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from s3_cases import loader
from s3_server import S3Server
from streams import streamed

import medshard
from medshard.augment import Resize, TakeSlice

pytest_plugins = ["s3_server"]


@pytest.fixture(scope="module")
def url(s3: S3Server, corpus_folder: Path) -> str:
    """The mixed corpus in a bucket."""
    return s3.put_tree(corpus_folder)


def run(case: str, url: str, env: dict[str, str], timeout_s: float = 180) -> list[str]:
    """Lines that a case prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {**env, "PYTHONPATH": str(Path(medshard.__file__).parents[1])}
    program = str(Path(__file__).with_name("s3_cases.py"))
    done = subprocess.run(
        [sys.executable, program, case, url], env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("case", ["alone", "workers-spawn"])
def test_s3_gives_the_batches_of_the_disk(s3: S3Server, url: str, corpus_folder: Path, case: str) -> None:
    from_disk = json.loads(json.dumps(streamed(loader(medshard.open(corpus_folder)))))
    assert [json.loads(line) for line in run(case, url, s3.env)] == from_disk


def test_a_fork_after_reading_ends_at_once_with_the_way_out(s3: S3Server, url: str) -> None:
    """Opening a corpus reads it, so forked workers could only hang; see ``fork_guard``."""
    began = time.monotonic()
    run("alone", url, s3.env)
    usual_s = time.monotonic() - began
    began = time.monotonic()
    said = "\n".join(run("workers-fork", url, s3.env))
    assert time.monotonic() - began < usual_s + 10
    assert said.startswith("error")
    assert 'multiprocessing_context="spawn"' in said


def test_only_ranges_of_shards_are_read(s3_env: S3Server, url: str) -> None:
    before = len(s3_env.requests())
    corpus: Any = medshard.open(url)
    chosen = corpus.select("split = 'test'")
    names = [sample.key for sample in chosen]
    assert len(names) == len(chosen) > 0
    batches = list(medshard.Loader(chosen, 4, transform=[TakeSlice("z"), Resize((16, 16))], by="sample"))
    assert sorted(key for batch in batches for key in batch["key"]) == sorted(names)
    asked = [request.target for request in s3_env.requests()[before:]]
    shards = {target.rsplit("/", 1)[-1] for target in asked if target.endswith(".tar")}
    assert shards, "no shard was read"
    assert all(shard.startswith("test-") for shard in shards), "shards of another split were read"


def test_one_sample_from_s3(s3_env: S3Server, url: str, corpus_folder: Path) -> None:
    here, there = medshard.open(corpus_folder), medshard.open(url)
    assert here[5].record == there[5].record
    for medium in here[5].record.media:
        if medium.present:
            assert (here[5].array(medium.slot) == there[5].array(medium.slot)).all()
