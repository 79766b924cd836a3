"""Any list of geometry operations, drawn and sampled by the engine, equals its numpy reference, pictures and masks."""

from __future__ import annotations

import numpy as np
from applied import draw, sampled
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medshard.augment import (
    ElasticTransform,
    Letterbox,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRot90,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    Rot90,
)
from medshard.augment.spatial import Spatial
from medshard.engine import BatchLayout
from medshard.testing.reference_geometry import sample_job

# Sums of float32 against sums of float64, twice: once reducing, once interpolating.
TOLERANCE = 2e-5
DTYPES = {"uint8": (0, 255), "uint16": (0, 65535), "int16": (-32768, 32767), "float32": (-1000, 3000)}


def pixels_of(dtype: str, size: tuple[int, int], channels: int, seed: int) -> NDArray[np.generic]:
    low, high = DTYPES[dtype]
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).uniform(low, high + 1, shape).clip(low, high).astype(dtype)


@st.composite
def lists(draw_: st.DrawFn, *, warps: bool) -> list[Spatial]:
    """Operations that compile together, of any order, small enough for odd pictures."""
    border = {
        "fill": draw_(st.sampled_from([0.0, 0.75])),
        "padding_mode": draw_(st.sampled_from(["constant", "edge", "reflect"])),
        "mask_fill": draw_(st.sampled_from([0, 9])),
    }
    small = st.integers(1, 24)
    found: list[Spatial] = []
    resized = displaced = False
    kinds = ["flip", "flop", "rot90", "pad", "random rot90", "crop", "resize", "letterbox", "part", "edge"]
    if warps:
        kinds += ["rotate", "affine", "elastic", "expand"]
    for kind in draw_(st.lists(st.sampled_from(kinds), min_size=1, max_size=6)):
        if kind == "flip":
            found.append(RandomHorizontalFlip())
        elif kind == "flop":
            found.append(RandomVerticalFlip())
        elif kind == "rot90":
            found.append(Rot90(draw_(st.integers(0, 3))))
        elif kind == "random rot90":
            found.append(RandomRot90())
        elif kind == "pad":
            found.append(Pad(tuple(draw_(st.lists(st.integers(0, 9), min_size=4, max_size=4))), **border))
        elif kind == "crop":
            found.append(RandomCrop((draw_(small), draw_(small)), pad_if_needed=True, **border))
        elif kind in ("resize", "letterbox", "part", "edge") and not resized:
            resized = True
            size = (draw_(small), draw_(small))
            made: dict[str, Spatial] = {
                "resize": Resize(size),
                "letterbox": Letterbox(size, **border),
                "part": RandomResizedCrop(size, scale=(0.2, 1.0)),
                "edge": Resize(None, max_size=size[0]),
            }
            found.append(made[kind])
        elif kind == "rotate" and not displaced:
            found.append(RandomRotation(180, **border))
        elif kind == "expand" and not displaced:
            found.append(RandomRotation((-60, 60), expand=True, **border))
        elif kind == "affine" and not displaced:
            found.append(RandomAffine(40, (0.3, 0.2), (0.5, 1.8), (-20, 20, -10, 10), **border))
        elif kind == "elastic" and not displaced:
            displaced = True
            found.append(ElasticTransform(draw_(st.floats(0, 80)), (3.0, 5.0), **border))
    return found


def assert_equal_to_reference(
    operations: list[Spatial], size: tuple[int, int], dtype: str, channels: int, item: int
) -> None:
    geometry = draw(operations, size, item=item)
    pixels = pixels_of(dtype, size, channels, item)
    low, high = DTYPES[dtype]
    scale, bias = 1 / (high - low), -low / (high - low)
    job = np.array(geometry.job)
    job["scale"], job["bias"] = scale, bias
    layout = BatchLayout(geometry.height, geometry.width, 3 if channels > 1 else 1, clamp=False)
    seen = sampled(pixels, geometry, layout, scale=scale, bias=bias).transpose(1, 2, 0)
    expected = np.asarray(sample_job(pixels, job[()]), np.float64)[..., : layout.channels] * scale + bias
    np.testing.assert_allclose(seen, expected, rtol=0, atol=TOLERANCE)

    labels = pixels_of("uint8" if dtype == "float32" else dtype, size, 1, item + 1)
    mask_layout = BatchLayout(geometry.height, geometry.width, 1, "int32", mask=True)
    job["fill"] = geometry.mask_fill
    got, wanted = sampled(labels, geometry, mask_layout)[0], sample_job(labels, job[()], mask=True)
    if not np.array_equal(got, wanted):
        assert job["grid"].any(), "without a warp there is nothing that could be rounded in another way"
        # A point on the edge between two pixels may fall to either side.
        near = [wanted]
        for right, down in ((1e-9, 1e-9), (1e-9, -1e-9), (-1e-9, 1e-9), (-1e-9, -1e-9)):
            shifted = job.copy()
            shifted["map"] += (0, 0, right, 0, 0, down)
            near.append(sample_job(labels, shifted[()], mask=True))
        assert np.any([got == one for one in near], axis=0).all()


SIZES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([(1, 300), (300, 1), (1, 1), (2, 151), (97, 3)]),
)


@settings(max_examples=250, deadline=None)
@given(
    operations=lists(warps=False),
    size=SIZES,
    dtype=st.sampled_from(sorted(DTYPES)),
    channels=st.sampled_from([1, 3, 4]),
    item=st.integers(0, 10**6),
)
def test_crops_pads_and_turns(
    operations: list[Spatial], size: tuple[int, int], dtype: str, channels: int, item: int
) -> None:
    assert_equal_to_reference(operations, size, dtype, channels, item)


@settings(max_examples=250, deadline=None)
@given(
    operations=lists(warps=True),
    size=SIZES,
    dtype=st.sampled_from(sorted(DTYPES)),
    channels=st.sampled_from([1, 3, 4]),
    item=st.integers(0, 10**6),
)
def test_warps_too(operations: list[Spatial], size: tuple[int, int], dtype: str, channels: int, item: int) -> None:
    assert_equal_to_reference(operations, size, dtype, channels, item)
