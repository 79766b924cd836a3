"""What every storage must do; a storage's own test inherits it."""

from __future__ import annotations

import multiprocessing
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TypeAlias

import pytest

from medshard.errors import StorageError
from medshard.storage import Storage
from medshard.storage.base import Entry

__all__ = ["FILES", "MakeStorage", "StorageConformance"]

MakeStorage: TypeAlias = Callable[[dict[str, bytes]], Storage]
"""Puts objects (path → content) under a fresh root and opens it."""


def _bytes(count: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(count)


FILES: dict[str, bytes] = {
    "a.bin": _bytes(1000, 1),
    "empty": b"",
    "d/x": _bytes(10, 2),
    "d-/x": _bytes(11, 3),
    "d.x": _bytes(12, 4),
    "d/e/f/deep.bin": _bytes(300_000, 5),
    "dd/x": _bytes(13, 6),
    "spa ce/ü 漢字 (1)+&=%20#?~[x].bin": _bytes(500, 7),
    "spa ce/🫁.bin": _bytes(20, 8),
}
"""Objects of the tests; the names sort differently by segment and by code point."""

_NAME = "a.bin"
_DATA = FILES[_NAME]


def _read_everything(storage: Storage) -> dict[str, bytes]:
    return {entry.path: bytes(storage.read(entry.path)) for entry in storage.list()}


class StorageConformance:
    """Inherit it in a class whose name begins with ``Test``, and define the fixture ``make``."""

    @pytest.fixture
    def make(self) -> MakeStorage:
        """Must be defined by the class that inherits."""
        raise NotImplementedError

    @pytest.fixture
    def storage(self, make: MakeStorage) -> Storage:
        """A storage that holds ``FILES``."""
        return make(FILES)

    def test_is_a_storage_with_a_url(self, storage: Storage) -> None:
        assert isinstance(storage, Storage)
        assert storage.url
        assert not storage.url.endswith("/")

    @pytest.mark.parametrize("path", FILES)
    def test_whole_objects(self, storage: Storage, path: str) -> None:
        assert storage.exists(path)
        assert storage.size(path) == len(FILES[path])
        assert bytes(storage.read(path)) == FILES[path]

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 1), (0, 1000), (0, 999), (1, 999), (999, 1), (500, 7), (0, None), (990, None)]
    )
    def test_ranges_at_both_ends(self, storage: Storage, start: int, length: int | None) -> None:
        stop = None if length is None else start + length
        assert bytes(storage.read(_NAME, start, length)) == _DATA[start:stop]
        if length is not None:
            assert [bytes(part) for part in storage.read_ranges(_NAME, [(start, length)])] == [_DATA[start:stop]]

    @pytest.mark.parametrize("start", [0, 500, 1000, 5000])
    def test_empty_range(self, storage: Storage, start: int) -> None:
        assert bytes(storage.read(_NAME, start, 0)) == b""
        assert [bytes(part) for part in storage.read_ranges(_NAME, [(start, 0)])] == [b""]

    def test_all_that_follow_the_end_is_nothing(self, storage: Storage) -> None:
        assert bytes(storage.read(_NAME, 1000)) == b""
        assert bytes(storage.read("empty", 0)) == b""

    def test_bytes_are_read_only(self, storage: Storage) -> None:
        for data in (storage.read(_NAME), *storage.read_ranges(_NAME, [(0, 5), (10, 5)])):
            assert memoryview(data).readonly

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 1001), (999, 2), (1000, 1), (5000, 1), (5000, None), (0, 2**40), (2**40, 2**40)]
    )
    def test_range_past_the_end(self, storage: Storage, start: int, length: int | None) -> None:
        with pytest.raises(StorageError, match=r"a\.bin.*1000"):
            storage.read(_NAME, start, length)
        if length is not None:
            with pytest.raises(StorageError, match=r"a\.bin.*1000"):
                storage.read_ranges(_NAME, [(0, 10), (start, length)])

    @pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, -1), (-5, None)])
    def test_negative_range(self, storage: Storage, start: int, length: int | None) -> None:
        with pytest.raises(StorageError, match=r"a\.bin"):
            storage.read(_NAME, start, length)
        if length is not None:
            with pytest.raises(StorageError, match=r"a\.bin"):
                storage.read_ranges(_NAME, [(start, length)])

    def test_many_ranges_keep_their_order(self, storage: Storage) -> None:
        path = "d/e/f/deep.bin"
        draw = random.Random(9)
        ranges = [(draw.randrange(290_000), draw.choice((0, 1, 100, 10_000))) for _ in range(200)]
        ranges += [(0, 300_000), (299_999, 1), ranges[0], ranges[0], (900_000, 0)]
        parts = storage.read_ranges(path, ranges)
        assert [bytes(part) for part in parts] == [FILES[path][start : start + length] for start, length in ranges]

    def test_no_ranges(self, storage: Storage) -> None:
        assert storage.read_ranges(_NAME, []) == []

    def test_long_object(self, make: MakeStorage) -> None:
        data = _bytes(33 * 2**20 + 3, 10)
        storage = make({"long.bin": data})
        assert storage.read("long.bin") == data
        assert storage.read("long.bin", 5, 17 * 2**20) == data[5 : 5 + 17 * 2**20]
        half = len(data) // 2
        ranges = [(half, len(data) - half), (0, half), (7, 20 * 2**20), (2**20, 5)]
        parts = storage.read_ranges("long.bin", ranges)
        assert all(part == data[start : start + length] for part, (start, length) in zip(parts, ranges, strict=True))
        with pytest.raises(StorageError, match=str(len(data))):
            storage.read("long.bin", 1, len(data))

    @pytest.mark.parametrize("path", ["nothing", "d", "d/e", "a.bin/x", "d/nothing", "A.bin"])
    def test_missing_object(self, storage: Storage, path: str) -> None:
        assert not storage.exists(path)
        for read in (
            lambda: storage.size(path),
            lambda: storage.read(path),
            lambda: storage.read(path, 3, 4),
            lambda: storage.read_ranges(path, [(0, 1)]),
        ):
            with pytest.raises(StorageError) as caught:
                read()
            assert path in str(caught.value)
            assert storage.url in str(caught.value)

    @pytest.mark.parametrize("path", ["", "/a.bin", "../a.bin", "d/../a.bin", "d//x", "./a.bin", "d/", "a\0b", "a\nb"])
    def test_path_outside_or_unclean(self, storage: Storage, path: str) -> None:
        for call in (
            lambda: storage.size(path),
            lambda: storage.exists(path),
            lambda: storage.read(path),
            lambda: storage.read(path, 0, 0),
            lambda: storage.read_ranges(path, [(0, 1)]),
        ):
            with pytest.raises(StorageError, match="path"):
                call()

    @pytest.mark.parametrize("prefix", ["/", "..", "d/..", "d//", "/d"])
    def test_prefix_outside_or_unclean(self, storage: Storage, prefix: str) -> None:
        with pytest.raises(StorageError):
            list(storage.list(prefix))
        with pytest.raises(StorageError):
            storage.child(prefix)

    def test_list_is_in_order_and_complete(self, storage: Storage) -> None:
        assert list(storage.list()) == [Entry(path, len(FILES[path])) for path in sorted(FILES)]

    @pytest.mark.parametrize("prefix", ["d", "d/", "d/e", "d/e/f", "dd", "spa ce"])
    def test_list_of_a_folder(self, storage: Storage, prefix: str) -> None:
        folder = prefix.rstrip("/") + "/"
        assert [entry.path for entry in storage.list(prefix)] == sorted(p for p in FILES if p.startswith(folder))

    @pytest.mark.parametrize("prefix", ["nothing", "a.bin", "d/e/f/deep.bin", "d/nothing"])
    def test_list_of_no_folder_is_empty(self, storage: Storage, prefix: str) -> None:
        assert list(storage.list(prefix)) == []

    def test_child_is_the_folder(self, storage: Storage) -> None:
        child = storage.child("d").child("e/")
        assert child.url == f"{storage.url}/d/e"
        assert list(child.list()) == [Entry("f/deep.bin", 300_000)]
        assert bytes(child.read("f/deep.bin", 5, 5)) == FILES["d/e/f/deep.bin"][5:10]
        with pytest.raises(StorageError, match="d/e/x"):
            child.read("x")
        with pytest.raises(StorageError):
            child.read("../x")
        assert storage.child("").url == storage.url

    def test_child_need_not_exist(self, storage: Storage) -> None:
        assert not storage.child("later/on").exists("x")

    def test_sixteen_threads_at_once(self, make: MakeStorage) -> None:
        files = {f"{number}.bin": _bytes(50_000, number) for number in range(4)}
        storage = make(files)

        def work(seed: int) -> int:
            draw = random.Random(seed)
            for _ in range(12):
                path = f"{draw.randrange(4)}.bin"
                ranges = [(draw.randrange(40_000), draw.randrange(10_000)) for _ in range(3)]
                start, length = ranges[0]
                assert bytes(storage.read(path, start, length)) == files[path][start : start + length]
                for part, (start, length) in zip(storage.read_ranges(path, ranges), ranges, strict=True):
                    assert part == files[path][start : start + length]
            return storage.size(path)

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(work, range(16))) == [50_000] * 16

    def test_pickles_as_configuration(self, storage: Storage) -> None:
        before = pickle.dumps(storage)
        assert bytes(storage.read(_NAME)) == _DATA
        assert pickle.dumps(storage) == before  # nothing that reading made is in it
        copy = pickle.loads(before)
        assert copy.url == storage.url
        assert bytes(copy.read(_NAME)) == _DATA
        assert bytes(pickle.loads(pickle.dumps(storage.child("d"))).read("x")) == FILES["d/x"]

    def test_spawned_process_reads_after_its_parent(self, storage: Storage) -> None:
        assert bytes(storage.read(_NAME)) == _DATA
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(_read_everything, storage).result(timeout=120) == FILES
