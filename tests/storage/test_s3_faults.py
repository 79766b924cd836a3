"""S3 over a network that misbehaves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from s3_server import S3Server

from medshard.errors import StorageError
from medshard.storage import Storage, open_storage
from medshard.storage.base import Entry

pytest_plugins = ["s3_server"]

DATA = os.urandom(300_000)
LIMITS = {"connect_timeout_s": 1, "stall_timeout_s": 0.5, "request_timeout_s": 20}
# Where every try fails, an error comes within retry_s (twice for a listing) + stall_timeout_s and a pause of 5 s, as
# S3Storage states; 10 s are for a slow machine. A reader without limits would wait for the rules' hour.
BOUND_S = 2 * 1 + 0.5 + 5 + 10

PASSING = [
    {"status": 503, "times": 3},
    {"status": 500, "times": 2},
    {"status": 429, "times": 1},
    {"reset": True, "times": 2},
    {"drop_request": True, "times": 2},
    {"lose_answer": True, "times": 2},
    {"reset_after": 100, "times": 2},
    {"truncate_after": 100, "times": 2},
    {"stall_after": 100, "times": 1},
    {"latency": 3, "times": 1},
]
LASTING = [
    {"status": 503},
    {"reset": True},
    {"drop_request": True},
    {"reset_after": 0},
    {"truncate_after": 0},
    {"stall_after": 0},
    {"latency": 3600},
]


@pytest.fixture(scope="module")
def url(s3: S3Server) -> str:
    return s3.put_files({"a.bin": DATA, "d/b.bin": b"b"})


@pytest.fixture
def options(s3: S3Server, fault_proxy: Any) -> dict[str, Any]:
    """The way through the proxy, with short limits of time."""
    return {**s3.options, **LIMITS, "endpoint": f"http://127.0.0.1:{fault_proxy.port}"}


@pytest.fixture
def storage(url: str, options: dict[str, Any]) -> Storage:
    """Gives up after a second."""
    return open_storage(url, **options, retry_s=1)


@pytest.fixture
def patient(url: str, options: dict[str, Any]) -> Storage:
    """Gives up late."""
    return open_storage(url, **options, retry_s=60)


@pytest.mark.parametrize("rule", PASSING, ids=str)
def test_what_passes_is_retried(patient: Storage, fault_proxy: Any, rule: dict[str, Any]) -> None:
    fault_proxy.rules = [rule]
    assert bytes(patient.read("a.bin", 1000, 250_000)) == DATA[1000:251_000]
    assert fault_proxy.stats[next(iter(rule))] == rule["times"]
    fault_proxy.rules = [rule]
    assert bytes(patient.read("a.bin")) == DATA
    fault_proxy.rules = [rule]
    parts = patient.read_ranges("a.bin", [(299_000, 1000), (0, 1000)])
    assert [bytes(part) for part in parts] == [DATA[299_000:], DATA[:1000]]
    fault_proxy.rules = [rule]
    assert patient.size("a.bin") == 300_000
    fault_proxy.rules = [rule]
    assert list(patient.list()) == [Entry("a.bin", 300_000), Entry("d/b.bin", 1)]


@pytest.mark.parametrize("rule", LASTING, ids=str)
@pytest.mark.parametrize(
    "call",
    [
        lambda storage: storage.read("a.bin"),
        lambda storage: storage.read_ranges("a.bin", [(0, 10), (299_990, 10)]),
        lambda storage: list(storage.list()),
    ],
    ids=["read", "ranges", "list"],
)
def test_what_lasts_is_an_error_in_time(
    storage: Storage, fault_proxy: Any, rule: dict[str, Any], call: Callable[[Storage], Any]
) -> None:
    storage.open()
    fault_proxy.rules = [rule]
    began = time.monotonic()
    with pytest.raises(StorageError, match=storage.url):
        call(storage)
    assert time.monotonic() - began < BOUND_S
    fault_proxy.rules = []
    assert bytes(storage.read("a.bin")) == DATA  # the client is as good as new


@pytest.mark.parametrize("link", ["down", "hang"])
def test_a_dead_link_is_an_error_in_time(storage: Storage, fault_proxy: Any, link: str) -> None:
    assert bytes(storage.read("a.bin")) == DATA
    fault_proxy.set_link(link)
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"a\.bin.*AWS_ENDPOINT_URL"):
        storage.read("a.bin")
    assert time.monotonic() - began < BOUND_S
    fault_proxy.set_link("up")
    assert bytes(storage.read("a.bin")) == DATA


def test_a_trickle_is_an_error_in_time(url: str, options: dict[str, Any], fault_proxy: Any) -> None:
    storage = open_storage(url, **{**options, "request_timeout_s": 2}, retry_s=1)
    fault_proxy.rules = [{"bandwidth": 2000}]
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"a\.bin"):
        storage.read("a.bin")
    assert time.monotonic() - began < 1 + 2 + 5 + 10


def test_a_lasting_answer_is_not_retried(storage: Storage, fault_proxy: Any) -> None:
    for status, text in ((403, "refused"), (404, "no such object"), (400, "400")):
        fault_proxy.rules = [{"status": status}]
        before = fault_proxy.stats["requests"]
        with pytest.raises(StorageError, match=text):
            storage.read("a.bin")
        assert fault_proxy.stats["requests"] - before == 1


def test_a_redirect_names_the_region(storage: Storage, fault_proxy: Any) -> None:
    fault_proxy.rules = [{"status": 301, "code": "PermanentRedirect"}]
    with pytest.raises(StorageError, match="AWS_REGION"):
        storage.read("a.bin")
    with pytest.raises(StorageError, match="AWS_REGION"):
        storage.size("a.bin")
