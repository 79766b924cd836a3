"""The contestants. A module each, with what a row of the table needs:

- ``DISTRIBUTION``: the package on PyPI. ``IMPORTS``: modules that are imported before the clock of the first batch
  starts. ``SETTINGS``: how it is set up, for the table; its documentation's advice.
- ``prepare(workload)``: converts the workload into the peer's own format, once.
- ``batches(task)``: an endless iterator of float32 arrays or tensors (batch, channels, size, size).
- ``version(task)``: of what runs.

Importing a module imports no peer, so the parent can ask all of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from types import ModuleType

from workloads import Workload

__all__ = ["Task", "distribution_version", "installed", "peer_module", "version_of"]


@dataclass(frozen=True)
class Task:
    """One contestant on one workload.

    Attributes:
        peer: module of this package.
        kernel: of ``kernels.py``, or ``own``.
        threads: or worker processes.
        label: of the row.
        variant: a way that the peer itself offers, such as DALI's ``fast``.
    """

    peer: str
    workload: Workload
    kernel: str
    threads: int
    label: str
    variant: str = ""

    @property
    def batch(self) -> int:
        return self.workload.batch

    def dump(self) -> str:
        return json.dumps({**self.__dict__, "workload": self.workload.dump()})

    @classmethod
    def load(cls, text: str) -> Task:
        fields = json.loads(text)
        return replace(cls(**fields), workload=Workload.load(fields["workload"]))


def peer_module(name: str) -> ModuleType:
    """The module of a peer."""
    return importlib.import_module(f"peers.{name}")


def installed(module: str) -> bool:
    """Whether a module can be found, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def version_of(distribution: str) -> str:
    """Of an installed package; empty if it is not."""
    try:
        return distribution_version(distribution)
    except PackageNotFoundError:
        return ""
