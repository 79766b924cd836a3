"""The numpy references of 3D operations against scipy, torch and numpy's own polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats
from torch.nn.functional import grid_sample, interpolate

from medshard.augment import GaussianNoise, Operation
from medshard.augment.volume import (
    CenterCrop3D,
    DrawnStep,
    Elastic3D,
    ElasticTransform3D,
    GaussianBlur3D,
    RandomAffine3D,
    RandomBiasField,
    RandomBrightness3D,
    RandomContrast3D,
    RandomCrop3D,
    RandomFlip3D,
    RandomGamma3D,
    RandomRot90In3D,
    Resize3D,
    SimulateLowResolution,
    Spacing,
    VolumeGeometry,
    compile_volume,
    draw_steps,
    draw_volume,
)
from medshard.loader.draws import VolumeCropDraws
from medshard.testing.reference_volume import (
    displacement,
    reference_image,
    reference_mask,
    reference_steps,
    source_points,
)

Array = NDArray[np.float64]
SHAPE = (23, 31, 29)


def smooth(shape: Sequence[int] = SHAPE, channels: int = 1, seed: int = 0) -> Array:
    """(C, z, y, x) of stored values, as HU of soft tissue."""
    noise = np.random.default_rng(seed).normal(0, 400, (channels, *shape))
    return np.rint(ndimage.gaussian_filter(noise, (0, 1, 1, 1)) + 40)


def geometry_of(operations: Sequence[Operation], shape: Sequence[int] = SHAPE, crop: int = 0) -> VolumeGeometry:
    """One of those that are drawn."""
    return draw_volume(
        compile_volume(operations), tuple(shape), VolumeCropDraws(3, 1, 4, crop), spacing_zyx_mm=(1, 1, 1)
    )


def steps_of(operation: Operation, channels: int, crop: int = 0) -> list[DrawnStep]:
    """What is drawn for one step."""
    return draw_steps(compile_volume([CenterCrop3D((4, 4, 4)), operation]), VolumeCropDraws(3, 1, 4, crop), channels)


def whole(geometry: VolumeGeometry, stored: Array) -> Array:
    """The reference of a volume that was read whole."""
    return reference_image(geometry, stored, (0, 0, 0))


# -- sampling -------------------------------------------------------------------------------------------------------

ENLARGES = [
    [RandomCrop3D((9, 12, 15), outside=-7.0), RandomAffine3D(40, scale=(1.0, 1.5), translate_zyx=4)],
    [CenterCrop3D((30, 12, 40), outside=3.0), RandomAffine3D((5, 10, 60), scale=(1.1, 1.2))],
    [RandomCrop3D((9, 12, 15), outside=-7.0), RandomFlip3D(p=1.0), RandomAffine3D(25)],
]


@pytest.mark.parametrize("operations", ENLARGES)
@pytest.mark.parametrize("crop", range(3))
def test_an_affine_map_is_scipys(operations: list[Operation], crop: int) -> None:
    """Trilinear, of voxel centres; outside, one voxel in which values run to the constant."""
    geometry = geometry_of(operations, crop=crop)
    assert geometry.reduction == pytest.approx(1.0, abs=1e-9)
    matrix, stored = geometry.source_from_output_zyx, smooth()
    theirs = ndimage.affine_transform(
        stored[0],
        matrix[:, :3],
        matrix[:, 3],
        output_shape=geometry.size_zyx,
        order=1,
        mode="grid-constant",
        cval=float(geometry.outside),
    )
    np.testing.assert_allclose(whole(geometry, stored)[0], theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("crop", range(3))
def test_an_affine_map_is_grid_samples(crop: int) -> None:
    """torch with align_corners=False and a border of zeros, which nnU-Net uses."""
    geometry = geometry_of([RandomCrop3D((9, 12, 15), outside=0.0), RandomAffine3D(40, scale=(1.0, 1.5))], crop=crop)
    stored, points = smooth(), source_points(geometry)
    shares = (2 * points + 1) / np.array(SHAPE) - 1
    grid = torch.from_numpy(np.ascontiguousarray(shares[..., ::-1]))
    theirs = grid_sample(torch.from_numpy(stored)[None], grid[None], mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(whole(geometry, stored)[0], theirs.numpy(), rtol=0, atol=1e-8)


def test_the_outermost_voxel_goes_on_as_scipys_nearest() -> None:
    geometry = geometry_of([CenterCrop3D((30, 40, 40), outside="edge"), RandomAffine3D(40)])
    stored = smooth()
    theirs = ndimage.map_coordinates(stored[0], np.moveaxis(source_points(geometry), -1, 0), order=1, mode="nearest")
    np.testing.assert_allclose(whole(geometry, stored)[0], theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("crop", range(3))
def test_labels_are_those_of_the_nearest_voxel_as_scipy_finds_them(crop: int) -> None:
    operations = [RandomCrop3D((9, 12, 15), mask_outside=9), RandomAffine3D(40, scale=(0.6, 1.5)), ElasticTransform3D()]
    geometry = geometry_of(operations, crop=crop)
    labels = np.random.default_rng(1).integers(0, 5, (1, *SHAPE)).astype(np.uint8)
    ours = reference_mask(geometry, labels, (0, 0, 0))[0]
    points = np.moveaxis(source_points(geometry), -1, 0)
    theirs = ndimage.map_coordinates(labels[0], points, order=0, mode="grid-constant", cval=9)
    np.testing.assert_array_equal(ours, theirs)
    assert set(np.unique(ours)) <= {0, 1, 2, 3, 4, 9}


@pytest.mark.parametrize("plane", ["yx", "zy", "xz"])
def test_quarter_turns_are_numpys(plane: str) -> None:
    stored, seen = smooth((14, 14, 14)), set()
    axes = ["zyx".index(letter) for letter in plane]
    for crop in range(12):
        geometry = geometry_of([CenterCrop3D((14, 14, 14)), RandomRot90In3D(plane)], (14, 14, 14), crop)
        ours = whole(geometry, stored)[0]
        same = [k for k in range(4) if np.allclose(ours, np.rot90(stored[0], k, axes), atol=1e-9)]
        assert len(same) == 1
        seen.update(same)
    assert seen == {0, 1, 2, 3}


def antialiased(stored: Array, size: tuple[int, int, int]) -> Array:
    """torch's bilinear resize with antialias, which it has in two dimensions: y and x, then z."""
    flat = interpolate(torch.from_numpy(stored), size[1:], mode="bilinear", antialias=True)
    turned = flat.permute(0, 2, 1, 3)  # (C, y, z, x)
    return interpolate(turned, (size[0], size[2]), mode="bilinear", antialias=True).permute(0, 2, 1, 3).numpy()


