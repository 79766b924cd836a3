"""Lets torchvision be imported beside a PyTorch for the CPU (imported for its effect, before what needs torchvision).

PyPI has torchvision for CUDA only; its library cannot be loaded then, and its import fails as it registers shape rules
for operators that are not there. They are declared here, without a body; no benchmark calls them.
"""

from __future__ import annotations

import re

from torch import library

__all__: list[str] = []

_DECLARED = library.Library("torchvision", "FRAGMENT")

for _ in range(20):  # one name becomes known with each failed import
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
        if missing is None:
            raise
        _DECLARED.define(f"{missing[1]}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    else:
        break
