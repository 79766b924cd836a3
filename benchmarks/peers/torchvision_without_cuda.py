"""Lets torchvision be imported beside a PyTorch for the CPU (imported for its effect, before what needs torchvision).

PyPI has torchvision for CUDA only; its library cannot be loaded then, and its import fails as it registers a shape rule
for an operator that is not there. The operator is declared here, without a body; no benchmark calls it.
"""

from __future__ import annotations

import torch

__all__: list[str] = []

try:
    import torchvision  # noqa: F401
except RuntimeError:
    DECLARED = torch.library.Library("torchvision", "DEF")
    DECLARED.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
