"""Masks: the pixel under the centre of each output pixel, never a value that was not stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_jobs import Sampling, run, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medshard.engine import BatchLayout, encode_png
from medshard.testing.reference_geometry import sample_nearest


def labels_of(size: tuple[int, int], highest: int, seed: int, dtype: str = "uint8") -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(0, highest + 1, size).astype(dtype)


@settings(max_examples=200)
@given(
    stored=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    box=st.tuples(st.floats(0, 0.8), st.floats(0, 0.8), st.floats(0.1, 1), st.floats(0.1, 1)),
    flips=st.tuples(st.booleans(), st.booleans()),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_box_equals_the_reference(
    stored: tuple[int, int],
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    flips: tuple[bool, bool],
    dtype: str,
    seed: int,
) -> None:
    height, width = stored
    mask = labels_of(stored, 200, seed, dtype)
    x0, y0 = box[0] * width, box[1] * height
    box = (x0, y0, x0 + box[2] * (width - x0), y0 + box[3] * (height - y0))
    layout = BatchLayout(*size, 1, "int32", mask=True)
    out, failed = run([Sampling(mask, box, (0, 0, width, height), *flips)], layout)
    assert failed == {}
    assert np.array_equal(out[0, 0], sample_nearest(mask, box, size, flip_x=flips[0], flip_y=flips[1]))


@pytest.mark.parametrize("size", [(8, 8), (17, 31), (64, 50), (1, 1), (40, 33)])
def test_the_whole_mask_equals_torch(size: tuple[int, int]) -> None:
    mask = labels_of((40, 33), 250, 3)
    out, _ = run([whole(mask, (40, 33))], BatchLayout(*size, 1, "uint8", mask=True))
    expected = torch.nn.functional.interpolate(torch.from_numpy(mask)[None, None], size, mode="nearest-exact")
    assert np.array_equal(out[0, 0], expected[0, 0])


def test_a_compressed_mask_equals_a_raw_one_and_is_never_mapped() -> None:
    for dtype, highest in (("uint8", 255), ("uint16", 65535)):
        mask = labels_of((21, 34), highest, 4, dtype)
        layout = BatchLayout(10, 12, 1, "int32", mask=True)
        raw, _ = run([whole(mask, (21, 34), scale=9.0, bias=3.0)], layout)
        compressed, failed = run([whole(encode_png(mask), (21, 34), scale=9.0, bias=3.0)], layout)
        assert failed == {}
        assert np.array_equal(raw, compressed)
        assert set(np.unique(raw)) <= set(np.unique(mask))


@pytest.mark.parametrize("channels_last", [False, True])
def test_channels_that_a_mask_lacks_are_zero(channels_last: bool) -> None:
    mask = labels_of((6, 9), 255, 5)
    layers = np.stack([mask, mask // 2, mask // 3], -1)
    layout = BatchLayout(6, 9, 4, "int16", mask=True, channels_last=channels_last)
    out, failed = run([whole(mask, (6, 9)), whole(np.ascontiguousarray(layers), (6, 9))], layout)
    assert failed == {}
    planes = out.transpose(0, 3, 1, 2) if channels_last else out
    assert np.array_equal(planes[0, 0], mask)
    assert not planes[0, 1:].any()
    assert np.array_equal(planes[1, :3], layers.transpose(2, 0, 1))
    assert not planes[1, 3].any()


@pytest.mark.parametrize(
    ("dtype", "values", "fits"),
    [
        ("uint8", np.uint16([[255]]), True),
        ("uint8", np.uint16([[256]]), False),
        ("uint8", np.int16([[-1]]), False),
        ("int16", np.uint16([[32768]]), False),
        ("int16", np.int16([[-32768]]), True),
        ("int32", np.uint16([[65535]]), True),
        ("int32", np.float32([[3e9]]), False),
        ("int32", np.float32([[np.nan]]), False),
    ],
)
def test_a_label_that_does_not_fit_fails_its_item(dtype: str, values: NDArray[np.generic], fits: bool) -> None:
    good = np.zeros_like(values)
    out, failed = run([whole(good, (1, 1)), whole(values, (1, 1))], BatchLayout(1, 1, 1, dtype, mask=True))
    if fits:
        assert failed == {}
        assert out[1].item() == values.item()
    else:
        assert list(failed) == [1]
        assert "does not fit" in failed[1]
        assert out[1].item() == 0
