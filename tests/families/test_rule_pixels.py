"""Pixels are those of the real image processors, on real pictures, JPEG and PNG, of any size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from processors import HAS_TORCHVISION, columns_first, processed
from view_runs import png, run_views, whole

from medshard.families import FAMILIES, ImageRule

# Values are mapped once from a level, in float32; the processors subtract and divide in other orders.
ROUNDING = 2e-6

FAMILY_NAMES = ["qwen2.5-vl", "qwen3-vl", "internvl", "llava-next", "llava-1.5", "gemma3", "paligemma-448"]
FOLDERS = ["bccd/BCCD", "vqa_rad/data", "rbc_coco/train", "kvasir_seg_mini/Kvasir-SEG", "figure1_covid_cxr/images"]


def rule_of(family: str) -> ImageRule:
    rule = FAMILIES.get(family).image
    assert rule is not None
    return rule


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    """Real pictures of several kinds: blood films, radiographs, CT and MR planes, endoscopy."""
    found: list[Path] = []
    for folder in FOLDERS:
        paths = sorted(path for kind in ("jpg", "png") for path in (shared / "data" / folder).rglob(f"*.{kind}"))
        found += [path for path in paths if path.stat().st_size < 400_000][:8]
    return [path for path in found if _is_plain(path)]


def _is_plain(path: Path) -> bool:
    with Image.open(path) as picture:
        return picture.mode in ("RGB", "L") and max(picture.size) < 1500


def cut(files: list[Path], count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Parts of real pictures, of random sizes and shapes."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        pixels = np.asarray(Image.open(files[number % len(files)]))
        height, width = (int(rng.integers(min(20, edge), min(edge, 420) + 1)) for edge in pixels.shape[:2])
        top, left = (
            int(rng.integers(0, edge - part + 1)) for edge, part in zip(pixels.shape[:2], (height, width), strict=True)
        )
        parts.append(np.ascontiguousarray(pixels[top : top + height, left : left + width]))
    return parts


def expected(family: str, picture: Image.Image, width: int, backend: str = "pil") -> NDArray[np.float32]:
    """The processor's values, a row a patch."""
    values = processed(family, picture.convert("RGB"), backend)["pixel_values"]
    return np.asarray(values, np.float32).reshape(-1, width)


def differences(family: str, pixels: NDArray[np.uint8], backend: str) -> NDArray[np.float64]:
    """Absolute differences in levels, of every value."""
    rule = rule_of(family)
    ours, failed = run_views([(png(pixels), whole(*pixels.shape[:2]))], rule)
    assert failed == {}
    theirs = expected(family, Image.fromarray(pixels), ours.shape[1], backend)
    assert theirs.shape == ours.shape
    square = rule.patches.edge**2 * rule.patches.repeat
    std = np.repeat(np.array(rule.std), square)
    return np.asarray(np.abs(ours.numpy().astype(np.float64) - theirs) * std * 255)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_real_pictures_equal_the_pillow_processor(family: str, files: list[Path]) -> None:
    with columns_first():
        for pixels in cut(files, 200 if family == "qwen2.5-vl" else 12, seed=1):
            assert differences(family, pixels, "pil").max() < 255 * ROUNDING * 2


@pytest.mark.parametrize("family", ["qwen2.5-vl", "internvl", "llava-next"])
def test_whole_files_equal_the_pillow_processor(family: str, files: list[Path]) -> None:
    rule = rule_of(family)
    with columns_first():
        for path in files[:: len(files) // 6]:
            data = path.read_bytes()
            with Image.open(io.BytesIO(data)) as picture:
                ours, failed = run_views([(data, whole(picture.height, picture.width))], rule)
                theirs = expected(family, picture, ours.shape[1])
            assert failed == {}
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=ROUNDING * 4)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_real_pictures_stay_near_any_pillow(family: str, files: list[Path]) -> None:
    """Pillow 13 takes rows first in some shapes; where a pass overshoots, the levels then differ."""
    found = np.concatenate([differences(family, pixels, "pil").ravel() for pixels in cut(files, 12, seed=2)])
    assert (found < 1.5).mean() > 0.999
    assert found.mean() < 0.05


@pytest.mark.skipif(not HAS_TORCHVISION, reason="torchvision is not installed, or not for this torch")
@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_real_pictures_stay_near_the_torchvision_processor(family: str, files: list[Path]) -> None:
    """torch has weights of 16 bits instead of 32 on a machine with AVX2."""
    found = np.concatenate([differences(family, pixels, "torchvision").ravel() for pixels in cut(files, 20, seed=3)])
    assert (found < 1.5).mean() > 0.9999
    assert found.max() < 2.5
    assert found.mean() < 0.02


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 150), (150, 1), (28, 28), (336, 336), (449, 447), (70, 900)])
def test_noise_of_odd_sizes_equals_the_pillow_processor(family: str, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), np.uint8)
    with columns_first():
        assert differences(family, pixels, "pil").max() < 255 * ROUNDING * 2
