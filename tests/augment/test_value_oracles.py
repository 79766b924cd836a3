"""The numpy references of steps on values against OpenCV, scikit-image, scipy, Pillow, torch and torchvision."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage
from skimage import color, data, exposure

from medshard.augment import ColorJitter, GaussianBlur, Operation, RandomErasing, RandomStainJitter
from medshard.augment.color import HED_DENSITIES
from medshard.augment.steps import Draws, Step
from medshard.testing import reference_neighbourhood as around
from medshard.testing import reference_values as values

ALL = np.ones(1, bool)


def params(step: Step, *, at: float = 0.5, size: tuple[int, int] = (64, 64)) -> NDArray[np.float64]:
    """The parameters of one item when every drawn number is ``at``."""
    return step.params(Draws(lambda _: np.array([at]), *size, 3, ALL, ALL))[0]


def photo() -> NDArray[np.uint8]:
    """(H, W, 3): a histological section, immunohistochemistry with haematoxylin, of scikit-image."""
    return np.ascontiguousarray(data.immunohistochemistry()[40:163, 200:377])


def planes(picture: NDArray[np.generic]) -> NDArray[np.float64]:
    """(C, H, W), 0..1."""
    scaled = np.asarray(picture, np.float64) / 255
    return scaled[None] if scaled.ndim == 2 else scaled.transpose(2, 0, 1)


@pytest.mark.parametrize("size", [(3, 3), (9, 5), (1, 7), (31, 31)])
@pytest.mark.parametrize("sigma", [0.3, 1.5, 7.0])
def test_blur_is_opencvs(size: tuple[int, int], sigma: float) -> None:
    """OpenCV's kernels of given sigma, its border BORDER_REFLECT_101, in float64."""
    picture = planes(photo())
    ours = around.gaussian_blur(picture, params(GaussianBlur(size, sigma)))
    seen = cv2.GaussianBlur(picture.transpose(1, 2, 0), size, sigma, sigmaY=sigma, borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(ours, seen.transpose(2, 0, 1), rtol=0, atol=1e-9)


def test_blur_is_scipys() -> None:
    picture = planes(photo())
    ours = around.gaussian_blur(picture, params(GaussianBlur(25, 2.0)))
    seen = ndimage.gaussian_filter(picture, (0, 2.0, 2.0), mode="mirror", truncate=6.0)
    np.testing.assert_allclose(ours, seen, rtol=0, atol=1e-8)


@pytest.mark.parametrize("clip_limit", [1.0, 2.0, 7.5, 40.0])
@pytest.mark.parametrize("grid", [(8, 8), (4, 6), (1, 1), (3, 11)])
@pytest.mark.parametrize("shape", [(128, 192), (123, 177), (120, 177), (17, 9)])
def test_clahe_is_opencvs(clip_limit: float, grid: tuple[int, int], shape: tuple[int, int]) -> None:
    """OpenCV rounds each map and each result to 8 bits, at most one step of 255 away together."""
    source = cv2.resize(cv2.cvtColor(photo(), cv2.COLOR_RGB2GRAY), shape[::-1])
    seen = cv2.createCLAHE(clip_limit, grid[::-1]).apply(source)
    ours = around.clahe(planes(source), [clip_limit, *grid])[0] * 255
    assert abs(ours - seen).max() <= 1.001


def test_clahe_of_one_tile_without_a_limit_is_plain_equalisation() -> None:
    source = cv2.cvtColor(photo(), cv2.COLOR_RGB2GRAY)
    ours = around.clahe(planes(source), [256.0, 1, 1])[0]
    share_below = exposure.cumulative_distribution(source, 256)
    expected = np.interp(source, share_below[1], share_below[0])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_clahe_of_colours_moves_all_channels_alike() -> None:
    picture = planes(photo()) * 0.5 + 0.25
    changed = around.clahe(picture, [1.5, 8, 8])
    inside = ((changed > 0) & (changed < 1)).all(0)
    moves = (changed - picture)[:, inside]
    assert inside.mean() > 0.9
    np.testing.assert_allclose(moves, np.repeat(moves[:1], 3, 0), rtol=0, atol=1e-12)
    equalized = around.clahe(values.luma(picture), [1.5, 8, 8])
    np.testing.assert_allclose(values.luma(changed)[0][inside], equalized[0][inside], rtol=0, atol=1e-12)


@pytest.mark.parametrize("quality", [1, 30, 75, 95, 100])
def test_jpeg_is_opencvs(quality: int) -> None:
    """OpenCV holds a libjpeg-turbo of its own; both use the exact integer transform."""
    source = photo()
    ours = around.jpeg(planes(source), [quality]) * 255
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    _, stream = cv2.imencode(".jpg", source[..., ::-1], options)
    seen = cv2.imdecode(stream, cv2.IMREAD_COLOR)[..., ::-1].transpose(2, 0, 1)
    assert abs(ours - seen).max() <= 1


def test_stain_jitter_scales_the_amounts_that_scikit_image_finds() -> None:
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.03, 0.12, (40, 50, 3))
    stained = color.hed2rgb(amounts)
    assert stained.min() > 1e-6, "no colour is clipped"
    step = RandomStainJitter(0.2, 0.06)
    for at in (0.0, 0.25, 0.9):
        changed = values.stain_jitter(stained.transpose(2, 0, 1), params(step, at=at)).transpose(1, 2, 0)
        scale, shift = 0.8 + 0.4 * at, (-0.06 + 0.12 * at) / 6  # scikit-image's unit is six decades
        free = (changed < 1).all(-1)
        assert free.mean() > 0.9
        np.testing.assert_allclose(color.rgb2hed(changed)[free], (amounts * scale + shift)[free], rtol=0, atol=1e-9)


