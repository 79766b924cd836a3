"""Crop, antialiased resize, flip and mapping in one pass, against the numpy reference, torch and Pillow."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from engine_jobs import Sampling, run, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import BatchLayout
from medshard.testing.reference import map_values, to_channels
from medshard.testing.reference_geometry import sample_filtered

# Weights and sums are float32: a few units in the last place of the highest stored value, for a few hundred terms.
TOLERANCE = 4e-6
RANGES = {"uint8": (0, 255), "uint16": (0, 65535), "int16": (-32768, 32767), "float32": (-1000, 3000)}


def pixels_of(dtype: str, size: tuple[int, int], channels: int, seed: int) -> NDArray[np.generic]:
    low, high = RANGES[dtype]
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).uniform(low, high + 1, shape).clip(low, high).astype(dtype)


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[float, ...], tuple[int, ...]]:
    """A stored size, whole bounds within it, and a box within the bounds, whose edges may lie between pixels."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    spans = []
    for length in (width, height):
        first = draw(st.integers(0, length - 1))
        last = draw(st.integers(first + 1, length))
        begin = draw(st.floats(0, 0.8))
        end = draw(st.floats(begin + 0.1, 1))
        whole_span = draw(st.booleans())
        box = (0.0, 1.0) if whole_span else (begin, end)
        spans.append((first + box[0] * (last - first), first + box[1] * (last - first), first, last))
    (x0, x1, a0, a1), (y0, y1, b0, b1) = spans
    return (height, width), (x0, y0, x1, y1), (a0, b0, a1, b1)


@settings(max_examples=300)
@given(
    window=windows(),
    dtype=st.sampled_from(sorted(RANGES)),
    stored=st.sampled_from([1, 3, 4]),
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    flips=st.tuples(st.booleans(), st.booleans()),
    normalised=st.booleans(),
    clamp=st.booleans(),
    filter=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_window_equals_the_reference(
    window: tuple[tuple[int, int], tuple[float, ...], tuple[int, ...]],
    dtype: str,
    stored: int,
    channels: int,
    size: tuple[int, int],
    flips: tuple[bool, bool],
    normalised: bool,
    clamp: bool,
    filter: Literal["bilinear", "bicubic"],
    seed: int,
) -> None:
    stored_size, box, bounds = window
    pixels = pixels_of(dtype, stored_size, stored, seed)
    low, high = RANGES[dtype]
    scale, bias = 1 / (high - low), -low / (high - low)
    mean, deviation = ((0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels]) if normalised else ((), ())
    layout = BatchLayout(*size, channels, clamp=clamp, mean=mean, deviation=deviation, filter=filter)
    sampling = Sampling(pixels, box, bounds, *flips, scale, bias)
    out, failed = run([sampling], layout)
    assert failed == {}
    sampled = sample_filtered(pixels, box, bounds, size, flip_x=flips[0], flip_y=flips[1], filter=filter)
    expected = map_values(
        to_channels(sampled, channels), scale=scale, bias=bias, clamp=clamp, mean=mean, deviation=deviation
    )
    tolerance = TOLERANCE / (min(deviation) if deviation else 1)
    np.testing.assert_allclose(out[0], expected.transpose(2, 0, 1), rtol=0, atol=tolerance)


@settings(max_examples=100)
@given(
    stored=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    size=st.tuples(
        st.integers(1, 40), st.integers(2, 40)
    ),  # torch 2.13 repeats one row of a column that stays a column
    crop=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    flips=st.tuples(st.booleans(), st.booleans()),
    filter=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_crop_then_resize_equals_torch(
    stored: tuple[int, int],
    size: tuple[int, int],
    crop: tuple[float, float, float, float],
    flips: tuple[bool, bool],
    filter: Literal["bilinear", "bicubic"],
    seed: int,
) -> None:
    pixels = pixels_of("uint8", stored, 3, seed)
    top, left = int(crop[0] * (stored[0] - 1)), int(crop[1] * (stored[1] - 1))
    height, width = 1 + int(crop[2] * (stored[0] - top - 1)), 1 + int(crop[3] * (stored[1] - left - 1))
    box = (left, top, left + width, top + height)
    out, failed = run([Sampling(pixels, box, box, *flips, 1 / 255)], BatchLayout(*size, clamp=False, filter=filter))
    assert failed == {}
    part = torch.from_numpy(pixels[top : top + height, left : left + width].transpose(2, 0, 1).copy()).double()
    resized = torch.nn.functional.interpolate(part[None] / 255, size, mode=filter, antialias=True)[0]
    axes = [axis for axis, flip in ((2, flips[0]), (1, flips[1])) if flip]
    np.testing.assert_allclose(out[0], resized.flip(axes).numpy(), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("edge", "crop"), [(48, 40), (70, 64), (20, 13)])
def test_resize_then_crop_reads_beyond_the_crop_as_torch_does(edge: int, crop: int) -> None:
    pixels = pixels_of("uint8", (50, 61), 3, edge)
    new = (edge, int(edge * 61 / 50))
    whole_picture = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).double()[None] / 255
    resized = torch.nn.functional.interpolate(whole_picture, new, mode="bilinear", antialias=True)[0].numpy()
    top, left = (new[0] - crop) // 2, (new[1] - crop) // 2
    step_y, step_x = 50 / new[0], 61 / new[1]
    box = (left * step_x, top * step_y, (left + crop) * step_x, (top + crop) * step_y)
    out, failed = run([Sampling(pixels, box, (0, 0, 61, 50), scale=1 / 255)], BatchLayout(crop, crop))
    assert failed == {}
    np.testing.assert_allclose(out[0], resized[:, top : top + crop, left : left + crop], rtol=0, atol=TOLERANCE)


@settings(max_examples=60)
@given(window=windows(), size=st.tuples(st.integers(1, 24), st.integers(1, 24)), seed=st.integers(0, 2**32 - 1))
def test_a_box_between_pixels_equals_pillow(
    window: tuple[tuple[int, int], tuple[float, ...], tuple[int, ...]], size: tuple[int, int], seed: int
) -> None:
    (height, width), box, _ = window
    pixels = pixels_of("float32", (height, width), 1, seed)
    out, failed = run(
        [Sampling(pixels, box, (0, 0, width, height), scale=1 / 4000, bias=0.25)], BatchLayout(*size, 1, clamp=False)
    )
    assert failed == {}
    resized = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR, box=box)
    np.testing.assert_allclose(out[0, 0], np.asarray(resized) / 4000 + 0.25, rtol=0, atol=TOLERANCE)


