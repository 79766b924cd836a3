"""Resizing in whole levels, canvases and patch order, against the numpy reference; batches of many sizes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from view_runs import Source, part_of, png, run_views, whole

import medshard
from medshard.augment.geometry import Geometry
from medshard.engine import BatchLayout, Engine, Patches, encode_png, features
from medshard.families import FAMILIES, View
from medshard.families.fixed_size import FixedSizeRule
from medshard.testing.reference import cut_patches, map_values, to_channels
from medshard.testing.reference_geometry import resize_levels, sample_filtered

MEAN, STD = (0.48, 0.45, 0.4), (0.26, 0.25, 0.27)
LEVELS = features()["simd_levels"]


@dataclass(frozen=True)
class GivenViews(FixedSizeRule):
    """A rule whose views are given, whatever the picture."""

    given: tuple[View, ...] = ()

    def views(self, height: int, width: int) -> tuple[View, ...]:
        return self.given


def rule(patches: Patches, filter: str, *views: View) -> GivenViews:
    return GivenViews(0, patches, MEAN, STD, filter=filter, given=views)  # type: ignore[arg-type]


def on_canvas(values: NDArray[np.float64], view: View) -> NDArray[np.float64]:
    """A resized picture (H, W, C), stored values, on its canvas, (C, H, W); black elsewhere."""
    canvas = np.zeros((view.canvas_height, view.canvas_width, values.shape[2]))
    rows, columns = np.arange(view.canvas_height) - view.top, np.arange(view.canvas_width) - view.left
    down, across = (rows >= 0) & (rows < view.height), (columns >= 0) & (columns < view.width)
    canvas[np.ix_(down, across)] = values[np.ix_(rows[down], columns[across])]
    return canvas.transpose(2, 0, 1)


@st.composite
def seen(draw: st.DrawFn) -> tuple[Geometry, Patches, View]:
    """A part of a picture, and a canvas that it covers, overlaps or leaves bare."""
    height, width = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x1, y1 = draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))
    box = (float(x0), float(y0), float(x1), float(y1))
    geometry = part_of(
        box,
        (x0, y0, x1, y1),
        height,
        width,
        flip_x=draw(st.booleans()),
        flip_y=draw(st.booleans()),
        transpose=draw(st.booleans()),
    )
    patches = Patches(draw(st.integers(1, 7)), draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    block = patches.edge * patches.merge
    canvas = (block * draw(st.integers(1, 3)), block * draw(st.integers(1, 3)))
    resized = (draw(st.integers(1, 60)), draw(st.integers(1, 60)))
    fills = draw(st.booleans())
    shift = (0, 0) if fills else (draw(st.integers(-30, 30)), draw(st.integers(-30, 30)))
    return geometry, patches, View(*(canvas if fills else resized), *canvas, *shift)


@settings(max_examples=300, deadline=None)
@given(
    seen=seen(),
    stored=st.sampled_from([1, 3, 4]),
    filter=st.sampled_from(["bilinear", "bicubic"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_view_of_8_bits_has_the_levels_of_the_reference(
    seen: tuple[Geometry, Patches, View], stored: int, filter: str, seed: int
) -> None:
    geometry, patches, view = seen
    shape = (geometry.height, geometry.width) if stored == 1 else (geometry.height, geometry.width, stored)
    pixels = np.random.default_rng(seed).choice(np.array([0, 3, 128, 255], np.uint8), shape)
    out, failed = run_views([(pixels, geometry)], rule(patches, filter, view))
    assert failed == {}
    turned = bool(geometry.job["transpose"])
    (x0, y0, x1, y1), flips = geometry.bounds_xyxy, (geometry.flip_x, geometry.flip_y)
    box = (y0, x0, y1, x1) if turned else (x0, y0, x1, y1)
    levels = resize_levels(
        pixels.swapaxes(0, 1) if turned else pixels,
        box,
        box,
        (view.height, view.width),
        flip_x=flips[turned],
        flip_y=flips[not turned],
        filter=filter,  # type: ignore[arg-type]
    )
    canvas = on_canvas(to_channels(levels.astype(np.float64), 3), view)
    mapped = (canvas / 255 - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    expected = cut_patches(mapped, patches.edge, patches.merge, patches.repeat)
    np.testing.assert_allclose(out.numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_values_of_more_bits_are_not_rounded_to_levels(dtype: str, filter: str) -> None:
    low, high = (0, 4000) if dtype == "uint16" else (-1000, 3000)
    pixels = np.random.default_rng(3).integers(low, high, (61, 47)).astype(dtype)
    view = View(20, 33, 24, 36, 3, -2)
    patches = Patches(6, merge=2)
    out, failed = run_views([(pixels, whole(61, 47))], rule(patches, filter, view), scale=1 / 3000)
    assert failed == {}
    box = (0, 0, 47, 61)
    values = sample_filtered(pixels, box, box, (20, 33), filter=filter)  # type: ignore[arg-type]
    canvas = on_canvas(to_channels(values, 3), view).transpose(1, 2, 0)
    mapped = map_values(canvas, scale=1 / 3000, bias=0, mean=MEAN, deviation=STD).transpose(2, 0, 1)
    np.testing.assert_allclose(out.numpy(), cut_patches(mapped, 6, 2), rtol=0, atol=2e-5)


def pictures(count: int, seed: int = 0) -> list[tuple[Source, Geometry]]:
    """Streams of many sizes; the third and the ninth are cut off."""
    rng = np.random.default_rng(seed)
    made: list[tuple[Source, Geometry]] = []
    for number in range(count):
        height, width = (int(edge) for edge in rng.integers(5, 400, 2))
        pixels = rng.integers(0, 256, (height, width, 3) if number % 3 else (height, width)).astype(np.uint8)
        stream = png(pixels)
        made.append((stream[: len(stream) // 2] if number in (2, 8) else stream, whole(height, width)))
    return made


@pytest.mark.parametrize("family", ["qwen2.5-vl", "llava-next"])
def test_a_batch_of_many_sizes_is_each_picture_alone(family: str) -> None:
    """Whatever the neighbours and the number of threads; what is damaged is zeros and says so for each of its views."""
    image = FAMILIES.get(family).image
    assert image is not None
    work = pictures(12)
    alone = [run_views([one], image) for one in work]
    expected = torch.cat([values for values, _ in alone])
    for threads in (1, 2, 3, 8):
        out, failed = run_views(work, image, engine=Engine(threads))
        assert out.numpy().tobytes() == expected.numpy().tobytes()
        views = [len(image.views(*geometry_size(geometry))) for _, geometry in work]
        first = np.cumsum([0, *views])
        assert sorted(failed) == [job for bad in (2, 8) for job in range(first[bad], first[bad + 1])]
    assert float(alone[2][0].abs().sum()) == 0


def geometry_size(geometry: Geometry) -> tuple[int, int]:
    return geometry.height, geometry.width


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_the_float_values_rounded(dtype: str) -> None:
    image = FAMILIES.get("qwen2.5-vl").image
    assert image is not None
    work = [one for number, one in enumerate(pictures(5, seed=4)) if number != 2]
    deep = np.random.default_rng(1).integers(0, 255, (90, 70)).astype(np.uint16)
    work.append((encode_png(deep), whole(90, 70)))
    exact, _ = run_views(work, image)
    out, failed = run_views(work, image, dtype=dtype)
    assert failed == {}
    assert torch.equal(out, exact.to(getattr(torch, dtype)))


def test_a_crop_and_a_mirror_come_before_the_rule() -> None:
    """What the model sees of a part is what it sees of that part stored by itself."""
    image = FAMILIES.get("qwen2.5-vl").image
    assert image is not None
    pixels = np.random.default_rng(6).integers(0, 256, (300, 280, 3)).astype(np.uint8)
    part = pixels[40:240, 30:250]
    geometry = part_of((30, 40, 250, 240), (30, 40, 250, 240), 200, 220, flip_x=True)
    cropped, _ = run_views([(png(pixels), geometry)], image)
    stored, _ = run_views([(png(np.ascontiguousarray(part)), whole(200, 220, flip_x=True))], image)
    assert torch.equal(cropped, stored)


def test_alpha_is_dropped_as_converting_to_rgb_drops_it() -> None:
    image = FAMILIES.get("internvl").image
    assert image is not None
    pixels = np.random.default_rng(7).integers(0, 256, (90, 120, 4)).astype(np.uint8)
    with_alpha, _ = run_views([(png(pixels), whole(90, 120))], image)
    without, _ = run_views([(png(np.ascontiguousarray(pixels[..., :3])), whole(90, 120))], image)
    assert torch.equal(with_alpha, without)


def test_a_canvas_that_is_no_whole_number_of_blocks_is_refused() -> None:
    out, failed = run_views(
        [(np.zeros((9, 9), np.uint8), whole(9, 9))], rule(Patches(4, merge=2), "bicubic", View.full(8, 12))
    )
    assert failed == {0: "a canvas of 12 x 8 pixels is no whole number of blocks of 8"}
    assert float(out.abs().sum()) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"patches": Patches(14), "channels": 1}, "3 channels"),
        ({"patches": Patches(14), "channels_last": True}, "channels first"),
        ({"patches": Patches(14), "dtype": "uint8"}, "float32, float16 or bfloat16"),
        ({"filter": "lanczos"}, "allowed: bilinear, bicubic"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BatchLayout(1, 1, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        Patches(0)


PROGRAM = """
import hashlib
from test_patch_pass import digest
from medshard.engine import features
print(features()["simd"], digest())
"""


def digest() -> str:
    image = FAMILIES.get("llava-next").image
    assert image is not None
    out, _ = run_views(pictures(7, seed=9), image)
    return hashlib.sha256(out.numpy().tobytes()).hexdigest()


@pytest.mark.parametrize("level", LEVELS)
def test_every_simd_level_gives_the_same_patches(level: str) -> None:
    paths = os.pathsep.join([str(Path(medshard.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "MEDSHARD_SIMD": level}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == [level, digest()]
