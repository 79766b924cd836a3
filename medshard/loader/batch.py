"""A batch: tensors, text, and what is needed to trace and resume."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["Batch"]


class Batch(dict[str, Any]):
    """A ``dict`` that moves.

    ``image``: (B, C, H, W). With a family that has a rule for pictures instead: ``pixel_values`` and ``image_tokens``
    (B,), with ``image_grid_thw``, ``tiles`` or ``image_sizes`` (docs/families.md). ``mask``: (B, H, W), when a mask
    slot was asked for. ``text``: a list of messages an item. ``key``: the sample's key. ``item``: ``KEY/c1``.
    ``valid``: bool, False where a sample could not be read.
    ``has_image``, ``has_mask``: bool, False where an item has none (its pixels are zeros and mean nothing).
    ``geometry``: (B, 4), float64: delivered x = stored x * g[0] + g[1], delivered y = stored y * g[2] + g[3].
    ``padded``: bool, True for items that only fill the step. ``state``: the loader's state after this batch.
    """

    def _tensors(self, change: Any) -> Batch:
        return Batch({name: change(v) if isinstance(v, torch.Tensor) else v for name, v in self.items()})

    def to(self, device: Any, *, non_blocking: bool = False) -> Batch:
        """The batch with all tensors on a device."""
        return self._tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch with all tensors in pinned memory, from which copies to a GPU run aside."""
        return self._tensors(lambda tensor: tensor.pin_memory())
