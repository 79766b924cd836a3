"""One contestant in a process of its own: builds its loader, then streams whenever it is told to.

    python contestant.py TASK-JSON COMMANDS-FD REPLIES-FD STARTED

Commands and replies are lines of JSON through two pipes, so that what a package prints is in nobody's way. The first
reply tells of the first batch; each command ``{"lead_in_s": .., "seconds": ..}`` is answered with one window.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import process_tree
from peers import Task

__all__: list[str] = []


def checked(batch: Any, task: Task) -> str:
    """Type, shape, layout and plausible values of a batch; what they are."""
    import numpy as np

    values = np.asarray(batch)
    shape = (task.batch, task.workload.channels, task.workload.size, task.workload.size)
    if values.shape != shape or values.dtype != np.float32 or not values.flags.c_contiguous:
        raise AssertionError(f"a batch is {values.shape} {values.dtype} {values.strides}, wanted {shape} float32")
    mean, deviation = float(values.mean()), float(values.std())
    if not (-2.5 < mean < 2.7 and 0.05 < deviation < 2.5):
        raise AssertionError(f"a batch has mean {mean:.2f} and deviation {deviation:.2f}: it is not normalised")
    return f"mean {mean:.2f}, deviation {deviation:.2f}"


def window(batches: Iterator[Any], batch_size: int, lead_in_s: float, seconds: float) -> dict[str, Any]:
    """Take batches for a while. The lead-in is not counted: after a pause, queues hold what was made before."""
    me = os.getpid()
    end = time.perf_counter() + lead_in_s
    next(batches)
    while time.perf_counter() < end:
        next(batches)
    cpu, busy, began, samples = process_tree.cpu_s(me), process_tree.machine_busy_s(), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        next(batches)
        samples += batch_size
    took = time.perf_counter() - began
    mine = process_tree.cpu_s(me) - cpu
    others = max(0.0, process_tree.machine_busy_s() - busy - mine)
    return {
        "samples_per_s": samples / took,
        "samples_per_core_s": samples / max(mine, 1e-9),
        "cores": mine / took,
        "other_cores": others / took,
        "memory": asdict(process_tree.memory(me)),
    }


def main() -> None:
    task = Task.load(sys.argv[1])
    commands, replies = os.fdopen(int(sys.argv[2])), os.fdopen(int(sys.argv[3]), "w", buffering=1)
    try:
        peer = importlib.import_module(f"peers.{task.peer}")
        for name in peer.IMPORTS:
            importlib.import_module(name)
        began = time.perf_counter()
        batches = peer.batches(task)
        first = next(batches)
        ready_s = time.perf_counter() - began
        reply = {
            "first_batch_s": ready_s,
            "first_batch_with_imports_s": time.time() - float(sys.argv[4]),
            "batch": checked(first, task),
            "version": peer.version(task),
        }
        print(json.dumps(reply), file=replies)
        for line in commands:
            print(json.dumps(window(batches, task.batch, **json.loads(line))), file=replies)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the table says so in this contestant's row
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}), file=replies)
    replies.flush()
    os._exit(0)  # several packages hang while they end their threads and workers


if __name__ == "__main__":
    main()
