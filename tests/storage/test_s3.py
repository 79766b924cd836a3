"""Objects in a real S3 server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from s3_server import ACCESS_KEY, S3Server

import medshard
from medshard.errors import StorageError
from medshard.storage import Storage, open_storage
from medshard.storage.base import Entry
from medshard.testing.storage import FILES, MakeStorage, StorageConformance

pytest_plugins = ["s3_server"]


@pytest.fixture(scope="module")
def kept(s3: S3Server) -> dict[str, str]:
    """Addresses of ``FILES``, stored once, by their prefix."""
    return {prefix: s3.put_files(FILES, prefix=prefix) for prefix in ("", "some prefix/ü")}


class TestS3(StorageConformance):
    """A prefix of a bucket, by options."""

    @pytest.fixture
    def make(self, s3: S3Server, kept: dict[str, str]) -> MakeStorage:
        def make(files: dict[str, bytes]) -> Storage:
            url = kept["some prefix/ü"] if files is FILES else s3.put_files(files, prefix="a b/c")
            return open_storage(url, **s3.options)

        return make


class TestS3WholeBucket(StorageConformance):
    """A whole bucket, by the environment."""

    @pytest.fixture
    def make(self, s3_env: S3Server, kept: dict[str, str]) -> MakeStorage:
        return lambda files: open_storage(kept[""] if files is FILES else s3_env.put_files(files))


@pytest.fixture
def storage(s3: S3Server) -> Storage:
    return open_storage(s3.put_files({"a.bin": bytes(1000)}), **s3.options)


def gets(s3: S3Server, path: str) -> int:
    return sum(request.method == "GET" and request.target.endswith(path) for request in s3.requests())


def test_many_small_neighbouring_ranges_cost_one_request(s3: S3Server) -> None:
    data = os.urandom(2 * 2**20)
    storage = open_storage(s3.put_files({"shard-1.tar": data}), **s3.options)
    ranges = [(number * 32_000 + 512, 1024) for number in range(64)]
    parts = storage.read_ranges("shard-1.tar", ranges)
    assert [bytes(part) for part in parts] == [data[start : start + length] for start, length in ranges]
    assert gets(s3, "/shard-1.tar") == 1


def test_far_ranges_cost_a_request_each(s3: S3Server) -> None:
    data = os.urandom(2 * 2**20)
    storage = open_storage(s3.put_files({"shard-2.tar": data}), **s3.options)
    storage.read_ranges("shard-2.tar", [(0, 10), (2**20, 10), (2**21 - 10, 10), (20, 10)])
    assert gets(s3, "/shard-2.tar") == 3


def test_a_long_run_of_ranges_is_cut_into_requests_of_16_mib(s3: S3Server) -> None:
    data = os.urandom(1000) * 36_000
    storage = open_storage(s3.put_files({"shard-3.tar": data}), **s3.options)
    ranges = [(number * 1_000_000, 1_000_000) for number in range(36)]
    assert b"".join(storage.read_ranges("shard-3.tar", ranges)) == data
    assert gets(s3, "/shard-3.tar") == 3
    assert storage.read("shard-3.tar") == data
    assert gets(s3, "/shard-3.tar") == 6


def test_an_empty_range_costs_no_request(s3: S3Server, storage: Storage) -> None:
    storage.open()
    before = len(s3.requests())
    assert storage.read("nothing", 5, 0) == b""
    assert storage.read_ranges("nothing", [(5, 0)]) == [b""]
    assert len(s3.requests()) == before


def test_folders_made_by_consoles_are_not_listed(s3: S3Server) -> None:
    url = s3.put_files({"d/": b"", "d/x": b"1", "d-e": b"", "d.empty": b"", "empty": b""})
    storage = open_storage(url, **s3.options)
    assert list(storage.list()) == [Entry("d-e", 0), Entry("d.empty", 0), Entry("d/x", 1), Entry("empty", 0)]


def test_more_objects_than_a_page_holds(s3: S3Server) -> None:
    names = [f"{number:04d}" for number in range(1003)]
    storage = open_storage(s3.put_files(dict.fromkeys(names, b"x")), **s3.options)
    assert [entry.path for entry in storage.list()] == names


class TestMessages:
    """Errors say what to check, and never a key, token or signature."""

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"secret_access_key": "wrong-secret"}, "signature was refused; check AWS_ACCESS_KEY_ID"),
            ({"access_key_id": "test:nobody"}, "check AWS_ACCESS_KEY_ID"),
            ({"skip_signature": True}, "cannot be read|refused"),
        ],
    )
    def test_refused(self, s3: S3Server, storage: Storage, options: dict[str, object], expected: str) -> None:
        refused = open_storage(storage.url, **{**s3.options, **options})
        for call in (refused.read, refused.size, refused.exists, lambda _: list(refused.list())):
            with pytest.raises(StorageError) as caught:
                call("a.bin")
            text = str(caught.value)
            assert storage.url in text
            assert ACCESS_KEY not in text
            assert "wrong-secret" not in text
            # the client's own text holds the signed request; a traceback must not print it either
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__
        with pytest.raises(StorageError, match=expected):
            refused.read("a.bin")

    def test_no_such_bucket(self, s3: S3Server) -> None:
        storage = open_storage("s3://no-such-bucket/corpus", **s3.options)
        for call in (storage.read, lambda _: list(storage.list())):
            with pytest.raises(StorageError, match=r"s3://no-such-bucket/corpus.*no such bucket"):
                call("a.bin")
        assert not storage.exists("a.bin")

    def test_nobody_listens(self) -> None:
        storage = open_storage(
            "s3://bucket",
            endpoint="http://user:password@127.0.0.1:1",
            access_key_id="a",
            secret_access_key="b",
            allow_http=True,
            retry_s=0.5,
        )
        with pytest.raises(
            StorageError, match=r"s3://bucket/x: 127\.0\.0\.1 cannot be reached; check AWS_ENDPOINT_URL"
        ):
            storage.read("x")

    def test_plain_http_must_be_allowed(self, s3: S3Server) -> None:
        options = {**s3.options, "allow_http": False}
        with pytest.raises(StorageError, match="AWS_ALLOW_HTTP=true"):
            open_storage("s3://bucket", **options).read("x")

    def test_no_credentials(self, s3_env: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StorageError, match=r"no credentials.*AWS_SKIP_SIGNATURE"):
            open_storage("s3://bucket").read("x")

    def test_half_of_the_credentials(self, s3_env: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StorageError, match=r"both or none") as caught:
            open_storage("s3://bucket").read("x")
        assert ACCESS_KEY not in str(caught.value)

    def test_a_role_that_the_machine_does_not_have(self, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        # a machine's metadata service that knows no role: any server that answers 404 there
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", s3.endpoint)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        with pytest.raises(StorageError, match="no credentials"):
            open_storage("s3://bucket", endpoint=s3.endpoint, retry_s=1).read("x")


def test_the_environment_is_read_where_the_bytes_are(s3: S3Server, tmp_path: Path) -> None:
    """A storage pickled where there are no AWS_* variables works in a process that has them."""
    url = s3.put_files({"a.bin": FILES["a.bin"]})
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    plain["PYTHONPATH"] = str(Path(medshard.__file__).parents[1])
    pickled = tmp_path / "storage"
    write = (
        "import pickle, sys; from medshard.storage import open_storage;"
        "open(sys.argv[2], 'wb').write(pickle.dumps(open_storage(sys.argv[1])))"
    )
    read = "import pickle, sys; sys.stdout.buffer.write(pickle.load(open(sys.argv[1], 'rb')).read('a.bin'))"
    subprocess.run([sys.executable, "-c", write, url, str(pickled)], check=True, timeout=60, env=plain)
    done = subprocess.run(
        [sys.executable, "-c", read, str(pickled)], check=True, timeout=60, env={**plain, **s3.env}, capture_output=True
    )
    assert done.stdout == FILES["a.bin"]


def test_an_explicit_endpoint_wins_over_the_environment(s3_env: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = s3_env.put_files({"a.bin": b"x"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    assert bytes(open_storage(url, endpoint=s3_env.endpoint).read("a.bin")) == b"x"
