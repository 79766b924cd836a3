"""A sliding grid covers a volume, and its windows become the volume again."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from medshard.augment.volume import GridCrop3D, compile_volume, deliver, draw_volume, stitch, window_weights
from medshard.errors import LoaderError
from medshard.loader.draws import VolumeCropDraws

SHAPES = [(40, 33, 61), (16, 16, 16), (7, 90, 15), (17, 16, 31)]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("shape", SHAPES)
def test_windows_of_an_even_size_are_nnunets(shape: tuple[int, int, int], overlap: float) -> None:
    """Its rule: ceil((n - edge) / (edge * step)) + 1 windows, evenly spread, flush with both ends."""
    size = (16, 16, 16)
    along = []
    for n, edge in zip(shape, size, strict=True):
        count = max(0, math.ceil((n - edge) / (edge * (1 - overlap)))) + 1
        along.append([round(i * (n - edge) / (count - 1)) for i in range(count)] if count > 1 else [(n - edge) // 2])
    assert GridCrop3D(size, overlap=overlap).starts(shape) == list(itertools.product(*along))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_voxel_lies_in_a_window_and_neighbours_share_what_was_asked(shape: tuple[int, int, int]) -> None:
    crop = GridCrop3D((9, 12, 16), overlap=0.3)
    seen = np.zeros(shape, int)
    starts = crop.starts(shape)
    assert len(set(starts)) == len(starts)
    for start in starts:
        low = [max(0, s) for s in start]
        high = [s + e for s, e in zip(start, crop.size, strict=True)]
        assert all(s >= 0 and h <= n for s, h, n, e in zip(start, high, shape, crop.size, strict=True) if n >= e)
        seen[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] += 1
    assert seen.min() >= 1
    for axis, edge in enumerate(crop.size):
        places = sorted({start[axis] for start in starts})
        assert all(edge - (b - a) >= math.floor(edge * 0.3) for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.125, math.inf])
def test_windows_that_are_delivered_become_the_volume_again(shape: tuple[int, int, int], sigma: float) -> None:
    compiled = compile_volume([GridCrop3D((16, 16, 16))])
    stored = np.random.default_rng(0).integers(-1000, 1000, (2, *shape)).astype(np.int16)
    assert compiled.grid is not None
    windows = []
    for number, start in enumerate(compiled.grid.starts(shape)):
        geometry = draw_volume(compiled, shape, VolumeCropDraws(0, 0, 0, 0), window=number)
        at, size = geometry.source_box(shape)
        box = stored[(slice(None), *(slice(s, s + n) for s, n in zip(at, size, strict=True)))]
        out = np.empty((2, 16, 16, 16), np.float32)
        deliver(geometry, [], box, at, out)
        windows.append((start, out))
    np.testing.assert_allclose(stitch(shape, windows, window_weights((16, 16, 16), sigma)), stored, rtol=0, atol=4e-3)


def test_the_weights_are_a_gaussian_about_the_middle() -> None:
    weights = window_weights((32, 33, 48))
    point = np.zeros((32, 33, 48))
    point[16, 16, 24] = 1
    blurred = ndimage.gaussian_filter(point, [n / 8 for n in point.shape], mode="constant")  # as nnU-Net makes it
    held = np.maximum(blurred / blurred.max(), 1e-3)
    assert weights.max() == 1
    assert weights.min() == np.float32(1e-3)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1, ::-1])
    # nnU-Net's middle of an even edge is the upper one of two voxels; here it lies between them.
    assert np.abs(weights - held).max() < 0.16
    odd = window_weights((33, 33, 33))
    point = np.zeros((33, 33, 33))
    point[16, 16, 16] = 1
    blurred = ndimage.gaussian_filter(point, 33 / 8, mode="constant", truncate=6)
    np.testing.assert_allclose(odd, np.maximum(blurred / blurred.max(), 1e-3), atol=1e-4)


def test_what_cannot_be_stitched_is_refused() -> None:
    weights = window_weights((4, 4, 4))
    with pytest.raises(LoaderError, match="no window has"):
        stitch((8, 4, 4), [((0, 0, 0), np.zeros((1, 4, 4, 4), np.float32))], weights)
    with pytest.raises(LoaderError, match="a window is"):
        stitch((8, 4, 4), [((0, 0, 0), np.zeros((1, 4, 4, 5), np.float32))], weights)
    with pytest.raises(LoaderError, match="above 0"):
        window_weights((4, 4, 4), 0)