def test_at_the_stored_size_values_are_not_touched() -> None:
    for dtype, (low, high) in RANGES.items():
        pixels = pixels_of(dtype, (13, 29), 3, 5)
        out, _ = run([whole(pixels, (13, 29))], BatchLayout(13, 29, clamp=False))
        assert np.array_equal(out[0], pixels.astype(np.float32).transpose(2, 0, 1)), (dtype, low, high)


def test_grey_is_repeated_and_colour_becomes_luma() -> None:
    grey, colour = pixels_of("uint8", (9, 11), 1, 1), pixels_of("uint8", (9, 11), 3, 2)
    three, _ = run([whole(grey, (9, 11))], BatchLayout(9, 11, 3, clamp=False))
    assert all(np.array_equal(plane, grey) for plane in three[0])
    one, _ = run([whole(colour, (9, 11))], BatchLayout(9, 11, 1, clamp=False))
    luma = np.asarray(Image.fromarray(colour).convert("L")).astype(int)
    assert abs(one[0, 0] - luma).max() <= 0.51  # Pillow rounds


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint8"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_other_types_and_layouts_hold_the_same_values(dtype: str, channels_last: bool) -> None:
    normalise = {} if dtype == "uint8" else {"mean": (0.5, 0.4, 0.3), "deviation": (1e-3, 1e-7, 30.0)}
    sources = [whole(pixels_of("float32", (20, 33), 3, n), (20, 33), scale=1 / 3000, bias=0.1) for n in range(3)]
    exact, _ = run(sources, BatchLayout(17, 19, **normalise))
    out, failed = run(sources, BatchLayout(17, 19, dtype=dtype, channels_last=channels_last, **normalise))
    assert failed == {}
    if channels_last:
        out = np.ascontiguousarray(out.transpose(0, 3, 1, 2))
    if dtype == "float16":
        with np.errstate(over="ignore"):
            expected = exact.astype(np.float16)
        assert np.isinf(expected).any(), "values beyond float16 become infinite, as IEEE 754 rounds"
        assert np.array_equal(out, expected)
    elif dtype == "bfloat16":
        expected = torch.from_numpy(exact).to(torch.bfloat16)
        assert torch.equal(torch.from_numpy(out.view(np.int16)).view(torch.bfloat16), expected)
    else:
        assert np.array_equal(out, np.rint(exact * np.float32(255)).astype(np.uint8))


def test_float16_rounds_every_number_as_numpy() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 40000, dtype=np.uint64).astype(np.uint32)
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        between = (halves[:-1] + halves[1:]) / 2  # ties
    values = np.concatenate([bits.view(np.float32), halves, between, np.float32([0.0, -0.0, 65519.99, 65520, 6e-8])])
    values = values[np.isfinite(values)][None]
    layout = BatchLayout(1, values.shape[1], 1, "float16", clamp=False)
    out, failed = run([whole(np.ascontiguousarray(values), values.shape)], layout)
    assert failed == {}
    with np.errstate(over="ignore"):
        assert np.array_equal(out[0, 0], values.astype(np.float16))
    out, _ = run(
        [whole(np.ascontiguousarray(values), values.shape)], BatchLayout(1, values.shape[1], 1, "bfloat16", clamp=False)
    )
    expected = torch.from_numpy(values).to(torch.bfloat16)
    assert torch.equal(torch.from_numpy(out[0, 0].view(np.int16)).view(torch.bfloat16), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float64"}, "dtype 'float64'"),
        ({"dtype": "int32"}, "allowed for pictures"),
        ({"dtype": "float32", "mask": True}, "allowed for masks"),
        ({"channels": 2}, "1 or 3 channels"),
        ({"height": 0}, "at least 1"),
        ({"mean": (0.5, 0.5), "deviation": (1.0, 1.0)}, "one a channel"),
        ({"mean": (0.5,)}, "1 and 0"),
        ({"mean": (0.5,), "deviation": (0.0,)}, "deviation is above 0"),
        ({"mean": (0.5,), "deviation": (float("nan"),)}, "deviation is above 0"),
        ({"dtype": "uint8", "mean": (0.5,), "deviation": (1.0,)}, "cannot hold"),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BatchLayout(**{"height": 4, "width": 4, **options})  # type: ignore[arg-type]
