"""Runs contestants side by side: each in a process of its own, one at a time, in rounds.

All are started first, one after the other, and stopped (SIGSTOP) as soon as they are warm. In every round each goes on
for one window, in an order that turns, so that what slows the machine down for a while slows all of them down.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import process_tree
from peers import Task

__all__ = ["Outcome", "race"]

_START_LIMIT_S = 240.0
HERE = Path(__file__).resolve().parent


@dataclass
class Outcome:
    """What was measured of one contestant.

    Attributes:
        first: of its first batch; empty if there was none.
        windows: one a round.
        error: why it has none, or stopped.
    """

    task: Task
    first: dict[str, Any] = field(default_factory=dict)
    windows: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""

    def rates(self) -> list[float]:
        """Samples a second, one number a round."""
        return [window["samples_per_s"] for window in self.windows]


class _Running:
    """A contestant's process, stopped except in its turn."""

    def __init__(self, task: Task, environment: Mapping[str, str]) -> None:
        self.outcome = Outcome(task)
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        command_read, command_write = os.pipe()
        reply_read, reply_write = os.pipe()
        self.commands, self.replies = os.fdopen(command_write, "w", buffering=1), os.fdopen(reply_read)
        arguments = [task.dump(), str(command_read), str(reply_write), repr(time.time())]
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "contestant.py"), *arguments],
            env={**os.environ, **environment},
            pass_fds=(command_read, reply_write),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        os.close(command_read)
        os.close(reply_write)

    def _signal(self, number: signal.Signals) -> None:
        for pid in process_tree.members(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _reply(self, limit_s: float) -> dict[str, Any]:
        readable, _, _ = select.select([self.replies], [], [], limit_s)
        line = self.replies.readline() if readable else ""
        if line:
            return dict(json.loads(line))
        return {"error": "ended without a word" if readable else f"no batch within {limit_s:.0f} s"}

    def start(self) -> None:
        first = self._reply(_START_LIMIT_S)
        if "error" in first:
            self._fail(first["error"])
            return
        self.outcome.first = first

    def window(self, lead_in_s: float, seconds: float, *, counted: bool) -> None:
        if self.outcome.error:
            return
        self._signal(signal.SIGCONT)
        with suppress(BrokenPipeError):
            print(json.dumps({"lead_in_s": lead_in_s, "seconds": seconds}), file=self.commands)
        found = self._reply(60 + 10 * seconds)
        self._signal(signal.SIGSTOP)
        if "error" in found:
            self._fail(found["error"])
        elif counted:
            self.outcome.windows.append(found)

    def _fail(self, reason: str) -> None:
        self.log.seek(0)
        tail = self.log.read().decode(errors="replace").strip().splitlines()[-12:]
        self.outcome.error = reason
        print(f"  {self.outcome.task.label} failed: {reason}", *(f"    | {line}" for line in tail), sep="\n")
        self.end()

    def end(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.commands, self.replies, self.log):
            with suppress(OSError):
                stream.close()


def race(
    tasks: Sequence[tuple[Task, Mapping[str, str]]],
    *,
    rounds: int,
    seconds: float,
    warm_up_s: float,
    tell: Callable[[str], None] = print,
) -> list[Outcome]:
    """Measure all contestants.

    Args:
        tasks: each with the environment variables of its process.
        seconds: of one window.
        warm_up_s: of each contestant before the first round.
    """
    running: list[_Running] = []
    try:
        for task, environment in tasks:
            one = _Running(task, environment)
            running.append(one)
            one.start()
            one.window(0.0, warm_up_s, counted=False)
            if not one.outcome.error:
                tell(f"  {task.label}: first batch after {one.outcome.first['first_batch_s']:.2f} s")
        for number in range(rounds):
            first = number % len(running)
            for one in running[first:] + running[:first]:
                one.window(0.3, seconds, counted=True)
            tell(f"  round {number + 1} of {rounds}")
        return [one.outcome for one in running]
    finally:
        for one in running:
            if not one.outcome.error:
                one.end()
