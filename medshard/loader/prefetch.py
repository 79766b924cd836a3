"""Makes batches ahead of the trainer: reading of later ones goes on while earlier ones are decoded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

__all__ = ["Prefetch"]

Step = TypeVar("Step")
Read = TypeVar("Read")
Made = TypeVar("Made")

_POLL_S = 0.1


class _End:
    pass


class Prefetch(Generic[Step, Read, Made]):
    """An iterator over ``make(step, read(step))`` for every step, in order, some of them ahead.

    Reading runs in threads of its own, making in one thread, so that both go on while the trainer computes. An
    exception     of either reaches the consumer in its place. ``close`` ends all threads.

    Args:
        steps: what is to be made, consumed in one thread.
        depth: batches that may wait.
    """

    def __init__(
        self,
        steps: Iterator[Step],
        read: Callable[[Step], Read],
        make: Callable[[Step, Read], Made],
        *,
        depth: int,
    ) -> None:
        self._steps, self._read, self._make, self._depth = steps, read, make, depth
        self._ready: queue.Queue[Made | BaseException | _End] = queue.Queue(depth)
        self._stop = threading.Event()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="medshard-read")
        self._thread = threading.Thread(target=self._run, name="medshard-make", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Made]:
        return self

    def __next__(self) -> Made:
        while True:
            try:
                found = self._ready.get(timeout=_POLL_S)
            except queue.Empty:
                if self._stop.is_set() or not self._thread.is_alive():
                    raise StopIteration from None
                continue
            if isinstance(found, _End):
                self.close()
                raise StopIteration
            if isinstance(found, BaseException):
                self.close()
                raise found
            return found

    def close(self) -> None:
        """End the threads; what is ahead is dropped."""
        self._stop.set()
        while True:
            try:
                self._ready.get_nowait()
            except queue.Empty:
                break
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=30)
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _put(self, value: Made | BaseException | _End) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(value, timeout=_POLL_S)
                return
            except queue.Full:
                continue

    def _run(self) -> None:
        waiting: list[tuple[Step, Future[Read]]] = []
        try:
            exhausted = False
            while not self._stop.is_set():
                while not exhausted and len(waiting) < self._depth:
                    step = next(self._steps, None)
                    if step is None:
                        exhausted = True
                        break
                    waiting.append((step, self._readers.submit(self._read, step)))
                if not waiting:
                    self._put(_End())
                    return
                step, future = waiting.pop(0)
                self._put(self._make(step, future.result()))
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the consumer
            self._put(error)
        finally:
            for _, future in waiting:
                future.cancel()
