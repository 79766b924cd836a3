"""Runs units, here or in worker processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from threading import Thread
from typing import Any

from medshard.convert.context import BuildContext
from medshard.convert.unit import UnitResult, run_unit
from medshard.errors import MedshardError
from medshard.plan.units import Unit

__all__ = ["run_units"]

_context: BuildContext | None = None
_progress: Any = None


def _start(context: BuildContext, progress: Any) -> None:
    global _context, _progress
    _context, _progress = context, progress
    Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent: BaseProcess | None) -> None:
    """A worker whose builder was killed would wait for units for ever; nothing that it has begun is of use."""
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(unit: Unit) -> UnitResult:
    assert _context is not None
    return run_unit(_context, unit, _progress.put)


def run_units(
    context: BuildContext,
    units: Sequence[Unit],
    *,
    workers: int,
    start_method: str,
    progress: Callable[[int], None],
    finished: Callable[[UnitResult], None],
) -> None:
    """Run all units; ``finished`` is told each result in the order in which they end, and may raise to stop.

    Raises:
        MedshardError: a worker died (killed, or out of memory); what is finished stays, and a rerun goes on from there.
    """
    if workers <= 1 or len(units) <= 1:
        for unit in units:
            finished(run_unit(context, unit, progress))
        return
    # Never ``fork``: the parent may hold threads and stores that do not survive it.
    method = multiprocessing.get_context(start_method)
    queue: SimpleQueue[int] = method.SimpleQueue()
    listener = Thread(target=_listen, args=(queue, progress), daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(min(workers, len(units)), method, _start, (context, queue))
    try:
        waiting: set[Future[UnitResult]] = {pool.submit(_run, unit) for unit in units}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                finished(future.result())
    except BrokenProcessPool as error:
        raise MedshardError(
            "a worker process died: it was killed, or the machine ran out of memory. Finished units are kept; run the "
            "same command again to go on, with fewer --workers if memory was short."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        queue.put(-1)
        listener.join()


def _listen(queue: SimpleQueue[int], progress: Callable[[int], None]) -> None:
    while (count := queue.get()) >= 0:
        progress(count)
