"""Archives as folders, and what a hostile one cannot do."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from medshard.errors import ReadError
from medshard.readers.packed import read_gzip
from medshard.source import archive
from medshard.source.archive import open_archive
from medshard.source.pattern import compile_pattern
from medshard.source.root import DataRoot


def make_zip(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return stream.getvalue()


def make_tar(files: dict[str, bytes], mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as packed:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return stream.getvalue()


FILES = {"a/1.txt": b"one", "a/2.txt": b"two" * 1000, "b.txt": b""}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.zip", make_zip(FILES)),
        ("x.tar", make_tar(FILES, "w")),
        ("x.tar.gz", make_tar(FILES, "w:gz")),
        ("x.TGZ", make_tar(FILES, "w:gz")),
        ("x.tar.bz2", make_tar(FILES, "w:bz2")),
        ("x.tar.xz", make_tar(FILES, "w:xz")),
    ],
)
def test_members_and_bytes(name: str, data: bytes) -> None:
    with closing(open_archive(name, io.BytesIO(data))) as opened:
        assert dict(opened.members()) == {path: len(content) for path, content in FILES.items()}
        for path in reversed(FILES):
            assert opened.read(path) == FILES[path]
        with pytest.raises(ReadError, match="no such member"):
            opened.read("nowhere")


@pytest.mark.parametrize("make", [make_zip, lambda files: make_tar(files, "w:gz")])
def test_members_that_leave_the_archive_are_not_listed(make) -> None:  # type: ignore[no-untyped-def]
    data = make({"../evil": b"x", "/abs": b"x", "ok/../../evil": b"x", "good": b"x"})
    name = "x.zip" if data[:2] == b"PK" else "x.tgz"
    with closing(open_archive(name, io.BytesIO(data))) as opened:
        assert [path for path, _ in opened.members()] == ["good"]


def test_links_in_a_tar_are_not_followed() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as packed:
        link = tarfile.TarInfo("passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    assert open_archive("x.tar", io.BytesIO(stream.getvalue())).members() == []


def test_bombs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_RATIO", 50)
    zeros = b"\0" * 3_000_000
    with pytest.raises(ReadError, match="more than allowed"):
        open_archive("x.zip", io.BytesIO(make_zip({"z": zeros}))).read("z")
    with pytest.raises(ReadError, match="unpacks to more than"):
        open_archive("x.tgz", io.BytesIO(make_tar({"z": zeros}, "w:gz")))
    with pytest.raises(ReadError, match="unpacks to more than"):
        read_gzip(gzip.compress(zeros), max_bytes=1000)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.zip", make_zip(FILES)[:60]),
        ("x.tgz", make_tar(FILES, "w:gz")[:60]),
        ("x.tar", b"no tar at all" * 100),
        ("x.zip", b""),
    ],
)
def test_damaged_archives_raise(name: str, data: bytes) -> None:
    with pytest.raises(ReadError):
        open_archive(name, io.BytesIO(data))


def test_nested_archives_are_listed_and_read(tmp_path: Path) -> None:
    inner = make_zip({"scan/image_1": b"1", "scan/image_2": b"22"})
    (tmp_path / "case7").mkdir()
    (tmp_path / "case7/all.tar.gz").write_bytes(make_tar({"P.zip": inner, "other.txt": b""}, "w:gz"))
    root = DataRoot(tmp_path)
    table = root.match(compile_pattern("{id}/all.tar.gz!/P.zip!/**/image_{slice:\\d+}"))
    assert table.select(["id", "slice", "path", "size"]).to_pylist() == [
        {"id": "case7", "slice": "1", "path": "case7/all.tar.gz!/P.zip!/scan/image_1", "size": 1},
        {"id": "case7", "slice": "2", "path": "case7/all.tar.gz!/P.zip!/scan/image_2", "size": 2},
    ]
    assert root.read("case7/all.tar.gz!/P.zip!/scan/image_2") == b"22"


def test_a_root_refuses_paths_that_leave_it(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="leaves the dataset's root"):
        DataRoot(tmp_path).read("../x")


def test_system_files_are_not_listed(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"")
    listing = DataRoot(tmp_path).listing()
    assert listing.paths.to_pylist() == ["a.png"]
    assert listing.system_files == 3


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.png").write_bytes(b"")
    (tmp_path / "a/again").symlink_to(tmp_path / "a")
    assert DataRoot(tmp_path).listing().paths.to_pylist() == ["a/x.png"]
