"""Pads, turns, rotation, affine and elastic maps against numpy, scipy, torch and OpenCV, one step after another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from applied import as_mask, as_picture, draw
from numpy.typing import NDArray
from scipy import ndimage
from torchvision_steps import affine_matrix, resize, rotation_matrix, warp

from medshard.augment import (
    CenterCrop,
    ElasticTransform,
    Letterbox,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRot90,
    RandomRotation,
    Resize,
    Rot90,
)
from medshard.augment.spatial import Spatial
from medshard.testing.reference_geometry import displaced

TOLERANCE = 2e-5
SCIPY_MODES = {"constant": "grid-constant", "edge": "nearest", "reflect": "mirror"}
MODES = sorted(SCIPY_MODES)


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def padded(stored: NDArray[Any], sides: tuple[int, int, int, int], mode: str, fill: float) -> NDArray[Any]:
    """``numpy.pad`` of left, top, right, bottom."""
    widths = ((sides[1], sides[3]), (sides[0], sides[2]))
    more = {"constant_values": fill} if mode == "constant" else {}
    return np.pad(stored, (*widths, *[(0, 0)] * (stored.ndim - 2)), mode=mode, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sides", [(3, 1, 0, 7), (0, 0, 5, 0), (40, 30, 50, 20)])
def test_pad_is_numpys(mode: str, sides: tuple[int, int, int, int]) -> None:
    """Reflection of more than the picture's own length too."""
    stored, labels = picture(19, 23), np.arange(19 * 23, dtype=np.int16).reshape(19, 23)
    pad = Pad(sides, 0.25, mode, 77)  # type: ignore[arg-type]
    geometry = draw([pad], (19, 23))
    assert np.array_equal(as_picture(stored, geometry), padded(stored, sides, mode, 0.25))
    assert np.array_equal(as_mask(labels, geometry), padded(labels, sides, mode, 77))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(9, 40), (60, 13), (31, 37)])
def test_pad_then_resize_filters_over_the_border(mode: str, size: tuple[int, int]) -> None:
    stored = picture(19, 23)
    geometry = draw([Pad((4, 0, 10, 3), 0.6, mode), Resize(size)], (19, 23))  # type: ignore[arg-type]
    expected = resize(padded(stored, (4, 0, 10, 3), mode, 0.6), size)
    assert np.abs(as_picture(stored, geometry) - expected).max() <= TOLERANCE


@pytest.mark.parametrize("mode", MODES)
def test_resize_then_pad_then_crop_then_pad(mode: str) -> None:
    """The border is of what is there at each step."""
    stored = picture(40, 50)
    options: dict[str, Any] = {"fill": 0.3, "padding_mode": mode}
    lists: list[list[Spatial]] = [
        [Resize((21, 27)), Pad((5, 6), **options)],
        [Resize((21, 27)), CenterCrop((11, 13)), Pad((3, 4, 5, 6), **options)],
        [CenterCrop((31, 33)), Pad(4, **options), Resize((20, 30)), Pad(2, **options)],
    ]
    small = resize(stored, (21, 27))
    expected = [
        padded(small, (5, 6, 5, 6), mode, 0.3),
        padded(small[5:16, 7:20], (3, 4, 5, 6), mode, 0.3),
        padded(resize(padded(stored[4:35, 8:41], (4, 4, 4, 4), mode, 0.3), (20, 30)), (2, 2, 2, 2), mode, 0.3),
    ]
    for operations, wanted in zip(lists, expected, strict=True):
        assert np.abs(as_picture(stored, draw(operations, (40, 50))) - wanted).max() <= TOLERANCE


@pytest.mark.parametrize("stored_hw", [(40, 90), (90, 40), (30, 30), (1, 200), (200, 1)])
def test_letterbox_keeps_the_shape_and_fills_evenly(stored_hw: tuple[int, int]) -> None:
    stored = picture(*stored_hw)
    geometry = draw([Letterbox((32, 48), 0.5, mask_fill=255)], stored_hw)
    scale = min(32 / stored_hw[0], 48 / stored_hw[1])
    high, wide = max(1, round(stored_hw[0] * scale)), max(1, round(stored_hw[1] * scale))
    top, left = (32 - high) // 2, (48 - wide) // 2
    seen, mask = as_picture(stored, geometry), as_mask(np.full(stored_hw, 3, np.int16), geometry)
    inside = np.zeros((32, 48), np.bool_)
    inside[top : top + high, left : left + wide] = True
    assert (seen[~inside] == 0.5).all()
    assert (mask == np.where(inside, 3, 255)).all()
    if min(high, wide, *stored_hw) > 1:  # torch 2.13 gives a column of one pixel's width its first value
        expected = resize(stored, (high, wide))
        assert np.abs(seen[top : top + high, left : left + wide] - expected).max() <= TOLERANCE


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_quarter_turns_are_numpys_and_exact(turns: int, flip: float) -> None:
    stored, labels = picture(17, 26), np.arange(17 * 26, dtype=np.int16).reshape(17, 26)
    geometry = draw([RandomHorizontalFlip(flip), Rot90(turns)], (17, 26))
    mirrored = slice(None, None, -1 if flip else 1)
    assert np.array_equal(as_picture(stored, geometry), np.rot90(stored[:, mirrored], turns))
    assert np.array_equal(as_mask(labels, geometry), np.rot90(labels[:, mirrored], turns))


