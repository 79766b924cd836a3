"""The machine that a benchmark ran on.

Run by itself it does nothing: the benchmarks beside it use it.
"""

from __future__ import annotations

import os
import platform

__all__ = ["machine"]


def machine() -> dict[str, str | float]:
    """The processor, how much of it this process may use, and how busy it was before."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": name,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_gib, 1),
        "load_1min": round(os.getloadavg()[0], 2),
    }
