"""Batches on the engine's threads, and the memory that they are written to."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.engine.codecs import MAX_PIXELS
from medshard.engine.jobs import FILTERS, JOB, OUTPUTS, STEP_KINDS, BatchLayout
from medshard.errors import MedshardError

__all__ = ["BatchCancelled", "BufferRing", "Engine"]


class BatchCancelled(MedshardError):
    """A batch that was given up: by ``Engine.cancel``, or as its engine was closed."""


class Engine:
    """Threads that decode and sample. They start at the first batch and belong to the process that starts them.

    Batches are handed over with ``submit`` and may overlap: threads begin with the oldest and go on with the next while
    its last jobs are finished. At exit of the interpreter, or when the engine is let go, jobs that have begun are
    finished, the others are not begun, and the threads are joined.

    Args:
        threads: as many as this process may use of the machine's cores by default.
        in_flight: batches that may be handed over and not finished; a further one waits for room.
    """

    def __init__(self, threads: int | None = None, *, in_flight: int = 8) -> None:
        self.threads = threads if threads is not None else max(1, len(os.sched_getaffinity(0)))
        if self.threads < 1:
            raise ValueError(f"threads is at least 1, not {threads}")
        if in_flight < 1:
            raise ValueError(f"in_flight is at least 1, not {in_flight}")
        self._in_flight = in_flight
        self._engine = _engine.Engine(self.threads, in_flight)
        self._kept: dict[int, object] = {}
        self._cancelled: set[int] = set()
        self._pid = os.getpid()
        self._end = weakref.finalize(self, _end_engine, self._engine, self._kept)

    def __reduce__(self) -> tuple[Callable[[int, int], Engine], tuple[int, int]]:
        return (_engine_of, (self.threads, self._in_flight))

    def submit(
        self,
        jobs: NDArray[np.void],
        out_address: int,
        layout: BatchLayout,
        *,
        keep_alive: object = None,
        max_pixels: int = MAX_PIXELS,
    ) -> int:
        """Hand over a batch; waits while ``in_flight`` batches are not finished.

        Args:
            jobs: of dtype ``JOB``; addresses are trusted.
            out_address: of the first slot; each job says where its own lies from there. A job writes every byte of its
                slot, zeros where it fails; what lies between slots is left alone.
            keep_alive: objects whose memory the jobs name, the output's among them; held until no job needs it.

        Returns:
            A ticket for ``wait`` or ``cancel``.
        """
        if jobs.dtype != JOB:
            raise ValueError(f"jobs are of dtype JOB, not {jobs.dtype}")
        self._sweep()
        ticket = int(
            self._engine.submit(
                np.ascontiguousarray(jobs).view(np.uint8).reshape(-1),
                out_address,
                layout.channels,
                OUTPUTS[layout.dtype],
                layout.channels_last,
                layout.mask,
                layout.clamp,
                layout.reduce,
                list(layout.mean),
                list(layout.deviation),
                max_pixels,
                [(STEP_KINDS[step.kind], step.first, step.count, step.place) for step in layout.steps],
                FILTERS[layout.filter],
                (layout.patches.edge, layout.patches.merge, layout.patches.repeat) if layout.patches else (0, 1, 1),
            )
        )
        self._kept[ticket] = keep_alive
        return ticket

    def wait(self, ticket: int) -> dict[int, str]:
        """Until a batch is finished, with the interpreter free. A signal (Ctrl-C) is seen within a tenth of a second.

        Returns:
            Index of a job → why it failed; its slot is zeros.

        Raises:
            BatchCancelled: ``cancel`` was called before all its jobs had begun, or the engine was closed.
        """
        known = ticket in self._kept
        try:
            cancelled, failed = self._engine.wait(ticket)
        except ValueError:
            if known:  # another thread cancelled it, and a third has swept it up
                raise BatchCancelled("the batch was cancelled") from None
            raise
        except BaseException:
            self.cancel(ticket)
            raise
        self._kept.pop(ticket, None)
        self._cancelled.discard(ticket)
        if cancelled:
            raise BatchCancelled("the batch was cancelled")
        return {int(index): str(reason) for index, reason in failed.items()}

    def cancel(self, ticket: int) -> None:
        """Jobs that have not begun never will. Does not wait; nobody need wait for the batch any more."""
        self._engine.cancel(ticket)
        self._cancelled.add(ticket)

    def run(
        self,
        jobs: NDArray[np.void],
        out_address: int,
        layout: BatchLayout,
        *,
        keep_alive: object = None,
        max_pixels: int = MAX_PIXELS,
    ) -> dict[int, str]:
        """``submit`` and ``wait``."""
        return self.wait(
            self.submit(jobs, out_address, layout, keep_alive=keep_alive, max_pixels=max_pixels),
        )

    def counters(self) -> dict[str, float]:
        """Batches, jobs, batches not finished now, and seconds of all threads together: decode, sample, store, idle."""
        return dict(self._engine.counters())

    def close(self) -> None:
        """Join the threads; batches that are not finished are cancelled. A later ``submit`` starts new ones."""
        _end_engine(self._engine, self._kept)
        self._cancelled.clear()

    def _sweep(self) -> None:
        if self._pid != os.getpid():  # of a parent, whose threads are not here
            self._kept.clear()
            self._cancelled.clear()
            self._pid = os.getpid()
        for ticket in list(self._cancelled):
            if self._engine.forget(ticket):
                self._kept.pop(ticket, None)
                self._cancelled.discard(ticket)


def _engine_of(threads: int, in_flight: int) -> Engine:
    return Engine(threads, in_flight=in_flight)


def _end_engine(engine: Any, kept: dict[int, object]) -> None:
    """Threads end before the memory goes that their jobs name."""
    engine.close()
    kept.clear()


class BufferRing:
    """Memory for batches that is used again once nothing refers to it.

    Fresh memory costs a page fault each 4 KiB (or 2 MiB, which is asked for); memory that was used before costs none.
    Buffers begin at a page, and hold what was in them before.

    Args:
        kept: free buffers that are held; more are given back to the system. Buffers in use are not counted.
    """

    def __init__(self, kept: int = 4) -> None:
        self._kept = kept
        self._ring = _engine.BufferRing(kept)

    def __reduce__(self) -> tuple[type[BufferRing], tuple[int]]:
        return (BufferRing, (self._kept,))

    def take(self, size_bytes: int) -> NDArray[np.uint8]:
        """(size_bytes,), which goes back to the ring when the last array or tensor that shares its memory is gone."""
        array: NDArray[np.uint8] = self._ring.take(size_bytes)
        return array

    def counts(self) -> dict[str, int]:
        """Buffers that were fresh, and used again; free ones now, with their bytes."""
        return dict(self._ring.counts())
