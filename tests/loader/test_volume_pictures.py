"""Pictures of volumes through the loader: what numpy and nibabel make of the files, with masks and maps along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from volume_tree import AFFINES, PaintedTree, build_painted, write_painted_tree

import medshard
from medshard.augment import (
    ElasticTransform,
    GaussianNoise,
    Letterbox,
    Montage,
    MultiCrop,
    MultiWindow,
    Operation,
    RandomAffine,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    TakeSlab,
    TakeSlice,
    TakeSlices,
    Window,
    from_voxels,
    to_voxels,
)
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.volumes import VolumeReader

EXACT = Window(-1024, 1024)
"""A power of two wide, so that float32 holds every whole value."""


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> tuple[PaintedTree, Corpus]:
    root = tmp_path_factory.mktemp("painted")
    tree = write_painted_tree(root / "tree")
    return tree, build_painted(root / "tree", root / "corpus")


def batches(corpus: Corpus, transform: list[Operation], **options: Any) -> list[dict[str, Any]]:
    given = {"batch_size": 1, "by": "sample", "image": "ct", "shuffle": False, "threads": 2, "channels": 1, **options}
    return list(medshard.Loader(corpus, transform=transform, **given))


def stored(batch: dict[str, Any], name: str = "image") -> NDArray[np.float64]:
    """Values of the first item as they are stored."""
    return np.asarray(batch[name][0], np.float64) * 2048 - 1024


def only(corpus: Corpus, name: str) -> Corpus:
    return corpus.select(f"key = 'painted-{name}'")


Painted = tuple[PaintedTree, Corpus]
NAMES = [*AFFINES, "unknown"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("letter", "axis"), [("z", 0), ("y", 1), ("x", 2)])
def test_stored_slices_are_the_files_values(painted: Painted, name: str, letter: Any, axis: int) -> None:
    tree, corpus = painted
    volume = tree.zyx(name)
    for index in (0, 5, -2):
        expected = volume.take(index, axis)
        (batch,) = batches(only(corpus, name), [TakeSlice(letter, index=index), Resize(expected.shape), EXACT])
        np.testing.assert_array_equal(stored(batch)[0], expected)
        assert batch["slice_index"].tolist() == [[index % volume.shape[axis]]]


@pytest.mark.parametrize("name", AFFINES)
def test_radiological_slices_are_those_of_nibabels_canonical_volume(painted: Painted, name: str) -> None:
    tree, corpus = painted
    canonical = tree.canonical(name)
    values = np.asarray(canonical.dataobj)
    for axis, last, first in (("axial", 2, (1, 0)), ("coronal", 1, (2, 0)), ("sagittal", 0, (2, 1))):
        wanted = np.flip(values.transpose(last, *first), (1, 2))
        slices = TakeSlices(axis, count="all", orientation="radiological")  # type: ignore[arg-type]
        (batch,) = batches(only(corpus, name), [slices, Resize(wanted.shape[1:]), EXACT])
        found = stored(batch)[:, 0]
        np.testing.assert_array_equal(found, wanted[::-1] if axis == "coronal" else wanted)
        # Positions grow along the order of planes, but for coronal ones, which go from front to back.
        steps = np.diff(batch["position_mm"][0])
        assert ((steps < 0) if axis == "coronal" else (steps > 0)).all()


@pytest.mark.parametrize("letter", ["z", "y", "x"])
def test_all_slices_restack_to_the_volume(painted: Painted, letter: Any) -> None:
    tree, corpus = painted
    for name in NAMES:
        volume = np.moveaxis(tree.zyx(name), "zyx".index(letter), 0)
        (batch,) = batches(only(corpus, name), [TakeSlices(letter, count="all"), Resize(volume.shape[1:]), EXACT])
        np.testing.assert_array_equal(stored(batch)[:, 0], volume)
        assert batch["pictures"].tolist() == [len(volume)]


def test_volumes_of_different_depth_are_padded_and_say_so(painted: Painted) -> None:
    tree, corpus = painted
    (batch,) = batches(corpus, [TakeSlices("z", count="all"), Resize((24, 24)), EXACT], batch_size=6, mask="organs")
    depth = [len(tree.zyx(key.removeprefix("painted-"))) for key in batch["key"]]
    assert batch["pictures"].tolist() == depth
    assert batch["image"].shape == (6, max(depth), 1, 24, 24)
    assert batch["mask"].shape == (6, max(depth), 24, 24)
    for place, count in enumerate(depth):
        assert batch["slice_index"][place].tolist() == [*range(count), *[-1] * (max(depth) - count)]
        assert not batch["image"][place, count:].any()
        assert batch["voxels_from_picture"][place, count:].isnan().all()
    assert batch["has_mask"].tolist() == [key != "painted-unknown" for key in batch["key"]]
    assert not batch["mask"][~batch["has_mask"]].any()


@pytest.mark.parametrize("reduce", ["mean", "max", "min"])
@pytest.mark.parametrize(("letter", "axis"), [("z", 0), ("y", 1), ("x", 2)])
def test_slabs_are_projections_and_so_are_their_masks(painted: Painted, reduce: Any, letter: Any, axis: int) -> None:
    tree, corpus = painted
    for name in ("oblique", "scanner"):
        volume, labels = tree.zyx(name).astype(np.float64), tree.labels[name].transpose()
        part = volume.take(range(10, 17), axis)
        expected = getattr(part, reduce)(axis)
        slab = TakeSlab(letter, slices=7, index=13, reduce=reduce)
        (batch,) = batches(only(corpus, name), [slab, Resize(expected.shape), EXACT], mask="organs")
        np.testing.assert_allclose(stored(batch)[0], expected, rtol=0, atol=2e-4 if reduce == "mean" else 0)
        np.testing.assert_array_equal(batch["mask"][0], labels.take(range(10, 17), axis).max(axis))
        middle = TakeSlab(letter, slices=7, index=13, reduce=reduce, mask="middle")
        (batch,) = batches(only(corpus, name), [middle, Resize(expected.shape), EXACT], mask="organs")
        np.testing.assert_array_equal(batch["mask"][0], labels.take(13, axis))


def test_a_slab_of_millimetres_has_the_planes_that_fit(painted: Painted) -> None:
    tree, corpus = painted
    volume = tree.zyx("scanner")  # planes 3 mm apart
    slab = TakeSlab("axial", thickness_mm=10.0, index=20, reduce="max")
    (batch,) = batches(only(corpus, "scanner"), [slab, Resize(volume.shape[1:]), EXACT])
    np.testing.assert_array_equal(stored(batch)[0], volume[19:22].max(0))
    with pytest.raises(LoaderError, match=r"painted-unknown .* its spacing is unknown"):
        batches(only(corpus, "unknown"), [TakeSlab("z", thickness_mm=10.0), Resize((8, 8))])


def test_a_whole_axis_is_a_maximum_intensity_projection(painted: Painted) -> None:
    tree, corpus = painted
    for name in NAMES:
        expected = tree.zyx(name).max(1)
        (batch,) = batches(only(corpus, name), [TakeSlab("y", reduce="max"), Resize(expected.shape), EXACT])
        np.testing.assert_array_equal(stored(batch)[0], expected)


def test_a_montage_is_its_planes_side_by_side(painted: Painted) -> None:
    tree, corpus = painted
    volume = np.asarray(tree.canonical("oblique").dataobj)[::-1, ::-1, :].transpose(2, 1, 0)  # axial pictures
    planes = [(2 * number + 1) * len(volume) // 12 for number in range(6)]
    rows = [np.concatenate([volume[plane] for plane in planes[row : row + 3]], 1) for row in (0, 3)]
    expected = np.concatenate(rows, 0)
    montage = Montage("axial", rows=2, columns=3, orientation="radiological")
    (batch,) = batches(only(corpus, "oblique"), [montage, Resize(expected.shape), EXACT], mask="organs")
    np.testing.assert_array_equal(stored(batch)[0], expected)
    assert batch["image"].shape == (1, 1, *expected.shape)
    assert batch["slice_index"].shape == (1, 6)
    labels = tree.labels["oblique"].transpose()
    height, width = volume.shape[1:]
    for tile, matrix in enumerate(batch["voxels_from_picture"][0]):
        top, left = tile // 3 * height, tile % 3 * width
        y, x = np.mgrid[top : top + height, left : left + width] + 0.5
        voxels = np.rint(to_voxels(np.stack([x, y], -1), matrix, batch["geometry"][0])).astype(int)
        mask = batch["mask"][0, top : top + height, left : left + width].numpy()
        np.testing.assert_array_equal(mask, labels[tuple(np.moveaxis(voxels, -1, 0))])


AUGMENTED: dict[str, list[Operation]] = {
    "crop": [RandomResizedCrop((50, 60), scale=(0.3, 0.9)), RandomHorizontalFlip()],
    "affine": [Resize((64, 64)), RandomAffine(25, translate=(0.1, 0.1), scale=(0.9, 1.2), shear=8)],
    "elastic": [Resize((64, 64)), ElasticTransform(alpha=30.0, sigma=6.0)],
    "letterbox": [Letterbox((70, 50))],
}
TAKES: list[Operation] = [
    TakeSlice("coronal", index="random", orientation="radiological", square_pixels=True),
    TakeSlice("x", index="random"),
    TakeSlab("sagittal", slices=5, orientation="radiological", mask="middle"),
    TakeSlices("axial", count=3, orientation="radiological", square_pixels=True),
]


@pytest.mark.parametrize("take", TAKES, ids=lambda take: f"{type(take).__name__}-{take.axis}")
@pytest.mark.parametrize("how", AUGMENTED)
def test_delivered_points_lie_in_the_volume_where_the_mask_says(painted: Painted, take: Any, how: str) -> None:
    """Every pixel of a delivered mask has the label of the voxel that the maps of the batch name."""
    tree, corpus = painted
    known = corpus.select("key <> 'painted-unknown'")
    for batch in batches(known, [take, *AUGMENTED[how], EXACT], mask="organs", seed=5):
        name = batch["key"][0].removeprefix("painted-")
        labels = tree.labels[name].transpose()
        elastic = batch["elastic"][0] if "elastic" in batch else None
        masks = batch["mask"][0] if take.several else batch["mask"]
        for mask, matrix in zip(masks.numpy(), batch["voxels_from_picture"][0], strict=True):
            y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
            voxels = to_voxels(np.stack([x, y], -1), matrix, batch["geometry"][0], elastic)
            at = np.floor(voxels + 0.5).astype(int)
            inside = np.all((at >= 0) & (at < labels.shape), -1)
            expected = np.where(
                inside, labels[tuple(np.moveaxis(np.clip(at, 0, np.array(labels.shape) - 1), -1, 0))], 0
            )
            agree = (mask == expected) | ~_away_from_edges(voxels)
            assert agree.mean() > 0.999, f"{name}: {agree.mean()}"
            back, depth = from_voxels(voxels, matrix, batch["geometry"][0], elastic)
            np.testing.assert_allclose(back, np.stack([x, y], -1), atol=1e-4)
            np.testing.assert_allclose(depth, 0, atol=1e-6)


def _away_from_edges(voxels: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where rounding does not decide between two voxels."""
    share = np.abs(voxels - np.rint(voxels))
    return np.asarray((share < 0.499).all(-1))


