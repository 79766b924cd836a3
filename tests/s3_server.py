"""A real S3 server (OpenStack Swift with its S3 interface) and a network that misbehaves, for tests.

A test module takes the fixtures by

    pytest_plugins = ["s3_server"]

at its top (``tests`` is on pytest's path), with no conftest; all modules of a session share one server. It may import
names from here, too (PYTEST_DONT_REWRITE: else pytest warns that the plugin was imported before). Fixtures:

- ``s3``: the running ``S3Server``. Skips where the start script is absent. Objects are put through Swift's own HTTP
  interface, so that the test process uses obstore only where the test itself reads through it.
- ``s3_env``: ``s3`` with the AWS_* variables of this process set to it, and all others cleared.
- ``fault_proxy``: a proxy before ``s3`` whose ``rules`` break requests on purpose.

Environment: MEDSHARD_S3_VENV, the virtual environment of Swift (default ``.venv-s3`` in the checkout, made with pip
when missing); MEDSHARD_REQUIRE_S3=1 makes what would skip fail.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, unquote
from uuid import uuid4

import pytest

ROOT = Path(__file__).resolve().parent.parent
ACCESS_KEY, SECRET_KEY, REGION = "test:tester", "testing", "us-east-1"
_LOG_LINE = re.compile(r"access: \S+ \S+ \S+ (?P<method>[A-Z]+) (?P<target>\S+) \S+ (?P<status>\d{3}) ")


@dataclass(frozen=True)
class Request:
    """A line of the server's access log: ``target`` is path and query, percent escapes taken out."""

    method: str
    target: str
    status: int


@dataclass
class S3Server:
    """The server of this session.

    Attributes:
        endpoint: http://127.0.0.1:PORT
        folder: its state; ``folder/log/proxy.log`` is the access log.
    """

    endpoint: str
    folder: Path
    _swift: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.endpoint.rsplit(":", 1)[1])

    @property
    def options(self) -> dict[str, Any]:
        """Options for ``open_storage``."""
        return {
            "endpoint": self.endpoint,
            "region": REGION,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "allow_http": True,
        }

    @property
    def env(self) -> dict[str, str]:
        """The same as environment variables, for another process."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _send(self, method: str, url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return answer.headers

    def _put(self, path: str, data: bytes) -> None:
        if not self._swift:
            keys = {"X-Auth-User": ACCESS_KEY, "X-Auth-Key": SECRET_KEY}
            found = self._send("GET", f"{self.endpoint}/auth/v1.0", headers=keys)
            self._swift = {"url": found["X-Storage-Url"], "token": found["X-Auth-Token"]}
        headers = {"X-Auth-Token": self._swift["token"], "Content-Type": "application/octet-stream"}
        self._send("PUT", f"{self._swift['url']}/{quote(path)}", data, headers)

    def make_bucket(self) -> str:
        """A fresh bucket; returns its name."""
        name = f"b-{uuid4().hex[:12]}"
        self._put(name, b"")
        return name

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Stores an object."""
        self._put(f"{bucket}/{key}", data)

    def put_files(self, files: dict[str, bytes], bucket: str | None = None, prefix: str = "") -> str:
        """Stores objects by path below a prefix of a bucket (a fresh one if None); returns their s3:// address."""
        bucket = bucket or self.make_bucket()
        top = f"{bucket}/{prefix}".rstrip("/")
        for path, data in files.items():
            self._put(f"{top}/{path}", data)
        return f"s3://{top}"

    def put_tree(self, folder: Path, bucket: str | None = None, prefix: str = "") -> str:
        """Stores the files of a folder; returns their s3:// address."""
        bucket = bucket or self.make_bucket()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put_files({path.relative_to(folder).as_posix(): path.read_bytes()}, bucket, prefix)
        return f"s3://{bucket}/{prefix}".rstrip("/")

    def requests(self) -> list[Request]:
        """All requests that the server has answered so far. Compare the lists before and after to count."""
        mark = f"/healthcheck-{uuid4().hex}"
        with_mark = urllib.request.Request(f"{self.endpoint}{mark}", method="GET")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with pytest.raises(urllib.error.HTTPError):
            opener.open(with_mark, timeout=60)
        end = time.monotonic() + 30
        while time.monotonic() < end:  # the log is written after the answer
            lines = (self.folder / "log/proxy.log").read_text("utf-8", "replace").splitlines()
            found = [match for line in lines if (match := _LOG_LINE.search(line))]
            # the log escapes the target as the client sent it
            made = [Request(m["method"], unquote(unquote(m["target"])), int(m["status"])) for m in found]
            if any(mark in request.target for request in made):
                return [request for request in made if "healthcheck" not in request.target]
            time.sleep(0.05)
        raise TimeoutError(f"the access log in {self.folder} does not show a request of this test")


