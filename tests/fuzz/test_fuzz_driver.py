"""The fuzz driver finds what is planted, behind bytes that only its marks in the code lead to, and is deterministic."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "csrc" / "fuzz"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    for name, more in (("planted", ["-fsanitize-coverage=trace-pc"]), ("driver", [])):
        compile_one = ["g++", "-std=c++17", "-O1", *SANITIZE, *more, "-c", f"{SOURCES}/{name}.cpp"]
        subprocess.run([*compile_one, "-o", f"{folder}/{name}.o"], check=True)
    subprocess.run(
        ["g++", *SANITIZE, f"{folder}/planted.o", f"{folder}/driver.o", "-o", f"{folder}/target"], check=True
    )
    (folder / "seeds").mkdir()
    (folder / "seeds" / "one").write_bytes(b"xxxxxxx")
    return folder / "target"


def run(target: Path, planted: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(target), f"-artifact_prefix={folder}/", *arguments],
        env={**os.environ, "PLANTED": planted},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("overflow", "heap-buffer-overflow"),
        ("exception", "nobody catches it"),
        ("arithmetic", "signed integer overflow"),
        ("memory", "out of memory|exceeds maximum"),
        ("hang", "takes over 1 s"),
    ],
)
def test_what_is_planted_is_found_and_left_as_a_file(target: Path, tmp_path: Path, planted: str, said: str) -> None:
    seeds = str(target.parent / "seeds")
    done = run(
        target,
        planted,
        tmp_path,
        "-runs=3000000",
        "-max_total_time=60",
        f"-timeout={1 if planted == 'hang' else 60}",
        seeds,
    )
    assert done.returncode != 0
    assert any(text in done.stderr for text in said.split("|")), done.stderr[-3000:]
    (found,) = tmp_path.iterdir()
    assert found.name.startswith("timeout-" if planted == "hang" else "crash-")
    assert found.read_bytes()[:3] == b"ABC"
    if planted != "hang":
        assert run(target, planted, tmp_path, str(found)).returncode != 0, "the file alone does it again"


def test_a_sound_target_ends_well_and_the_same_seed_gives_the_same_inputs(target: Path, tmp_path: Path) -> None:
    seeds = str(target.parent / "seeds")
    told = [run(target, "", tmp_path, "-runs=100000", f"-seed={seed}", seeds).stdout for seed in (3, 3)]
    assert "1 seeds and 100000 changed inputs, 3 of them reached something new" in told[0]
    assert told[0].partition(" s,")[0][:60] == told[1].partition(" s,")[0][:60]
    assert list(tmp_path.iterdir()) == []
    assert run(target, "", tmp_path, seeds).stdout.startswith("1 seeds and 0 changed inputs")
    missing = run(target, "", tmp_path, f"{tmp_path}/none")
    assert missing.returncode != 0
    assert "cannot be read" in missing.stderr
