"""Row R16: a nested label image, a label volume and masks of several annotators give one schema of image and mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from mixed_tree import Quiet
from numpy.typing import NDArray
from painted_suite import overlap
from PIL import Image
from volume_tree import turned

import medshard
from medshard.augment import Operation, RandomHorizontalFlip, RandomResizedCrop, Resize, TakeSlice, TakeSlices, Window
from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.spec.load import load_spec_text

SIZE = 256
HEAD = """\
spec: 1
name: NAME
about: {title: Painted NAME, modality: MODALITY}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
samples: {from: images, key: id, patient: id, split: train}
"""
SPECS = {
    "fundus": """\
sources:
  images: {files: "fundus/{id}.png"}
  labels: {files: "fundus/{id}_label.png"}
media:
  image: {from: images, kind: image}
  target: {from: labels, using: [id], kind: mask, like: image, foreground: ">= 1"}
  cup: {from: labels, using: [id], kind: mask, like: image, foreground: ">= 2"}
facts:
  disc: {kind: mask_classes, of: target, covers: all, map: {1: mass}, by: expert}
  inner: {kind: mask_classes, of: cup, covers: all, map: {1: nodule}, by: expert}
""",
    "brain": """\
sources:
  images: {files: "brain/{id}_flair.nii.gz"}
  labels: {files: "brain/{id}_seg.nii.gz"}
media:
  image: {from: images, kind: volume, units: arbitrary}
  target: {from: labels, using: [id], kind: mask, like: image, foreground: "> 0"}
facts:
  tumour: {kind: mask_classes, of: target, covers: all, map: {1: glioma}, by: expert}
""",
    "thyroid": """\
sources:
  images: {files: "thyroid/{id}.png"}
  first: {files: "thyroid/a/{id}.png"}
  second: {files: "thyroid/b/{id}.png"}
media:
  image: {from: images, kind: image}
  target: {from: first, using: [id], kind: mask, like: image, foreground: "= 255"}
  target_b: {from: second, using: [id], kind: mask, like: image, foreground: "= 255"}
facts:
  nodule: {kind: mask_classes, of: target, covers: all, map: {1: nodule}, by: {kind: expert, name: a}}
  nodule_b: {kind: mask_classes, of: target_b, covers: all, map: {1: nodule}, by: {kind: expert, name: b}}