def _shared(request: pytest.FixtureRequest) -> Path:
    try:
        return Path(request.getfixturevalue("shared"))
    except pytest.skip.Exception as error:
        _unavailable(str(error))


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("MEDSHARD_REQUIRE_S3", "") not in ("", "0"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _swift_python(requirements: Path) -> Path:
    """The Python of Swift's virtual environment, which is made when it is missing or of other requirements."""
    folder = Path(os.environ.get("MEDSHARD_S3_VENV") or ROOT / ".venv-s3").absolute()
    python, marker = folder / "bin/python", folder / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "making.lock"):
        if marker.exists() and marker.read_text() == wanted and python.exists():
            return python
        commands = (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)],
        )
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=500)
            if done.returncode:
                _unavailable(f"Swift cannot be installed into {folder}: {done.stderr.strip()[-300:]}")
        marker.write_text(wanted)
    return python


@contextmanager
def _free_ports() -> Iterator[Iterator[int]]:
    """First ports of blocks of four under 32768, each held by a lock so that sessions side by side do not collide.

    A lock and not only a trial bind: Swift's servers wait for a taken port, and meanwhile the health check would be
    answered by the other session's server.
    """
    locks = Path(tempfile.gettempdir()) / f"medshard-s3-ports-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    blocks = list(range(20000, 32000, 4))
    random.SystemRandom().shuffle(blocks)
    held = []

    def each() -> Iterator[int]:
        for port in blocks[:20]:
            handle = (locks / f"{port}.lock").open("w")
            held.append(handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield port

    try:
        yield each()
    finally:
        for handle in held:
            handle.close()


def _keeps_attributes(folder: Path) -> bool:
    """Whether a file system stores user attributes, which Swift needs."""
    probe = folder / "probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.probe", b"x" * 1024)
    except OSError:
        return False
    return True


@contextmanager
def _state_folder(given: Path) -> Iterator[Path]:
    if _keeps_attributes(given):
        yield given / "s3"
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        if not _keeps_attributes(Path(name)):
            _unavailable(f"neither {given} nor {name} stores user attributes of files, which Swift needs")
        yield Path(name) / "s3"


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server, empty at the start of the session and stopped at its end."""
    shared = _shared(request)
    start, stop = shared / "services/s3/start-s3", shared / "services/s3/stop-s3"
    if not start.exists():
        _unavailable(f"no S3 server: {start} is absent; set MEDSHARD_SHARED to the folder that holds services/")
    python = _swift_python(start.with_name("requirements-swift.txt"))
    environment = {**os.environ, "S3_PYTHON": str(python)}
    for name in ("S3_TEST_ACCESS_KEY", "S3_TEST_SECRET_KEY", "S3_FSYNC"):
        environment.pop(name, None)
    errors = []
    with _state_folder(tmp_path_factory.mktemp("swift")) as folder, _free_ports() as ports:
        for port in ports:
            command = [str(start), str(folder), str(port)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
            if done.returncode == 0:
                break
            errors.append(done.stderr.strip()[-300:])
        else:
            _unavailable(f"the S3 server does not start: {errors[-1:]}")
        try:
            yield S3Server(f"http://127.0.0.1:{port}", folder)
        finally:
            subprocess.run([str(stop), str(folder)], check=True, timeout=60)


@pytest.fixture
def s3_env(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """``s3``, with this process's AWS_* variables set to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture
def fault_proxy(s3: S3Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A proxy before the server: ``port``, ``rules``, ``stats``, ``set_link``; its source says what rules there are."""
    path = _shared(request) / "services/faultproxy/faultproxy.py"
    if not path.exists():
        _unavailable(f"no fault proxy: {path} is absent")
    spec = importlib.util.spec_from_file_location("faultproxy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.FaultProxy("127.0.0.1", s3.port) as proxy:
        yield proxy
