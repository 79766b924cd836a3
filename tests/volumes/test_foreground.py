"""The foreground index against numpy's argwhere, over odd shapes, channels and many values."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage

from medshard.facts import runs
from medshard.volumes import foreground as module
from medshard.volumes.foreground import MAX_POINTS, Foreground, index_foreground


def blobs(shape: tuple[int, ...], values: int, seed: int = 0) -> NDArray[np.uint8]:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 2)
    edges = np.quantile(smooth, np.linspace(0.4, 1, values + 1)[:-1])
    return np.digitize(smooth, edges).astype(np.uint8)


def compare(labels: NDArray[np.generic]) -> Foreground:
    """With plain definitions: what a value marks is where any channel has it."""
    found = index_foreground(labels)
    channels = labels if labels.ndim == 4 else labels[None]
    values = [int(value) for value in np.unique(labels) if value]
    assert found.values.tolist() == values
    for place, value in enumerate(values):
        voxels = np.argwhere((channels == value).any(axis=0))
        assert found.counts[place] == len(voxels)
        assert found.boxes_zyx[place].tolist() == [voxels.min(0).tolist(), (voxels.max(0) + 1).tolist()]
        points = found.points_zyx[place]
        assert points.dtype == np.int32
        assert len(points) == min(len(voxels), MAX_POINTS)
        ordinals = {tuple(voxel): number for number, voxel in enumerate(voxels.tolist())}
        drawn = [ordinals[tuple(point)] for point in points.tolist()]  # a KeyError were a point outside
        assert drawn == sorted(set(drawn))
    return found


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=4, min_side=1, max_side=7), elements=st.integers(0, 4)))
@settings(max_examples=150, deadline=None)
def test_small_masks_are_listed_whole(labels: NDArray[np.uint8]) -> None:
    compare(labels)


@pytest.mark.parametrize("slab_voxels", [1, 900, 1 << 22])
def test_large_regions_are_drawn_from_whatever_the_slabs(monkeypatch: pytest.MonkeyPatch, slab_voxels: int) -> None:
    labels = blobs((23, 31, 57), 3)
    whole = compare(labels)
    monkeypatch.setattr(runs, "SLAB_VOXELS", slab_voxels)
    again = index_foreground(labels)
    for one, other in zip(whole.points_zyx, again.points_zyx, strict=True):
        np.testing.assert_array_equal(one, other)


def test_points_are_spread_evenly_over_the_region() -> None:
    """Each 1000th of the region, in reading order, has one point; so no part of it has more than its share."""
    labels = np.zeros((64, 64, 64), np.uint16)
    labels[:, :, 8:] = 700
    (points,) = index_foreground(labels).points_zyx
    ordinals = np.searchsorted(np.flatnonzero(labels), np.ravel_multi_index(points.T, labels.shape))
    edges = np.arange(MAX_POINTS + 1) * np.count_nonzero(labels) // MAX_POINTS
    assert (edges[:-1] <= ordinals).all()
    assert (ordinals < edges[1:]).all()
    share = np.bincount((points[:, 2] - 8) * 4 // 56, minlength=4) / MAX_POINTS
    assert np.abs(share - 0.25).max() < 0.05


def test_instances_by_the_thousand_share_the_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_POINTS_TOGETHER", 3000)
    labels = np.arange(1, 601, dtype=np.uint16).repeat(40).reshape(20, 30, 40)
    found = index_foreground(labels)
    assert len(found.values) == 600
    assert {len(points) for points in found.points_zyx} == {5}


def test_rows_give_back_what_they_were_made_of() -> None:
    for labels in (blobs((9, 17, 33), 4, seed=2), np.zeros((3, 4, 5), np.uint8)):
        found = index_foreground(labels)
        again = Foreground.from_table(found.to_table("key", "slot", labels.shape))
        np.testing.assert_array_equal(found.values, again.values)
        np.testing.assert_array_equal(found.counts, again.counts)
        np.testing.assert_array_equal(found.boxes_zyx, again.boxes_zyx)
        assert len(found.points_zyx) == len(again.points_zyx)
        for one, other in zip(found.points_zyx, again.points_zyx, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_draw_is_the_same_on_every_machine() -> None:
    """Corpora are compared by digest: a change of the draw is a new FOREGROUND_VERSION."""
    labels = np.ones((40, 40, 40), np.uint8)
    (points,) = index_foreground(labels).points_zyx
    digest = hashlib.sha256(points.astype("<i4").tobytes()).hexdigest()
    assert (module.FOREGROUND_VERSION, digest[:16]) == (1, "a2f237433b94c34f")
