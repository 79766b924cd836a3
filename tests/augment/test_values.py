"""Window and Normalize: values of the delivered pixels, through the engine, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from applied import draw
from numpy.typing import NDArray

from medshard.augment import Compiled, Normalize, Operation, Resize, Window, compile_operations
from medshard.engine import BatchLayout, Engine, encode_png
from medshard.loader.pixels import PixelPlan, begin_views
from medshard.loader.selection import MediumLine
from medshard.loader.slots import SlotMemory

SIZE = (9, 11)


def sampled(
    medium: MediumLine, plan: PixelPlan, part: bytes, layout: BatchLayout, compiled: Compiled
) -> tuple[torch.Tensor, list[bool], dict[int, str]]:
    """A batch of one picture; which items have one; what failed."""
    engine = Engine(1)
    begun = begin_views(engine, SlotMemory(), [medium], [plan], [part], [None], layout, compiled)
    failed = begun.finish(engine)
    return begun.views[0], begun.there, failed


def delivered(
    pixels: NDArray[np.generic],
    operations: list[Operation],
    *,
    dtype: str | None = None,
    bits: int = 0,
    window: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """(3, H, W) of a PNG of the pixels, at its own size; ``dtype`` int16 is stored with an offset of 32768."""
    compiled = compile_operations([Resize(SIZE), *operations])
    name = dtype or pixels.dtype.name
    axes = "YX" if pixels.ndim == 2 else "YXC"
    medium = MediumLine("image", "image", axes, pixels.shape, name, bits or 16, window, None, None)
    plan = PixelPlan(draw(compiled.geometry, SIZE))
    stored = (pixels.astype(np.int32) + 32768).astype(np.uint16) if name == "int16" else pixels
    normalize = compiled.normalize
    layout = BatchLayout(
        *SIZE,
        3,
        mean=tuple(normalize.mean) if normalize else (),
        deviation=tuple(normalize.std) if normalize else (),
    )
    batch, there, failed = sampled(medium, plan, encode_png(stored), layout, compiled)
    assert (there, failed) == ([True], {})
    assert batch.dtype == torch.float32
    return batch[0].numpy()


def picture(dtype: str, low: int, high: int, channels: int = 1) -> NDArray[np.generic]:
    shape = SIZE if channels == 1 else (*SIZE, channels)
    return np.random.default_rng(4).integers(low, high, shape, endpoint=True).astype(dtype)


def clipped(pixels: NDArray[np.generic], low: float, high: float) -> NDArray[np.float64]:
    return np.clip((pixels.astype(np.float64) - low) / (high - low), 0, 1)


@pytest.mark.parametrize("window", [(40.0, 200.0), (-10.0, 300.0), (0.0, 1.0), (99.5, 99.75)])
def test_a_window_is_stretched_to_0_and_1_and_clips(window: tuple[float, float]) -> None:
    pixels = picture("uint8", 0, 255)
    assert np.allclose(delivered(pixels, [Window(*window)])[0], clipped(pixels, *window), atol=1e-6, rtol=0)


def test_a_window_in_hounsfield_units_of_a_png_with_an_offset() -> None:
    pixels = picture("int16", -1024, 3071)
    pixels[0, :2] = -1024, 3071
    seen = delivered(pixels, [Window(-160, 240)])
    # 32768 is added in the file and taken off after float32's 24 bits: 32768 / 2**24 of 400 units.
    assert np.allclose(seen[0], clipped(pixels, -160, 240), atol=3e-5, rtol=0)
    assert np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize(
    ("dtype", "bits", "window", "expected"),
    [
        ("uint8", 8, None, (0, 255)),
        ("uint16", 16, None, (0, 65535)),
        ("uint16", 12, None, (0, 4095)),
        ("int16", 12, None, (-2048, 2047)),
        ("uint16", 12, (500.0, 1500.0), (500, 1500)),
        ("int16", 16, (-1000.0, 400.0), (-1000, 400)),
    ],
)
def test_without_a_window_values_take_the_files_own_or_their_whole_range(
    dtype: str, bits: int, window: tuple[float, float] | None, expected: tuple[float, float]
) -> None:
    top = min(4095, 2**bits - 1) if dtype != "int16" else 2047
    pixels = picture(dtype, -2048 if dtype == "int16" else 0, top)
    seen = delivered(pixels, [], bits=bits, window=window)
    assert np.allclose(seen[0], clipped(pixels, *expected), atol=3e-5, rtol=0)


@pytest.mark.parametrize(("mean", "std"), [([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ([0.5], [0.25])])
def test_normalize_is_torchvisions(mean: list[float], std: list[float]) -> None:
    """(x - mean) / std a channel, of ToDtype(float32, scale=True)."""
    pixels = picture("uint8", 0, 255, channels=3)
    scaled = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / 255
    expected = (scaled - torch.tensor(mean).reshape(-1, 1, 1)) / torch.tensor(std).reshape(-1, 1, 1)
    assert np.allclose(delivered(pixels, [Normalize(mean, std)]), expected.numpy(), atol=3e-6, rtol=0)


def test_window_and_normalize_stand_in_either_order_and_act_in_one() -> None:
    """Normalize means values from 0 to 1, so the window comes first wherever it is written."""
    pixels = picture("uint8", 0, 255)
    window, normalize = Window(50, 150), Normalize([0.5], [0.25])
    expected = (clipped(pixels, 50, 150) - 0.5) / 0.25
    for operations in ([window, normalize], [normalize, window]):
        assert np.allclose(delivered(pixels, operations)[0], expected, atol=3e-6, rtol=0)


def test_values_are_averaged_before_they_are_clipped() -> None:
    """As torchvision does it with the picture resized first; clipping first would give another grey."""
    pixels = np.zeros((2, 2), np.uint8)
    pixels[0] = 200
    compiled = compile_operations([Resize((1, 1)), Window(0, 100)])
    medium = MediumLine("image", "image", "YX", (2, 2), "uint8", 8, None, None, None)
    plan = PixelPlan(draw(compiled.geometry, (2, 2)))
    batch, _, failed = sampled(medium, plan, encode_png(pixels), BatchLayout(1, 1, 1), compiled)
    assert failed == {}
    assert batch.item() == pytest.approx(1.0)
