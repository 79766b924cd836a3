"""Ctrl-C, a reader that goes away, and output that is no terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from pathlib import Path

import numpy as np
import pytest
from command_runs import CHECKOUT, PROGRAM, Small, run_apart, run_here
from PIL import Image

from medshard.cli import exit_codes

SPEC = """\
spec: 1
name: many
about: {title: Many pictures, modality: dermoscopy, anatomy: skin}
licence: {id: MIT, evidence: page}
sources: {images: {files: "{id}.png"}}
samples: {from: images, patient: unknown, split: train}
media: {image: {from: images, kind: image}}
"""
COUNT = 480
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
ESCAPE = re.compile(r"[\x1b\r\b]")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec and so many pictures that a build of them takes a second or more."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "data").mkdir()
    (folder / "many.yaml").write_text(SPEC)
    noise = np.random.default_rng(3).integers(0, 256, (COUNT, 200, 200), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / "data" / f"{number:03}.png", compress_level=0)
    return folder


def build_words(folder: Path, out: Path, workers: int) -> list[str]:
    data = str(folder / "data")
    return ["build", str(folder / "many.yaml"), "--data", data, "--out", str(out), "--workers", str(workers)]


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_build_and_the_same_command_goes_on(many: Path, workers: int, tmp_path: Path) -> None:
    words = build_words(many, tmp_path / "corpus", workers)
    # A session of its own, so that the signal reaches the workers too, as the terminal's does.
    running = subprocess.Popen(
        [*PROGRAM, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert running.stderr is not None
    try:
        for line in running.stderr:
            if line.startswith("many: building"):
                break
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert (running.returncode, out) == (exit_codes.INTERRUPTED, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "the same command goes on" in err
    assert not re.search("Traceback|Error|Exception", err)
    assert not (tmp_path / "corpus" / "corpus.json").exists()

    ended = run_here(*words)
    assert ended.code == 0, ended.err
    assert run_here("verify", tmp_path / "corpus").code == 0


def test_an_interrupt_is_no_failure_of_any_command(monkeypatch: pytest.MonkeyPatch, small: Small) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("medshard.cli.stats.statistics", interrupted)
    ended = run_here("stats", small.corpus)
    assert (ended.code, ended.out, ended.err.strip()) == (exit_codes.INTERRUPTED, "", "interrupted")
    ended = run_here("stats", small.corpus, "--json")
    assert (ended.code, ended.err.strip()) == (exit_codes.INTERRUPTED, "")


@pytest.mark.parametrize("words", [["schema"], ["show", "CORPUS", "KEY", "--json"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(words: list[str], small: Small) -> None:
    """As under ``| head``: the reader closes before anything is written, or in the middle of it."""
    key = run_here("show", small.corpus, "--json").out.split('"keys"')[1].split('"')[1]
    words = [{"CORPUS": str(small.corpus), "KEY": key}.get(word, word) for word in words]
    for read in (0, 1):
        running = subprocess.Popen([*PROGRAM, *words], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(read)
        running.stdout.close()
        assert running.stderr.read() == b""
        running.stderr.close()
        running.wait(timeout=60)


def test_what_goes_into_a_pipe_is_plain_lines(many: Path, tmp_path: Path) -> None:
    ended = run_apart(*build_words(many, tmp_path / "corpus", 1), folder=tmp_path)
    assert ended.code == 0, ended.err
    assert not ESCAPE.search(ended.out + ended.err)
    assert ended.out.splitlines()[0].startswith(f"many: {COUNT} samples, ")
    stages = [line.split(" (")[0] for line in ended.err.splitlines()]
    assert stages == [f"many: {stage}" for stage in ("listing", "reading sources", "planning", "building")] + [
        "putting the corpus together"
    ]
    verified = run_apart("verify", tmp_path / "corpus", folder=tmp_path)
    assert not ESCAPE.search(verified.out + verified.err)


def test_a_terminal_has_a_bar_on_standard_error_and_the_result_stays_plain(many: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    running = subprocess.Popen(
        [*PROGRAM, *build_words(many, tmp_path / "corpus", 1)], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        try:
            part = os.read(ours, 4096) if ready else b""
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            break
        shown += part
    os.close(ours)
    assert running.stdout is not None
    out = running.stdout.read().decode()
    running.stdout.close()
    assert running.wait(timeout=60) == 0
    assert re.search(rf"many: building:.*/{COUNT}", shown.decode())
    assert not ESCAPE.search(out)
