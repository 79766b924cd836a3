"""Folders of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medshard.errors import StorageError
from medshard.storage import Storage, open_storage
from medshard.storage.local import LocalStorage
from medshard.testing.storage import MakeStorage, StorageConformance


def write_files(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


class TestLocal(StorageConformance):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeStorage:
        def make(files: dict[str, bytes]) -> Storage:
            return open_storage(write_files(tmp_path / "root folder", files))

        return make


class TestLocalThroughALinkedRoot(TestLocal):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeStorage:
        def make(files: dict[str, bytes]) -> Storage:
            write_files(tmp_path / "real", files)
            (tmp_path / "latest").symlink_to("real")
            return open_storage(f"file://{tmp_path}/latest")

        return make


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with links inside it and out of it."""
    write_files(tmp_path, {"root/in/a": b"inside", "outside/secret": b"secret", "roots/secret": b"neighbour"})
    root = tmp_path / "root"
    (root / "in/again").symlink_to("a")
    (root / "same").symlink_to("in")
    (root / "out").symlink_to("../outside")
    (root / "out.bin").symlink_to(tmp_path / "outside/secret")
    (root / "beside.bin").symlink_to("../roots/secret")
    return root


def test_links_inside_the_root_are_followed(linked: Path) -> None:
    storage = LocalStorage(linked)
    assert storage.read("in/again") == b"inside"
    assert storage.read("same/again") == b"inside"
    assert storage.child("same").read("a") == b"inside"


@pytest.mark.parametrize("path", ["out/secret", "out.bin", "beside.bin", "in/../out.bin"])
def test_links_out_of_the_root_are_refused(linked: Path, path: str) -> None:
    storage = LocalStorage(linked)
    for call in (storage.read, storage.size, storage.exists, lambda path: storage.read_ranges(path, [(0, 1)])):
        with pytest.raises(StorageError, match=r"follow_links=True|path"):
            call(path)


def test_a_list_or_child_does_not_leave_the_root(linked: Path) -> None:
    storage = LocalStorage(linked)
    with pytest.raises(StorageError, match="follow_links=True"):
        list(storage.list())
    with pytest.raises(StorageError, match="follow_links=True"):
        list(storage.list("out"))
    with pytest.raises(StorageError, match="follow_links=True"):
        storage.child("out")
    assert [entry.path for entry in storage.list("in")] == ["in/a", "in/again"]


def test_links_out_of_the_root_are_followed_where_that_is_said(linked: Path) -> None:
    storage = open_storage(linked, follow_links=True)
    assert storage.read("out/secret") == b"secret"
    assert storage.child("out").read("secret") == b"secret"
    assert [entry.path for entry in storage.list()] == [
        "beside.bin",
        "in/a",
        "in/again",
        "out.bin",
        "out/secret",
        "same/a",
        "same/again",
    ]


def test_links_in_a_circle(tmp_path: Path) -> None:
    write_files(tmp_path, {"a/b/file": b"x"})
    (tmp_path / "a/b/up").symlink_to("..")
    storage = LocalStorage(tmp_path)
    assert storage.read("a/b/up/b/file") == b"x"
    with pytest.raises(StorageError, match="circle"):
        list(storage.list())


def test_what_is_no_file_is_no_object(tmp_path: Path) -> None:
    write_files(tmp_path, {"file": b"x"})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nothing")
    storage = LocalStorage(tmp_path)
    assert [entry.path for entry in storage.list()] == ["file"]
    for name in ("pipe", "dangling"):
        assert not storage.exists(name)
        with pytest.raises(StorageError, match=name):
            storage.read(name)  # a pipe that nobody writes to would hold an ordinary open for ever


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    storage = LocalStorage(write_files(tmp_path, {"corpus.json": b"old"}))
    assert storage.read("corpus.json") == b"old"
    write_files(tmp_path, {"new": b"newer"})
    (tmp_path / "new").replace(tmp_path / "corpus.json")
    assert storage.read("corpus.json") == b"newer"


def test_reading_leaves_no_file_open(tmp_path: Path) -> None:
    storage = LocalStorage(write_files(tmp_path, {f"{n}": b"x" * 10 for n in range(20)}))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        storage.read(f"{number}")
        with pytest.raises(StorageError):
            storage.read(f"{number}", 5, 50)
    assert len(os.listdir("/proc/self/fd")) == before


def test_short_reads_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(100)
    storage = LocalStorage(write_files(tmp_path, {"a": data}))
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda handle, length, start: pread(handle, min(length, 7), start))
    assert storage.read("a") == data
    assert storage.read("a", 3, 50) == data[3:53]
    assert storage.read_ranges("a", [(90, 10), (0, 20)]) == [data[90:], data[:20]]


def test_a_file_cut_off_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(write_files(tmp_path, {"a": bytes(100)}))
    pread = os.pread
    monkeypatch.setattr(
        os, "pread", lambda handle, length, start: pread(handle, min(length, max(40 - start, 0)), start)
    )
    with pytest.raises(StorageError, match="a: ends at byte 40"):
        storage.read("a")


def test_a_file_without_permission(tmp_path: Path) -> None:
    if os.getuid() == 0:
        pytest.skip("root may read everything")
    storage = LocalStorage(write_files(tmp_path, {"a": b"x"}))
    (tmp_path / "a").chmod(0)
    with pytest.raises(StorageError, match="Permission"):
        storage.read("a")


def test_a_name_that_is_not_unicode_is_reported(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"x")
    with pytest.raises(StorageError, match="Unicode"):
        list(LocalStorage(tmp_path).list())


def test_a_missing_root_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such folder"):
        list(LocalStorage(tmp_path / "typo").list())
