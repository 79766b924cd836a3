"""Turns, borders, warps and several crops of one source: the same bits everywhere, and no job harms another."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import medshard
from medshard.engine import CODECS, JOB, BatchLayout, Engine, Patches, address_of, displace, encode_png, features
from medshard.testing.reference import cut_patches
from medshard.testing.reference_geometry import Filter, displaced, sample_job

LEVELS = features()["simd_levels"]
SIZE = (21, 33)
LAYOUT = BatchLayout(*SIZE, mean=(0.4, 0.5, 0.6), deviation=(0.2, 0.3, 0.4))


def stored(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*rng.integers(3, 70, 2), 3)).astype(np.uint8) for _ in range(count)]


def job_of(picture: NDArray[np.uint8], number: int, slot_bytes: int) -> NDArray[np.void]:
    """A job of one of several kinds, by its number."""
    rng = np.random.default_rng(number)
    height, width = picture.shape[:2]
    job = np.zeros((), JOB)
    job["address"], job["size"], job["codec"] = picture.ctypes.data, picture.nbytes, CODECS["uint8"]
    job["raw"], job["out"] = picture.shape, number * slot_bytes
    job["height"], job["width"], job["scale"] = *SIZE, 1 / 255
    job["box"], job["bounds"] = (0, 0, width, height), (0, 0, width, height)
    job["border"], job["fill"] = number % 3, 0.3
    kind = number % 4
    if kind == 0:
        job["transpose"], job["flip_x"] = 1, 1
    elif kind == 1:
        job["box"], job["extent"] = (-7, -3, width + 4, height), (-7, -3, width + 4, height)
        job["inner"] = (2, 3, 30, 19)
    else:
        job["grid"] = (max(1, height // 2), max(1, width // 2))
        angle = rng.uniform(0, 7)
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        offset = np.array([width / 4, height / 4]) - linear @ (SIZE[1] / 2, SIZE[0] / 2)
        job["map"], job["before"] = np.concatenate([linear, offset[:, None]], 1).ravel(), (1, 0, 0, 0, 1, 0)
        if kind == 3:
            job["elastic_seed"], job["elastic_spacing"] = rng.integers(0, 2**63), (6.0, 8.0)
            job["elastic_amplitude"] = (5.0, 3.0)
    return job


def made(threads: int = 1, layout: BatchLayout = LAYOUT) -> NDArray[np.float32]:
    pictures = stored(48)
    jobs = np.array([job_of(picture, number, LAYOUT.slot_bytes) for number, picture in enumerate(pictures)], JOB)
    jobs["canvas"] = (*SIZE, 0, 0)
    out = np.full((48, 3, *SIZE), 77, np.float32)
    assert Engine(threads).run(jobs, out.ctypes.data, layout, keep_alive=pictures) == {}
    return out


def reference(picture: NDArray[np.uint8], number: int, filter: Filter) -> NDArray[np.float64]:
    expected = np.asarray(sample_job(picture, job_of(picture, number, 0)[()], filter=filter), np.float64) / 255
    return ((np.clip(expected, 0, 1) - LAYOUT.mean) / LAYOUT.deviation).transpose(2, 0, 1)


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
def test_jobs_of_every_kind_equal_the_reference(filter: Filter) -> None:
    out = made(layout=replace(LAYOUT, filter=filter))
    for number, picture in enumerate(stored(48)):
        expected = reference(picture, number, filter)
        np.testing.assert_allclose(out[number], expected, rtol=0, atol=4e-5, err_msg=str(number))


def test_jobs_of_every_kind_are_cut_into_patches() -> None:
    """In floats where a warp or a constant border is on the way; else in levels, two roundings away from them."""
    out = made(layout=replace(LAYOUT, patches=Patches(3)))
    for number, picture in enumerate(stored(48)):
        floats = number % 4 >= 2 or (number % 4 == 1 and number % 3 == 0)
        expected = cut_patches(reference(picture, number, "bilinear"), 3)
        atol = 4e-5 if floats else 1.01 / 255 / min(LAYOUT.deviation)
        np.testing.assert_allclose(out[number].reshape(-1, 27), expected, rtol=0, atol=atol, err_msg=str(number))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    assert len({made(threads).tobytes() for threads in (1, 2, 3, 7)}) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_every_simd_level_gives_the_same_bits(level: str) -> None:
    program = (
        "import hashlib; from test_engine_geometry import made; print(hashlib.sha256(made(2).tobytes()).hexdigest())"
    )
    paths = os.pathsep.join([str(Path(medshard.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "MEDSHARD_SIMD": level}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == hashlib.sha256(made().tobytes()).hexdigest(), done.stderr


def crops_of(source: bytes, boxes: list[tuple[int, int, int, int]], layout: BatchLayout) -> NDArray[np.void]:
    jobs = np.zeros(len(boxes), JOB)
    jobs["address"], jobs["size"], jobs["scale"] = address_of(source), len(source), 1 / 255
    jobs["box"], jobs["bounds"] = boxes, boxes
    jobs["height"], jobs["width"] = layout.height, layout.width
    jobs["out"] = np.arange(len(boxes)) * layout.slot_bytes
    return jobs


def test_crops_of_one_stream_equal_each_alone_and_one_that_fails_harms_no_other() -> None:
    layout = BatchLayout(9, 12)
    source = encode_png(np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8))
    boxes = [(0, 0, 10, 10), (70, 50, 80, 60), (20, 10, 60, 50), (70, 50, 90, 60), (5, 5, 6, 6)]
    jobs = crops_of(source, boxes, layout)
    together = np.full((5, 3, 9, 12), 77, np.float32)
    failed = Engine(2).run(jobs, together.ctypes.data, layout, keep_alive=(source,))
    assert list(failed) == [3]
    assert "reaches outside the picture of 80 x 60" in failed[3]
    assert not together[3].any()
    for number in (0, 1, 2, 4):
        alone = np.full((1, 3, 9, 12), 77, np.float32)
        job = jobs[number : number + 1].copy()
        job["out"] = 0
        assert Engine(1).run(job, alone.ctypes.data, layout, keep_alive=(source,)) == {}
        assert np.array_equal(alone[0], together[number])


def test_a_damaged_stream_fails_all_of_its_crops_and_no_other() -> None:
    layout = BatchLayout(9, 12)
    good = encode_png(np.full((60, 80, 3), 255, np.uint8))
    bad = good[: len(good) // 2]
    boxes = [(0, 0, 10, 10), (20, 10, 60, 50)]
    jobs = np.concatenate([crops_of(source, boxes, layout) for source in (good, bad, good)]).astype(JOB)
    jobs["out"] = np.arange(6) * layout.slot_bytes
    out = np.full((6, 3, 9, 12), 77, np.float32)
    failed = Engine(2).run(jobs, out.ctypes.data, layout, keep_alive=(good, bad))
    assert sorted(failed) == [2, 3]
    assert failed[2] == failed[3]
    assert (out[[0, 1, 4, 5]] == 1).all()
    assert not out[[2, 3]].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"border": 3}, "reaches outside"),
        ({"grid": (0, 5)}, "reaches outside"),
        ({"grid": (5, -5)}, "reaches outside"),
        ({"grid": (2**30, 2**30)}, "reaches outside"),
        ({"grid": (2**19, 2**19), "map": (1e5, 0, 0, 0, 1e5, 0)}, "more than"),
        ({"grid": (5, 5), "map": (np.nan, 0, 0, 0, 1, 0)}, "without a usable map"),
        ({"grid": (5, 5), "map": (np.inf, 0, 0, 0, 1, 0)}, "without a usable map"),
        ({"box": (0, 0, np.nan, 10)}, "reaches outside"),
        ({"box": (0, 0, 1e300, 10)}, "reaches outside"),
        ({"extent": (-(2**31), 0, 2**31 - 1, 20)}, "too far outside"),
        ({"grid": (5, 5), "elastic_spacing": (1e-9, 1.0)}, "too fine a lattice"),
        ({"grid": (5, 5), "elastic_spacing": (3.0, 0.0)}, "usable spacing"),
        ({"grid": (5, 5), "elastic_spacing": (3.0, 3.0), "elastic_amplitude": (np.nan, 0.0)}, "usable spacing"),
        ({"grid": (5, 5), "elastic_spacing": (3.0, 3.0), "before": (1, 0.5, 0, 0.5, 1, 0)}, "turns by other"),
    ],
)
def test_a_job_that_makes_no_sense_fails_by_itself(change: dict[str, Any], message: str) -> None:
    picture = stored(1)[0]
    jobs = np.array([job_of(picture, 2, LAYOUT.slot_bytes)] * 2, JOB)
    jobs["out"] = 0, LAYOUT.slot_bytes
    for name, value in change.items():
        jobs[0][name] = value
    for layout in (LAYOUT, BatchLayout(*SIZE, 1, "int32", mask=True)):
        out = np.full((2, 3, *SIZE), 77, np.float32)
        failed = Engine(1).run(jobs, out.ctypes.data, layout, keep_alive=(picture,), max_pixels=10**6)
        assert list(failed) == [0]
        assert message in failed[0]


def test_random_jobs_never_harm_the_process() -> None:
    """Fields of any value: each job fails with a reason, or fills its slot with finite numbers."""
    rng = np.random.default_rng(5)
    picture = stored(1)[0]
    special = np.array([0, 1, -1, 0.5, 1e9, -1e9, 1e300, np.nan, np.inf])
    kept = {"address", "size", "codec", "raw", "out", "height", "width", "scale", "bias", "params", "noise_seed"}
    done = 0
    mask_layout = BatchLayout(*SIZE, 1, "int32", mask=True)
    for number in range(600):
        jobs = np.array([job_of(picture, number, 0)], JOB)
        jobs["out"] = 0
        for name in rng.choice([name for name in JOB.names or () if name not in kept], 2):
            field = np.atleast_1d(jobs[name][0])
            value = float(rng.choice(special) if rng.random() < 0.5 else rng.uniform(-100, 100))
            if field.dtype.kind in "iu":
                limits = np.iinfo(field.dtype)
                value = min(max(int(np.nan_to_num(value)), int(limits.min)), int(limits.max))
            with np.errstate(over="ignore"):
                field[rng.integers(field.size)] = value
            jobs[name] = field if jobs[name].ndim > 1 else field[0]
        labels = np.full((1, 1, *SIZE), 77, np.int32)
        failed = Engine(1).run(jobs, labels.ctypes.data, mask_layout, keep_alive=(picture,), max_pixels=10**6)
        assert all(failed.values())
        assert failed or ((labels >= 0) & (labels < 256) | (labels == np.trunc(jobs["fill"]))).all()
        out = np.full((1, 3, *SIZE), 77, np.float32)
        failed = Engine(1).run(jobs, out.ctypes.data, LAYOUT, keep_alive=(picture,), max_pixels=10**6)
        assert all(failed.values())
        done += not failed
        if failed:
            assert not out.any()
        elif np.isfinite(jobs["fill"]).all():
            assert np.isfinite(out).all()
    assert 100 < done < 600


def test_points_are_displaced_as_the_reference_says() -> None:
    points = np.random.default_rng(0).uniform(-300, 900, (200, 2))
    moved = displace(points, 2**64 - 3, (4.5, 9.0), (7.0, -2.0))
    np.testing.assert_allclose(moved, displaced(points, 2**64 - 3, (4.5, 9.0), (7.0, -2.0)), rtol=0, atol=1e-12)
    assert np.abs(moved - points).max(0) == pytest.approx([7 * 0.6, 2 * 0.6], rel=0.5)
    lost = np.array([[np.nan, 1.0], [np.inf, 2.0], [1e300, 3.0]])
    assert np.array_equal(displace(lost, 1, (4.0, 4.0), (1.0, 1.0)), lost, equal_nan=True)
