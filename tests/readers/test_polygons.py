"""Polygons to pixels: analytic areas, and an independent test of each centre by a ray."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medshard.readers import polygons as module
from medshard.readers.polygons import inside_polygons

RECTANGLE = np.array([[2, 1], [7, 1], [7, 5], [2, 5]], float)


def crossings_at(points: NDArray[np.float64], x: float, y: float) -> int:
    """Edges that a ray from (x, y) to the left crosses, one after another in plain Python (Franklin's pnpoly)."""
    count = 0
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if (ay > y) != (by > y) and x >= ax + (y - ay) * (bx - ax) / (by - ay):
            count += 1
    return count


def test_a_rectangle_on_centres_has_its_exact_area() -> None:
    """Left and upper edges belong to it, right and lower ones to its neighbour."""
    inside = inside_polygons([RECTANGLE], (8, 10))
    assert inside.sum() == 5 * 4
    assert inside[1:5, 2:7].all()


def test_neighbours_share_no_pixel_and_leave_none() -> None:
    left, right = RECTANGLE, RECTANGLE + np.array([5, 0])
    one, other = inside_polygons([left], (8, 14)), inside_polygons([right], (8, 14))
    assert not (one & other).any()
    assert (one | other).sum() == 10 * 4


@pytest.mark.parametrize("turn", [1, -1])
def test_the_direction_of_a_contour_does_not_matter(turn: int) -> None:
    assert np.array_equal(inside_polygons([RECTANGLE[::turn]], (8, 10)), inside_polygons([RECTANGLE], (8, 10)))


def test_a_contour_in_a_contour_is_a_hole() -> None:
    hole = np.array([[3, 2], [6, 2], [6, 4], [3, 4]], float)
    assert inside_polygons([RECTANGLE, hole], (8, 10)).sum() == 20 - 6


def test_a_keyhole_encloses_the_ring_only() -> None:
    """One contour that walks a bridge to the hole and back (PS3.3 C.8.8.6.3)."""
    keyhole = np.array(
        [[2, 1], [7, 1], [7, 5], [2, 5], [2, 3], [3, 3], [3, 4], [6, 4], [6, 2], [3, 2], [3, 3], [2, 3]], float
    )
    assert inside_polygons([keyhole], (8, 10)).sum() == 20 - 6


def test_a_disc_has_the_area_of_its_polygon() -> None:
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    disc = np.column_stack([50.3 + 40.2 * np.cos(angles), 49.6 + 40.2 * np.sin(angles)])
    x, y = disc.T
    area = 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    assert inside_polygons([disc], (100, 101)).sum() == pytest.approx(area, rel=2e-3)


def test_what_lies_beyond_the_picture_is_cut() -> None:
    assert inside_polygons([RECTANGLE * 10 - 30], (8, 10)).all()
    assert not inside_polygons([RECTANGLE + 100], (8, 10)).any()
    assert not inside_polygons([RECTANGLE - 100], (8, 10)).any()


def test_points_on_centres_but_for_rounding_are_on_centres() -> None:
    noise = np.random.default_rng(3).uniform(-1e-9, 1e-9, RECTANGLE.shape)
    assert np.array_equal(inside_polygons([RECTANGLE + noise], (8, 10)), inside_polygons([RECTANGLE], (8, 10)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-8, 40), st.integers(-8, 40)), min_size=3, max_size=12),
    st.sampled_from([1.0, 0.5, 0.37]),
)
def test_every_centre_agrees_with_a_ray(points: list[tuple[int, int]], scale: float) -> None:
    """Any polygon, also one that crosses itself or has points on centres."""
    polygon = np.array(points, float) * scale
    inside = inside_polygons([polygon], (14, 15))
    for y in range(14):
        for x in range(15):
            assert inside[y, x] == crossings_at(polygon, x, y) % 2, (x, y)


def test_edges_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    angles = np.linspace(0, 60, 500)
    star = np.column_stack([20 + angles / 4 * np.cos(angles), 20 + angles / 4 * np.sin(angles)])
    whole = inside_polygons([star], (40, 40))
    monkeypatch.setattr(module, "_CROSSINGS_AT_ONCE", 7)
    assert np.array_equal(inside_polygons([star], (40, 40)), whole)
