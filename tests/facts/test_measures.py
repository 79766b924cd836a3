"""Measures of volumes against scikit-image's marching cubes, scipy, all pairs of points, and closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes

from medshard.facts import measures as module
from medshard.facts import runs as runs_module
from medshard.facts.components import connected_parts
from medshard.facts.measures import Shape, axial_axis, centroid_xyz, shape_of, values_under
from medshard.facts.runs import runs_by_value, runs_of, slabs_of

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CUBE = np.ones((3, 3, 3))


def turned(degrees_xyz: tuple[float, float, float]) -> Floats:
    found = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = np.eye(3)
        one, other = [a for a in range(3) if a != axis]
        turn[one, one] = turn[other, other] = c
        turn[one, other], turn[other, one] = -s, s
        found = turn @ found
    return found


def affine(matrix: Floats, origin: tuple[float, float, float] = (-80.0, 40.0, 12.5)) -> Floats:
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = matrix, origin
    return whole


AFFINES = {
    "isotropic": affine(np.diag([1.0, 1.0, 1.0])),
    "anisotropic": affine(np.diag([-0.7, -0.7, 5.0])),
    "oblique": affine(turned((12, -25, 31)) @ np.diag([0.9, 0.6, 2.4])),
    "tilted gantry": affine(np.array([[0.8, 0, 0], [0, 0.8, -0.9], [0, 0, 2.5]])),
    "oblique and sheared": affine(turned((20, 8, -40)) @ np.array([[0.8, 0.1, 0], [0, 0.7, -0.9], [0, 0, 2.5]])),
    "sagittal": affine(np.array([[0, 0, 3.0], [0.9, 0, 0], [0, -0.9, 0]])),
    "coronal and oblique": affine(turned((5, 10, 0)) @ np.array([[0.9, 0, 0], [0, 0, 4.0], [0, -0.8, 0]])),
}


def shape(inside: Mask, of: Floats) -> tuple[Shape, int]:
    runs = runs_of(inside)
    part = connected_parts(runs)
    return shape_of(runs, part, of), int(part.max()) + 1


def to_ras(zyx: Floats, of: Floats) -> Floats:
    return np.asarray(zyx[:, ::-1] @ of[:3, :3].T + of[:3, 3])


def ellipsoid(axes_mm: tuple[float, float, float], of: Floats, *, turn: Floats | None = None) -> tuple[Mask, Floats]:
    """Voxels whose centres lie in an ellipsoid of those half axes, on a grid that holds it, and the grid's affine."""
    turn = np.eye(3) if turn is None else turn
    reach = np.abs(np.linalg.inv(of[:3, :3])) @ np.full(3, max(axes_mm))
    size_xyz = (2 * np.ceil(reach) + 3).astype(int)
    zyx = np.stack(np.meshgrid(*[np.arange(size) for size in size_xyz[::-1]], indexing="ij"), -1)
    place_mm = zyx[..., ::-1] @ of[:3, :3].T
    place_mm = place_mm - (size_xyz / 2 - 0.31) @ of[:3, :3].T  # no voxel lies at the centre
    return np.asarray((((place_mm @ turn) / axes_mm) ** 2).sum(-1) <= 1), of


# -- parts -----------------------------------------------------------------------------------------------------------


