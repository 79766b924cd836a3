"""The longest segment against all pairs, and the chord across it against a dense sweep over the hull."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from medshard.facts.segments import longest_chord_across, longest_segment

Floats = NDArray[np.float64]


def steps(random: np.random.Generator, dimensions: int) -> Floats:
    skew = np.diag(random.uniform(0.1, 2, dimensions)) + random.uniform(-0.2, 0.2, (dimensions, dimensions))
    return np.concatenate([skew, -skew])


@given(seed=st.integers(0, 2**32), dimensions=st.sampled_from([2, 3]), count=st.integers(1, 80))
@settings(max_examples=200, deadline=None)
def test_no_pair_is_longer(seed: int, dimensions: int, count: int) -> None:
    random = np.random.default_rng(seed)
    points = random.integers(0, 12, (count, dimensions)) * random.uniform(0.3, 3, dimensions)
    part, offsets = random.integers(0, 3, count), steps(random, dimensions)
    found = longest_segment(points, part, offsets)
    all_pairs = {
        int(one): pdist((points[part == one][:, None] + offsets).reshape(-1, dimensions)).max()
        for one in np.unique(part)
    }
    assert found.length == pytest.approx(max(all_pairs.values()), rel=1e-12)
    assert all_pairs[found.part] == pytest.approx(found.length, rel=1e-12)
    assert np.linalg.norm(found.ends[1] - found.ends[0]) == pytest.approx(found.length, rel=1e-12)


@pytest.mark.parametrize("shape", ["ball", "shell of a cube", "line", "disc"])
def test_symmetric_sets_of_which_many_pairs_are_nearly_longest(shape: str) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(-15, 16)] * 3, indexing="ij"), -1).reshape(-1, 3).astype(float)
    chosen = {
        "ball": (grid**2).sum(1) <= 15**2,
        "shell of a cube": np.abs(grid).max(1) == 15,
        "line": (grid[:, 0] == 0) & (grid[:, 1] == 3),
        "disc": ((grid**2).sum(1) <= 15**2) & (grid[:, 2] == 0),
    }[shape]
    points = grid[chosen]
    offsets = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    found = longest_segment(points, np.zeros(len(points), np.int64), offsets)
    hull = (points[:, None] + offsets).reshape(-1, 3)
    hull = hull[ConvexHull(hull).vertices]
    assert found.length == pytest.approx(pdist(hull).max(), rel=1e-12)


@given(seed=st.integers(0, 2**32), count=st.integers(3, 60))
@settings(max_examples=100, deadline=None)
def test_no_chord_across_is_longer(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(0, 1, (count, 2)) * random.uniform(0.5, 4, 2)
    angle = random.uniform(0, 2 * np.pi)
    segment = np.array([[0.0, 0.0], [np.cos(angle), np.sin(angle)]]) * 3
    found = longest_chord_across(points, segment)
    # The hull as half planes; a line across at u is cut by each (scipy's equations: n . x + b <= 0).
    along, across = segment[1] / 3, np.array([-segment[1][1], segment[1][0]]) / 3
    equations = ConvexHull(points).equations
    lengths = []
    us = (points @ along).tolist()
    for u in [*us, *np.linspace(min(us), max(us), 500)]:
        slope = equations[:, :2] @ across
        rest = -(equations[:, 2] + equations[:, :2] @ along * u)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = rest / slope
        high, low = at[slope > 1e-12].min(), at[slope < -1e-12].max()
        lengths.append(high - low)
    assert found == pytest.approx(max(lengths), rel=1e-6, abs=1e-9)


def test_a_square_is_as_wide_as_its_other_diagonal() -> None:
    square = np.array([[0.0, 0], [0, 2], [2, 0], [2, 2]])
    assert longest_chord_across(square, square[[0, 3]]) == pytest.approx(2 * np.sqrt(2))
    assert longest_chord_across(square, square[[0, 0]]) == 0.0
