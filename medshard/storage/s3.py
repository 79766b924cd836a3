"""Objects in S3, through obstore."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from medshard.errors import MissingExtraError, StorageError
from medshard.storage.base import Bytes, Entry
from medshard.storage.byte_range import check_path, coalesce, cut

__all__ = ["S3Storage"]

_GAP_BYTES = 256 * 1024  # a request costs tens of milliseconds, in which a connection carries about a MiB
_FETCH_BYTES = 16 * 2**20
_TIMEOUT_S = 30
_RETRY_TIMEOUT_S = 120
_MAX_RETRIES = 8

# Note [obstore and fork] ---
# obstore runs a thread pool that does not survive a fork: a forked child of a process that has used it waits forever
# (seen with 0.12.1). So the first process of a family that uses it is remembered, children inherit the memory, and a
# child that finds another pid there refuses at once. A child of a parent that never used it may open its own.
_used_by_pid: int | None = None
_lock = threading.Lock()


def _claim() -> None:
    global _used_by_pid
    with _lock:
        if _used_by_pid is None:
            _used_by_pid = os.getpid()
    if _used_by_pid != os.getpid():
        raise StorageError(
            "S3 cannot be read in this process: it was forked from one that had already read from S3, and would hang. "
            'Start workers with multiprocessing_context="spawn" (DataLoader(..., multiprocessing_context="spawn")).'
        )


class S3Storage:
    """A bucket, or a prefix of one.

    Credentials and endpoint come from the standard environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
    AWS_ENDPOINT_URL, AWS_ALLOW_HTTP...), from the machine's role, or from ``options``.

    Args:
        url: ``s3://bucket/prefix``.
        options: passed to ``obstore.store.S3Store``, such as ``endpoint=`` or ``skip_signature=True``.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url.rstrip("/")
        bucket, _, prefix = self.url.removeprefix("s3://").partition("/")
        if not url.startswith("s3://") or not bucket:
            raise StorageError(f"{url!r} is no address in S3; it looks like s3://bucket/prefix")
        self._bucket, self._prefix, self._options = bucket, prefix, dict(options)
        self._store: Any = None
        self._pid = -1
        self._opening = threading.Lock()

    def __reduce__(self) -> tuple[Any, tuple[str, dict[str, Any]]]:
        return (_restore, (self.url, self._options))

    def _client(self) -> Any:
        if self._store is None or self._pid != os.getpid():
            _claim()
            with self._opening:
                if self._store is None or self._pid != os.getpid():
                    self._store, self._pid = self._open(), os.getpid()
        return self._store

    def _open(self) -> Any:
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise MissingExtraError("Reading from S3", "obstore", "s3") from error
        client = {"timeout": f"{_TIMEOUT_S}s", "connect_timeout": "10s"}
        if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes"):
            client["allow_http"] = "true"
        from datetime import timedelta

        retry = {"max_retries": _MAX_RETRIES, "retry_timeout": timedelta(seconds=_RETRY_TIMEOUT_S)}
        options = {"client_options": client, "retry_config": retry, **self._options}
        try:
            return S3Store(self._bucket, prefix=self._prefix or None, **options)
        except Exception as error:
            raise StorageError(f"{self.url}: the S3 client cannot be made ({type(error).__name__})") from error

    def _failed(self, path: str, error: Exception) -> StorageError:
        """Our error. The client's text is kept to its first line: later ones may show requests with signatures."""
        if isinstance(error, FileNotFoundError):
            return StorageError(f"{self.url}/{path}: there is no such object")
        kind = type(error).__name__
        hint = {
            "PermissionDeniedError": "; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy",
            "UnauthenticatedError": "; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        }.get(kind, "; check AWS_ENDPOINT_URL, AWS_REGION and the network")
        return StorageError(f"{self.url}/{path}: cannot be read ({kind}){hint}")

    def size(self, path: str) -> int:
        """Length of an object, by a HEAD request."""
        check_path(self.url, path)
        try:
            return int(self._client().head(path)["size"])
        except StorageError:
            raise
        except Exception as error:
            raise self._failed(path, error) from error

    def exists(self, path: str) -> bool:
        """Whether there is such an object, by a HEAD request."""
        check_path(self.url, path)
        try:
            self._client().head(path)
        except FileNotFoundError:
            return False
        except StorageError:
            raise
        except Exception as error:
            raise self._failed(path, error) from error
        return True

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        """One ranged GET."""
        check_path(self.url, path)
        if length == 0:
            return b""
        try:
            client = self._client()
            if length is None:
                data = memoryview(client.get(path).bytes()) if start == 0 else None
                if data is None:
                    data = memoryview(client.get(path, options={"range": {"offset": start}}).bytes())
                return data
            data = memoryview(client.get_range(path, start=start, length=length))
        except StorageError:
            raise
        except Exception as error:
            raise self._failed(path, error) from error
        if len(data) != length:
            raise StorageError(
                f"{self.url}/{path}: {length - len(data)} bytes are missing from byte {start + len(data)}"
            )
        return data

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Neighbouring ranges by one request, the requests side by side."""
        check_path(self.url, path)
        fetches = coalesce(ranges, max_gap_bytes=_GAP_BYTES, max_bytes=_FETCH_BYTES)
        full = [fetch for fetch in fetches if fetch.length]
        try:
            found = (
                self._client().get_ranges(
                    path,
                    starts=[fetch.start for fetch in full],
                    lengths=[fetch.length for fetch in full],
                    coalesce=0,
                )
                if full
                else []
            )
        except StorageError:
            raise
        except Exception as error:
            raise self._failed(path, error) from error
        waiting = iter(found)
        data = [memoryview(next(waiting)) if fetch.length else memoryview(b"") for fetch in fetches]
        for fetch, piece in zip(fetches, data, strict=True):
            if len(piece) != fetch.length:
                raise StorageError(f"{self.url}/{path}: bytes are missing from byte {fetch.start + len(piece)}")
        return list(cut(ranges, fetches, data))

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Objects below a folder."""
        check_path(self.url, prefix)
        try:
            pages = self._client().list(prefix=prefix or None)
            found = [Entry(str(meta["path"]), int(meta["size"])) for page in pages for meta in page]
        except StorageError:
            raise
        except Exception as error:
            raise self._failed(prefix, error) from error
        yield from sorted(found, key=lambda entry: entry.path)


def _restore(url: str, options: dict[str, Any]) -> S3Storage:
    return S3Storage(url, **options)
