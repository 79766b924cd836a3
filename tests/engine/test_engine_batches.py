"""Batches that overlap: order, back-pressure, cancelling, signals, and how an engine ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from engine_jobs import fill, whole
from numpy.typing import NDArray
from test_engine_threads import LAYOUT, samplings

import medshard
from medshard.engine import JOB, BatchCancelled, BatchLayout, Engine

SLOW_EDGE = 2500
"""A raw picture of this edge takes a thread tens of milliseconds."""

PATHS = os.pathsep.join([str(Path(medshard.__file__).parents[1]), str(Path(__file__).parent)])


class Work:
    """Jobs of one batch with their output."""

    def __init__(self, count: int, seed: int = 0) -> None:
        self.sources = samplings(count, seed)
        self.jobs = np.zeros(count, JOB)
        for slot, sampling in enumerate(self.sources):
            fill(self.jobs[slot], sampling)
            self.jobs[slot]["out"] = slot * LAYOUT.slot_bytes
        self.jobs["height"], self.jobs["width"] = LAYOUT.height, LAYOUT.width
        self.out = np.full(count * LAYOUT.slot_bytes, 77, np.uint8)

    def submit(self, engine: Engine) -> int:
        return engine.submit(self.jobs, self.out.ctypes.data, LAYOUT, keep_alive=(self.sources, self.out))


def slow(count: int, *, one_source: bool = False) -> tuple[NDArray[np.void], NDArray[np.uint8], BatchLayout, object]:
    """Jobs that take long, one after another; each picture begins a byte after the one before it, or all are one."""
    pixels = np.zeros(SLOW_EDGE * SLOW_EDGE * 3 + count, np.uint8)
    picture = pixels[: SLOW_EDGE * SLOW_EDGE * 3].reshape(SLOW_EDGE, SLOW_EDGE, 3)
    layout = BatchLayout(64, 64)
    jobs = np.zeros(count, JOB)
    for slot in range(count):
        fill(jobs[slot], whole(picture, (SLOW_EDGE, SLOW_EDGE), scale=1 / 255))
        jobs[slot]["address"] += 0 if one_source else slot
        jobs[slot]["out"] = slot * layout.slot_bytes
    jobs["height"] = jobs["width"] = 64
    out = np.full(count * layout.slot_bytes, 77, np.uint8)
    return jobs, out, layout, (pixels, out)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_that_overlap_give_the_same_bits(threads: int) -> None:
    alone = [Work(23, seed) for seed in range(6)]
    reasons = [(engine := Engine(1)).wait(work.submit(engine)) for work in alone]
    together, engine = [Work(23, seed) for seed in range(6)], Engine(threads)
    tickets = [work.submit(engine) for work in together]
    for place in (3, 0, 5, 1, 2, 4):  # in any order
        assert engine.wait(tickets[place]) == reasons[place]
        assert together[place].out.tobytes() == alone[place].out.tobytes()
    counted = engine.counters()
    assert (counted["batches"], counted["jobs"], counted["waiting_batches"]) == (6, 6 * 23, 0)
    assert min(counted["decode_s"], counted["sample_s"], counted["store_s"]) > 0


def test_threads_go_on_with_the_next_batch_while_one_is_finished() -> None:
    """Of two batches of one long job each, two threads take one each."""
    jobs, out, layout, kept = slow(2)
    engine = Engine(2)
    began = time.perf_counter()
    engine.run(jobs[:1], out.ctypes.data, layout, keep_alive=kept)
    one = time.perf_counter() - began
    tickets = [
        engine.submit(jobs[n : n + 1], out.ctypes.data, layout, keep_alive=kept) for n in range(2) for _ in range(5)
    ]
    for ticket in tickets:
        engine.wait(ticket)
    counted = engine.counters()
    assert counted["jobs"] == 11
    busy = counted["decode_s"] + counted["sample_s"] + counted["store_s"]
    assert busy > 5 * one / 3, "the jobs took next to no time"
    # Had a thread waited for the other at each border, it would have been idle as long as it was busy.
    assert counted["idle_s"] < busy / 2 + 2 * one


def test_a_batch_without_room_waits_until_one_is_finished() -> None:
    jobs, out, layout, kept = slow(8)
    engine = Engine(1, in_flight=2)
    tickets = [engine.submit(jobs, out.ctypes.data, layout, keep_alive=kept) for _ in range(4)]
    assert engine.counters()["waiting_batches"] <= 2
    assert engine.counters()["jobs"] >= 16, "the first two were finished before the fourth was taken"
    assert [engine.wait(ticket) for ticket in tickets] == [{}] * 4


def test_a_cancelled_batch_leaves_what_has_not_begun_and_the_next_is_whole() -> None:
    jobs, out, layout, kept = slow(200)
    engine, work = Engine(2), Work(9)
    expected = Work(9)
    (one := Engine(1)).wait(expected.submit(one))
    ticket = engine.submit(jobs, out.ctypes.data, layout, keep_alive=kept)
    later = work.submit(engine)
    began = time.perf_counter()
    engine.cancel(ticket)
    engine.wait(later)
    assert time.perf_counter() - began < 2
    assert work.out.tobytes() == expected.out.tobytes()
    with pytest.raises(BatchCancelled):
        engine.wait(ticket)
    assert (out[-layout.slot_bytes :] == 77).all(), "the last job had not begun"
    assert engine.counters()["jobs"] < 150
    engine.cancel(later)  # is finished: nothing happens
    with pytest.raises(ValueError, match="no batch has that ticket"):
        engine.wait(later)


def test_a_batch_of_one_source_is_taken_in_parts_and_can_be_cancelled() -> None:
    """Threads share it, and what has not begun never does: a thread takes at most 16 jobs at a time."""
    jobs, out, layout, kept = slow(100, one_source=True)
    engine = Engine(2)
    ticket = engine.submit(jobs, out.ctypes.data, layout, keep_alive=kept)
    while engine.counters()["jobs"] == 0:
        time.sleep(0.002)
    assert engine.counters()["jobs"] in (16, 32)
    engine.cancel(ticket)
    with pytest.raises(BatchCancelled):
        engine.wait(ticket)
    assert engine.counters()["jobs"] in (32, 48, 64)
    assert (out[-layout.slot_bytes :] == 77).all()
    assert (out[: 16 * layout.slot_bytes] == 0).all()


def test_memory_is_held_until_no_job_needs_it() -> None:
    engine = Engine(1)

    class Held:
        pass

    jobs, out, layout, kept = slow(3)
    held = Held()
    gone = weakref.ref(held)
    ticket = engine.submit(jobs, out.ctypes.data, layout, keep_alive=(held, kept))
    del held
    assert gone() is not None
    engine.wait(ticket)
    assert gone() is None
    held = Held()
    gone = weakref.ref(held)
    engine.cancel(engine.submit(jobs, out.ctypes.data, layout, keep_alive=(held, kept)))
    del held
    engine.run(jobs[:0], 0, layout)  # sweeps, as soon as the job that had begun is done
    deadline = time.monotonic() + 5
    while gone() is not None and time.monotonic() < deadline:
        engine.run(jobs[:0], 0, layout)
        time.sleep(0.01)
    assert gone() is None


def test_closing_cancels_for_who_waits_and_a_later_batch_starts_anew() -> None:
    jobs, out, layout, kept = slow(300)
    engine = Engine(2)
    ticket = engine.submit(jobs, out.ctypes.data, layout, keep_alive=kept)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            engine.wait(ticket)
        except BatchCancelled as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.05)
    engine.close()
    waiting.join(5)
    assert len(told) == 1
    assert engine.run(jobs[:1], out.ctypes.data, layout, keep_alive=kept) == {}


INTERRUPTED = """
import os, signal, sys, threading, time
from test_engine_batches import slow
from medshard.engine import Engine
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
jobs, out, layout, kept = slow(2000)
engine = Engine(2)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    engine.run(jobs, out.ctypes.data, layout, keep_alive=kept)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise
"""

LEFT = """
import sys
from test_engine_batches import slow
from medshard.engine import Engine
jobs, out, layout, kept = slow(2000)
engine = Engine(2)
for _ in range(4):
    engine.submit(jobs, out.ctypes.data, layout, keep_alive=kept)
del kept, out
print("left", flush=True)
"""


def program(text: str) -> tuple[subprocess.CompletedProcess[str], float]:
    environment = {**os.environ, "PYTHONPATH": PATHS}
    child = subprocess.Popen(
        [sys.executable, "-c", text], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    began = time.perf_counter()
    rest, errors = child.communicate(timeout=60)
    return subprocess.CompletedProcess([], child.returncode, first + rest, errors), time.perf_counter() - began


def test_an_interrupt_ends_a_wait() -> None:
    done, seconds = program(INTERRUPTED)
    assert done.stdout == "interrupted\n", done.stderr
    assert done.returncode in (1, -signal.SIGINT)
    assert "KeyboardInterrupt" in done.stderr
    assert seconds < 5  # of which the interpreter's own end is most, on a busy machine


def test_a_process_may_end_while_batches_are_in_flight() -> None:
    done, seconds = program(LEFT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
    assert seconds < 5
