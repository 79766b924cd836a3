"""Crops of volumes through the native engine, held to the numpy reference and to scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medshard.augment import GaussianNoise, Normalize, PercentileNormalize, RandomInvert, Window, ZScoreNormalize
from medshard.augment.volume import (
    CenterCrop3D,
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
    compile_volume,
    deliver,
    deliver_mask,
    draw_steps,
    draw_volume,
)
from medshard.engine import features
from medshard.errors import LoaderError
from medshard.loader.draws import VolumeCropDraws
from medshard.testing.reference_volume import reference_image, reference_mask, reference_steps

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")


def volume(shape, dtype="int16", seed=0):
    numbers = np.random.default_rng(seed)
    coarse = numbers.normal(0, 30, tuple(max(2, n // 3) for n in shape))
    values = ndimage.zoom(coarse, [n / m for n, m in zip(shape, coarse.shape, strict=True)], order=1)
    low = 0 if dtype.startswith("u") else -100
    return np.clip(values[: shape[0], : shape[1], : shape[2]] + 40, low, 120).astype(dtype)[None]


def read(geometry, stored):
    start, size = geometry.source_box(stored.shape[1:])
    box = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
    return stored[(slice(None), *box)], start


def sampled(geometry, stored):
    box, start = read(geometry, stored)
    out = np.full((len(stored), *geometry.size_zyx), np.nan, np.float32)
    deliver(geometry, [], box, start, out)
    return out


TRANSFORMS = {
    "crop": [RandomCrop3D((9, 12, 15))],
    "larger than the volume": [CenterCrop3D((40, 44, 50))],
    "larger, edge": [CenterCrop3D((40, 44, 50), outside="edge")],
    "larger, a value": [CenterCrop3D((40, 44, 50), outside=-7.5)],
    "flips": [RandomCrop3D((9, 12, 15)), RandomFlip3D(p=0.8)],
    "quarter turns": [RandomCrop3D((9, 12, 12)), RandomRot90In3D("yx")],
    "resized": [Resize3D((11, 40, 13))],
    "resized and mirrored": [Resize3D((11, 40, 13)), RandomFlip3D(p=0.9)],
    "one plane": [Resize3D((1, 1, 7))],
    "spacing": [Spacing((1.5, 0.7, 1.0)), RandomCrop3D((9, 12, 15))],
    "affine": [RandomCrop3D((9, 12, 15)), RandomAffine3D(40, scale=(0.9, 1.4), shear_degrees=10, translate_zyx=3)],
    "affine that reduces": [CenterCrop3D((9, 12, 15)), RandomAffine3D(40, scale=(0.4, 0.5))],
    "affine that reduces, edge": [CenterCrop3D((9, 12, 15), outside="edge"), RandomAffine3D(40, scale=(0.4, 0.5))],
    "in the plane": [CenterCrop3D((9, 12, 15)), RandomAffine3D(90, scale=(0.7, 1.4), in_plane=True)],
    "elastic": [CenterCrop3D((9, 12, 15)), ElasticTransform3D(6.0, 3.0)],
    "elastic, then turned": [CenterCrop3D((9, 12, 15)), ElasticTransform3D(6.0, 3.0), RandomAffine3D(30)],
    "all": [
        Spacing((1.5, 0.7, 1.0)),
        RandomCrop3D((9, 12, 15), outside=3.0),
        RandomAffine3D(40, scale=(0.6, 1.4)),
        ElasticTransform3D(6.0, 3.0),
        RandomFlip3D(),
    ],
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("shape", [(24, 30, 28), (3, 50, 7), (1, 20, 33)])
def test_sampling_equals_the_reference(name, shape) -> None:
    compiled = compile_volume(TRANSFORMS[name])
    stored = np.concatenate([volume(shape, seed=seed) for seed in (1, 2)])
    for crop in range(4):
        geometry = draw_volume(compiled, shape, VolumeCropDraws(5, 0, 7, crop), spacing_zyx_mm=(1.0, 1.0, 1.0))
        box, start = read(geometry, stored)
        out = sampled(geometry, stored)
        np.testing.assert_allclose(out, reference_image(geometry, box, start), atol=2e-3)
        labels = np.full((2, *geometry.size_zyx), -1, np.int32)
        deliver_mask(geometry, box, start, labels)
        np.testing.assert_array_equal(labels, reference_mask(geometry, box, start))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_stored_type(dtype) -> None:
    stored = volume((12, 14, 16), dtype)
    for transform in ("flips", "resized", "affine"):
        geometry = draw_volume(compile_volume(TRANSFORMS[transform]), stored.shape[1:], VolumeCropDraws(1, 2, 3, 4))
        box, start = read(geometry, stored)
        np.testing.assert_allclose(sampled(geometry, stored), reference_image(geometry, box, start), atol=2e-3)


def test_whole_voxels_are_those_that_are_stored() -> None:
    stored = volume((20, 30, 40))
    compiled = compile_volume([RandomCrop3D((8, 9, 10)), RandomFlip3D(p=0.5)])
    flipped = set()
    for crop in range(20):
        geometry = draw_volume(compiled, stored.shape[1:], VolumeCropDraws(0, 0, 0, crop))
        assert geometry.whole_voxels
        start, size = geometry.source_box(stored.shape[1:])
        assert size == (8, 9, 10)
        box = stored[0][tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))]
        turned = box[tuple(slice(None, None, -1 if flip else 1) for flip in geometry.flip_zyx)]
        np.testing.assert_array_equal(sampled(geometry, stored)[0], turned)
        flipped.add(geometry.flip_zyx)
    assert len(flipped) > 4


def test_scipy_gives_the_same_interpolation() -> None:
    stored = volume((30, 32, 34)).astype(np.float32)
    compiled = compile_volume([CenterCrop3D((12, 13, 14), outside=5.0), RandomAffine3D(30, scale=(1.0, 1.3))])
    geometry = draw_volume(compiled, stored.shape[1:], VolumeCropDraws(3, 1, 4, 1))
    matrix = geometry.source_from_output_zyx
    theirs = ndimage.affine_transform(
        stored[0], matrix[:, :3], matrix[:, 3], output_shape=(12, 13, 14), order=1, mode="grid-constant", cval=5.0
    )
    np.testing.assert_allclose(sampled(geometry, stored)[0], theirs, atol=1e-3)


def test_torch_gives_the_same_antialiased_reduction() -> None:
    torch = pytest.importorskip("torch")
    stored = volume((6, 40, 60)).astype(np.float32)
    ours = sampled(
        draw_volume(compile_volume([Resize3D((6, 17, 23))]), (6, 40, 60), VolumeCropDraws(0, 0, 0, 0)), stored
    )
    theirs = torch.nn.functional.interpolate(torch.from_numpy(stored), (17, 23), mode="bilinear", antialias=True)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-4)


STEPS = {
    "window": Window(-20, 60, jitter_centre=0.2, jitter_width=0.2),
    "percentiles": PercentileNormalize(2, 98),
    "z-score": ZScoreNormalize(),
    "normalize": [Window(-100, 200), Normalize((0.4,), (0.2,))],
    "invert": [Window(-100, 200), RandomInvert(p=1.0)],
    "noise": GaussianNoise(0.5, (1.0, 4.0), clip=False),
    "blur": GaussianBlur3D((0.5, 2.5)),
    "wide blur": GaussianBlur3D(6.0),
    "blur of three widths": GaussianBlur3D((0.05, 3.0), per_axis=True),
    "brightness": RandomBrightness3D((0.5, 1.5), p=1.0),
    "contrast": RandomContrast3D((0.5, 1.5), p=1.0),
    "contrast without bounds": RandomContrast3D((0.5, 1.5), preserve_range=False, p=1.0),
    "gamma": RandomGamma3D((0.5, 2.0), p=1.0),
    "inverted gamma": RandomGamma3D((0.5, 2.0), invert=True, p=1.0),
    "gamma without statistics": RandomGamma3D((0.5, 2.0), invert=True, retain_stats=False, p=1.0),
    "low resolution": SimulateLowResolution((0.3, 0.9), p=1.0, p_of_channel=1.0),
    "low resolution of slices": SimulateLowResolution((0.3, 0.9), in_plane=True, p=1.0, p_of_channel=1.0),
    "bias field": RandomBiasField(0.4, 3),
    "bias field of order 0": RandomBiasField(0.4, 0),
    "half of the channels": SimulateLowResolution((0.3, 0.9), p=1.0, p_of_channel=0.5),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("shape", [(12, 17, 21), (1, 9, 30), (5, 1, 1)])
def test_steps_equal_the_reference(name, shape) -> None:
    given = STEPS[name] if isinstance(STEPS[name], list) else [STEPS[name]]
    compiled = compile_volume([CenterCrop3D(shape), *given])
    stored = np.concatenate([volume((12, 17, 30), seed=seed) for seed in (1, 2, 3)])
    for crop in range(3):
        draws = VolumeCropDraws(2, 3, 4, crop)
        geometry, steps = draw_volume(compiled, stored.shape[1:], draws), draw_steps(compiled, draws, 3)
        box, start = read(geometry, stored)
        out = np.empty((3, *shape), np.float32)
        deliver(geometry, steps, box, start, out)
        plain = reference_image(geometry, box, start)
        wanted = reference_steps(plain, steps)
        spread = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(out, wanted, atol=2e-4 * spread)


@pytest.mark.parametrize("level", features()["simd_levels"])
def test_every_simd_level_gives_the_same_bits(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, every = volume((24, 30, 28)), [op for given in STEPS.values() for op in np.atleast_1d(given)]
    values = [op for op in every if not isinstance(op, (Window, Normalize, PercentileNormalize, ZScoreNormalize))]
    results = []
    for wanted in ("scalar", level):
        monkeypatch.setenv("MEDSHARD_SIMD", wanted)
        made = []
        for operations in TRANSFORMS.values():
            compiled = compile_volume([*operations, Window(-100, 200), *values])
            draws = VolumeCropDraws(5, 0, 7, 1)
            geometry = draw_volume(compiled, stored.shape[1:], draws, spacing_zyx_mm=(1.0, 1.0, 1.0))
            box, start = read(geometry, stored)
            out = np.empty((1, *geometry.size_zyx), np.float32)
            deliver(geometry, draw_steps(compiled, draws, 1), box, start, out)
            labels = np.empty((1, *geometry.size_zyx), np.int32)
            deliver_mask(geometry, box, start, labels)
            made += [out.tobytes(), labels.tobytes()]
        results.append(made)
    assert results[0] == results[1]


def test_scipy_gives_the_same_blur() -> None:
    stored = volume((12, 17, 21)).astype(np.float32)
    compiled = compile_volume([CenterCrop3D((12, 17, 21)), GaussianBlur3D(1.3)])
    draws = VolumeCropDraws(0, 0, 0, 0)
    out = np.empty(stored.shape, np.float32)
    deliver(draw_volume(compiled, stored.shape[1:], draws), draw_steps(compiled, draws, 1), stored, (0, 0, 0), out)
    np.testing.assert_allclose(out[0], ndimage.gaussian_filter(stored[0], 1.3, mode="mirror"), atol=1e-3)


def test_a_constant_crop_stays_finite() -> None:
    stored = np.full((1, 8, 8, 8), 17, np.int16)
    for name, step in STEPS.items():
        given = step if isinstance(step, list) else [step]
        compiled = compile_volume([CenterCrop3D((8, 8, 8)), *given])
        draws = VolumeCropDraws(0, 0, 0, 0)
        out = np.empty(stored.shape, np.float32)
        deliver(draw_volume(compiled, stored.shape[1:], draws), draw_steps(compiled, draws, 1), stored, (0, 0, 0), out)
        assert np.isfinite(out).all(), name


def test_a_lattice_without_bound_is_refused() -> None:
    compiled = compile_volume([CenterCrop3D((1, 1, 4_000_000)), ElasticTransform3D(2.0, 1.0)])
    drawn = draw_volume(compiled, (4, 4, 4), VolumeCropDraws(0, 0, 0, 0))
    with pytest.raises(LoaderError, match="too fine; say a larger spacing"):
        deliver_mask(drawn, np.zeros((1, 4, 4, 4), np.uint8), (0, 0, 0), np.zeros((1, 1, 1, 4_000_000), np.int32))
