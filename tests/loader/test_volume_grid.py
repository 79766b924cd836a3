"""The sliding grid: every window once, and volumes that are whole again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from phantoms import Brain

import medshard
from medshard import WindowStitcher
from medshard.augment.volume import GridCrop3D, RandomCrop3D, Spacing, WindowAccumulator, window_weights
from medshard.errors import LoaderError

GRID = GridCrop3D((16, 20, 24), overlap=0.4)


@pytest.fixture(scope="module")
def brain() -> Brain:
    made = Brain()
    made.add("a", (53, 47, 30))
    made.add("small", (20, 11, 9))  # smaller than a window along two axes
    made.add("b", (24, 20, 33), ("t1",))
    return made


@pytest.fixture(scope="module")
def folder(brain: Brain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brain.build(tmp_path_factory.mktemp("grid"))


def loader(folder: Path, batch: int = 3, **options: Any) -> medshard.Loader:
    given: dict[str, Any] = {"image": ["t1", "flair"], "by": "sample", "shuffle": False, "transform": [GRID]}
    return medshard.Loader(medshard.open(folder), batch, **{**given, **options})


def test_every_window_comes_once_with_its_place(folder: Path, brain: Brain) -> None:
    made = loader(folder)
    starts: dict[str, list[tuple[int, ...]]] = {}
    count = 0
    for batch in made:
        for key, start, shape in zip(batch["key"], batch["window_start_zyx"], batch["volume_shape_zyx"], strict=True):
            starts.setdefault(key, []).append(tuple(start.tolist()))
            stored = brain.stored(key, "t1")
            assert stored is not None
            assert tuple(shape.tolist()) == stored.shape
            count += 1
    assert len(made) == -(-count // 3)
    for key, found in starts.items():
        stored = brain.stored(key, "t1")
        assert stored is not None
        z, y, x = stored.shape
        assert found == GRID.starts((z, y, x))
    # Counted by hand: along 30 by windows of 16 and steps of at most 9; 47 by 20 and 12; 53 by 24 and 14.
    assert len(starts["brain-a"]) == 3 * 4 * 4


def test_windows_of_ranks_are_those_of_one(folder: Path) -> None:
    def places(made: medshard.Loader) -> list[Any]:
        return [
            (key, tuple(start.tolist()))
            for batch in made
            for key, start in zip(batch["key"], batch["window_start_zyx"], strict=True)
        ]

    shuffled = [
        entry for rank in range(3) for entry in places(loader(folder, 2, rank=rank, world_size=3, shuffle=True))
    ]
    assert sorted(shuffled) == sorted(places(loader(folder)))


@pytest.mark.parametrize("sigma", [0.125, math.inf])
def test_the_windows_of_a_model_that_changes_nothing_are_the_volume(folder: Path, brain: Brain, sigma: float) -> None:
    whole: dict[str, np.ndarray] = {}
    stitcher = WindowStitcher(GRID, sigma=sigma)
    for batch in loader(folder, shuffle=True, seed=3):
        whole.update(stitcher.add(batch, batch["image"]))
    assert not stitcher.pending
    assert sorted(whole) == ["brain-a", "brain-b", "brain-small"]
    for key, found in whole.items():
        for channel, slot in enumerate(("t1", "flair")):
            stored = brain.stored(key, slot)
            wanted = stored if stored is not None else np.zeros(found.shape[1:])
            np.testing.assert_allclose(found[channel], wanted, atol=2e-3, rtol=1e-5)


def test_the_grid_of_another_spacing(folder: Path) -> None:
    spacing = Spacing((1.0, 1.0, 1.0))
    stitcher = WindowStitcher(GRID)
    shapes = {}
    for batch in loader(folder, transform=[spacing, GRID]):
        for key, volume in stitcher.add(batch, batch["image"]):
            shapes[key] = volume.shape
    # 53 x 47 x 30 voxels of 0.8 x 0.9 x 2.0 mm
    assert shapes["brain-a"] == (2, 60, 42, 42)
    assert not stitcher.pending


def test_what_cannot_be_put_together_says_so() -> None:
    part = WindowAccumulator((8, 8, 8), window_weights((4, 4, 4)))
    part.add((0, 0, 0), np.zeros((2, 4, 4, 4)))
    with pytest.raises(LoaderError, match="no window has"):
        part.result()
    with pytest.raises(LoaderError, match="weights are of"):
        part.add((0, 0, 0), np.zeros((2, 4, 4, 5)))
    with pytest.raises(LoaderError, match="of 2 and of 3 channels"):
        part.add((0, 0, 0), np.zeros((3, 4, 4, 4)))
    with pytest.raises(LoaderError, match="outside"):
        part.add((8, 0, 0), np.zeros((2, 4, 4, 4)))


def test_a_volume_that_lacks_a_window_stays_pending(folder: Path) -> None:
    stitcher = WindowStitcher(GRID)
    (first, *_) = loader(folder, 1)
    assert stitcher.add(first, first["image"]) == []
    assert list(stitcher.pending) == first["key"]
    lost = {**first, "valid": torch.tensor([False])}
    stitcher.add(lost, first["image"])
    assert stitcher.pending[first["key"][0]].windows == 1


def test_a_grid_is_of_samples_and_alone(folder: Path) -> None:
    with pytest.raises(LoaderError, match="by='sample'"):
        loader(folder, by="item")
    with pytest.raises(LoaderError, match="leave crops_per_volume out"):
        loader(folder, crops_per_volume=2)
    assert len(loader(folder, transform=[RandomCrop3D((4, 4, 4))])) == 1


def test_a_state_of_another_grid_is_refused(folder: Path) -> None:
    state = loader(folder).state_dict()
    with pytest.raises(LoaderError, match="another stream"):
        loader(folder, transform=[GridCrop3D((16, 20, 24), overlap=0.0)]).load_state_dict(state)
