"""The trainer of the documentation: killed in mid-epoch, it goes on with another number of ranks and loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import CHECKOUT, Demo, environment

GLOBAL_BATCH = 16

Delivered = dict[int, dict[int, list[tuple[str, str]]]]
"""Step → rank → (item, digest of its pixels)."""


def start(corpus: Path, out: Path, ranks: int) -> subprocess.Popen[bytes]:
    """Start the trainer in a process group of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command += [str(CHECKOUT / "docs/train.py"), str(corpus), "--out", str(out), "--epochs", "1"]
    command += ["--global-batch", str(GLOBAL_BATCH), "--delivered", str(out / "delivered.jsonl")]
    out.mkdir(exist_ok=True)
    with (out / "output.txt").open("ab") as output:
        return subprocess.Popen(command, env={**environment(), "OMP_NUM_THREADS": "1"}, stdout=output, stderr=output)


def lines(out: Path) -> list[str]:
    path = out / "delivered.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def delivered(said: list[str]) -> Delivered:
    found: Delivered = defaultdict(dict)
    for line in said:
        entry = json.loads(line)
        found[entry["step"]][entry["rank"]] = list(zip(entry["items"], entry["pixels"], strict=True))
    return found


def whole(step: dict[int, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """The global batch of a step."""
    return [item for rank in sorted(step) for item in step[rank]]


def kill(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of the launcher and then of its ranks, which have process groups of their own."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2, "the launcher has two ranks"
    for pid in (process.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def finish(process: subprocess.Popen[bytes], out: Path) -> None:
    assert process.wait(timeout=240) == 0, (out / "output.txt").read_text()[-2000:]


@pytest.fixture(scope="module")
def reference(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    """The run that nobody interrupted, on two ranks."""
    out = tmp_path_factory.mktemp("reference")
    finish(start(demo.corpus, out, 2), out)
    return delivered(lines(out))


def test_the_uninterrupted_run_sees_every_item_once(demo: Demo, reference: Delivered) -> None:
    items = [item for step in reference.values() for item, _ in whole(step)]
    assert len(items) == len(set(items))
    assert len(items) == demo.told["counts"]["items"] // GLOBAL_BATCH * GLOBAL_BATCH
    assert all(set(step) == {0, 1} for step in reference.values())


@pytest.mark.parametrize(("killed_after", "ranks"), [(17, 1), (41, 3)])
def test_a_killed_run_goes_on_with_other_ranks(
    demo: Demo, reference: Delivered, tmp_path: Path, killed_after: int, ranks: int
) -> None:
    process = start(demo.corpus, tmp_path, 2)
    end = time.monotonic() + 120
    while len(lines(tmp_path)) < 2 * killed_after:
        assert process.poll() is None, (tmp_path / "output.txt").read_text()[-2000:]
        assert time.monotonic() < end, "the trainer does not move"
        time.sleep(0.01)
    kill(process)
    before = [line for line in lines(tmp_path) if line.endswith("}")]
    (tmp_path / "delivered.jsonl").unlink()
    finish(start(demo.corpus, tmp_path, ranks), tmp_path)
    after = delivered(lines(tmp_path))

    for number, step in delivered(before).items():
        for rank, items in step.items():
            assert items == reference[number][rank]
    first = min(after)
    assert 0 < first <= killed_after + 1, "the run did not go on from a checkpoint"
    assert first % 5 == 0
    assert set(range(first)) <= set(delivered(before)), "steps were lost"
    assert sorted(after) == list(range(first, len(reference)))
    for number, step in after.items():
        assert set(step) == set(range(ranks))
        assert whole(step) == whole(reference[number]), f"step {number} differs from the uninterrupted run"
