"""Stages that overlap: order, bounds, errors in each stage, and how an iteration ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from medshard.loader.prefetch import Prefetch, Stages

STEPS = 40


class Line:
    """Stages that count what is between them."""

    def __init__(self, fail: tuple[str, int] | None = None, delay_s: float = 0.0) -> None:
        self.fail, self.delay_s = fail, delay_s
        self.lock = threading.Lock()
        self.begun = self.finished = self.read_ahead = self.begun_ahead = 0
        self.taken = 0
        self.dropped: list[int] = []

    def steps(self) -> Iterator[int]:
        for step in range(STEPS):
            self._visit("steps", step)
            yield step

    def _visit(self, stage: str, step: int) -> None:
        if self.fail == (stage, step):
            raise RuntimeError(f"{stage} of {step}")
        if stage in ("read", "finish"):
            time.sleep(self.delay_s * (1 + step % 3))

    def read(self, step: int) -> int:
        self._visit("read", step)
        with self.lock:
            self.read_ahead = max(self.read_ahead, step - self.taken)
        return step * 10

    def begin(self, step: int, read: int) -> tuple[int, int]:
        self._visit("begin", step)
        with self.lock:
            self.begun += 1
            self.begun_ahead = max(self.begun_ahead, self.begun - self.taken)
        return step, read

    def finish(self, begun: tuple[int, int]) -> tuple[int, int]:
        self._visit("finish", begun[0])
        return begun

    def drop(self, begun: tuple[int, int]) -> None:
        self.dropped.append(begun[0])

    def start(self, depth: int = 2) -> Prefetch[int, int, tuple[int, int], tuple[int, int]]:
        return Prefetch(self.steps(), Stages(self.read, self.begin, self.finish, self.drop), depth=depth)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("medshard-b", "medshard-fi"))}


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_every_step_comes_in_order_and_no_more_are_ahead_than_said(depth: int) -> None:
    line = Line(delay_s=0.001)
    made = []
    for entry in line.start(depth):
        time.sleep(0.004)
        line.taken += 1
        made.append(entry)
    assert made == [(step, step * 10) for step in range(STEPS)]
    assert line.begun_ahead <= depth + 2, "ready or in hand, one more, and one that the consumer has just taken"
    assert line.read_ahead <= 2 * depth + 4
    assert not threads()


@pytest.mark.parametrize("stage", ["steps", "read", "begin", "finish"])
@pytest.mark.parametrize("step", [0, 5, STEPS - 1])
def test_an_error_of_any_stage_comes_in_its_place(stage: str, step: int) -> None:
    running = Line(fail=(stage, step)).start()
    made: list[int] = []
    with pytest.raises(RuntimeError, match=f"{stage} of {step}"):
        made.extend(entry[0] for entry in running)
    assert made == list(range(len(made)))
    if stage != "steps":  # which are drawn ahead of the batch that they are for
        assert len(made) == step
    assert not threads()
    assert list(running) == [], "it has ended"


@pytest.mark.parametrize("taken", [0, 1, 10])
def test_what_is_ahead_is_dropped_when_an_iteration_is_left(taken: int) -> None:
    line = Line()
    running = line.start()
    for _ in range(taken):
        next(running)
    time.sleep(0.05)
    running.close()
    running.close()
    assert not threads()
    assert set(line.dropped) <= set(range(taken, taken + 6))
    with pytest.raises(StopIteration):
        next(running)


class Hanging(Line):
    """Reads that go on until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def read(self, step: int) -> int:
        self.let_go.wait(20)
        return step


def test_closing_does_not_wait_for_a_read_that_hangs() -> None:
    line = Hanging()
    running = line.start()
    time.sleep(0.05)
    began = time.perf_counter()
    running.close()
    seconds = time.perf_counter() - began
    line.let_go.set()
    assert seconds < 1
    assert not threads()


def test_a_consumer_in_another_thread_is_told_that_it_was_closed() -> None:
    line = Hanging()
    running = line.start()
    ended: list[bool] = []
    consumer = threading.Thread(target=lambda: ended.append(list(running) == []))
    consumer.start()
    time.sleep(0.05)
    running.close()
    consumer.join(5)
    line.let_go.set()
    assert ended == [True]
