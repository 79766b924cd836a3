"""Tars: header bytes against POSIX.1-1988, the same bytes every time, damage found."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medshard.engine import crc32c
from medshard.errors import CorpusError
from medshard.shards.tar import TarPart, TarWriter, read_tar

MEMBERS = [
    ("t-1.image.png", b"\x89PNG" + bytes(600)),
    ("t-1.record", b"{}"),
    ("t-1.json", b""),
    ("t-2.record", b"x" * 512),
]


def write(path: Path, members: list[tuple[str, bytes]]) -> tuple[list[TarPart], int, str]:
    writer = TarWriter(path)
    for name, data in members:
        writer.add(name, data)
    size_bytes, sha256 = writer.close()
    return writer.parts, size_bytes, sha256


def test_headers_say_nothing_of_the_host(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", MEMBERS)
    data = (tmp_path / "a.tar").read_bytes()
    offset = 0
    for name, content in MEMBERS:
        header = data[offset : offset + 512]
        # Field places and widths of the ustar header, POSIX.1-1988 10.1.1.
        assert header[0:100] == name.encode().ljust(100, b"\0")
        assert int(header[100:107], 8) == 0o644
        assert int(header[108:115], 8) == int(header[116:123], 8) == 0  # uid, gid
        assert int(header[124:135], 8) == len(content)
        assert int(header[136:147], 8) == 0  # mtime
        assert int(header[148:154], 8) == sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
        assert header[156:157] == b"0"  # regular file
        assert header[157:257] == bytes(100)  # no link
        assert header[257:265] == b"ustar\x0000"
        assert header[265:329] == bytes(64)  # no user, no group
        assert header[345:] == bytes(167)  # no prefix
        assert data[offset + 512 : offset + 512 + len(content)] == content
        padded = -(-len(content) // 512) * 512
        assert not any(data[offset + 512 + len(content) : offset + 512 + padded])
        offset += 512 + padded
    assert data[offset:] == bytes(1024)


def test_the_bytes_depend_on_nothing_but_the_members(tmp_path: Path) -> None:
    _, size_bytes, sha256 = write(tmp_path / "a.tar", MEMBERS)
    script = (
        "import sys, pathlib, os; os.umask(0o077)\n"
        "from medshard.shards.tar import TarWriter\n"
        "writer = TarWriter(pathlib.Path(sys.argv[1]))\n"
        f"[writer.add(name, data) for name, data in {MEMBERS!r}]\n"
        "print(*writer.close())"
    )
    there = {**os.environ, "TZ": "Asia/Tokyo", "LANG": "C", "USER": "someone", "SOURCE_DATE_EPOCH": "1"}
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "b.tar")], env=there, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == [str(size_bytes), sha256]
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest() == sha256
    assert (tmp_path / "a.tar").stat().st_size == size_bytes


def test_gnu_tar_reads_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", MEMBERS)
    (tmp_path / "out").mkdir()
    told = subprocess.run(
        ["tar", "-C", str(tmp_path / "out"), "-xvf", str(tmp_path / "a.tar")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [name for name, _ in MEMBERS]
    assert told.stderr == ""
    for name, content in MEMBERS:
        path = tmp_path / "out" / name
        assert path.read_bytes() == content
        assert path.stat().st_mtime == 0 < time.time()


@settings(max_examples=40, deadline=None)
@given(contents=st.lists(st.binary(max_size=1600), min_size=1, max_size=6))
def test_every_part_lies_where_it_is_said_to(contents: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    members = [(f"t-{number}.record", content) for number, content in enumerate(contents)]
    parts, _, _ = write(path, members)
    data = path.read_bytes()
    for part, (name, content) in zip(parts, members, strict=True):
        assert (part.name, part.size_bytes, part.crc32c) == (name, len(content), crc32c(content))
        assert data[part.offset : part.offset + part.size_bytes] == content
    assert [(part, content) for part, (_, content) in zip(parts, members, strict=True)] == list(read_tar(path))
    with tarfile.open(path) as tar:
        assert [(m.name, m.offset_data, m.size) for m in tar] == [(p.name, p.offset, p.size_bytes) for p in parts]


def test_the_longest_name_fits_and_a_longer_one_is_refused(tmp_path: Path) -> None:
    longest = "k" * 80 + "." + "s" * 15 + ".png"
    assert len(longest) == 100
    writer = TarWriter(tmp_path / "a.tar")
    writer.add(longest, b"1")
    with pytest.raises(ValueError, match="does not fit the 100 bytes"):
        writer.add("k" * 80 + "." + "s" * 16 + ".png", b"1")
    writer.close()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == [longest]
    assert [part.key for part, _ in read_tar(tmp_path / "a.tar")] == ["k" * 80]


@pytest.mark.parametrize(
    "name",
    ["../a.png", "/a.png", "a/b.png", "a.b/c.png", ".png", "a", "图.png", "a b.png", "a.PNG", "a..png", "a.png\n"],
)
def test_names_that_some_reader_would_not_take_are_refused(tmp_path: Path, name: str) -> None:
    writer = TarWriter(tmp_path / "a.tar")
    try:
        with pytest.raises(ValueError, match=r"is no KEY\.EXTENSION"):
            writer.add(name, b"1")
    finally:
        writer.discard()


def test_key_and_extension_part_at_the_first_dot() -> None:
    part = TarPart("t-1.image.png", 0, 0, 0)
    assert (part.key, part.extension) == ("t-1", "image.png")


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, MEMBERS)
    whole = path.read_bytes()
    for cut in (0, 100, 512, 700, 1200, 1536, 1700, 2048, len(whole) - 1024, len(whole) - 512, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(CorpusError, match=r"a\.tar"):
            list(read_tar(path))
    for header in (0, 1536):
        for field in (3, 130, 150):  # name, size, checksum
            changed = bytearray(whole)
            changed[header + field] ^= 1
            path.write_bytes(bytes(changed))
            with pytest.raises(CorpusError, match=f"a.tar: has a damaged header at byte {header}"):
                list(read_tar(path))
    for added in (b"x", bytes(512)):
        path.write_bytes(whole + added)
        with pytest.raises(CorpusError, match=r"a\.tar: does not end as a tar does"):
            list(read_tar(path))


def test_members_that_are_no_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        link = tarfile.TarInfo("t-1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(CorpusError, match="is no regular file"):
        list(read_tar(path))
