"""A loader of crops that runs: damage, Ctrl-C, the end of a process, memory that comes back, S3."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import SEQUENCES, Brain, CountingStorage, StoredChunks
from s3_server import S3Server

import medshard
from medshard.augment import GaussianNoise
from medshard.augment.volume import CenterCrop3D, RandomAffine3D, RandomCrop3D, RandomFlip3D
from medshard.errors import LoaderError

pytest_plugins = ["s3_server"]

SIZE = (12, 20, 16)
TESTS = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{Path(medshard.__file__).parents[1]}:{TESTS}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Brain()
    for number in range(6):
        made.add(f"v{number}", (50 + number, 44, 40), ("t1", "flair"))
    return made.build(tmp_path_factory.mktemp("running"))


def loader(folder: Path | str, batch: int = 2, **options: Any) -> medshard.Loader:
    given: dict[str, Any] = {
        "image": SEQUENCES,
        "mask": "tumour",
        "by": "sample",
        "transform": [RandomCrop3D(SIZE), RandomFlip3D()],
        "seed": 5,
    }
    return medshard.Loader(medshard.open(folder), batch, **{**given, **options})


def spoil(folder: Path, copy: Path, key: str, slot: str) -> Path:
    """A copy of the corpus in which every chunk of one volume is damaged."""
    shutil.copytree(folder, copy)
    where = f"{key}.flair.ome.zarr/labels/tumour" if slot == "tumour" else f"{key}.{slot}.ome.zarr"
    volume = next(copy.rglob(f"volumes/{where}"))
    for path, offset, length in StoredChunks(volume).where.values():
        with open(path, "r+b") as file:
            file.seek(offset + length // 2)
            byte = file.read(1)
            file.seek(offset + length // 2)
            file.write(bytes([byte[0] ^ 0xFF]))
    return copy


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", ["t1", "flair", "tumour"])
def test_a_damaged_volume_fails_its_crops_and_no_others(folder: Path, tmp_path: Path, slot: str) -> None:
    damaged = spoil(folder, tmp_path / "corpus", "brain-v2", slot)
    with pytest.raises(LoaderError, match=r"brain-v2 in .*\.tar cannot be delivered: .*damaged"):
        list(loader(damaged))
    running = loader(damaged, crops_per_volume=2, on_error="skip")
    for batch, sound in zip(running, loader(folder, crops_per_volume=2), strict=True):
        hit = np.array([key == "brain-v2" for key in batch["key"]])
        np.testing.assert_array_equal(batch["valid"].numpy(), ~hit)
        assert not batch["image"][hit].any()
        assert not batch["mask"][hit].any()
        assert batch["image"][~hit].equal(sound["image"][~hit])
        assert batch["mask"][~hit].equal(sound["mask"][~hit])
    stats = running.stats()
    assert stats["counts"]["failed"] == 2
    assert {failure["key"] for failure in stats["failures"]} == {"brain-v2"}


def test_a_volume_that_is_gone_fails_its_crops(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "corpus"
    shutil.copytree(folder, copy)
    shutil.rmtree(next(copy.rglob("volumes/brain-v1.t1.ome.zarr")))
    valid = {
        key: bool(ok)
        for batch in loader(copy, on_error="skip")
        for key, ok in zip(batch["key"], batch["valid"], strict=True)
    }
    assert valid == {f"brain-v{number}": number != 1 for number in range(6)}


def test_sequences_on_different_grids_are_no_channels(tmp_path: Path) -> None:
    made = Brain()
    made.add("a", (40, 30, 20), ("t1", "t2"))
    made.sequences["a"]["t2"] = made.sequences["a"]["t2"][:, :, :19]
    corpus = made.build(tmp_path)
    with pytest.raises(LoaderError, match=r"t2: grids differ.*have the build resample one to the other"):
        list(loader(corpus, mask=None))
    assert len(list(loader(corpus, image="t2", mask=None))) == 1


# -- threads and memory ------------------------------------------------------------------------------------------------


def test_stages_are_told_and_memory_comes_back(folder: Path) -> None:
    made = loader(folder, crops_per_volume=20)
    for _ in made:
        pass
    stats = made.stats()
    assert {"read pixels", "jobs", "unpack", "sample", "decode", "collate", "wait"} <= set(stats["seconds"])
    assert stats["counts"]["delivered"] == 120
    assert stats["memory"]["reused"] > stats["memory"]["fresh"]


def test_an_iteration_that_is_left_ends_and_the_next_is_whole(folder: Path) -> None:
    made = loader(folder, crops_per_volume=10)
    first: Iterator[Any] = iter(made)
    next(first)
    del first
    made.set_epoch(0)
    whole = [key for batch in made for key in batch["key"]]
    assert len(whole) == 60


PROGRAM = """
import signal, sys
import medshard
from medshard.augment.volume import RandomAffine3D, RandomCrop3D
signal.signal(signal.SIGINT, signal.default_int_handler)
corpus = medshard.open(sys.argv[1])
transform = [RandomCrop3D((32, 32, 32)), RandomAffine3D(20.0)]
loader = medshard.Loader(corpus, 4, image="t1", by="sample", transform=transform, crops_per_volume=1000, threads=2)
for number, batch in enumerate(loader):
    if number == 2:
        print("running", flush=True)
        if sys.argv[2] == "leave":
            break
