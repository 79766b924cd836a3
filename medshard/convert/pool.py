"""Runs units, here or in worker processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread

from medshard.convert.context import BuildContext
from medshard.convert.unit import UnitResult, run_unit
from medshard.errors import MedshardError
from medshard.plan.units import Unit

__all__ = ["run_units"]

_context: BuildContext | None = None
_progress: Connection | None = None

_COUNT_BYTES = 8


def _start(context: BuildContext, progress: Connection) -> None:
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
    return run_unit(_context, unit, _tell)


def _tell(count: int) -> None:
    """Without a lock, which a worker that is killed might hold for ever: so few bytes are written at once or not."""
    assert _progress is not None
    _progress.send_bytes(count.to_bytes(_COUNT_BYTES, "little"))


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
    told, telling = method.Pipe(duplex=False)
    listener = Thread(target=_listen, args=(told, progress), daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(min(workers, len(units)), method, _start, (context, telling))
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
        telling.close()  # the workers are gone: the listener comes to the end
        listener.join()
        told.close()


def _listen(told: Connection, progress: Callable[[int], None]) -> None:
    while True:
        try:
            count = told.recv_bytes(_COUNT_BYTES)
        except EOFError:
            return
        progress(int.from_bytes(count, "little"))
