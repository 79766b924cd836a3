"""Masks on the grid of their image: turned without a change, or resampled, against nibabel and SimpleITK."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from medshard.convert.grids import resampled_labels, same_grid, turned_labels
from medshard.errors import GeometryError

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
LABELS = np.random.default_rng(4).choice(np.array([0, 0, 1, 2, 300], np.uint16), (6, 7, 9))


def oblique(spacing: tuple[float, float, float] = (0.8, 0.9, 2.5), turn: float = 0.2) -> NDArray[np.float64]:
    """(i, j, k) to RAS mm."""
    cos, sin = np.cos(turn), np.sin(turn)
    around_z, around_x = [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], [[1, 0, 0], [0, cos, -sin], [0, sin, cos]]
    affine = np.eye(4)
    affine[:3, :3] = np.array(around_z) @ np.array(around_x) @ np.diag(spacing)
    affine[:3, 3] = [-12.5, 30.25, 4.0]
    return affine


def itk(array: NDArray[np.generic], affine: NDArray[np.float64]) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array)
    lps = LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_axes_in_another_order_are_turned_as_nibabel_turns_them(
    order: tuple[int, int, int], flips: tuple[int, int, int]
) -> None:
    affine = oblique()
    picture = nibabel.Nifti1Image(LABELS.T, affine, dtype=np.uint16)
    turned = picture.as_reoriented(np.column_stack([order, flips]))
    found = turned_labels(np.asarray(turned.dataobj).T, turned.affine, LABELS.shape, affine)
    assert found is not None
    assert np.array_equal(found, LABELS)


def test_channels_are_turned_along() -> None:
    affine = oblique()
    turned = affine @ np.array([[0, 0, -1, 8], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    both = np.stack([LABELS, LABELS[::-1]])
    found = turned_labels(both, affine, (9, 7, 6), turned)
    assert found is not None
    assert all(np.array_equal(found[c], turned_labels(both[c], affine, (9, 7, 6), turned)) for c in (0, 1))


@pytest.mark.parametrize("change", ["shape", "spacing", "half a voxel", "turn"])
def test_other_grids_are_not_turned(change: str) -> None:
    affine, onto, shape = oblique(), oblique(), LABELS.shape
    if change == "shape":
        shape = (6, 7, 8)
    elif change == "spacing":
        onto[:3, 2] *= 1.01
    elif change == "half a voxel":
        onto[:3, 3] += onto[:3, 0] / 2
    else:
        onto = oblique(turn=0.25)
    assert turned_labels(LABELS, affine, shape, onto) is None


@pytest.mark.parametrize("spacing", [(0.8, 0.9, 2.5), (1.3, 0.5, 1.1), (3.0, 3.0, 3.0)])
@pytest.mark.parametrize("turn", [0.0, 0.2, -0.7])
def test_resampled_labels_equal_simpleitk(spacing: tuple[float, float, float], turn: float) -> None:
    affine, onto = oblique(), oblique(spacing, turn)
    onto[:3, 3] += [0.37, -1.21, 0.77]  # no centre falls on a border
    shape = (8, 11, 10)
    found, outside, _ = resampled_labels(LABELS, affine, shape, onto)
    like = itk(np.zeros(shape, np.uint8), onto)
    theirs = SimpleITK.Resample(itk(LABELS, affine), like, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0)
    assert np.array_equal(found, SimpleITK.GetArrayFromImage(theirs))
    ones = SimpleITK.Resample(
        itk(np.ones(LABELS.shape, np.uint8), affine), like, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0
    )
    assert outside == pytest.approx(1 - SimpleITK.GetArrayFromImage(ones).mean())


def test_what_is_lost_beyond_the_image_is_counted() -> None:
    onto = oblique()
    onto[:3, 3] += 2 * onto[:3, 2]  # the image begins two slices later
    found, outside, lost = resampled_labels(LABELS, oblique(), LABELS.shape, onto)
    assert np.array_equal(found[:4], LABELS[2:])
    assert not found[4:].any()
    assert outside == pytest.approx(2 / 6)
    assert lost == pytest.approx((LABELS[:2] != 0).sum() / (LABELS != 0).sum())


def test_a_centre_on_a_border_takes_the_higher_index() -> None:
    line = np.arange(1, 5, dtype=np.uint8).reshape(1, 1, 4)
    onto = np.eye(4)
    onto[0, 3] = 0.5
    assert resampled_labels(line, np.eye(4), (1, 1, 4), onto)[0].ravel().tolist() == [2, 3, 4, 0]


def test_grids_are_compared_in_millimetres() -> None:
    affine, near = oblique(), oblique()
    near[:3, 3] += 5e-4
    same_grid("m", LABELS.shape, affine, (2, *LABELS.shape), near)
    near[:3, 3] += 5e-3
    with pytest.raises(GeometryError, match=r"m: grids lie 0\.0055 mm apart at a corner"):
        same_grid("m", LABELS.shape, affine, LABELS.shape, near)
    with pytest.raises(GeometryError, match=r"grids differ: \[6, 7, 9\] voxels against \[6, 7, 8\]"):
        same_grid("m", (6, 7, 8), affine, LABELS.shape, affine)