""",
}
MODALITIES = {"fundus": "fundus", "brain": "mri", "thyroid": "ultrasound"}
EACH = 4


def write_sets(root: Path) -> None:
    """Disc values 1, its cup 2; tumour parts 1, 2 and 4 in a volume; two annotators who differ."""
    rng = np.random.default_rng(8)
    for folder in ("fundus", "brain", "thyroid/a", "thyroid/b"):
        (root / folder).mkdir(parents=True)
    y, x = np.mgrid[:400, :500]
    for number in range(EACH):
        cx, cy, radius = 250 + rng.integers(-60, 60), 200 + rng.integers(-40, 40), 110 + rng.integers(0, 20)
        disc = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        cup = (x - cx - 10) ** 2 + (y - cy) ** 2 < (radius * 0.6) ** 2
        labels = disc.astype(np.uint8) + (cup & disc)
        Image.fromarray(labels).save(root / "fundus" / f"f{number}_label.png")
        Image.fromarray(np.choose(labels, [20, 120, 220]).astype(np.uint8)).save(root / "fundus" / f"f{number}.png")
        i, j, k = np.indices((48, 60, 40))
        distance = np.sqrt(((i - 24) / 16) ** 2 + ((j - 30) / 20) ** 2 + ((k - 20) / 13) ** 2)
        parts = np.select([distance < 0.4, distance < 0.7, distance < 1], [4, 1, 2], 0).astype(np.uint8)
        affine = turned((0.9, 0.9, 3.0), (8, 5, -12)) @ np.diag([-1.0, -1, 1, 1])
        ramp = (np.where(parts > 0, 700, 100) + i + 2 * j).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(parts, affine), root / "brain" / f"b{number}_seg.nii.gz")
        nibabel.save(nibabel.Nifti1Image(ramp, affine), root / "brain" / f"b{number}_flair.nii.gz")
        Image.fromarray(np.where(disc, 220, 30).astype(np.uint8)).save(root / "thyroid" / f"t{number}.png")
        Image.fromarray(disc.astype(np.uint8) * 255).save(root / "thyroid" / "a" / f"t{number}.png")
        Image.fromarray(np.roll(disc, 25, 1).astype(np.uint8) * 255).save(root / "thyroid" / "b" / f"t{number}.png")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Corpus]:
    root = tmp_path_factory.mktemp("sets")
    write_sets(root / "tree")
    listed = []
    for name, text in SPECS.items():
        head = HEAD.replace("NAME", name).replace("MODALITY", MODALITIES[name])
        before, after = head.split("samples:")
        sources, media = text.split("media:\n")
        (loaded,) = load_spec_text(f"{before}{sources}samples:{after}media:\n{media}", f"{name}.yaml")
        listed.append((loaded, root / "tree"))
    build_corpus(listed, root / "corpus", BuildOptions(workers=1), Quiet())
    return root / "tree", open_corpus(root / "corpus")


Sets = tuple[Path, Corpus]


def loader(corpus: Corpus, transform: list[Operation], **options: Any) -> medshard.Loader:
    given = {"by": "sample", "mask": "target", "image": "image", "channels": 1, "shuffle": False, **options}
    return medshard.Loader(corpus, 3, transform=transform, **given)


def by_key(corpus: Corpus, transform: list[Operation], **options: Any) -> dict[str, NDArray[np.int32]]:
    return {
        key: batch["mask"][place].numpy()
        for batch in loader(corpus, transform, **options)
        for place, key in enumerate(batch["key"])
    }


def of(corpus: Corpus, name: str) -> Corpus:
    return corpus.select(f"dataset = '{name}'")


def test_r16_three_layouts_give_one_schema_at_256_pixels(sets: Sets) -> None:
    _, corpus = sets
    assert len(corpus) == 3 * EACH
    seen = set()
    for batch in loader(corpus, [TakeSlice("z"), Resize((SIZE, SIZE))], shuffle=True):
        assert batch["image"].shape[1:] == (1, SIZE, SIZE)
        assert batch["mask"].shape[1:] == (SIZE, SIZE)
        assert batch["has_image"].all()
        assert batch["has_mask"].all()
        assert all(set(mask.unique().tolist()) == {0, 1} for mask in batch["mask"])
        seen |= set(batch["key"])
    assert len(seen) == 3 * EACH


WINDOWS = {"fundus": Window(20, 220), "brain": Window(100, 700), "thyroid": Window(30, 220)}


@pytest.mark.parametrize("name", SPECS)
def test_r16_masks_stay_on_their_pictures(sets: Sets, name: str) -> None:
    """PAINT after a crop and a mirror. Of the fundus the disc is brighter than a quarter, the volume has a ramp."""
    _, corpus = sets
    crop: list[Operation] = [RandomResizedCrop(SIZE, scale=(0.5, 1.0)), RandomHorizontalFlip(), WINDOWS[name]]
    compared = 0
    for batch in loader(of(corpus, name), [TakeSlices("z", count=3), *crop]):
        for place in range(len(batch["key"])):
            for number in range(int(batch["pictures"][place])):
                image, mask = batch["image"][place, number, 0].numpy(), batch["mask"][place, number].numpy()
                if mask.sum() >= 64 * 64:
                    shown = image > (0.25 if name == "fundus" else 0.63 if name == "brain" else 0.5)
                    assert overlap(shown, mask == 1) >= 0.98
                    compared += 1
    assert compared >= EACH


def test_r16_the_cup_lies_inside_the_disc(sets: Sets) -> None:
    _, corpus = sets
    here = of(corpus, "fundus")
    plain: list[Operation] = [Resize((SIZE, SIZE))]
    crop: list[Operation] = [RandomResizedCrop(SIZE, scale=(0.3, 1.0)), RandomHorizontalFlip()]
    for transform in (plain, crop):
        discs, cups = (by_key(here, transform, mask=slot) for slot in ("target", "cup"))
        assert len(discs) == EACH
        for key, disc in discs.items():
            cup = cups[key]
            assert 0 < cup.sum() < disc.sum()
            assert not (cup & ~disc.astype(bool)).any()


def test_r16_annotators_stay_apart(sets: Sets) -> None:
    tree, corpus = sets
    here = of(corpus, "thyroid")
    native: list[Operation] = [Resize((400, 500))]
    for slot, folder in (("target", "a"), ("target_b", "b")):
        for key, mask in by_key(here, native, mask=slot).items():
            file = tree / "thyroid" / folder / f"{key.removeprefix('thyroid-')}.png"
            np.testing.assert_array_equal(mask, np.asarray(Image.open(file)) // 255)
    first, second = (by_key(here, native, mask=slot) for slot in ("target", "target_b"))
    assert all((first[key] != second[key]).any() for key in first)
    for sample in here:
        raters = {medium.slot for medium in sample.record.media if medium.kind == "mask"}
        assert raters == {"target", "target_b"}


@pytest.mark.parametrize("letter", ["z", "y", "x"])
def test_r16_slices_of_nifti_are_those_of_nibabel(sets: Sets, letter: Any) -> None:
    tree, corpus = sets
    axis = "xyz".index(letter)
    for batch in loader(of(corpus, "brain"), [TakeSlices(letter, count="all"), *_native(letter), Window(-1024, 1024)]):
        for place, key in enumerate(batch["key"]):
            name = key.removeprefix("brain-")
            volume = nibabel.load(tree / "brain" / f"{name}_flair.nii.gz")
            labels = nibabel.load(tree / "brain" / f"{name}_seg.nii.gz")
            for number, index in enumerate(batch["slice_index"][place].tolist()):
                wanted = np.asarray(volume.dataobj).take(index, axis).T
                found = batch["image"][place, number, 0].numpy().astype(np.float64) * 2048 - 1024
                np.testing.assert_array_equal(found, wanted)
                np.testing.assert_array_equal(
                    batch["mask"][place, number], np.asarray(labels.dataobj).take(index, axis).T > 0
                )


def _native(letter: str) -> list[Operation]:
    return [Resize({"z": (60, 48), "y": (40, 48), "x": (40, 60)}[letter])]