def test_stain_jitter_of_nothing_leaves_every_colour() -> None:
    assert np.allclose(HED_DENSITIES, color.rgb_from_hed)
    picture = np.random.default_rng(1).uniform(1e-3, 1, (3, 30, 40))
    still = values.stain_jitter(picture, params(RandomStainJitter(0.0, 0.0)))
    np.testing.assert_allclose(still, picture, rtol=0, atol=1e-12)


def test_stain_jitter_equals_the_steps_of_scikit_image_on_a_section() -> None:
    """The section is brought to colours of non-negative amounts, since scikit-image takes negative ones as none."""
    amounts = color.rgb2hed(np.maximum(planes(photo()), 0.02).transpose(1, 2, 0))
    section = color.hed2rgb(amounts)
    assert section.min() > 1e-6
    step = RandomStainJitter(0.1, 0.03)
    ours = values.stain_jitter(section.transpose(2, 0, 1), params(step, at=0.8)).transpose(1, 2, 0)
    expected = color.hed2rgb(amounts * (0.9 + 0.2 * 0.8) + (-0.03 + 0.06 * 0.8) / 6)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_hue_is_scikit_images() -> None:
    picture = planes(photo())
    for turn in (-0.5, -0.2, 0.01, 0.37, 0.5):
        hsv = color.rgb2hsv(picture.transpose(1, 2, 0))
        hsv[..., 0] = np.mod(hsv[..., 0] + turn, 1)
        expected = color.hsv2rgb(hsv).transpose(2, 0, 1)
        ours = values.color_jitter(picture, [1, 1, 1, turn])
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_gamma_is_scikit_images() -> None:
    picture = planes(photo())
    for exponent in (0.2, 1.0, 3.3):
        np.testing.assert_allclose(values.gamma(picture, [exponent]), exposure.adjust_gamma(picture, exponent))


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_brightness_contrast_saturation_and_sharpness_are_pillows(factor: float) -> None:
    """Pillow rounds to 8 bits after each step, and takes the mean as a whole number."""
    image = Image.fromarray(photo())
    picture = planes(photo())

    def seen(enhancer: Any) -> NDArray[np.float64]:
        return planes(np.asarray(enhancer(image).enhance(factor)))

    for place, enhancer in enumerate((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)):
        given = [1.0, 1.0, 1.0, 0.0]
        given[place] = factor
        assert abs(values.color_jitter(picture, given) - seen(enhancer)).max() <= 2.01 / 255
    assert abs(around.sharpness(picture, [factor]) - seen(ImageEnhance.Sharpness)).max() <= 1.51 / 255


def test_solarize_posterize_invert_and_grey_are_pillows() -> None:
    image, picture = Image.fromarray(photo()), planes(photo())
    assert abs(values.invert(picture) - planes(np.asarray(ImageOps.invert(image)))).max() < 1e-12
    seen = planes(np.asarray(ImageOps.solarize(image, 128)))
    assert abs(values.solarize(picture, [128 / 255]) - seen).max() < 1e-12
    grey = planes(np.asarray(image.convert("L")))
    assert abs(values.grayscale(picture)[1] - grey[0]).max() <= 0.51 / 255
    posterized = np.asarray(ImageOps.posterize(image, 3)) // 32
    assert np.array_equal(np.rint(values.posterize(picture * 255 / 256, [8]) * 8).transpose(1, 2, 0), posterized)


def test_percentiles_and_z_scores_are_scikit_images_and_torchs() -> None:
    stored = np.random.default_rng(2).normal(300, 90, (3, 40, 50))
    low, high = np.percentile(stored, (1, 98))
    expected = exposure.rescale_intensity(stored, in_range=(low, high), out_range=(0.0, 1.0))
    np.testing.assert_allclose(values.percentile_normalize(stored, [1, 98, 0], whole=stored), expected, atol=1e-12)
    instance = torch.nn.functional.instance_norm(torch.from_numpy(stored)[None], eps=0)[0].numpy()
    np.testing.assert_allclose(values.zscore_normalize(stored, [1, 0], whole=stored), instance, atol=1e-9)
    layer = torch.nn.functional.layer_norm(torch.from_numpy(stored), stored.shape, eps=0).numpy()
    np.testing.assert_allclose(values.zscore_normalize(stored, [0, 0], whole=stored), layer, atol=1e-9)


