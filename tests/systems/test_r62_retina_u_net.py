"""Row R62: boxes of objects from masks after the transform, crops balanced over classes, toy shapes as a spec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mixed_tree import Quiet
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops

import medshard
from medshard.augment import RandomHorizontalFlip, RandomResizedCrop, TakeSlice
from medshard.augment.volume import ForegroundCrop3D, RandomAffine3D, RandomCrop3D, RandomFlip3D
from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus
from medshard.errors import LoaderError
from medshard.loader.instances import IGNORED, find_instances
from medshard.spec.catalog import find_spec
from medshard.spec.load import load_spec_file
from medshard.testing.synthetic import ShapesVolume, toy_shapes

Truth = dict[str, ShapesVolume]
SIZE = (24, 32, 36)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, Truth]:
    """The shipped spec, over what the shipped generator paints."""
    root = tmp_path_factory.mktemp("shapes")
    truth = toy_shapes(root / "data", volumes=6)
    (loaded,) = load_spec_file(find_spec("toy-shapes"))
    build_corpus([(loaded, root / "data")], root / "corpus", BuildOptions(workers=1), Quiet())
    return medshard.open(root / "corpus"), {f"toy-shapes-{volume.name}": volume for volume in truth}


def loader(corpus: Corpus, transform: list[Any], **options: Any) -> medshard.Loader:
    given = {"batch_size": 3, "by": "sample", "mask": "objects", "threads": 2, "seed": 3, "channels": 1, **options}
    return medshard.Loader(corpus, transform=transform, **given)


def test_r62_the_toy_shapes_are_what_was_painted(shapes: tuple[Corpus, Truth]) -> None:
    corpus, truth = shapes
    assert {sample.key for sample in corpus} == set(truth)
    for sample in corpus:
        painted = truth[sample.key].shapes
        assert len(painted) >= 4
        assert {shape.hollow for shape in painted} == {False, True}
        index = corpus.foreground(sample.row, "objects")
        assert index is not None
        assert index.values.tolist() == [shape.instance for shape in painted]
        assert index.counts.tolist() == [shape.voxels for shape in painted]
        assert index.boxes_zyx.tolist() == [[list(edge) for edge in shape.box] for shape in painted]
        found, mask = find_instances(sample.array("objects"))
        assert found.boxes.tolist() == index.boxes_zyx.tolist()
        assert mask.shape == sample.array("objects").shape
        classes, _ = find_instances(sample.array("classes"), objects="parts")
        assert sorted(classes.boxes.tolist()) == sorted(found.boxes.tolist())
        hollow = {
            tuple(map(tuple, box)): value == 2
            for box, value in zip(classes.boxes.tolist(), classes.values, strict=True)
        }
        assert all(hollow[shape.box] == shape.hollow for shape in painted)


def transformed(
    stored: NDArray[np.generic], geometry: NDArray[np.float64], size: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The stored labels at the nearest voxel of each of the crop's, by scipy, and how near a tie that is."""
    square = np.eye(4)
    square[:3] = geometry
    inverse = np.linalg.inv(square)
    from_ijk = inverse[:3, :3][::-1, ::-1]
    offset = inverse[:3, 3][::-1]
    labels = ndimage.affine_transform(stored, from_ijk, offset, tuple(size), order=0, mode="grid-constant", cval=0)
    place = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), -1) @ from_ijk.T + offset
    return labels, np.abs(place - np.floor(place) - 0.5).min(-1)


@pytest.mark.parametrize("name", ["crop and flip", "affine"])
def test_r62_boxes_in_3d_are_tight_around_the_transformed_objects(shapes: tuple[Corpus, Truth], name: str) -> None:
    corpus, _ = shapes
    moved = {
        "crop and flip": [],
        "affine": [RandomAffine3D(degrees_zyx=25, scale=(0.8, 1.3), p_rotate=1.0, p_scale=1.0)],
    }[name]
    run = loader(corpus, [RandomCrop3D(SIZE), RandomFlip3D(), *moved], crops_per_volume=4)
    dropped, cut = 0, 0
    for batch in run:
        for place in np.flatnonzero(batch["valid"]):
            sample = corpus.sample(batch["key"][place])
            mask, geometry = batch["mask"][place].numpy(), batch["geometry"][place].numpy()
            index = corpus.foreground(sample.row, "objects")
            assert index is not None
            stored = dict(zip(index.values.tolist(), index.counts.tolist(), strict=True))
            per_voxel = 1 / abs(np.linalg.det(geometry[:, :3]))
            found, cleaned = find_instances(mask, least_visible=0.25, stored_sizes=stored, stored_per_voxel=per_voxel)
            oracle, tie = transformed(sample.array("objects"), geometry, SIZE)
            assert ((mask == oracle) | (tie < 1e-3)).all()
            wanted = {}
            for instance in stored:
                voxels = np.argwhere(mask == instance)
                visible = len(voxels) * per_voxel / stored[instance]
                if visible >= 0.25:
                    wanted[instance] = [voxels.min(0).tolist(), (voxels.max(0) + 1).tolist()]
                    assert (cleaned[mask == instance] == instance).all()
                    cut += visible < 0.9
                else:
                    assert (cleaned[mask == instance] == IGNORED).all()
                    dropped += len(voxels) > 0
            assert dict(zip(found.ids.tolist(), found.boxes.tolist(), strict=True)) == wanted, (
                "ids are those of the source"
            )
            assert ((cleaned == mask) | (cleaned == IGNORED)).all()
            for instance, box in wanted.items():
                exact = np.argwhere((oracle == instance) & (tie >= 1e-3))
                assert (np.array(box[0]) <= exact.min(0)).all()
                assert (exact.max(0) < np.array(box[1])).all()
    assert dropped > 3
    assert cut > 3