@given(arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)))
@settings(max_examples=200, deadline=None)
def test_parts_are_those_of_scipy(inside: Mask) -> None:
    labels, count = ndimage.label(inside, CUBE)
    runs = runs_of(inside)
    part = connected_parts(runs)
    assert (part.max(initial=-1) + 1) == count
    np.testing.assert_array_equal(part + 1, labels[runs.z, runs.y, runs.start])  # both in reading order
    flat = np.zeros((3, 3, 3))
    flat[1] = 1
    labels, count = ndimage.label(inside, flat)
    np.testing.assert_array_equal(connected_parts(runs, in_plane=True) + 1, labels[runs.z, runs.y, runs.start])


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=4, min_side=1, max_side=7), elements=st.integers(0, 3)))
@settings(max_examples=100, deadline=None)
def test_runs_paint_the_mask_again(labels: NDArray[np.uint8]) -> None:
    grid = labels.shape[-3:]
    found = runs_by_value(labels)
    assert found is not None
    assert set(found) == set(np.unique(labels).tolist()) - {0}
    for value, runs in found.items():
        again = np.zeros(grid, int)
        for z, y, start, stop in zip(runs.z, runs.y, runs.start, runs.stop, strict=True):
            again[z, y, start:stop] += 1
        inside = (labels == value).any(axis=0) if labels.ndim == 4 else labels == value
        np.testing.assert_array_equal(again, inside)


def test_a_mask_of_noise_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "MAX_RUNS", 100)
    monkeypatch.setattr(runs_module, "SLAB_VOXELS", 64)
    noise = np.random.default_rng(1).integers(0, 2, (20, 20, 20)).astype(np.uint8)
    assert runs_by_value(noise) is None
    assert len(list(slabs_of(noise))) == 20


# -- lengths ---------------------------------------------------------------------------------------------------------


def surface(inside: Mask) -> Floats:
    """Vertices of marching cubes, which lie half way between a voxel inside and one outside."""
    return np.asarray(marching_cubes(np.pad(inside, 1).astype(np.float32), 0.5)[0] - 1, np.float64)


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("seed", range(3))
def test_lengths_are_those_of_the_surface_of_marching_cubes(name: str, seed: int) -> None:
    of = AFFINES[name]
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((13, 17, 15)), 2)
    labels, _ = ndimage.label(smooth > np.quantile(smooth, 0.85), CUBE)
    found, parts = shape(labels > 0, of)
    assert parts == labels.max()
    every = to_ras(surface(labels > 0), of)
    longest = max(pdist(to_ras(surface(labels == part), of)).max() for part in range(1, parts + 1))
    assert found.longest_diameter.mm == pytest.approx(longest, rel=1e-5)
    extent = every.max(0) - every.min(0)
    assert [length.mm for length in found.extent_ras] == pytest.approx(extent.tolist(), rel=1e-5)


def plane_diameter(inside: Mask, steps: Floats) -> float:
    """The longest pair over all planes and their parts, point by point; ``steps`` are the two axes in space."""
    best = 0.0
    for plane in inside:
        labels, count = ndimage.label(plane, np.ones((3, 3)))
        for part in range(1, count + 1):
            points = np.argwhere(labels == part).astype(float)
            around = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
            points = (points[:, None] + around).reshape(-1, 2) @ steps
            best = max(best, pdist(points).max())
    return best


@pytest.mark.parametrize("name", AFFINES)
def test_axial_diameters_are_the_longest_pairs_of_the_axial_planes(name: str) -> None:
    of = AFFINES[name]
    smooth = ndimage.gaussian_filter(np.random.default_rng(4).random((12, 15, 14)), 2)
    inside = smooth > np.quantile(smooth, 0.8)
    axis = axial_axis(of)
    assert axis == {"sagittal": 1, "coronal and oblique": 1}.get(name, 0)
    others = [other for other in range(3) if other != axis]
    steps = of[:3, :3][:, [2 - other for other in others]].T
    found, _ = shape(inside, of)
    assert found.axial_diameter is not None
    assert found.axial_diameter.mm == pytest.approx(plane_diameter(np.moveaxis(inside, axis, 0), steps), rel=1e-12)


