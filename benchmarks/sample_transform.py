"""Compressed bytes to one finished sample: a kernel, a random crop, a flip, normalised."""

from __future__ import annotations

from typing import Any

import numpy as np
from crops import Finish, random_crop
from kernels import kernel
from numpy.typing import NDArray
from peers import Task

__all__ = ["SampleTransform"]


class SampleTransform:
    """Can be sent to worker processes; the kernel's packages are imported at its first use."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._ready = False

    def __getstate__(self) -> dict[str, Any]:
        return {"task": self.task, "_ready": False}

    def __call__(self, stream: bytes) -> NDArray[np.float32]:
        if not self._ready:
            workload = self.task.workload
            self.run, self.draw = kernel(self.task.kernel, workload.size), random_crop(workload)
            self.finish, self._ready = Finish(workload), True
        return self.finish(self.run(stream, self.draw))
