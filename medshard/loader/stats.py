"""Where time goes, and what could not be delivered."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Stats"]

_KEPT_FAILURES = 100


class Stats:
    """Seconds a stage and counts; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()
        self._failures: list[tuple[str, str]] = []
        self._failed_by_dataset: Counter[str] = Counter()
        self._ready = 0

    def __reduce__(self) -> tuple[type[Stats], tuple[()]]:
        # A copy in another process counts for itself.
        return Stats, ()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time of a block to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[stage] += time.perf_counter() - begin

    def add(self, name: str, count: int) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += count

    def ask(self, ready: int) -> None:
        """The trainer asks for a batch while so many are ready."""
        with self._lock:
            self._counts["asked"] += 1
            self._counts["asked, none ready"] += ready == 0
            self._ready += ready

    def fail(self, dataset: str, key: str, reason: str) -> None:
        """A sample was not delivered; the first hundred are kept by name."""
        with self._lock:
            self._counts["failed"] += 1
            self._failed_by_dataset[dataset] += 1
            if len(self._failures) < _KEPT_FAILURES:
                self._failures.append((key, reason))

    def told(self) -> dict[str, Any]:
        """Plain types."""
        with self._lock:
            return {
                "seconds": {name: round(seconds, 4) for name, seconds in sorted(self._seconds.items())},
                "counts": dict(sorted(self._counts.items())),
                "ready_batches": round(self._ready / max(1, self._counts["asked"]), 2),
                "failed_by_dataset": dict(sorted(self._failed_by_dataset.items())),
                "failures": [{"key": key, "reason": reason} for key, reason in self._failures],
            }