"""


def program(folder: Path, how: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), how],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "running\n"
    return child


def test_ctrl_c_ends_a_training_loop(folder: Path) -> None:
    child = program(folder, "train")
    time.sleep(0.3)
    began = time.perf_counter()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode in (1, -signal.SIGINT), errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert time.perf_counter() - began < 4  # a second on a quiet machine


def test_a_process_may_end_in_the_middle_of_an_epoch(folder: Path) -> None:
    child = program(folder, "leave")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert "Exception" not in errors


# -- S3 ----------------------------------------------------------------------------------------------------------------


def test_s3_gives_the_crops_of_the_disk(s3_env: S3Server, folder: Path) -> None:
    transform = [RandomCrop3D(SIZE), RandomAffine3D(20.0), RandomFlip3D(), GaussianNoise(sigma=0.1, clip=False)]
    url = s3_env.put_tree(folder)
    for there, here in zip(
        loader(url, crops_per_volume=2, transform=transform),
        loader(folder, crops_per_volume=2, transform=transform),
        strict=True,
    ):
        assert there["key"] == here["key"]
        assert there["image"].equal(here["image"])
        assert there["mask"].equal(here["mask"])


# -- what is fetched ---------------------------------------------------------------------------------------------------


def chunk_reads(folder: Path, **options: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes of each volume that a loader asks for, from a storage that is not a local folder to it; and bytes of the
    chunks that each crop meets, crop by crop."""
    made = loader(folder, image="t1", mask=None, **options)
    storage = CountingStorage(made.corpus.storage)
    made.corpus.storage = storage  # type: ignore[assignment]
    stored = {sample.key: next(folder.rglob(f"volumes/{sample.key}.t1.ome.zarr")) for sample in made.corpus}
    chunks = {key: StoredChunks(path) for key, path in stored.items()}
    own = dict.fromkeys(stored, 0)
    for batch in made:
        size = np.array(batch["image"].shape[2:])
        for key, geometry in zip(batch["key"], batch["geometry"].numpy(), strict=True):
            start = np.maximum(np.rint(-geometry[::-1, 3]).astype(int), 0)
            own[key] += chunks[key].bytes_of(chunks[key].under(start, start + size))
    asked = {
        key: sum(length for name, _, length in storage.asked if f"/{key}.t1.ome.zarr/0/c/" in name) for key in stored
    }
    return asked, own


def test_crops_of_one_volume_fetch_its_chunks_once(folder: Path) -> None:
    asked, own = chunk_reads(folder, crops_per_volume=30, transform=[RandomCrop3D((24, 24, 24))])
    for key, read in asked.items():
        whole = sum(
            length for *_, length in StoredChunks(next(folder.rglob(f"volumes/{key}.t1.ome.zarr"))).where.values()
        )
        assert own[key] > 5 * whole  # what crops by themselves would read
        # What lies between two chunks that are missing may be read again rather than asked for apart.
        assert whole <= read < 2 * whole


def test_what_is_at_hand_is_not_asked_for_again(folder: Path) -> None:
    once, _ = chunk_reads(folder, crops_per_volume=1, transform=[CenterCrop3D((8, 8, 8))])
    often, own = chunk_reads(folder, crops_per_volume=20, transform=[CenterCrop3D((8, 8, 8))])
    assert often == once
    assert all(own[key] >= 10 * often[key] > 0 for key in own)