def functional() -> Any:
    return pytest.importorskip("torchvision.transforms.v2.functional", reason="torchvision is not installed")


TORCHVISION: Sequence[tuple[str, list[float], str, dict[str, Any], float]] = [
    ("color_jitter", [1.4, 1, 1, 0], "adjust_brightness", {"brightness_factor": 1.4}, 1e-12),
    # torchvision's luma has 0.2989 for 0.299.
    ("color_jitter", [1, 1.7, 1, 0], "adjust_contrast", {"contrast_factor": 1.7}, 1e-4),
    ("color_jitter", [1, 1, 2.5, 0], "adjust_saturation", {"saturation_factor": 2.5}, 2e-4),
    ("color_jitter", [1, 1, 1, 0.3], "adjust_hue", {"hue_factor": 0.3}, 1e-6),
    ("grayscale", [], "rgb_to_grayscale", {"num_output_channels": 3}, 1.01e-4),
    ("gamma", [2.2], "adjust_gamma", {"gamma": 2.2}, 1e-12),
    ("invert", [], "invert", {}, 1e-12),
    ("solarize", [0.4], "solarize", {"threshold": 0.4}, 1e-12),
    ("posterize", [8], "posterize", {"bits": 3}, 1e-12),
    (
        "normalize",
        [0.4, 0.5, 0.6, 0.2, 0.3, 0.4],
        "normalize",
        {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
        1e-12,
    ),
    ("sharpness", [3.0], "adjust_sharpness", {"sharpness_factor": 3.0}, 1e-9),
]


@pytest.mark.parametrize(("ours", "given", "theirs", "options", "tolerance"), TORCHVISION)
def test_values_are_torchvisions(
    ours: str, given: list[float], theirs: str, options: dict[str, Any], tolerance: float
) -> None:
    picture = planes(photo())
    reference = getattr(values, ours, None) or getattr(around, ours)
    seen = getattr(functional(), theirs)(torch.from_numpy(picture), **options).numpy()
    np.testing.assert_allclose(reference(picture, given), seen, rtol=0, atol=tolerance)


@pytest.mark.parametrize("size", [[3, 3], [9, 5], [1, 7]])
def test_blur_and_jpeg_are_torchvisions(size: list[int]) -> None:
    picture = planes(photo())
    seen = functional().gaussian_blur(torch.from_numpy(picture), size, [1.3, 1.3]).numpy()
    np.testing.assert_allclose(around.gaussian_blur(picture, params(GaussianBlur(size, 1.3))), seen, atol=1e-6)


def test_a_hole_is_drawn_as_torchvision_draws_it() -> None:
    """Areas and shapes of many holes lie within the bounds, and everywhere in them."""
    count, size = 4000, (100, 140)
    rng = np.random.default_rng(0)
    allowed = np.ones(count, bool)
    draws = Draws(lambda _: rng.random(count), *size, 3, allowed, allowed)
    step = RandomErasing(scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.7)
    drawn = step.params(draws)
    assert (drawn[:, :3] == 0.7).all()
    top, left, bottom, right = drawn[:, 3:].T
    height, width = bottom - top, right - left
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (bottom <= size[0]).all()
    assert (right <= size[1]).all()
    there = height > 0
    assert there.mean() > 0.999
    share, shape = (height * width)[there] / (size[0] * size[1]), height[there] / width[there]
    assert 0.018 < share.min() < 0.025
    assert 0.30 < share.max() < 0.335
    assert 0.27 < shape.min() < 0.33
    assert 3.0 < shape.max() < 3.6
    assert abs(np.log(shape).mean()) < 0.05


def test_colour_factors_are_torchvisions_ranges() -> None:
    step = ColorJitter(brightness=0.3, contrast=(0.5, 2.0), saturation=1.5, hue=0.2)
    assert params(step, at=0.0).tolist() == pytest.approx([0.7, 0.5, 0.0, -0.2])
    assert params(step, at=1.0).tolist() == pytest.approx([1.3, 2.0, 2.5, 0.2])
    assert params(ColorJitter(), at=0.3).tolist() == [1, 1, 1, 0]
    assert isinstance(step, Operation)


def test_jpeg_reference_is_what_pillow_stores() -> None:
    """A round trip of a JPEG at the same quality: the reference goes through a file as it would lie on a disk."""
    stream = io.BytesIO()
    Image.fromarray(photo()).save(stream, "JPEG", quality=40)
    stored = np.asarray(Image.open(stream))
    assert np.array_equal(np.rint(around.jpeg(planes(photo()), [40]) * 255).transpose(1, 2, 0), stored)
