"""A loader while it runs: memory that batches keep, Ctrl-C, the end of the process, and what it tells of itself."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streams import TRANSFORM, streamed
from torch.utils.data import DataLoader

import medshard
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.loader import Loader

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(medshard.__file__).parents[1]), str(Path(__file__).parent)]),
}


def loader(corpus: Corpus, **options: Any) -> Loader:
    return Loader(corpus, **{"batch_size": 4, "transform": TRANSFORM, "seed": 3, "threads": 2, **options})


def digest(batch: dict[str, Any]) -> str:
    return hashlib.sha256(batch["image"].numpy().tobytes() + batch["mask"].numpy().tobytes()).hexdigest()


def test_of_a_hundred_kept_batches_none_changes(corpus: Corpus) -> None:
    running, kept, at_first = loader(corpus, mask="mask", batch_size=2), [], []
    while len(kept) < 100:
        for batch in running:
            kept.append(batch)
            at_first.append(digest(batch))
    assert len({batch["image"].data_ptr() for batch in kept}) == len(kept)
    assert [digest(batch) for batch in kept] == at_first
    del batch, kept
    assert running.stats()["memory"]["free_buffers"] <= 8, "of two hundred that came back"


def test_batches_that_are_dropped_share_a_few_buffers(corpus: Corpus) -> None:
    running = loader(corpus, mask="mask")
    for _ in running:
        pass
    memory = running.stats()["memory"]
    # Three batches in hand, one of the trainer and one that is handed over, each of picture and mask; and the last
    # batch, which is smaller.
    assert memory["fresh"] <= 12
    assert memory["fresh"] + memory["reused"] == 2 * len(running)


def test_memory_that_held_other_pixels_does_not_show(corpus: Corpus) -> None:
    """Items without a picture are zeros in memory that was used before."""
    running = loader(corpus, mask="mask")
    for _ in range(2):
        for batch in running:
            for name in ("image", "mask"):
                absent = batch[name][~batch[f"has_{name}"]]
                assert not absent.any()
    assert running.stats()["memory"]["reused"] > 20


def test_stats_tell_where_the_time_went(corpus: Corpus) -> None:
    running = loader(corpus, mask="mask")
    items = sum(len(batch["item"]) for batch in running)
    told = running.stats()
    assert set(told["seconds"]) == {"read text", "read pixels", "jobs", "decode", "collate", "wait"}
    assert all(seconds > 0 for seconds in told["seconds"].values())
    assert told["counts"]["delivered"] == items
    assert told["counts"]["asked"] == len(running) + 1
    assert 0 <= told["ready_batches"] <= 3
    engine = told["engine"]
    assert engine["batches"] == 2 * len(running)
    assert engine["waiting_batches"] == 0
    assert min(engine["decode_s"], engine["sample_s"], engine["store_s"], engine["idle_s"]) > 0


def test_by_sample_reads_no_text(corpus: Corpus) -> None:
    running = loader(corpus, by="sample")
    for batch in running:
        assert batch["text"] == [[]] * len(batch["key"])
    with_text = loader(corpus)
    for _ in with_text:
        pass
    parts = [m.part for line in running._selection.lines(np.arange(len(corpus))) if (m := line.picture) and m.part]
    assert running.stats()["counts"]["bytes"] == sum(part.size_bytes for part in parts)
    assert running.stats()["counts"]["bytes"] < with_text.stats()["counts"]["bytes"]


def test_pinned_memory_needs_cuda_and_no_worker(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(LoaderError, match="sees no CUDA device"):
            loader(corpus, pin_memory=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    workers = DataLoader(loader(corpus, pin_memory=True), batch_size=None, num_workers=1)
    with pytest.raises(LoaderError, match=r"pin_memory=True is for a loader .* say DataLoader"):
        next(iter(workers))


PROGRAM = """
import signal
import sys
from streams import TRANSFORM
from medshard.corpus.corpus import open_corpus
from medshard.loader.loader import Loader

def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    loader = Loader(open_corpus(sys.argv[1]), 4, transform=TRANSFORM, threads=2)
    if sys.argv[2] == "train":
        while True:
            for number, batch in enumerate(loader):
                if number == 2:
                    print("running", flush=True)
                if len(sys.argv) > 3:
                    import time
                    time.sleep(0.2)
    batches = iter(loader)
    next(batches)
    print("running", flush=True)
    if sys.argv[2] == "error":
        raise ValueError("the trainer's own")

main()
"""


def program(corpus_folder: Path, *arguments: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(corpus_folder), *arguments],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    return child


@pytest.mark.parametrize("slow_trainer", [False, True])
def test_ctrl_c_ends_a_training_loop_within_a_second(corpus_folder: Path, slow_trainer: bool) -> None:
    child = program(corpus_folder, "train", *(["slow"] if slow_trainer else []))
    time.sleep(0.3)
    began = time.perf_counter()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    seconds = time.perf_counter() - began
    assert child.returncode in (1, -signal.SIGINT), errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "Fatal" not in errors
    # Within a second on a quiet machine, most of it Python's own unloading of torch; CI shares its cores.
    assert seconds < 4


@pytest.mark.parametrize(("how", "code"), [("leave", 0), ("error", 1)])
def test_a_process_may_end_in_the_middle_of_an_epoch(corpus_folder: Path, how: str, code: int) -> None:
    child = program(corpus_folder, how)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    assert ("the trainer's own" in errors) == (how == "error")
    assert "Fatal" not in errors
    assert "Exception in thread" not in errors


def test_an_engine_error_in_the_middle_is_told_and_the_next_epoch_is_whole(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = loader(corpus)
    calls = [0]
    batches = iter(running)
    next(batches)
    assert running._engine is not None
    submit = running._engine.submit

    def failing(*arguments: Any, **options: Any) -> int:
        calls[0] += 1
        if calls[0] == 3:
            raise MemoryError("no memory for jobs")
        return submit(*arguments, **options)

    monkeypatch.setattr(running._engine, "submit", failing)
    with pytest.raises(MemoryError, match="no memory for jobs"):
        for _ in batches:
            pass
    monkeypatch.undo()
    running.set_epoch(0)
    assert streamed(running) == streamed(loader(corpus))
