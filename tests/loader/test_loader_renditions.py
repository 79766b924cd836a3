"""The loader reads the smallest stored level that a crop needs; what it delivers stays what the picture gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mixed_tree import build, write_mixed_tree
from numpy.typing import NDArray
from PIL import Image

from medshard.augment import RandomHorizontalFlip, RandomResizedCrop, Resize
from medshard.augment.geometry import Geometry
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.engine import JOB
from medshard.errors import LoaderError
from medshard.loader.loader import Loader
from medshard.loader.pixels import PixelPlan, smallest_enough
from medshard.loader.selection import MediumLine, Part
from medshard.spec.schema.media import Renditions


def scene(height: int, width: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = sum(rng.normal() * np.sin(x / rng.uniform(9, 90) + y / rng.uniform(9, 90) + seed) for _ in range(12))
    return 0.5 + 0.11 * np.asarray(waves) + rng.normal(0, 0.01, (height, width))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Pictures of 300 to 400 pixels as JPEG, PNG and PNG of 16 bits, with half and quarter."""
    root = tmp_path_factory.mktemp("large")
    tree = write_mixed_tree(root / "tree", each=2)
    for path in sorted((tree.root / "img").iterdir()):
        values = scene(331, 402, len(path.name) + ord(path.stem[-1])).clip(0, 1)
        if path.suffix == ".jpg":
            Image.fromarray((np.stack([values, values**2, values[::-1]], -1) * 255).astype(np.uint8)).save(
                path, quality=92
            )
        elif path.name.startswith("deep"):
            Image.fromarray((values * 65535).astype(np.uint16)).save(path)
        else:
            Image.fromarray((values * 255).astype(np.uint8)).save(path)
    for path in (tree.root / "mask").iterdir():
        labels = np.zeros((331, 402), np.uint8)
        labels[100:200, 50:300] = 1
        Image.fromarray(labels).save(path)
    build(tree.root, root / "corpus", renditions=Renditions(from_px=200))
    return open_corpus(root / "corpus").select("len(media) > 0")


def batches(corpus: Corpus, size: int, **options: object) -> tuple[dict[str, NDArray[np.float32]], dict[str, int]]:
    loader = Loader(
        corpus,
        4,
        by="sample",
        image="image",
        mask="mask",
        transform=[RandomResizedCrop(size, scale=(0.3, 1.0)), RandomHorizontalFlip()],
        threads=1,
        **options,  # type: ignore[arg-type]
    )
    found = {}
    for batch in loader:
        for place, key in enumerate(batch["key"]):
            if batch["has_image"][place]:
                found[key] = batch["image"][place].numpy()
            found[f"{key} mask"] = batch["mask"][place].numpy()
    return found, loader.stats()["counts"]


def psnr(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(10 * np.log10(1 / max(float(((a - b) ** 2).mean()), 1e-12)))


def test_small_crops_come_from_levels_and_look_the_same(large: Corpus) -> None:
    whole, of_whole = batches(large, 48, renditions=None)
    small, of_levels = batches(large, 48)
    assert of_whole["from renditions"] == 0
    pictures = [key for key in whole if "mask" not in key]
    assert of_levels["from renditions"] == len(pictures) == 6
    assert of_levels["bytes"] < of_whole["bytes"] / 2
    found = {key: psnr(whole[key], small[key]) for key in pictures}
    assert min(found.values()) > 40, found
    for key in whole.keys() - pictures:
        assert np.array_equal(whole[key], small[key]), "masks come from the picture's own size"


def test_crops_that_need_the_picture_read_the_picture(large: Corpus) -> None:
    whole, _ = batches(large, 320, renditions=None)
    same, counts = batches(large, 320)
    assert counts["from renditions"] == 0
    assert all(np.array_equal(whole[key], same[key]) for key in whole)


def test_a_corpus_without_levels_is_read_as_ever(corpus: Corpus) -> None:
    loader = Loader(corpus, 4, by="sample", image="image", transform=[Resize((8, 8))], threads=1)
    assert sum(int(batch["has_image"].sum()) for batch in loader) > 12
    assert loader.stats()["counts"]["from renditions"] == 0


def line(*factors: int) -> MediumLine:
    levels = tuple(Part(0, 0, 1, 0, factor) for factor in sorted(factors, reverse=True))
    return MediumLine("image", "image", "YX", (800, 800), "uint8", 8, None, Part(0, 0, 1, 0), None, levels)


def sampling(
    box: tuple[float, float, float, float], bounds: tuple[int, int, int, int], size: int, **fields: object
) -> Geometry:
    """A box of the stored picture that fills a square."""
    job = np.zeros((), JOB)
    job["box"], job["bounds"], job["height"], job["width"] = box, bounds, size, size
    for name, value in fields.items():
        job[name] = value
    return Geometry(job[()], np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        ((0, 0, 800, 800), 100, 8),
        ((0, 0, 799.5, 800), 100, 4),
        ((0, 0, 800, 399), 100, 2),  # the shorter side decides
        ((0, 0, 199, 800), 100, 1),
        ((0, 0, 800, 800), 900, 1),
    ],
)
def test_the_smallest_level_with_a_pixel_for_each_of_the_output(
    box: tuple[float, float, float, float], size: int, expected: int
) -> None:
    geometry = sampling(box, (0, 0, 800, 800), size)
    part = smallest_enough(line(2, 4, 8), PixelPlan(geometry), 1.0)
    assert part is not None
    assert part.factor == expected
    assert smallest_enough(line(), PixelPlan(geometry), 1.0).factor == 1  # type: ignore[union-attr]


def test_what_warps_or_has_a_border_reads_the_picture() -> None:
    for fields in ({"extent": (-4, 0, 804, 800)}, {"grid": (100, 100)}):
        geometry = sampling((0, 0, 800, 800), (0, 0, 800, 800), 100, **fields)
        assert smallest_enough(line(2, 4, 8), PixelPlan(geometry), 1.0) == line().part


def test_more_pixels_for_each_of_the_output_take_a_larger_level(large: Corpus) -> None:
    whole, of_whole = batches(large, 48, renditions=None)
    near, of_near = batches(large, 48, renditions=1.0)
    far, of_far = batches(large, 48, renditions=2.0)
    assert of_near["bytes"] < of_far["bytes"] < of_whole["bytes"]
    pictures = [key for key in whole if "mask" not in key]
    assert min(psnr(whole[key], far[key]) for key in pictures) >= min(psnr(whole[key], near[key]) for key in pictures)
    for wrong in (0.5, 0.0, float("nan")):
        with pytest.raises(LoaderError, match="renditions"):
            batches(large, 48, renditions=wrong)


def test_a_box_lies_where_it_lay_in_the_picture() -> None:
    geometry = sampling((3.0, 5.0, 41.0, 29.0), (3, 5, 41, 29), 8, flip_x=True)
    half = geometry.reduced(2)
    assert half.box_xyxy == (1.5, 2.5, 20.5, 14.5)
    assert half.bounds_xyxy == (1, 2, 21, 15)
    assert (half.flip_x, half.height) == (True, 8)
    assert geometry.reduced(1) is geometry


def test_a_damaged_level_fails_its_item_and_names_the_file(large: Corpus, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "corpus"
    shutil.copytree(large.storage.root, folder)  # type: ignore[attr-defined]
    for path in folder.rglob("renditions/*.tar"):
        data = bytearray(path.read_bytes())
        data[700] ^= 1
        path.write_bytes(data)
    damaged = open_corpus(folder).select("len(media) > 0")
    with pytest.raises(LoaderError, match=r"renditions/.*checksum"):
        batches(damaged, 48)