def test_square_pixels_have_the_shape_of_the_patient(painted: Painted) -> None:
    """A millimetre across is as long as one down, through one sampling of the stored plane."""
    tree, corpus = painted
    for name in ("scanner", "oblique", "sagittal"):
        take = TakeSlice("sagittal", orientation="radiological", square_pixels=True)
        (batch,) = batches(only(corpus, name), [take, Letterbox((96, 96)), EXACT])
        points = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]
        voxels = to_voxels(points, batch["voxels_from_picture"][0, 0], batch["geometry"][0])
        world = apply_affine(tree.affines[name], voxels[:, ::-1])
        across, down = world[1] - world[0], world[2] - world[0]
        assert np.linalg.norm(across) == pytest.approx(np.linalg.norm(down), rel=0.03)  # edges are whole pixels
        assert abs(across @ down) < 1e-6 * np.linalg.norm(across) ** 2
        # sagittal: x to the back, y to the feet
        assert abs(across[1]) == np.abs(across).max()
        assert abs(down[2]) == np.abs(down).max()
        assert across[1] < 0
        assert down[2] < 0


def test_a_mirror_of_the_patient_is_told_by_the_map(painted: Painted) -> None:
    """In radiological pictures x runs to the patient's left, and after a flip to the right."""
    tree, corpus = painted
    for axis in ("axial", "coronal"):
        for flip, sign in ((0.0, -1), (1.0, 1)):
            take = TakeSlice(axis, orientation="radiological")  # type: ignore[arg-type]
            for batch in batches(
                corpus.select("key <> 'painted-unknown'"), [take, Resize((32, 32)), RandomHorizontalFlip(p=flip)]
            ):
                name = batch["key"][0].removeprefix("painted-")
                voxels = to_voxels([[0.0, 0.0], [1.0, 0.0]], batch["voxels_from_picture"][0, 0], batch["geometry"][0])
                world = apply_affine(tree.affines[name], voxels[:, ::-1])
                assert np.sign(world[1, 0] - world[0, 0]) == sign


