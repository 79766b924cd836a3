"""Processor time and memory of a process with all its children, from /proc (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "cpu_s", "machine_busy_s", "members", "memory"]

_TICKS = os.sysconf("SC_CLK_TCK")
_WANTED = {"Rss": "rss", "Pss": "pss", "Pss_Anon": "anonymous", "Pss_Shmem": "shared"}


@dataclass(frozen=True)
class Memory:
    """MB of a process tree.

    Attributes:
        rss: every mapped page, counted again in each process.
        pss: pages that several processes map are divided among them.
        own: of ``pss``, anonymous and shared memory: what would be free if the tree ended. Files that are mapped (code,
            data read through the page cache) are not in it.
    """

    rss: float
    pss: float
    own: float


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on; the second is a name that may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def members(root: int) -> list[int]:
    """The process, its descendants, and whatever is of its session."""
    parent, session = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, IndexError):
                fields = _stat(int(entry))
                parent[int(entry)], session[int(entry)] = int(fields[1]), int(fields[3])
    found = {root} | {pid for pid, number in session.items() if number == root}
    while True:
        more = {pid for pid, above in parent.items() if above in found} - found
        if not more:
            return sorted(pid for pid in found if pid in parent)
        found |= more


def cpu_s(root: int) -> float:
    """Seconds of processor time, user and system, so far."""
    total = 0
    for pid in members(root):
        with suppress(OSError, IndexError):
            fields = _stat(pid)
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def machine_busy_s() -> float:
    """Seconds in which the machine's processors were not idle, summed over all, since it was started."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


def memory(root: int) -> Memory:
    """Of the tree, now."""
    total = dict.fromkeys(_WANTED.values(), 0)
    for pid in members(root):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in _WANTED:
                    total[_WANTED[name]] += int(rest.split()[0])
    kib_to_mb = 1024 / 1e6
    own = (total["anonymous"] + total["shared"]) * kib_to_mb
    return Memory(total["rss"] * kib_to_mb, total["pss"] * kib_to_mb, own)