def test_turns_among_crops_and_resizes_equal_one_after_another() -> None:
    stored = picture(50, 37)
    turned = np.rot90(stored, 1)  # 37 high, 50 wide
    operations: list[Spatial] = [
        Rot90(1),
        CenterCrop((30, 40)),
        Rot90(2),
        RandomHorizontalFlip(1.0),
        Resize((20, 20)),
        Rot90(3),
        CenterCrop(12),
    ]
    middle = turned[4:34, 5:45]  # 3.5 is rounded half to even
    expected = np.rot90(resize(np.rot90(middle, 2)[:, ::-1], (20, 20)), 3)[4:16, 4:16]
    assert np.abs(as_picture(stored, draw(operations, (50, 37))) - expected).max() <= TOLERANCE


def test_random_turns_are_each_as_likely() -> None:
    stored = picture(8, 8)
    found = [0, 0, 0, 0]
    for item in range(400):
        seen = as_picture(stored, draw([RandomRot90()], (8, 8), item=item))
        found[[np.array_equal(seen, np.rot90(stored, turns)) for turns in range(4)].index(True)] += 1
    assert min(found) > 60
    for item in range(50):
        seen = as_picture(stored, draw([RandomRot90((1, 3))], (8, 8), item=item))
        assert any(np.array_equal(seen, np.rot90(stored, turns)) for turns in (1, 3))


