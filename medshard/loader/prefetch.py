"""Makes batches ahead of the trainer: later ones are read while earlier ones are decoded and put together."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from medshard.errors import LoaderError

__all__ = ["Prefetch", "Stages"]

Step = TypeVar("Step")
Read = TypeVar("Read")
Begun = TypeVar("Begun")
Made = TypeVar("Made")

_READERS = 2
_JOIN_S = 30.0


class _End:
    """The last entry of a queue."""


@dataclass(frozen=True)
class Stages(Generic[Step, Read, Begun, Made]):
    """What is done to a step, each in its own threads.

    Attributes:
        read: fetches what a step needs; several steps side by side.
        begin: hands it to the engine and returns at once; one step after another.
        finish: waits for the engine and puts the batch together; one step after another.
        drop: gives up a step that was begun, so that ``finish`` returns or raises soon.
    """

    read: Callable[[Step], Read]
    begin: Callable[[Step, Read], Begun]
    finish: Callable[[Begun], Made]
    drop: Callable[[Begun], None]


class Prefetch(Generic[Step, Read, Begun, Made]):
    """An iterator over the batches of all steps, in order, some of them ahead.

    An exception of any stage reaches the consumer in its place and ends the iteration. ``close`` ends all threads; so
    does the exit of the interpreter.

    Args:
        steps: what is to be made; consumed in one thread.
        depth: batches that may be ready or in hand before the consumer asks; as many again are being read. One more
            is begun, so that the engine is not idle while a batch is put together.
    """

    def __init__(self, steps: Iterator[Step], stages: Stages[Step, Read, Begun, Made], *, depth: int) -> None:
        self._steps, self._stages, self._depth = steps, stages, depth
        self._room = threading.Semaphore(depth + 1)
        self._begun: SimpleQueue[Begun | BaseException | _End] = SimpleQueue()
        self._ready: SimpleQueue[Made | BaseException | _End] = SimpleQueue()
        self._open: deque[Begun] = deque()  # begun and not finished, as drop() is to reach them
        self._stopped: Future[None] = Future()
        self._pid = os.getpid()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="medshard-read")
        self._threads = [
            threading.Thread(target=run, name=f"medshard-{name}", daemon=True)
            for name, run in (("begin", self._run_begin), ("finish", self._run_finish))
        ]
        # Daemons, or the interpreter would wait for them for ever; closed at exit, or they would be cut off in it.
        atexit.register(self.close)
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[Made]:
        return self

    @property
    def ready(self) -> int:
        """Batches that wait for the consumer."""
        return self._ready.qsize()

    def __next__(self) -> Made:
        if self._pid != os.getpid():
            raise LoaderError("this iteration began in another process; begin a new one in this process")
        if self._stopped.done():
            raise StopIteration
        found = self._ready.get()
        self._room.release()
        if isinstance(found, _End):
            self.close()
            raise StopIteration
        if isinstance(found, BaseException):
            self.close()
            raise found
        return found

    def close(self) -> None:
        """End the threads; what is ahead is dropped. A read that runs ends by itself."""
        if self._pid != os.getpid():
            return  # threads of a parent are not here
        with suppress(InvalidStateError):  # a second time
            self._stopped.set_result(None)
        for begun in list(self._open):
            self._stages.drop(begun)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._room.release()
        self._begun.put(_End())
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)
        self._ready.put(_End())  # for a consumer in another thread
        atexit.unregister(self.close)

    # -- the threads ---------------------------------------------------------------------------------------------

    def _run_begin(self) -> None:
        reading: deque[tuple[Step, Future[Read]]] = deque()
        try:
            while not self._stopped.done():
                while len(reading) <= self._depth and (step := next(self._steps, None)) is not None:
                    reading.append((step, self._readers.submit(self._stages.read, step)))
                if not reading:
                    break
                self._begin(*reading.popleft())
            self._begun.put(_End())
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the consumer
            self._begun.put(error)

    def _begin(self, step: Step, reading: Future[Read]) -> None:
        either: tuple[Future[Any], ...] = (reading, self._stopped)
        wait(either, return_when=FIRST_COMPLETED)
        self._room.acquire()
        if self._stopped.done():
            return
        begun = self._stages.begin(step, reading.result())
        self._open.append(begun)
        if self._stopped.done():  # close() may have looked before the step was there
            self._stages.drop(begun)
        self._begun.put(begun)

    def _run_finish(self) -> None:
        while True:
            begun = self._begun.get()
            if isinstance(begun, (_End, BaseException)):
                self._ready.put(begun)
                return
            try:
                self._ready.put(self._stages.finish(begun))
            except BaseException as error:  # noqa: BLE001 - as above
                self._ready.put(error)
                return
            self._open.popleft()
            del begun  # its memory is the consumer's alone while the next batch is waited for
