"""The numpy references by the name of their native step, and a whole program of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.engine import StepParams
from medshard.testing import reference_neighbourhood as around
from medshard.testing import reference_values as values

__all__ = ["REFERENCES", "run_steps"]

Array = NDArray[np.float64]

REFERENCES: dict[str, Callable[..., Any]] = {
    "window": values.window,
    "percentile_normalize": values.percentile_normalize,
    "normalize": values.normalize,
    "zscore_normalize": values.zscore_normalize,
    "color_jitter": values.color_jitter,
    "grayscale": values.grayscale,
    "gamma": values.gamma,
    "invert": values.invert,
    "solarize": values.solarize,
    "posterize": values.posterize,
    "gaussian_noise": values.gaussian_noise,
    "stain_jitter": values.stain_jitter,
    "erase": values.erase,
    "gaussian_blur": around.gaussian_blur,
    "sharpness": around.sharpness,
    "clahe": around.clahe,
    "jpeg": around.jpeg,
    "multi_window": values.multi_window,
}


def run_steps(
    picture: Array,
    steps: Sequence[StepParams],
    params: NDArray[np.float32],
    *,
    scale: float = 1.0,
    bias: float = 0.0,
    noise_seed: int = 0,
    whole: Array | None = None,
) -> Array:
    """A sampled crop (C, H, W) after the steps of a batch, with one item's parameters (P,).

    Args:
        whole: the stored picture (C, H, W) without alpha; the crop when None.
    """
    whole = picture if whole is None else whole
    for step in steps:
        applied, *own = (float(number) for number in params[step.first : step.first + step.count])
        if applied == 0:
            continue
        more: dict[str, Any] = {}
        if step.kind in ("window", "multi_window"):
            more = {"scale": scale, "bias": bias}
        elif step.kind in ("percentile_normalize", "zscore_normalize"):
            more = {"whole": whole}
        elif step.kind == "gaussian_noise":
            more = {"seed": noise_seed, "place": step.place}
        picture = np.asarray(REFERENCES[step.kind](picture, own, **more), np.float64)
    return picture