def interpolated(
    stored: NDArray[Any], matrix: NDArray[np.float64], size_hw: tuple[int, int], mode: str, fill: float
) -> Any:
    """scipy's linear interpolation of (H, W, 3) at the map of the output's pixel middles."""
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2] - 0.5
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2] - 0.5
    planes = [
        ndimage.map_coordinates(stored[..., c].astype(float), [y, x], order=1, mode=SCIPY_MODES[mode], cval=fill)
        for c in range(3)
    ]
    return np.stack(planes, -1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("angle", [0.0, 10.0, -37.5, 90.0, 135.0, 180.0])
@pytest.mark.parametrize("center", [None, (4.0, 30.5)])
def test_rotation_is_torchvisions(mode: str, angle: float, center: tuple[float, float] | None) -> None:
    stored = picture(41, 50)
    operation = RandomRotation((angle, angle), center=center, fill=0.2, padding_mode=mode)  # type: ignore[arg-type]
    seen = as_picture(stored, draw([operation], (41, 50)))
    matrix = rotation_matrix(angle, center or (25.0, 20.5))
    assert np.abs(seen - interpolated(stored, matrix, (41, 50), mode, 0.2)).max() <= TOLERANCE
    if mode != "reflect":  # torch mirrors about the picture's edge, not about its outermost pixels
        with_fill = stored - 0.2 if mode == "constant" else stored
        expected = warp(with_fill, matrix, (41, 50), "zeros" if mode == "constant" else "border")
        expected = expected + 0.2 if mode == "constant" else expected
        assert np.abs(seen - expected).max() <= TOLERANCE


def test_rotation_that_expands_shows_all_of_the_picture() -> None:
    white = np.ones((30, 50, 3), np.float32)
    for angle in (15.0, 45.0, -80.0, 180.0):
        geometry = draw([RandomRotation((angle, angle), expand=True)], (30, 50))
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        # Whole pixels of the old grid, as torchvision and Pillow count them.
        high, wide = 30 * cos + 50 * sin, 50 * cos + 30 * sin
        assert geometry.height == math.ceil(15 + high / 2 - 1e-4) - math.floor(15 - high / 2 + 1e-4)
        assert geometry.width == math.ceil(25 + wide / 2 - 1e-4) - math.floor(25 - wide / 2 + 1e-4)
        assert as_picture(white, geometry).sum() / 3 == pytest.approx(30 * 50, rel=6e-3)
    quarter = draw([RandomRotation((90, 90), expand=True)], (30, 50))
    stored = picture(30, 50)
    assert np.abs(as_picture(stored, quarter) - np.rot90(stored, 1)).max() <= TOLERANCE


AFFINES: list[dict[str, Any]] = [
    {"degrees": (25, 25)},
    {"degrees": (0, 0), "shear": (20, 20, 0, 0), "scale": (1.4, 1.4)},
    {"degrees": (-60, -60), "shear": (10, 10, -15, -15), "scale": (1.6, 1.6)},
    {"degrees": (0, 0), "scale": (1.3, 1.3)},
    {"degrees": (200, 200), "shear": (-30, -30), "scale": (2.0, 2.0), "center": (10.0, 3.0)},
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", AFFINES)
def test_affine_is_torchvisions(mode: str, options: dict[str, Any]) -> None:
    """Where nothing shrinks, one bilinear interpolation of the stored pixels."""
    stored = picture(44, 57)
    geometry = draw([RandomAffine(**options, fill=0.9, padding_mode=mode)], (44, 57))  # type: ignore[arg-type]
    shear = options.get("shear", (0.0, 0.0))
    matrix = affine_matrix(
        options["degrees"][0],
        (0, 0),
        options.get("scale", (1.0,))[0],
        (shear[0], shear[2] if len(shear) == 4 else 0.0),
        options.get("center", (28.5, 22.0)),
    )
    expected = interpolated(stored, matrix, (44, 57), mode, 0.9)
    # A little shrinking along one direction is filtered first, and so smoother; those have a test of their own.
    if geometry.job["grid"].tolist() in ([44, 57], [0, 0]):
        assert np.abs(as_picture(stored, geometry) - expected).max() <= TOLERANCE
    else:
        assert np.abs(as_picture(stored, geometry) - expected).mean() < 0.05


def test_a_translation_is_a_shift_of_whole_pixels_within_its_bounds() -> None:
    stored = picture(40, 60)
    shifts = set()
    for item in range(60):
        geometry = draw([RandomAffine(0, translate=(0.2, 0.1))], (40, 60), item=item)
        dx, dy = (round(float(at)) for at in geometry.matrix[:, 2])
        shifts.add((dx, dy))
        expected = np.zeros_like(stored)
        expected[max(dy, 0) : 40 + min(dy, 0), max(dx, 0) : 60 + min(dx, 0)] = stored[
            max(-dy, 0) : 40 - max(dy, 0), max(-dx, 0) : 60 - max(dx, 0)
        ]
        assert np.array_equal(as_picture(stored, geometry), expected)
    assert {abs(dx) for dx, _ in shifts} <= set(range(13))
    assert {abs(dy) for _, dy in shifts} <= set(range(5))
    assert len(shifts) > 30


@pytest.mark.parametrize("mode", MODES)
def test_resize_then_rotation_is_one_after_the_other(mode: str) -> None:
    """The reduction is onto the very grid of the resize."""
    stored = picture(123, 90)
    operations = [Resize((41, 30)), RandomRotation((33, 33), fill=0.4, padding_mode=mode)]  # type: ignore[arg-type]
    expected = interpolated(resize(stored, (41, 30)), rotation_matrix(33, (15.0, 20.5)), (41, 30), mode, 0.4)
    assert np.abs(as_picture(stored, draw(operations, (123, 90))) - expected).max() <= TOLERANCE


@pytest.mark.parametrize("item", range(5))
def test_crop_then_rotation_sees_nothing_beyond_the_crop(item: int) -> None:
    stored = picture(80, 90)
    crop = RandomResizedCrop((24, 30), scale=(0.2, 0.5))
    x0, y0, x1, y1 = draw([crop], (80, 90), item=item).bounds_xyxy
    expected = interpolated(
        resize(stored[y0:y1, x0:x1], (24, 30)), rotation_matrix(20, (15, 12)), (24, 30), "constant", 0
    )
    seen = as_picture(stored, draw([crop, RandomRotation((20, 20))], (80, 90), item=item))
    if min(y1 - y0 - 24, x1 - x0 - 30) >= 0:  # enlarging reads stored pixels instead of enlarged ones
        assert np.abs(seen - expected).max() <= TOLERANCE
    assert np.abs(seen - expected).mean() < 0.05


@pytest.mark.parametrize(
    "operations",
    [
        [RandomAffine((30, 30), scale=(0.25, 0.25))],
        [RandomAffine((10, 10), scale=(0.3, 0.3), shear=(15, 15, 0, 0))],
        [RandomRotation((45, 45)), Resize((60, 60))],
        [Resize((60, 60)), RandomRotation((70, 70))],
    ],
)
def test_what_shrinks_does_not_alias(operations: list[Spatial]) -> None:
    """Stripes too fine for the output are seen as their mean; interpolation alone would show others in their place."""
    rows, columns = np.mgrid[:240, :240]
    stripes = (((rows + 2 * columns) % 3) == 0).astype(np.float32)
    stored = np.repeat(stripes[..., None], 3, 2)
    geometry = draw(operations, (240, 240))
    seen = as_picture(stored, geometry)[..., 0]
    inside = as_picture(np.ones_like(stored), geometry)[..., 0] > 0.9999
    inside &= ndimage.binary_erosion(inside, iterations=2)
    assert inside.sum() > 400
    alone = interpolated(stored, _to_stored(geometry.matrix), seen.shape, "constant", 0)[..., 0]
    assert alone[inside].std() > 0.2
    assert seen[inside].std() < 0.05
    assert seen[inside].mean() == pytest.approx(1 / 3, abs=0.01)


def _to_stored(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.vstack([matrix, [0, 0, 1]])
    return np.linalg.inv(whole)[:2]


@pytest.mark.parametrize("mode", MODES)
def test_elastic_is_an_interpolation_at_displaced_points(mode: str) -> None:
    stored = picture(60, 70)
    operation = ElasticTransform((60.0, 40.0), (4.0, 6.0), 0.7, mode)  # type: ignore[arg-type]
    geometry = draw([operation], (60, 70))
    rows, columns = np.mgrid[:60, :70] + 0.5
    points = np.stack([columns, rows], -1).reshape(-1, 2)
    seed = int(geometry.job["elastic_seed"])
    moved = displaced(points, seed, operation.spacing_xy, operation.amplitude_xy).reshape(60, 70, 2) - 0.5
    expected = np.stack(
        [
            ndimage.map_coordinates(
                stored[..., c].astype(float), [moved[..., 1], moved[..., 0]], order=1, mode=SCIPY_MODES[mode], cval=0.7
            )
            for c in range(3)
        ],
        -1,
    )
    assert np.abs(as_picture(stored, geometry) - expected).max() <= TOLERANCE


def test_elastic_is_as_strong_and_as_smooth_as_torchvisions() -> None:
    """Standard deviation and correlation length of the displacement, against noise blurred by a Gaussian."""
    alpha, sigma, size = 50.0, 5.0, 400
    noise = np.random.default_rng(0).uniform(-1, 1, (size, size))
    theirs = ndimage.gaussian_filter(noise, sigma, mode="wrap") * alpha / 2
    operation = ElasticTransform(alpha, sigma)
    rows, columns = np.mgrid[:size, :size] + 0.5
    points = np.stack([columns, rows], -1).reshape(-1, 2)
    moved = displaced(points, 12345, operation.spacing_xy, operation.amplitude_xy) - points
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.1, "x and y are drawn apart"
    for ours in moved.T.reshape(2, size, size):
        assert ours.std() == pytest.approx(theirs.std(), rel=0.1)
        for lag in (3, 6, 9):
            correlation = [np.corrcoef(field[:-lag].ravel(), field[lag:].ravel())[0, 1] for field in (ours, theirs)]
            assert correlation[0] == pytest.approx(correlation[1], abs=0.12)


def test_a_random_crop_may_pad_before() -> None:
    stored = picture(32, 32)
    wide = padded(stored, (4, 4, 4, 4), "constant", 0.0)
    places = set()
    for item in range(60):
        geometry = draw([RandomCrop(32, padding=4)], (32, 32), item=item)
        left, top = (round(4 - float(at)) for at in geometry.matrix[:, 2])
        places.add((left, top))
        assert np.array_equal(as_picture(stored, geometry), wide[top : top + 32, left : left + 32])
    assert {left for left, _ in places} == {top for _, top in places} == set(range(9))


def test_opencv_warps_alike() -> None:
    cv2 = pytest.importorskip("cv2")
    stored = picture(64, 80)
    geometry = draw([RandomAffine((18, 18), scale=(1.2, 1.2), shear=(8, 8), padding_mode="edge")], (64, 80))
    to_stored = _to_stored(geometry.matrix)
    # OpenCV's (0, 0) is the middle of the first pixel, and it rounds places to 1/32 of a pixel.
    to_stored[:, 2] += to_stored[:, :2].sum(1) / 2 - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(stored, to_stored, (80, 64), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    difference = np.abs(as_picture(stored, geometry) - expected)
    assert difference.max() < 2 * 2 / 32
    assert difference.mean() < 0.01
