"""The connection to a bucket: options, limits of time, and one obstore client a process."""

from __future__ import annotations

import os
import threading
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from medshard.errors import MissingExtraError, StorageError
from medshard.storage.fork_guard import claim_obstore
from medshard.storage.s3_errors import client_errors

__all__ = ["S3Client", "S3Options"]

_MAX_PAUSE_S = 5.0
_MAX_RETRIES = 1000  # time decides, not the count
_TRUE = ("1", "true", "on", "yes", "y")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True)
class S3Options:
    """How to reach a bucket. What is None comes from the environment of the process that reads.

    Attributes:
        endpoint: address of the service, addressed by path (``endpoint/bucket/key``); None: AWS_ENDPOINT_URL, else AWS.
        region: None: AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1.
        access_key_id, secret_access_key, session_token: None: AWS_ACCESS_KEY_ID and so on, else the role of the machine
            or container. Profiles in ~/.aws are not read.
        skip_signature: read a public bucket without credentials; None: AWS_SKIP_SIGNATURE.
        allow_http: whether an endpoint may be plain http://; None: AWS_ALLOW_HTTP.
        connect_timeout_s: for one connection.
        stall_timeout_s: how long nothing may come, before the answer or within it.
        request_timeout_s: for one request with its body, which is at most 16 MiB for reads.
        retry_s: how long after its start a read that fails for a passing reason is still tried again (refused, reset,
            cut off, stalled, 429, 5xx). Pauses grow from 0.1 to 5 s, with jitter.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    skip_signature: bool | None = None
    allow_http: bool | None = None
    connect_timeout_s: float = 5.0
    stall_timeout_s: float = 20.0
    request_timeout_s: float = 300.0
    retry_s: float = 60.0

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.name.endswith("_s") and not 0 < getattr(self, each.name) < 86_400:
                raise StorageError(f"option {each.name}: must lie between 0 and 86400 seconds")

    @property
    def address(self) -> str:
        """The endpoint that holds, empty for AWS itself."""
        return self.endpoint or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")

    def _config(self) -> dict[str, Any]:
        names = ("endpoint", "region", "access_key_id", "secret_access_key", "session_token", "skip_signature")
        given = {name: value for name, value in asdict(self).items() if name in names and value is not None}
        if self.endpoint and os.environ.get("AWS_ENDPOINT_URL_S3"):
            given["aws_endpoint_url_s3"] = self.endpoint  # that variable would win over ``endpoint``
        return given

    def arguments(self, url: str) -> dict[str, Any]:
        """Arguments of ``obstore.store.S3Store``.

        Raises:
            StorageError: they cannot work here.
        """
        allow_http = self.allow_http
        if allow_http is None:
            allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in _TRUE
        if self.address.startswith("http://") and not allow_http:
            raise StorageError(
                f"{url}: the endpoint is plain http://. If the network is trusted, set AWS_ALLOW_HTTP=true or pass "
                "allow_http=True."
            )
        signs = not self.skip_signature and os.environ.get("AWS_SKIP_SIGNATURE", "").lower() not in _TRUE
        known = self.access_key_id or any(os.environ.get(name) for name in _CREDENTIALS)
        if signs and not known and os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() in _TRUE:
            raise StorageError(
                f"{url}: there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (profiles in ~/.aws "
                "are not read), or AWS_SKIP_SIGNATURE=true for a public bucket."
            )
        return {
            "config": self._config(),
            "client_options": {
                "allow_http": allow_http,
                "connect_timeout": f"{round(1000 * self.connect_timeout_s)}ms",
                "read_timeout": f"{round(1000 * self.stall_timeout_s)}ms",
                "timeout": f"{round(1000 * self.request_timeout_s)}ms",
            },
            "retry_config": {
                "max_retries": _MAX_RETRIES,
                "retry_timeout": timedelta(seconds=self.retry_s),
                "backoff": {
                    "init_backoff": timedelta(seconds=0.1),
                    "max_backoff": timedelta(seconds=_MAX_PAUSE_S),
                    "base": 2,
                },
            },
        }


class S3Client:
    """A bucket's obstore client, made at its first use in a process.

    Args:
        bucket: its name.
        options: how to reach it.

    Raises:
        MissingExtraError: obstore is not installed.
    """

    def __init__(self, bucket: str, options: S3Options) -> None:
        if find_spec("obstore") is None:
            raise MissingExtraError("Reading from S3", "obstore", "s3")
        self.bucket, self.options = bucket, options
        self._store: Any = None
        self._pid = -1
        self._opening = threading.Lock()

    def __reduce__(self) -> tuple[type[S3Client], tuple[str, S3Options]]:
        return (S3Client, (self.bucket, self.options))

    @property
    def store(self) -> Any:
        """The ``obstore.store.S3Store`` of this process.

        Raises:
            StorageError: the process may not use obstore (see ``fork_guard``), or the options are wrong.
        """
        # a store of another pid implies that obstore was used there, so that the claim refuses; and it comes before the
        # lock, which the parent may have held when it forked
        claim_obstore(f"s3://{self.bucket}")
        if self._store is None:
            with self._opening:
                if self._store is None:
                    self._store = self._open()
        return self._store

    def _open(self) -> Any:
        from obstore.store import S3Store

        arguments = self.options.arguments(f"s3://{self.bucket}")
        try:
            return S3Store(self.bucket, **arguments)
        except client_errors() as error:
            # the client's own text may quote the options, and with them secrets
            raise StorageError(
                f"s3://{self.bucket}: the S3 client cannot be made ({type(error).__name__}); check the AWS_* variables "
                "and the options: both or none of the access key and the secret key, a full endpoint address; and "
                "obstore 0.11 or later"
            ) from None