def test_a_grid_turned_halfway_has_no_axial_planes() -> None:
    rows = np.array([[1.0, -1, 0], [1, 1, -2], [1, 1, 1]])  # the head-foot axis lies along a diagonal of a voxel
    on_its_corner = affine(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    assert axial_axis(on_its_corner) is None
    found, _ = shape(np.ones((3, 3, 3), bool), on_its_corner)
    assert (found.axial_diameter, found.across_diameter) == (None, None)
    assert found.longest_diameter.mm > 3


@pytest.mark.parametrize("name", AFFINES)
def test_one_voxel_is_as_long_as_its_longest_step(name: str) -> None:
    found, parts = shape(np.pad(np.ones((1, 1, 1), bool), 2), AFFINES[name])
    half = np.concatenate([AFFINES[name][:3, :3].T / 2, -AFFINES[name][:3, :3].T / 2])
    assert parts == 1
    assert found.longest_diameter.mm == pytest.approx(pdist(half).max())


def test_several_lesions_are_not_measured_from_one_to_the_other() -> None:
    inside = np.zeros((5, 9, 40), bool)
    inside[2, 4, 1:6] = inside[2, 4, 20:32] = True
    found, parts = shape(inside, AFFINES["isotropic"])
    assert parts == 2
    assert found.longest_diameter.mm == 12
    assert found.axial_diameter is not None
    assert found.axial_diameter.mm == 12
    assert found.extent_ras[0].mm == 31


# -- phantoms in closed form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("axes_mm", [(14.0, 14.0, 14.0), (24.0, 12.0, 9.0), (8.0, 30.0, 17.0)])
def test_ellipsoids_have_the_lengths_of_their_formulae(name: str, axes_mm: tuple[float, float, float]) -> None:
    inside, of = ellipsoid(axes_mm, AFFINES[name])
    steps = np.linalg.norm(of[:3, :3], axis=0)
    found, parts = shape(inside, of)
    assert parts == 1
    volume_mm3 = inside.sum() * abs(np.linalg.det(of[:3, :3]))
    exact_mm3 = 4 / 3 * np.pi * np.prod(axes_mm)
    surface_mm2 = 4 * np.pi * (np.mean([(a * b) ** 1.6 for a, b in itertools.combinations(axes_mm, 2)])) ** (1 / 1.6)
    assert abs(volume_mm3 - exact_mm3) < surface_mm2 * steps.min() / 2, "half a voxel over the surface"
    assert found.longest_diameter.mm == pytest.approx(2 * max(axes_mm), abs=steps.max())
    for length, half in zip(found.extent_ras, axes_mm, strict=True):
        assert length.mm == pytest.approx(2 * half, abs=length.step_mm)
    # The plane through the middle with the grid's normal n cuts an ellipse: x = U w, |A U w| = 1 with A = diag(1 / a).
    axis = axial_axis(of)
    assert axis is not None
    plane, _ = np.linalg.qr(of[:3, [2 - other for other in range(3) if other != axis]])
    halves = 1 / np.linalg.svd(np.diag(1 / np.array(axes_mm)) @ plane)[1]
    assert found.axial_diameter is not None
    assert found.across_diameter is not None
    in_plane = max(steps[2 - other] for other in range(3) if other != axis)
    assert found.axial_diameter.mm == pytest.approx(2 * halves.max(), abs=in_plane)
    assert found.across_diameter.mm == pytest.approx(2 * halves.min(), abs=1.5 * in_plane)


@pytest.mark.parametrize("name", AFFINES)
def test_boxes_have_exactly_their_lengths(name: str) -> None:
    of = AFFINES[name]
    inside = np.zeros((9, 14, 17), bool)
    inside[2:6, 3:12, 4:14] = True  # 4 x 9 x 10 voxels
    runs = runs_of(inside)
    assert centroid_xyz(runs) == (8.5, 7.0, 3.5)
    found, _ = shape(inside, of)
    corners = np.array(list(itertools.product([2, 5], [3, 11], [4, 13])), float)
    around = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    points = to_ras((corners[:, None] + around).reshape(-1, 3), of)
    assert found.longest_diameter.mm == pytest.approx(pdist(points).max(), rel=1e-12)
    assert [length.mm for length in found.extent_ras] == pytest.approx((points.max(0) - points.min(0)).tolist())


# -- reorientation ---------------------------------------------------------------------------------------------------


def reoriented(
    voxels: NDArray[np.generic], of: Floats, order: tuple[int, ...], flips: tuple[bool, ...]
) -> tuple[NDArray[np.generic], Floats]:
    """The same volume with permuted and flipped array axes, and the affine that says so."""
    voxels = voxels.transpose(order)
    from_new = np.zeros((4, 4))  # old (z, y, x, 1) from new
    from_new[3, 3] = 1
    for new, old in enumerate(order):
        from_new[old, new] = -1 if flips[new] else 1
        from_new[old, 3] = voxels.shape[new] - 1 if flips[new] else 0
    reverse = np.eye(4)[[2, 1, 0, 3]]
    return voxels[tuple(slice(None, None, -1 if flip else 1) for flip in flips)], of @ reverse @ from_new @ reverse


@pytest.mark.parametrize("name", ["anisotropic", "oblique and sheared"])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (False, True, False)])
def test_reorientation_changes_nothing(name: str, order: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    of = AFFINES[name]
    smooth = ndimage.gaussian_filter(np.random.default_rng(8).random((11, 14, 16)), 2)
    inside = smooth > np.quantile(smooth, 0.8)
    again, of_again = reoriented(inside, of, order, flips)
    assert abs(np.linalg.det(of_again)) == pytest.approx(abs(np.linalg.det(of)))
    (one, parts), (other, parts_again) = shape(inside, of), shape(again, of_again)
    assert parts == parts_again
    assert other.longest_diameter.mm == pytest.approx(one.longest_diameter.mm)
    assert other.axial_diameter is not None
    assert one.axial_diameter is not None
    assert other.axial_diameter.mm == pytest.approx(one.axial_diameter.mm)
    assert [length.mm for length in other.extent_ras] == pytest.approx([length.mm for length in one.extent_ras])
    place = of @ [*centroid_xyz(runs_of(inside)), 1.0]
    assert of_again @ [*centroid_xyz(runs_of(again)), 1.0] == pytest.approx(place)


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint16", "float32", "int32"])
@pytest.mark.parametrize("slab", [1, 1 << 22])
def test_statistics_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch, dtype: str, slab: int) -> None:
    monkeypatch.setattr(module, "SLAB_VOXELS", slab)
    random = np.random.default_rng(2)
    low = 0 if dtype.startswith("u") else -1000
    voxels = random.integers(low, 250, (7, 9, 11)).astype(dtype)
    labels = random.integers(0, 3, (2, 7, 9, 11)).astype(np.uint8)
    inside = (labels == 2).any(axis=0)
    found = values_under(voxels, labels, 2, ((0, 0, 0), (7, 9, 11)), None)
    assert found is not None
    values = voxels[inside].astype(np.float64)
    assert found.count == len(values)
    assert (found.mean, found.sd) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    assert (found.least, found.greatest) == (values.min(), values.max())
    percentiles = np.percentile(values, [5, 50, 95]).tolist()
    assert [found.p05, found.median, found.p95] == pytest.approx(percentiles)


def test_what_is_no_measurement_is_left_out() -> None:
    voxels = np.array([[[-2000, -2000, 10, 20, 30]]], np.int16)
    labels = np.ones((1, 1, 5), np.uint8)
    box = ((0, 0, 0), (1, 1, 5))
    found = values_under(voxels, labels, 1, box, (-2000.0, -2000.0))
    assert found is not None
    assert (found.count, found.mean, found.least) == (3, 20.0, 10.0)
    assert values_under(voxels, labels, 1, box, (-3000.0, 100.0)) is None
    floats = np.array([[[np.nan, np.inf, 1.0, 2.0, 6.0]]], np.float32)
    found = values_under(floats, labels, 1, box, None)
    assert found is not None
    assert (found.count, found.mean) == (3, 3.0)
