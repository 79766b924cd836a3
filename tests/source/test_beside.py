"""Files beside a file, in folders and archives."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from medshard.errors import ReadError
from medshard.readers.companion import path_beside
from medshard.source.root import DataRoot


def test_the_path_beside() -> None:
    assert path_beside("a.nhdr", "a.raw") == "a.raw"
    assert path_beside("x/y/a.nhdr", "a.raw") == "x/y/a.raw"
    assert path_beside("x/y.zip!/a.nhdr", "a.raw") == "x/y.zip!/a.raw"


def test_a_blob_of_the_root_has_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.nhdr").write_bytes(b"head")
    (tmp_path / "x/a.raw").write_bytes(b"data")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.nhdr", "head")
        archive.writestr("a.raw", "packed")
    root = DataRoot(tmp_path)
    for path, wanted in (("x/a.nhdr", b"data"), ("all.zip!/a.nhdr", b"packed")):
        blob = root.blob(path)
        assert blob.beside is not None
        assert blob.beside("a.raw").read() == wanted
        with pytest.raises(ReadError):
            blob.beside("b.raw").read()
    outside = root.blob("x/a.nhdr").beside
    assert outside is not None
    with pytest.raises(ReadError, match="leaves"):  # readers ask for plain names only; the root holds the line too
        outside("../../etc/hostname").read()
    root.close()
