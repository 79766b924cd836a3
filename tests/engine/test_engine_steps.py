"""Neighbourhood and pointwise steps against their numpy references; the same bits for any threads and SIMD level."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine_jobs import Sampling, fill, whole
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from step_batches import drawn, through_engine, through_reference

import medshard
from medshard.augment import (
    CLAHE,
    JPEG,
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    MultiWindow,
    Normalize,
    Operation,
    PercentileNormalize,
    RandomAdjustSharpness,
    RandomErasing,
    RandomGamma,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
    RandomStainJitter,
    Window,
    ZScoreNormalize,
)
from medshard.augment.steps import Step
from medshard.engine import JOB, STEPS, BatchLayout, Engine, decode_image, features
from medshard.testing.operation_examples import EXAMPLES
from medshard.testing.reference_geometry import sample_filtered
from medshard.testing.reference_steps import REFERENCES
from medshard.testing.reference_values import philox

# Differences to the reference, whose numbers are float64. CLAHE's map climbs by up to one a bin where a tile has few
# pixels, and multiplies the error of the luma by that; a JPEG differs only where 8 bits round to another value.
CASES: dict[str, tuple[list[Operation], float]] = {
    "blur": ([GaussianBlur((9, 5), (0.3, 3.0))], 1e-6),
    "long blur": ([GaussianBlur(31, (4.0, 9.0))], 1e-6),
    "sharpen": ([RandomAdjustSharpness(3.0, p=1.0)], 2e-6),
    "smooth": ([RandomAdjustSharpness(0.0, p=0.5)], 1e-6),
    "clahe": ([CLAHE((1.0, 8.0))], 1e-4),
    "clahe of few tiles": ([CLAHE(40.0, tile_grid_size=(3, 2))], 1e-4),
    "jpeg": ([JPEG((5, 100))], 1e-6),
    "percentiles": ([PercentileNormalize(2.0, 97.5)], 4e-6),
    "z-score": ([ZScoreNormalize()], 1e-5),
    "z-score a channel": ([ZScoreNormalize(channel_wise=True)], 1e-5),
    "percentiles of the file": ([PercentileNormalize(2.0, 97.5, "file")], 4e-6),
    "z-score of the file": ([ZScoreNormalize(statistics="file")], 1e-5),
    "z-score a channel of the file": ([ZScoreNormalize(True, "file")], 1e-5),
    "normalize": ([RandomInvert(0.5), Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4])], 2e-6),
    "window": ([RandomInvert(0.0), Window(0.0, 1.0)][::-1], 1e-6),
    "three windows": ([MultiWindow([(0.0, 0.6), (0.2, 0.9), (-0.5, 1.5)])], 2e-6),
    "brightness": ([ColorJitter(brightness=0.9)], 1e-6),
    "contrast": ([ColorJitter(contrast=0.9)], 1e-6),
    "saturation": ([ColorJitter(saturation=3.0)], 2e-6),
    "hue": ([ColorJitter(hue=0.5)], 2e-6),
    "all of them": ([ColorJitter(0.4, 0.4, 0.4, 0.1)], 4e-6),
    "grey": ([RandomGrayscale(p=0.5)], 1e-6),
    "gamma": ([RandomGamma((0.2, 5.0), p=1.0)], 2e-6),
    "invert": ([RandomInvert(p=1.0)], 1e-6),
    "solarize": ([RandomSolarize(0.4, p=1.0)], 1e-6),
    "posterize": ([RandomPosterize(3, p=1.0)], 1e-6),
    "noise": ([GaussianNoise(0.02, (0.0, 0.5))], 2e-6),
    "unclipped noise": ([GaussianNoise(-1.0, 2.0, clip=False)], 1e-5),
    "two noises": ([GaussianNoise(sigma=0.1), GaussianNoise(sigma=0.1)], 2e-6),
    "stain": ([RandomStainJitter(0.3, 0.2)], 2e-6),
    "holes": ([RandomErasing(1.0, scale=(0.02, 0.2), holes=5, value=(0.1, 0.5, 0.9))], 1e-6),
    "blur of stored values": ([GaussianBlur(5, 1.0), Window(0.0, 1.0), RandomGamma(p=1.0)], 2e-6),
    "a whole list": (
        [
            *(ColorJitter(0.4, 0.4, 0.2, 0.1, p=0.8), RandomGrayscale(0.2), GaussianBlur(7, p=0.5), RandomGamma()),
            *(GaussianNoise(sigma=0.05), RandomErasing(), Normalize([0.5], [0.25])),
        ],
        2e-5,
    ),
}
SIZES = [(1, 1), (1, 9), (7, 1), (2, 2), (3, 5), (33, 47), (64, 72)]


def floats(size: tuple[int, int], channels: int, seed: int) -> NDArray[np.float32]:
    """Values with some beyond 0 and 1, none of which lies on the edge of a bin."""
    shape = size if channels == 1 else (*size, channels)
    smooth = np.random.default_rng(seed).normal(0.5, 0.3, shape)
    return smooth.astype(np.float32)


def test_every_step_of_the_engine_has_a_reference_and_is_compared() -> None:
    assert REFERENCES.keys() == STEPS.keys()
    compared = {step.kind for operations, _ in CASES.values() for step in drawn(operations, (4, 4), 1).steps}
    assert compared == STEPS.keys()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("stored", "channels"), [(1, 1), (1, 3), (3, 1), (3, 3), (4, 3)])
def test_any_size_equals_the_reference(name: str, stored: int, channels: int) -> None:
    operations, tolerance = CASES[name]
    for number, size in enumerate(SIZES):
        pictures = [floats(size, stored, 10 * number + k) for k in range(4)]
        values = drawn(operations, size, 4, channels=channels, seed=number)
        out = through_engine(pictures, values, channels=channels)
        expected = through_reference(pictures, values, channels=channels)
        np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance, err_msg=f"{name} of {size}")


@pytest.mark.parametrize("name", ["blur", "percentiles", "z-score", "gamma", "noise", "holes", "window", "hue"])
@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("uint16", 0, 65535), ("int16", -1024, 3071), ("float32", -900, 2900)]
)
def test_any_stored_type_equals_the_reference(name: str, dtype: str, low: int, high: int) -> None:
    operations, tolerance = CASES[name]
    rng = np.random.default_rng(3)
    pictures = [rng.integers(low, high, (21, 30), endpoint=True).astype(dtype) for _ in range(5)]
    values = drawn(operations, (21, 30), 5)
    scale, bias = 1 / (high - low), -low / (high - low)
    out = through_engine(pictures, values, scale=scale, bias=bias)
    expected = through_reference(pictures, values, scale=np.float32(scale), bias=np.float32(bias))
    np.testing.assert_allclose(out, expected, rtol=0, atol=2 * tolerance)


def test_other_output_types_hold_the_same_values() -> None:
    operations, _ = CASES["all of them"]
    pictures = [floats((19, 23), 3, k) for k in range(4)]
    values = drawn(operations, (19, 23), 4)
    exact = through_engine(pictures, values)
    assert np.array_equal(through_engine(pictures, values, dtype="float16"), exact.astype(np.float16))
    rounded = np.rint(exact * np.float32(255)).astype(np.uint8)
    assert np.array_equal(through_engine(pictures, values, dtype="uint8"), rounded)


EVERY = [step for step in EXAMPLES if isinstance(step, Step)]


@pytest.mark.parametrize("step", EVERY, ids=lambda step: step.kind)
def test_a_flip_may_stand_after_just_those_steps_that_give_the_mirrored_result(step: Step) -> None:
    picture = floats((45, 61), 3, 1)
    values = drawn([step], (45, 61), 1)
    done = through_engine([picture], values)[0]
    for axis in (0, 1):
        mirrored = through_engine([np.ascontiguousarray(np.flip(picture, axis))], values)[0]
        same = np.allclose(mirrored, np.flip(done, axis + 1), rtol=0, atol=1e-5)
        assert same == step.mirrors


def test_a_step_that_cannot_be_done_says_why_and_the_others_go_on() -> None:
    size = (1, 65501)  # a JPEG has at most 65500 columns
    values = drawn([JPEG(50)], size, 2)
    values.params[1, [step.first for step in values.steps if step.kind == "jpeg"]] = 0
    layout = BatchLayout(*size, 1, steps=values.steps)
    jobs = np.zeros(3, JOB)
    picture = np.ones(size, np.float32)
    for place in range(3):
        fill(jobs[place], whole(picture, size))
        jobs[place]["out"] = place * layout.slot_bytes
        jobs[place]["params"] = values.params.ctypes.data + place * values.params.strides[0] if place < 2 else 0
    jobs["height"], jobs["width"] = size
    out = np.full((3, *size), 77, np.float32)
    failed = Engine(1).run(jobs, out.ctypes.data, layout, keep_alive=(picture, values))
    assert failed.keys() == {0, 2}
    assert failed[0].startswith("compression as JPEG: ")
    assert failed[2] == "the steps of the batch have no parameters"
    assert [out[place].mean() for place in range(3)] == [0, 1, 0]


def test_values_that_are_no_numbers_stop_nothing() -> None:
    wild = floats((16, 16), 3, 0)
    wild[::3, ::2] = np.nan
    wild[1::3, ::2] = np.inf
    wild[2::3, ::2] = -np.inf
    for operations, _ in CASES.values():
        through_engine([wild, np.full((16, 16), np.nan, np.float32)], drawn(operations, (16, 16), 2))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize("step", [PercentileNormalize(3.0, 95.0, "file"), ZScoreNormalize(statistics="file")])
def test_statistics_of_the_file_are_those_of_all_its_pixels_and_not_of_the_crop(kind: str, step: Operation) -> None:
    """Of two crops of one file, far apart; a JPEG is then neither cut off below the crop nor decoded at half size."""
    height, width, size = 160, 120, (20, 16)
    ramp = (np.linspace(0, 255, height)[:, None] * np.linspace(0.2, 1, width)[None]).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], -1)).save(stream, kind.upper())
    stored = decode_image(stream.getvalue())
    values = drawn([step], size, 2)
    layout = BatchLayout(*size, 3, steps=values.steps, reduce=1)
    jobs = np.zeros(2, JOB)
    boxes = [(0, 0, 64, 60), (50, 100, 114, 160)]
    for place, box in enumerate(boxes):
        fill(jobs[place], Sampling(stream.getvalue(), box, box))
        jobs[place]["out"] = place * layout.slot_bytes
        jobs[place]["params"] = values.params.ctypes.data + place * values.params.strides[0]
    jobs["height"], jobs["width"] = size
    out = np.zeros((2, 3, *size), np.float32)
    assert Engine(1).run(jobs, out.ctypes.data, layout, keep_alive=(stream, values)) == {}
    for place, box in enumerate(boxes):
        sampled = sample_filtered(stored, box, box, size)
        if isinstance(step, ZScoreNormalize):
            expected = (sampled - stored.mean()) / stored.std()
        else:
            low, high = np.percentile(stored, (3, 95))
            expected = np.clip((sampled - low) / (high - low), 0, 1)
        np.testing.assert_allclose(out[place], expected.transpose(2, 0, 1), rtol=0, atol=1e-5)


def everything(threads: int = 1) -> str:
    """A digest of all cases."""
    digest = hashlib.sha256()
    engine = Engine(threads)
    for name in sorted(CASES):
        for size in ((37, 53), (5, 130)):
            pictures = [floats(size, 3, k) for k in range(7)]
            digest.update(through_engine(pictures, drawn(CASES[name][0], size, 7), engine=engine).tobytes())
    return digest.hexdigest()


def test_any_number_of_threads_gives_the_same_bits() -> None:
    expected = everything()
    for threads in (2, 3, 7):
        assert everything(threads) == expected


PROGRAM = """
from medshard.engine import features
from test_engine_steps import everything
print(features()["simd"], everything())
"""


@pytest.mark.parametrize("level", features()["simd_levels"])
def test_every_simd_level_gives_the_same_bits(level: str) -> None:
    paths = os.pathsep.join([str(Path(medshard.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "MEDSHARD_SIMD": level}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == [level, everything()]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0, 0, 0, 0], 0, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, 2**64 - 1, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            0x299F31D0A4093822,
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_generator_is_philox_by_its_authors_known_answers(counter: list[int], key: int, words: list[int]) -> None:
    """Known answers of Random123 (kat_vectors: philox4x32 10)."""
    assert philox(np.array([counter], np.uint32), key)[0].tolist() == words


def test_noise_is_normal_and_of_each_item_and_step_by_itself() -> None:
    size = (200, 301)
    pictures = [np.zeros(size, np.float32)] * 3
    noise = GaussianNoise(0.0, 1.0, clip=False)
    one = through_engine(pictures, drawn([noise, Normalize([0.0], [1.0])], size, 3)).astype(np.float64)
    assert stats.kstest(one[0].ravel(), "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(one[0].ravel())) < 0.05
    assert abs(one).max() < 6
    planes = one.reshape(9, -1)
    first, second = (
        through_engine(pictures[:1], drawn(operations, size, 1)).reshape(3, -1)
        for operations in ([noise], [RandomErasing(p=0.0), noise])
    )
    related = np.corrcoef(np.concatenate([planes, second]))
    assert abs(related - np.eye(12)).max() < 0.02
    assert not np.array_equal(first, second), "another place in the list has other numbers"
    for shift in (1, 2, 3, 4, 301):
        assert abs(np.corrcoef(planes[0][shift:], planes[0][:-shift])[0, 1]) < 0.02
