"""Crops from afar: few requests, little in vain, nothing twice, no request for an index."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from volume_folder import NAME, FarStorage, grain, write

from medshard.errors import CorpusError
from medshard.volumes import VolumeReader
from medshard.volumes.cache import ChunkCache
from medshard.volumes.catalog import Catalog, CataloguedVolume, catalogue_volume, write_catalog
from medshard.volumes.layout import layout_for
from medshard.volumes.plan import LOCAL_READS, REMOTE_READS, ReadPolicy, plan_ranges


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("far")
    write(root, grain(70, 130, 200))
    return root


def catalogued(storage: FarStorage) -> VolumeReader:
    block = catalogue_volume(storage, NAME)
    storage.taken()
    return VolumeReader(storage, NAME, catalogued=CataloguedVolume(block, NAME))  # type: ignore[arg-type]


# -- ranges ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [LOCAL_READS, REMOTE_READS, ReadPolicy(100, 4, 1.5, 1000)])
def test_ranges_cover_every_chunk_once(policy: ReadPolicy) -> None:
    numbers = np.random.default_rng(0)
    for _ in range(200):
        lengths = numbers.integers(1, 400, 60)
        starts = np.cumsum(lengths + numbers.integers(0, 60, 60)) - lengths
        wanted = numbers.choice(60, numbers.integers(1, 60), replace=False)
        begin, end = plan_ranges(starts[wanted], lengths[wanted], policy)
        assert (begin < end).all()
        assert (begin[1:] >= end[:-1]).all()
        holders = np.searchsorted(begin, starts[wanted], side="right") - 1
        assert (end[holders] >= starts[wanted] + lengths[wanted]).all()


@pytest.mark.parametrize("shape", [(211, 512, 512), (512, 512, 512), (180, 256, 256), (48, 640, 640)])
def test_a_random_crop_takes_four_requests(shape: tuple[int, int, int]) -> None:
    """96 cubed of a level whose chunks have about one size; what is read is at most 2.5 times what is needed."""
    layout = layout_for(shape, np.dtype(np.int16), ("z", "y", "x"))
    assert layout.shards == (1, 1, 1)
    numbers = np.random.default_rng(1)
    sizes = numbers.normal(30_000, 6_000, layout.chunks).clip(2_000).astype(np.int64)
    offsets = np.empty(layout.chunks, np.int64)
    offsets[layout.order] = np.cumsum(sizes[layout.order]) - sizes[layout.order]
    size = [min(96, length) for length in shape]
    requests, shares = [], []
    for _ in range(300):
        start = [int(numbers.integers(0, n - edge + 1)) for n, edge in zip(shape, size, strict=True)]
        spans = (np.arange(s // 32, -(-(s + n) // 32)) for s, n in zip(start, size, strict=True))
        chunks = np.ravel_multi_index(np.ix_(*spans), layout.inner_per_shard).ravel()
        begin, end = plan_ranges(offsets[chunks], sizes[chunks], REMOTE_READS)
        requests.append(len(begin))
        shares.append((end - begin).sum() / sizes[chunks].sum())
    # Where four ranges would read too much in vain, a few more are the better bargain.
    assert np.mean(np.array(requests) <= 4) > 0.9
    assert np.mean(shares) < 2.1
    assert np.mean(np.array(shares) <= 2.5) > 0.95


# -- the catalogue --------------------------------------------------------------------------------------------------


def test_a_crop_asks_for_nothing_but_chunks(stored: Path) -> None:
    storage = FarStorage(stored)
    reader = catalogued(storage)
    voxels = reader.read_crop((3, 20, 50), (40, 60, 70))
    np.testing.assert_array_equal(voxels, grain(70, 130, 200)[3:43, 20:80, 50:120])
    taken = storage.taken()
    assert {path for path, _, _ in taken} == {f"{NAME}/0/c/0/0/0"}
    assert len(taken) <= 4
    reader.read_crop((0, 0, 0), (35, 65, 100), level=1)
    assert all("zarr.json" not in path for path, _, _ in storage.taken())


def test_without_a_catalogue_the_same_is_read(stored: Path) -> None:
    storage = FarStorage(stored)
    plain = VolumeReader(storage, NAME)  # type: ignore[arg-type]
    np.testing.assert_array_equal(
        plain.read_crop((3, 20, 50), (40, 60, 70)), catalogued(storage).read_crop((3, 20, 50), (40, 60, 70))
    )


def test_a_catalogue_is_found_by_number_and_told_from_a_damaged_one(stored: Path, tmp_path: Path) -> None:
    block = catalogue_volume(FarStorage(stored), NAME)  # type: ignore[arg-type]
    path = tmp_path / "volumes.bin"
    write_catalog(path, iter([b"", block]), 2)
    data = path.read_bytes()

    def opened(content: bytes) -> Catalog:
        return Catalog(lambda start, length: content[start : start + length], len(content))

    whole = opened(data)
    assert whole.volumes == 2
    assert whole.volume(0, "other") is None
    found = whole.volume(1, NAME)
    assert found is not None
    assert found.document(f"{NAME}/zarr.json") == (stored / NAME / "zarr.json").read_bytes()
    for place in (3, 40, len(data) - 1):
        wrong = bytearray(data)
        wrong[place] ^= 1
        with pytest.raises(CorpusError, match=r"volumes\.bin"):
            opened(bytes(wrong)).volume(1, NAME)
    for length in (0, 20, 50, len(data) - 4):
        with pytest.raises(CorpusError, match=r"volumes\.bin"):
            opened(data[:length]).volume(1, NAME)


def test_a_block_that_says_too_much_is_refused(stored: Path) -> None:
    block = catalogue_volume(FarStorage(stored), NAME)  # type: ignore[arg-type]
    for wrong in (block[:-4], block + b"\0\0\0\0", b"\xff\xff\xff\xff" + block[4:], b""):
        with pytest.raises(CorpusError, match=r"volumes\.bin"):
            CataloguedVolume(wrong, NAME)


# -- the cache ------------------------------------------------------------------------------------------------------


def read_with(cache: ChunkCache | None, storage: FarStorage) -> VolumeReader:
    block = catalogue_volume(storage, NAME)  # type: ignore[arg-type]
    storage.taken()
    return VolumeReader(storage, NAME, catalogued=CataloguedVolume(block, NAME), cache=cache)  # type: ignore[arg-type]


def test_crops_of_one_volume_fetch_its_chunks_once(stored: Path) -> None:
    storage = FarStorage(stored)
    reader = read_with(ChunkCache(2**30), storage)
    wanted = grain(70, 130, 200)
    for start in ((0, 0, 0), (5, 10, 20), (1, 40, 90), (0, 0, 0)):
        box = reader.read_crop(start, (64, 64, 64))
        np.testing.assert_array_equal(box, wanted[tuple(slice(s, s + 64) for s in start)])
    spans = sorted((start, start + length) for _, start, length in storage.taken())
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    reader.read_crop((2, 5, 30), (64, 64, 64))
    assert storage.taken() == []


@pytest.mark.parametrize("cache", [ChunkCache(2**30), ChunkCache(1), None], ids=["large", "small", "none"])
def test_a_fetched_box_is_unpacked_without_a_request(stored: Path, cache: ChunkCache | None) -> None:
    storage = FarStorage(stored)
    reader = read_with(cache, storage)
    fetched = reader.fetch((3, 20, 50), (40, 60, 70))
    reader.fetch((0, 64, 128), (64, 64, 64))  # pushes the first out of a small cache
    assert storage.taken()
    box = reader.read_crop((3, 20, 50), (40, 60, 70), fetched=fetched)
    np.testing.assert_array_equal(box, grain(70, 130, 200)[3:43, 20:80, 50:120])
    assert storage.taken() == []
    with pytest.raises(IndexError):
        reader.fetch((3, 20, 150), (40, 60, 70))


def test_a_small_cache_forgets_and_reads_again(stored: Path) -> None:
    storage = FarStorage(stored)
    cache = ChunkCache(200_000)
    reader = read_with(cache, storage)
    for start in ((0, 0, 0), (0, 64, 128), (0, 0, 0), (6, 66, 136)):
        box = reader.read_crop(start, (64, 64, 64))
        np.testing.assert_array_equal(box, grain(70, 130, 200)[tuple(slice(s, s + 64) for s in start)])
    assert cache.held_bytes <= 64**3 * 2 * 4  # what the last box needed may stay
    assert len(storage.taken()) > 4


def test_threads_share_one_cache(stored: Path) -> None:
    storage = FarStorage(stored)
    reader = read_with(ChunkCache(300_000), storage)
    wanted, wrong = grain(70, 130, 200), []

    def work(seed: int) -> None:
        numbers = np.random.default_rng(seed)
        for _ in range(10):
            start = [int(numbers.integers(0, n - 39)) for n in wanted.shape]
            box = reader.read_crop(tuple(start), (40, 40, 40))
            if not np.array_equal(box, wanted[tuple(slice(s, s + 40) for s in start)]):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_read_that_fails_is_tried_again_by_the_next_crop(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = FarStorage(stored)
    reader = read_with(ChunkCache(2**30), failing)
    with monkeypatch.context() as context:
        context.setattr(failing, "read_ranges", Mock(side_effect=OSError("gone")))
        with pytest.raises(OSError, match="gone"):
            reader.read_crop((0, 0, 0), (32, 32, 32))
    np.testing.assert_array_equal(reader.read_crop((0, 0, 0), (32, 32, 32)), grain(70, 130, 200)[:32, :32, :32])
