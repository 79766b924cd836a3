"""Progress bars on standard error; plain lines where that is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm

__all__ = ["ProgressBar"]


class ProgressBar:
    """One bar a stage.

    Args:
        shown: False shows nothing.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins."""
        self._close()
        if not self._shown:
            return
        if sys.stderr.isatty():
            self._bar = tqdm(desc=name, total=total, leave=False, file=sys.stderr, unit="")
        else:
            print(f"{name}{f' ({total})' if total else ''}", file=sys.stderr, flush=True)

    def step(self, count: int) -> None:
        """So many steps are done."""
        if self._bar is not None:
            self._bar.update(count)
