"""Addresses of storages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from medshard.errors import MissingExtraError, StorageError
from medshard.storage import STORAGES, Storage, open_storage
from medshard.storage.local import LocalStorage
from medshard.storage.s3 import S3Storage


def test_a_folder_by_path_text_and_address(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c"
    folder.mkdir()
    (folder / "x").write_bytes(b"1")
    escaped = str(folder).replace("%", "%25").replace(" ", "%20")
    for address in (folder, str(folder), f"file://{escaped}", f"file://localhost{escaped}", f"{folder}/"):
        storage = open_storage(address)
        assert isinstance(storage, LocalStorage)
        assert storage.url == str(folder)
        assert storage.read("x") == b"1"


def test_a_relative_folder_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    storage = open_storage(".")
    monkeypatch.chdir("/")
    assert storage.read("x") == b"1"


@pytest.mark.parametrize(
    "address", ["file://host/data", "file://", "file://data/corpus", "file:///data?x", "file:///data#x"]
)
def test_a_file_address_that_is_none(address: str) -> None:
    with pytest.raises(StorageError, match="file:///"):
        open_storage(address)


@pytest.mark.parametrize("scheme", ["http", "https", "gs", "az", "hf", "sftp"])
def test_other_schemes_are_refused_with_those_that_there_are(scheme: str) -> None:
    with pytest.raises(StorageError, match=rf"{scheme}://.*file://, s3://") as caught:
        open_storage(f"{scheme}://user:secret@host/x")
    assert "secret" not in str(caught.value)


def test_an_address_that_pathlib_has_touched() -> None:
    with pytest.raises(StorageError, match="as text"):
        open_storage(Path("s3://bucket/corpus"))


def test_an_empty_address() -> None:
    with pytest.raises(StorageError, match="empty"):
        open_storage("")


@pytest.mark.parametrize(
    "address", ["s3://", "s3:///x", "s3://a/../b", "s3://bucket//x", "s3://key:secret@bucket/x", "s3://b?x/y"]
)
def test_an_s3_address_that_is_none(address: str) -> None:
    with pytest.raises(StorageError) as caught:
        open_storage(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "url"),
    [("s3://bucket", "s3://bucket"), ("s3://bucket/", "s3://bucket"), ("s3://my.b_x/a b/ü/", "s3://my.b_x/a b/ü")],
)
def test_s3_addresses(address: str, url: str) -> None:
    storage = open_storage(address)
    assert isinstance(storage, S3Storage)
    assert storage.url == url


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="endpoint"):
        open_storage(tmp_path, endpoint="http://x")
    with pytest.raises(TypeError, match="endpont"):
        open_storage("s3://bucket", endpont="http://x")
    with pytest.raises(StorageError, match="retry_s"):
        open_storage("s3://bucket", retry_s=-1)


def test_no_secret_is_shown() -> None:
    storage = open_storage("s3://bucket/x", access_key_id="AKIDX", secret_access_key="hidden", session_token="token")
    assert repr(storage) == "<S3Storage s3://bucket/x>"
    assert "hidden" not in repr(vars(storage))


def test_s3_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medshard.storage.s3_client.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"medshard\[s3\]"):
        open_storage("s3://bucket")


def test_opening_imports_and_starts_nothing() -> None:
    program = (
        "import sys, threading, pickle\n"
        "from medshard.storage import open_storage\n"
        "storage = pickle.loads(pickle.dumps(open_storage('s3://bucket/x', region='eu-west-1').child('y')))\n"
        "assert 'obstore' not in sys.modules and threading.active_count() == 1\n"
        "import os; assert len(os.listdir('/proc/self/task')) == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path(__file__).parents[2])


def test_all_makers_load() -> None:
    assert set(STORAGES) >= {"file", "s3"}
    assert all(callable(STORAGES.get(name)) for name in STORAGES)
    assert isinstance(open_storage("/"), Storage)
