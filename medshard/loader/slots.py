"""The memory of batches: used again when a tensor is freed, or pinned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from medshard.engine import BufferRing
from medshard.errors import LoaderError

__all__ = ["SlotMemory"]

_KEPT = 8
"""Free buffers: three batches in hand and one of the trainer, each of picture and mask, may come back at once."""


class SlotMemory:
    """Gives tensors whose values are still to be written.

    A tensor's memory returns to the ring when its storage is freed, with the last tensor that shares it. So a trainer
    that keeps its batches has each of them in memory of its own, and one that drops them has a few buffers in turn.

    Args:
        pin: take page-locked memory from torch instead, from which copies to a GPU run aside; torch keeps that for
            later use itself.

    Attributes:
        pinned: as said.

    Raises:
        LoaderError: memory cannot be pinned on this machine.
    """

    def __init__(self, *, pin: bool = False) -> None:
        if pin and not torch.cuda.is_available():
            raise LoaderError("pin_memory=True: torch sees no CUDA device here, so there is nothing to pin memory for")
        self.pinned = pin
        self._ring = BufferRing(_KEPT)

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """A contiguous tensor of any values."""
        if self.pinned:
            return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)
        size_bytes = math.prod(shape) * dtype.itemsize
        return torch.from_numpy(self._ring.take(size_bytes)).view(dtype).view(tuple(shape))

    def counts(self) -> dict[str, int]:
        """Of the ring: buffers that were fresh, and used again; free ones now, with their bytes."""
        return self._ring.counts()