def test_a_slice_of_foreground_meets_a_label(painted: Painted) -> None:
    _, corpus = painted
    known = corpus.select("key <> 'painted-unknown'")
    shown: dict[str, set[int]] = {}
    for seed in range(12):
        take = TakeSlice("axial", index="foreground")
        for batch in batches(known, [take, Resize((64, 64)), EXACT], mask="organs", seed=seed):
            assert batch["mask"].any()
            shown.setdefault(batch["key"][0], set()).add(int(batch["slice_index"][0, 0]))
    assert min(len(planes) for planes in shown.values()) > 3
    missed = 0
    for seed in range(12):
        for batch in batches(known, [TakeSlice("axial", index="random"), Resize((64, 64))], mask="organs", seed=seed):
            missed += not batch["mask"].any()
    assert missed > 0, "any slice does, so the test shows nothing"


def test_a_slab_reads_the_chunks_that_it_meets(painted: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    _, corpus = painted
    read: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    real = VolumeReader.read_crop

    def read_crop(self: VolumeReader, start: tuple[int, ...], size: tuple[int, ...], **options: Any) -> Any:
        read.append((start, size))
        return real(self, start, size, **options)

    monkeypatch.setattr(VolumeReader, "read_crop", read_crop)
    here = only(corpus, "sagittal")  # (41, 39, 47): two inner chunks of 32 an axis
    cases: list[tuple[Operation, list[tuple[tuple[int, ...], tuple[int, ...]]]]] = [
        (TakeSlab("z", slices=3, index=10), [((9, 0, 0), (3, 39, 47))]),
        (TakeSlab("x", slices=4, index=32), [((0, 0, 31), (41, 39, 1)), ((0, 0, 32), (41, 39, 3))]),
        (TakeSlice("y", index=38), [((0, 38, 0), (41, 1, 47))]),
        (TakeSlices("z", count=4), [((5, 0, 0), (21, 39, 47)), ((35, 0, 0), (1, 39, 47))]),
    ]
    for take, expected in cases:
        read.clear()
        batches(here, [take, Resize((8, 8))])
        assert read == expected


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    tree = PaintedTree(tmp_path / "tree")
    tree.add("moved", AFFINES["scanner"], (20, 21, 22))
    spec = """\
spec: 1
name: painted
about: {title: Painted volumes, modality: ct, anatomy: abdomen, department: radiology}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  scans: {files: "ct/{id}.nii.gz"}
  labels: {files: "seg/{id}.nii.gz"}
samples: {from: scans, key: id, patient: id, split: train}
media:
  ct: {from: scans, kind: volume, units: hu}
  organs: {from: labels, using: [id], kind: mask, no_file: not_annotated}
facts:
  organ: {kind: mask_classes, of: organs, slots: [organs], covers: all, map: {1: nodule, 2: mass}, by: expert}
"""
    moved = AFFINES["scanner"].copy()
    moved[0, 3] += 0.01
    tree._save("seg", "moved", tree.labels["moved"], moved)
    corpus = build_painted(tree.root, tmp_path / "corpus", spec=spec)
    with pytest.raises(LoaderError, match=r"organs: grids lie 0.01 mm apart at a corner; have the build resample"):
        batches(corpus, [TakeSlice("z"), Resize((8, 8))], mask="organs")


def test_what_needs_geometry_says_so_of_the_volume_that_has_none(painted: Painted) -> None:
    _, corpus = painted
    here = only(corpus, "unknown")
    for take in (TakeSlice("axial"), TakeSlice("z", orientation="radiological")):
        with pytest.raises(LoaderError, match=r"painted-unknown .* where its axes point is unknown"):
            batches(here, [take, Resize((8, 8))])
    with pytest.raises(LoaderError, match="spacing is unknown, which thickness_mm and square_pixels need"):
        batches(here, [TakeSlice("z", square_pixels=True), Resize((8, 8))])
    (batch,) = batches(here, [TakeSlice("z"), Resize((8, 8))])
    assert batch["position_mm"].isnan().all()
    assert not batch["voxels_from_picture"].isnan().any(), "voxels are known without millimetres"


def test_three_windows_become_three_channels(painted: Painted) -> None:
    tree, corpus = painted
    volume = tree.zyx("scanner").astype(np.float64)
    windows = ("lung", (-200.0, 300.0), "bone")
    bounds = [((Window.ct(one).low, Window.ct(one).high) if isinstance(one, str) else one) for one in windows]
    transform: list[Operation] = [TakeSlice("z", index=7), Resize(volume.shape[1:]), MultiWindow(windows)]
    (batch,) = batches(only(corpus, "scanner"), transform, channels=3)
    for channel, (low, high) in enumerate(bounds):
        expected = np.clip((volume[7] - low) / (high - low), 0, 1)
        np.testing.assert_allclose(batch["image"][0, channel].numpy(), expected, rtol=0, atol=1e-6)
    with pytest.raises(LoaderError, match="MultiWindow has 3 channels, the loader 1"):
        batches(corpus, transform)


def test_the_border_of_three_windows_is_black_or_white_in_each(painted: Painted) -> None:
    _, corpus = painted
    for fill in (0.0, 1.0):
        transform: list[Operation] = [TakeSlice("z"), Letterbox((30, 90), fill=fill), MultiWindow()]
        (batch,) = batches(only(corpus, "plain"), transform, channels=3)
        assert batch["image"][0, :, :, :20].sub(fill).abs().max() < 1e-6


def test_slices_share_a_draw_and_not_their_noise(painted: Painted) -> None:
    """All pictures of an item have one geometry and one window; views and workers change nothing."""
    _, corpus = painted
    here = only(corpus, "oblique")
    crop = MultiCrop(global_size=32, local_size=16, n_global=1, n_local=1)
    (batch,) = batches(here, [TakeSlices("z", count=4), crop, EXACT], mask="organs")
    assert [tuple(view.shape) for view in batch["views"]] == [(1, 4, 1, 32, 32), (1, 4, 1, 16, 16)]
    assert [tuple(view.shape) for view in batch["mask_views"]] == [(1, 4, 32, 32), (1, 4, 16, 16)]
    noisy: list[Operation] = [TakeSlices("z", count=3), Resize((39, 46)), EXACT, GaussianNoise(sigma=0.01, clip=False)]
    (batch,), (again,) = (batches(here, noisy, threads=threads) for threads in (1, 2))
    assert torch.equal(batch["image"], again["image"])
    (clean,) = batches(here, noisy[:-1])
    noise = (batch["image"] - clean["image"])[0].double().flatten(1)
    assert noise.std(1).sub(0.01).abs().max() < 1e-3
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 0.1


def test_pictures_and_volumes_stand_in_one_batch(corpus: Corpus) -> None:
    """In the mixed corpus, pictures come as they did, as the first of an item's pictures."""
    alone = {}
    for batch in medshard.Loader(corpus, 8, transform=[TakeSlice("z"), Resize((24, 24))], shuffle=False):
        alone |= {item: batch["image"][place] for place, item in enumerate(batch["item"]) if batch["has_image"][place]}
    kinds = set()
    for batch in medshard.Loader(corpus, 8, transform=[TakeSlices("z", count=3), Resize((24, 24))], shuffle=False):
        assert batch["image"].shape[1:] == (3, 3, 24, 24)
        for place, item in enumerate(batch["item"]):
            count = int(batch["pictures"][place])
            kinds.add(count)
            assert not batch["image"][place, count:].any()
            if count == 1:
                assert torch.equal(batch["image"][place, 0], alone[item])
                assert batch["slice_index"][place].tolist() == [-1] * 3
            text = "".join(turn["content"] for turn in batch["text"][place])
            assert text.count("<image>") == (count if text and "<" in text else 0)
    assert kinds == {0, 1, 3}
