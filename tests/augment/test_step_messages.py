"""Arguments of neighbourhood and pointwise operations: torchvision v2's where they mean the same, and checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import medshard.augment as augment
from medshard.augment import (
    CLAHE,
    JPEG,
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    Operation,
    PercentileNormalize,
    RandomAdjustSharpness,
    RandomErasing,
    RandomGamma,
    RandomPosterize,
    RandomSolarize,
    RandomStainJitter,
    Window,
)
from medshard.errors import LoaderError

EMPTY = inspect.Parameter.empty

# torchvision.transforms.v2, 0.21 to 0.28: arguments in their order, with defaults, without inplace. Ours may have more
# after them, such as p where torchvision needs RandomApply.
TORCHVISION: dict[str, dict[str, Any]] = {
    "ColorJitter": {"brightness": None, "contrast": None, "saturation": None, "hue": None},
    "RandomGrayscale": {"p": 0.1},
    "RandomInvert": {"p": 0.5},
    "RandomSolarize": {"threshold": EMPTY, "p": 0.5},
    "RandomPosterize": {"bits": EMPTY, "p": 0.5},
    "RandomAdjustSharpness": {"sharpness_factor": EMPTY, "p": 0.5},
    "GaussianBlur": {"kernel_size": EMPTY, "sigma": (0.1, 2.0)},
    "GaussianNoise": {"mean": 0.0, "sigma": 0.1, "clip": True},
    "RandomErasing": {"p": 0.5, "scale": (0.02, 0.33), "ratio": (0.3, 3.3), "value": 0.0},
    "JPEG": {"quality": EMPTY},
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_arguments_begin_with_torchvisions(name: str) -> None:
    parameters = inspect.signature(getattr(augment, name)).parameters
    told = {key: parameter.default for key, parameter in parameters.items()}
    assert list(told.items())[: len(TORCHVISION[name])] == list(TORCHVISION[name].items())


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_table_of_steps_is_what_an_installed_torchvision_says(name: str) -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2")
    parameters = inspect.signature(getattr(v2, name)).parameters
    told = {key: parameter.default for key, parameter in parameters.items() if key != "inplace"}
    assert told == TORCHVISION[name]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window.ct("lungs"), "Window.ct: there is no window 'lungs'. Did you mean 'lung'? Windows: lung, "),
        (
            lambda: Window(0, 1, jitter_width=1.0),
            "Window: jitter_width is a share of the width, at least 0 and",
        ),
        (lambda: PercentileNormalize(9, 9), "PercentileNormalize: 0 <= lower < upper <= 100; found 9 and 9"),
        (
            lambda: PercentileNormalize(statistics="index"),
            "PercentileNormalize: statistics is crop or file",
        ),
        (lambda: RandomGamma(0), "RandomGamma: gamma is a number or (low, high), from 0.01 to 100; found 0"),
        (lambda: RandomGamma((2, 1)), "RandomGamma: gamma is a number or (low, high), from 0.01 to 100; found (2, 1)"),
        (lambda: RandomGamma(p=2), "RandomGamma: p lies between 0 and 1; found 2"),
        (lambda: RandomSolarize(1.5), "RandomSolarize: threshold lies between 0 and 1; found 1.5"),
        (lambda: RandomPosterize(0), "RandomPosterize: bits is a whole number from 1 to 8; found 0"),
        (lambda: GaussianNoise(sigma=-1), "GaussianNoise: sigma is a number or (low, high), at least 0; found -1"),
        (lambda: GaussianNoise(mean=float("nan")), "GaussianNoise: mean is a finite number; found nan"),
        (lambda: RandomErasing(scale=(0, 2)), "RandomErasing: scale is a number or (low, high), from 0 to 1; found"),
        (lambda: RandomErasing(holes=0), "RandomErasing: holes is a whole number from 1 to 64; found 0"),
        (lambda: RandomErasing(value=(1, 2)), "RandomErasing: value is a number, or one a channel (three)"),
        (
            lambda: ColorJitter(hue=0.6),
            "ColorJitter: hue is a number or (low, high), from -0.5 to 0.5; found",
        ),
        (lambda: ColorJitter(contrast=-1), "ColorJitter: contrast is a number or (low, high), at least 0; found -1"),
        (lambda: ColorJitter("a"), "ColorJitter: brightness is a number or (low, high), at least 0; found 'a'"),
        (lambda: RandomStainJitter(scale=2), "RandomStainJitter: scale lies between 0 and 1; found 2"),
        (
            lambda: GaussianBlur(4),
            "GaussianBlur: kernel_size is an odd number or (width, height), from 1 to 255",
        ),
        (lambda: GaussianBlur((3, 3, 3)), "GaussianBlur: kernel_size is an odd number or (width, height)"),
        (lambda: GaussianBlur(3, 0.0), "GaussianBlur: sigma is a number or (low, high), at least 0.01; found 0.0"),
        (lambda: RandomAdjustSharpness(-1), "RandomAdjustSharpness: sharpness_factor is at least 0; found -1"),
        (
            lambda: CLAHE(tile_grid_size=(0, 8)),
            "CLAHE: tile_grid_size is (rows, columns), each from 1 to 64; found",
        ),
        (lambda: JPEG(0), "JPEG: quality is a number or (low, high), from 1 to 100; found 0"),
        (lambda: JPEG((1.5, 3)), "JPEG: quality is a whole number; found (1.5, 3)"),
    ],
)
def test_an_argument_out_of_bounds_is_named(make: Callable[[], Operation], message: str) -> None:
    with pytest.raises(LoaderError) as failed:
        make()
    assert str(failed.value).startswith(message)