def test_r62_boxes_in_2d_are_tight_around_the_seen_parts(shapes: tuple[Corpus, Truth]) -> None:
    corpus, truth = shapes
    run = loader(corpus, [TakeSlice("z"), RandomResizedCrop(48, scale=(0.3, 1.0)), RandomHorizontalFlip()])
    seen = 0
    for epoch in range(4):
        run.set_epoch(epoch)
        for batch in run:
            for place in np.flatnonzero(batch["valid"]):
                mask = batch["mask"][place].numpy()
                found, cleaned = find_instances(mask, least=6)
                props = {prop.label: prop for prop in regionprops(mask.astype(np.int32))}
                kept = {label: prop for label, prop in props.items() if prop.area >= 6}
                assert found.ids.tolist() == sorted(kept)
                assert set(found.ids.tolist()) <= {shape.instance for shape in truth[batch["key"][place]].shapes}
                for label, (low, high) in zip(found.ids.tolist(), found.boxes.tolist(), strict=True):
                    assert (*low, *high) == kept[label].bbox
                for label in set(props) - set(kept):
                    assert (cleaned[mask == label] == IGNORED).all()
                seen += len(kept)
    assert seen > 20


def test_r62_parts_of_a_class_are_objects_and_ignored_voxels_are_none() -> None:
    mask = np.zeros((7, 9), np.int32)
    mask[1:3, 1:4] = mask[4:6, 5:8] = 2
    mask[3, 4] = 2  # joins both by its corners
    mask[6, 0] = 1
    mask[0, 8] = IGNORED
    found, cleaned = find_instances(mask, objects="parts", least=2)
    assert found.boxes.tolist() == [[[1, 1], [6, 8]]]
    assert (found.ids.tolist(), found.values.tolist(), found.sizes.tolist()) == ([2], [2], [13])
    assert cleaned[6, 0] == IGNORED
    assert (cleaned == IGNORED).sum() == 2
    cut = np.zeros((1, 1, 9), np.uint8)
    cut[..., 1:3] = cut[..., 6:8] = 5
    found, same = find_instances(cut)
    assert found.boxes.tolist() == [[[0, 0, 1], [1, 1, 8]]], "one object in two pieces has one box"
    assert same.base is cut or same is cut
    with pytest.raises(LoaderError, match="stored_sizes"):
        find_instances(cut, least_visible=0.5)
    empty, _ = find_instances(np.zeros((4, 4), np.uint8))
    assert empty.boxes.shape == (0, 2, 2)


@pytest.mark.parametrize("rate", [1 / 3, 1.0])
def test_r62_crops_around_foreground_come_at_their_rate_and_balance_classes(
    shapes: tuple[Corpus, Truth], rate: float
) -> None:
    """The voxel in a crop's middle is of each class that often: both alike, although their sizes are not."""
    corpus, _ = shapes
    size = (3, 3, 3)  # so small that a crop is hardly moved, and its middle voxel is the drawn one
    run = loader(corpus, [ForegroundCrop3D(size, foreground=rate)], mask="classes", crops_per_volume=100, batch_size=50)
    middle = np.concatenate([batch["mask"][batch["valid"]][:, 1, 1, 1].numpy() for batch in run])
    assert len(middle) == 600
    volume = np.concatenate([corpus.sample(sample.key).array("classes").ravel() for sample in corpus])
    by_chance = [(volume == value).mean() for value in (1, 2)]
    for value in (1, 2):
        expected = rate / 2 + (1 - rate) * by_chance[value - 1]
        deviation = np.sqrt(expected * (1 - expected) / len(middle))
        assert abs((middle == value).mean() - expected) < 4 * deviation
    assert by_chance[0] > 1.1 * by_chance[1], "solid balls have more voxels, and are not drawn more often"
