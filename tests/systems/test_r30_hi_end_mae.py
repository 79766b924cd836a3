"""Row R30, Hi-End-MAE: masked autoencoding on unlabelled CT, and seven label sets of the same volumes.

Patches are masked as in a masked autoencoder; targets of the decoder are the crop itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phantoms import CountingStorage, StoredChunks, build, oblique, save_nifti, taken
from scipy import ndimage

import medshard
from medshard.augment import Window
from medshard.augment.volume import PatchMask3D, RandomCrop3D, RandomFlip3D, Spacing
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError

SIZE = (96, 96, 96)
SPACING_ZYX_MM = (1.5, 0.9, 0.9)
SHAPES_ZYX = [(150, 170, 200), (130, 180, 160), (100, 128, 190), (96, 96, 96), (140, 150, 170)]
SETS = [f"set{number}" for number in range(1, 8)]

SPEC = f"""\
spec: 1
name: ct
about: {{title: Unlabelled CT with seven label sets, modality: ct, anatomy: abdomen}}
licence: {{id: MIT, access: open, redistribute: "yes", evidence: page}}
sources:
  scans: {{files: "ct/{{id}}.nii.gz"}}
{"".join(f'  {name}: {{files: "{name}/{{id}}.nii.gz"}}' + chr(10) for name in SETS)}
samples: {{from: scans, key: id, patient: unknown, split: train}}
media:
  ct: {{from: scans, kind: volume, units: hu}}
{"".join(f"  {name}: {{from: {name}, using: [id], kind: mask, like: ct, no_file: missing}}" + chr(10) for name in SETS)}
"""


def scan(number: int) -> np.ndarray:
    """(Z, Y, X): rods and planes of HU with a little noise, so that chunks shrink as those of CT do."""
    z, y, x = np.indices(SHAPES_ZYX[number])
    rng = np.random.default_rng(number)
    body = ((y - 80) ** 2 + (x - 90) ** 2 < 70**2) * 1040.0 - 1000
    return (body + 60 * np.sin(z / 9) + rng.normal(0, 12, body.shape)).astype(np.int16)


def labels(number: int, which: int) -> np.ndarray:
    """(Z, Y, X): a block an organ; which organs depends on the set."""
    found = np.zeros(SHAPES_ZYX[number], np.uint8)
    for value in range(1, which + 2):
        corner = 8 * value + which
        found[corner : corner + 20, 20 + value : 70, 10 * value : 10 * value + 30] = value
    return found


def labelled(which: int) -> list[int]:
    return [number for number in range(len(SHAPES_ZYX)) if (number + which) % 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("r30")
    affine = oblique(SPACING_ZYX_MM[::-1], 15.0)
    for number in range(len(SHAPES_ZYX)):
        save_nifti(root / f"data/ct/s{number}.nii.gz", scan(number).transpose(2, 1, 0), affine)
        for which, name in enumerate(SETS):
            if number in labelled(which):
                save_nifti(root / f"data/{name}/s{number}.nii.gz", labels(number, which).transpose(2, 1, 0), affine)
    return build(SPEC, root / "data", root / "corpus")


@pytest.fixture
def corpus(folder: Path) -> Corpus:
    return medshard.open(folder)


def number_of(key: str) -> int:
    return int(key.removeprefix("ct-s"))


def test_r30_masked_and_visible_patches_partition_each_crop(corpus: Corpus) -> None:
    patch = (16, 16, 16)
    transform = [RandomCrop3D(SIZE), RandomFlip3D(), Window(-175, 250), PatchMask3D(patch, ratio=0.75)]
    masks = []
    made = medshard.Loader(corpus, 2, image="ct", by="sample", transform=transform, crops_per_volume=3, seed=1)
    for batch in made:
        assert batch["image"].shape[1:] == (1, *SIZE)
        for crop, masked in zip(batch["image"][:, 0], batch["patch_mask"], strict=True):
            assert masked.shape == (6, 6, 6)
            assert int(masked.sum()) == 162
            patches = crop.reshape(6, 16, 6, 16, 6, 16).permute(0, 2, 4, 1, 3, 5)
            hidden, visible = patches[masked], patches[~masked]
            assert len(hidden) + len(visible) == 216
            again = patches.new_empty(patches.shape)
            again[masked], again[~masked] = hidden, visible
            assert again.equal(patches)
            masks.append(masked.numpy())
    assert len({masked.tobytes() for masked in masks}) == 15
    share = np.mean(masks, 0)
    assert 0.2 < share.min() <= share.max() <= 1.0  # no place is left out of the masking


def test_r30_a_crop_reads_only_the_chunks_that_it_meets(corpus: Corpus, folder: Path) -> None:
    storage = CountingStorage(corpus.storage)
    corpus.storage = storage  # type: ignore[assignment]
    shards = {sample.key: next(folder.rglob(f"volumes/{sample.key}.ct.ome.zarr")) for sample in corpus}
    chunks = {key: StoredChunks(path) for key, path in shards.items()}
    read = own = 0
    for batch in medshard.Loader(corpus, 1, image="ct", by="sample", transform=[RandomCrop3D(SIZE)], seed=2):
        (key,) = batch["key"]
        start = np.rint(-batch["geometry"][0].numpy()[::-1, 3]).astype(int)
        meets = chunks[key].under(start, start + SIZE)
        own += chunks[key].bytes_of(meets)
    for path, _, length in storage.asked:
        if "/c/" in path:
            read += length
    index = sum(16 * 4 * 1024 for _ in shards)  # of shards, where the corpus has none itself
    assert own > 1_000_000
    assert own <= read + index
    assert read <= 2 * own


def test_r30_window_and_spacing_are_those_that_were_asked_for(corpus: Corpus) -> None:
    spacing = (1.2, 0.8, 0.8)
    transform = [Spacing(spacing), RandomCrop3D((40, 48, 32)), Window(-175, 250)]
    for batch in medshard.Loader(corpus, 2, image="ct", by="sample", transform=transform, seed=3):
        for place, key in enumerate(batch["key"]):
            affine = batch["affine"][place].numpy()
            np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0)[::-1], spacing, rtol=0.01)
            # An oracle of its own: crop index → millimetres → index of the file's array, interpolated by scipy.
            index = np.stack([*np.indices((40, 48, 32))[::-1], np.ones((40, 48, 32))])
            ijk = np.tensordot(np.linalg.inv(oblique(SPACING_ZYX_MM[::-1], 15.0)) @ affine, index, 1)[:3]
            stored = scan(number_of(key)).astype(np.float64)
            wanted = ndimage.map_coordinates(stored, ijk[::-1], order=1, mode="nearest")
            wanted = np.clip((wanted + 175) / 425, 0, 1)
            np.testing.assert_allclose(batch["image"][place, 0].numpy(), wanted, atol=2e-3)


def test_r30_eight_ranks_have_every_crop_once(corpus: Corpus) -> None:
    def crops(rank: int, world: int, workers: int = 1) -> list[tuple[str, int]]:
        made = medshard.Loader(
            corpus,
            1,
            image="ct",
            by="sample",
            transform=[RandomCrop3D((8, 8, 8))],
            crops_per_volume=7,
            rank=rank,
            world_size=world,
            threads=workers,
        )
        return [(key, int(n)) for batch in made for key, n in zip(batch["key"], batch["crop"], strict=True)]

    everything = sorted((f"ct-s{number}", crop) for number in range(len(SHAPES_ZYX)) for crop in range(7))
    assert sorted(entry for rank in range(8) for entry in crops(rank, 8)) == everything
    assert sorted(crops(0, 1, 3)) == everything


def test_r30_seven_label_sets_are_of_the_same_volumes(corpus: Corpus, folder: Path) -> None:
    assert len(list(folder.rglob("volumes/*.ct.ome.zarr"))) == len(SHAPES_ZYX)  # stored once, whatever labels there are
    size = (40, 40, 40)
    for which, name in enumerate(SETS):
        made = medshard.Loader(
            corpus, 2, image="ct", mask=name, by="sample", transform=[RandomCrop3D(size), RandomFlip3D()], seed=which
        )
        with_labels = []
        for batch in made:
            for place, key in enumerate(batch["key"]):
                number, geometry = number_of(key), batch["geometry"][place].numpy()
                wanted = taken(scan(number), geometry, size, 0)
                np.testing.assert_array_equal(batch["image"][place, 0].numpy(), wanted)
                if batch["has_mask"][place]:
                    with_labels.append(number)
                    wanted = taken(labels(number, which), geometry, size, 0)
                    np.testing.assert_array_equal(batch["mask"][place].numpy(), wanted)
        assert sorted(with_labels) == labelled(which)


def test_r30_patches_that_do_not_fill_a_crop_are_refused(corpus: Corpus) -> None:
    with pytest.raises(LoaderError, match="do not fill a crop"):
        medshard.Loader(corpus, 1, image="ct", transform=[RandomCrop3D((96, 96, 90)), PatchMask3D((16, 16, 16))])