@pytest.mark.parametrize("size", [(7, 11, 13), (23, 15, 60), (40, 31, 5), (23, 31, 29)])
def test_a_resize_is_torchs_antialiased_one(size: tuple[int, int, int]) -> None:
    stored = smooth(channels=2)
    ours = whole(geometry_of([Resize3D(size)]), stored)
    np.testing.assert_allclose(ours, antialiased(stored, size), rtol=0, atol=1e-8)


def test_another_spacing_is_a_resize_and_then_a_crop() -> None:
    stored = smooth()
    operations = [Spacing((2.0, 1.5, 0.8)), CenterCrop3D((8, 9, 10))]
    new = compile_volume(operations).grid_shape(SHAPE, (1.0, 1.0, 1.0))
    assert new == (12, 21, 36)
    start = [(n - edge) // 2 for n, edge in zip(new, (8, 9, 10), strict=True)]
    theirs = antialiased(stored, new)[(0, *(slice(s, s + e) for s, e in zip(start, (8, 9, 10), strict=True)))]
    np.testing.assert_allclose(whole(geometry_of(operations), stored)[0], theirs, rtol=0, atol=1e-8)


def test_what_is_read_is_enough() -> None:
    """The box of stored voxels gives what the whole volume gives, wherever the crop lies inside."""
    stored = smooth((40, 44, 48))
    moving = [
        [RandomFlip3D()],
        [RandomAffine3D(50, scale=(0.7, 1.4), shear_degrees=8)],
        [ElasticTransform3D(6.0, 3.0), RandomAffine3D(30)],
        [RandomAffine3D(20, scale=(1.0, 1.3)), ElasticTransform3D(8.0, 2.0), RandomFlip3D()],
    ]
    for operations in moving:
        geometry = geometry_of([RandomCrop3D((9, 10, 11), outside=0.0), *operations], (40, 44, 48))
        start, size = geometry.source_box((40, 44, 48))
        box = stored[(slice(None), *(slice(s, s + n) for s, n in zip(start, size, strict=True)))]
        points = source_points(geometry)
        inside = ((points >= 0) & (points <= np.array((39, 43, 47)))).all(-1)
        difference = np.abs(reference_image(geometry, box, start) - whole(geometry, stored))[0][inside]
        assert inside.mean() > 0.5
        # The cells of a reduction begin with the box.
        assert difference.max() < (1e-8 if geometry.reduction < 1 + 1e-9 else 25)


# -- elastic displacement -------------------------------------------------------------------------------------------


def elastic(**changed: object) -> Elastic3D:
    """A displacement of the crop's own voxels."""
    plain = Elastic3D(7, (6.0, 7.5, 9.0), (3.0, 2.0, 1.0), np.eye(3, 4), np.eye(3, 4))
    return replace(plain, **changed)  # type: ignore[arg-type]


def test_the_field_is_scipys_cubic_spline_of_its_lattice() -> None:
    """A cubic spline is known from its values at the nodes: scipy finds it again from them."""
    field = elastic(spacing_zyx=(1.0, 1.0, 1.0), amplitude_zyx=(1.0, 1.0, 1.0))
    nodes = np.stack(np.meshgrid(*(np.arange(-16.0, 17.0),) * 3, indexing="ij"), -1)
    at_nodes = displacement(field, nodes)
    points = np.random.default_rng(0).uniform(-4, 4, (500, 3))
    ours = displacement(field, points)
    for axis in range(3):
        theirs = ndimage.map_coordinates(at_nodes[..., axis], (points + 16).T, order=3, mode="mirror")
        np.testing.assert_allclose(ours[:, axis], theirs, rtol=0, atol=1e-6)


def test_the_field_stays_within_its_amplitude_is_smooth_and_differs_by_axis_and_seed() -> None:
    grid = np.stack(np.meshgrid(*(np.arange(24.0),) * 3, indexing="ij"), -1)
    field = displacement(elastic(), grid)
    assert (np.abs(field).max((0, 1, 2)) <= (3.0, 2.0, 1.0)).all()
    assert (field.std((0, 1, 2)) > (0.4, 0.25, 0.1)).all()
    steps = [np.abs(np.diff(field, axis=axis)).max() for axis in range(3)]
    assert max(steps) < 1.2  # of a B-spline: at most 2 / 3 · 2 · amplitude / spacing of a step
    assert abs(np.corrcoef(field[..., 0].ravel(), field[..., 1].ravel())[0, 1]) < 0.5
    assert not np.allclose(field, displacement(elastic(seed=8), grid))


def test_a_field_that_is_moved_and_turned_moves_with_its_crop() -> None:
    """Mirroring after a displacement shows the displaced picture in a mirror."""
    stored = smooth((16, 16, 16))
    plain = geometry_of([CenterCrop3D((16, 16, 16)), ElasticTransform3D(6.0, 2.0)], (16, 16, 16))
    mirrored = geometry_of(
        [CenterCrop3D((16, 16, 16)), ElasticTransform3D(6.0, 2.0), RandomFlip3D("zx", p=1.0)], (16, 16, 16)
    )
    np.testing.assert_allclose(whole(mirrored, stored), whole(plain, stored)[:, ::-1, :, ::-1], rtol=0, atol=1e-8)


# -- steps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_blur_is_scipys(sigma: float) -> None:
    crop = smooth(channels=2)
    ours = reference_steps(crop, steps_of(GaussianBlur3D(sigma), 2))
    theirs = ndimage.gaussian_filter(crop, (0, sigma, sigma, sigma), mode="mirror", truncate=4.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)


@pytest.mark.parametrize("crop", range(6))
@pytest.mark.parametrize("shape", [(23, 31, 29), (8, 8, 64), (1, 9, 10)])
def test_low_resolution_is_torchs(shape: tuple[int, int, int], crop: int) -> None:
    """interpolate by nearest-exact, then trilinear, as batchgeneratorsv2."""
    steps = steps_of(SimulateLowResolution((0.4, 0.9), p=1.0, p_of_channel=1.0), 1, crop)
    zoom = steps[0].params[0, 1]
    smaller = [max(1, int(np.floor(n * zoom + 0.5))) for n in shape]
    stored = smooth(shape)
    nearest = interpolate(torch.from_numpy(stored)[None], smaller, mode="nearest-exact")
    theirs = interpolate(nearest, shape, mode="trilinear", align_corners=False)[0].numpy()
    np.testing.assert_allclose(reference_steps(stored, steps), theirs, rtol=0, atol=1e-8)


def test_brightness_and_contrast_are_torchs_arithmetic() -> None:
    crop = smooth(channels=3)
    factors = next(step.params[:, 1] for step in steps_of(RandomBrightness3D((0.5, 1.5), p=1.0), 3))
    assert len(set(factors)) == 3
    ours = reference_steps(crop, steps_of(RandomBrightness3D((0.5, 1.5), p=1.0), 3))
    np.testing.assert_allclose(ours, crop * factors[:, None, None, None], rtol=1e-12)
    steps = steps_of(RandomContrast3D((0.5, 1.5), p=1.0), 3)
    theirs = torch.from_numpy(crop).clone()
    for channel, factor in zip(theirs, steps[0].params[:, 1].tolist(), strict=True):
        low, high, mean = channel.min(), channel.max(), channel.mean()
        channel.sub_(mean).mul_(factor).add_(mean).clamp_(low, high)
    np.testing.assert_allclose(reference_steps(crop, steps), theirs.numpy(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("invert", [False, True])
def test_gamma_is_torchs_arithmetic(invert: bool) -> None:
    crop = smooth(channels=2)
    steps = steps_of(RandomGamma3D((0.5, 2.0), invert=invert, p=1.0), 2)
    theirs = torch.from_numpy(crop).clone() * (-1 if invert else 1)
    for channel, gamma in zip(theirs, steps[0].params[:, 1].tolist(), strict=True):
        spread, mean = torch.std_mean(channel)
        low, width = channel.min(), channel.max() - channel.min()
        channel.sub_(low).div_(width).pow_(gamma).mul_(width).add_(low)
        new_spread, new_mean = torch.std_mean(channel)
        channel.sub_(new_mean).mul_(spread / new_spread).add_(mean)
    np.testing.assert_allclose(reference_steps(crop, steps), theirs.numpy() * (-1 if invert else 1), rtol=0, atol=1e-8)


@pytest.mark.parametrize("order", [0, 1, 3, 4])
def test_the_bias_field_is_numpys_polynomial(order: int) -> None:
    crop = np.ones((2, 9, 10, 11))
    steps = steps_of(RandomBiasField(0.5, order), 2)
    coefficients = np.zeros((order + 1,) * 3)
    terms = iter(steps[0].params[0, 2:].tolist())
    for a in range(order + 1):
        for b in range(order + 1 - a):
            for c in range(order + 1 - a - b):
                coefficients[a, b, c] = next(terms)
    assert next(terms, None) is None
    assert np.abs(coefficients).max() <= 0.5
    axes = [np.linspace(-1, 1, n) for n in crop.shape[1:]]
    theirs = np.exp(np.polynomial.polynomial.polygrid3d(*axes, coefficients))
    ours = reference_steps(crop, steps)
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-12)
    np.testing.assert_array_equal(ours[0], ours[1])


def test_noise_is_normal_and_each_channel_has_its_own() -> None:
    noise = reference_steps(np.zeros((2, 40, 40, 40)), steps_of(GaussianNoise(1.0, 2.0, clip=False), 2))
    assert stats.kstest((noise[0].ravel() - 1) / 2, "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02
    again = reference_steps(np.zeros((2, 40, 40, 40)), steps_of(GaussianNoise(1.0, 2.0, clip=False), 2, crop=1))
    assert abs(np.corrcoef(noise[0].ravel(), again[0].ravel())[0, 1]) < 0.02
