"""Objects in S3, through obstore."""

from __future__ import annotations

import random
import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from medshard.errors import StorageError
from medshard.storage.base import Bytes, Entry
from medshard.storage.byte_range import Fetch, check_ranges, coalesce, cut, disjoint, past_the_end, split
from medshard.storage.path import check_path, check_prefix
from medshard.storage.s3_client import S3Client, S3Options
from medshard.storage.s3_errors import client_errors, is_broken_body, is_past_the_end, s3_error

__all__ = ["S3Storage"]

T = TypeVar("T")

_GAP_BYTES = 256 * 1024  # a request costs tens of milliseconds, in which a connection carries about a MiB
_FETCH_BYTES = 16 * 2**20  # AWS advises 8 to 16 MiB a request; each has its own time limit and retries
_GROUP = 16  # reads of a long object that are held beside the result
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


class S3Storage:
    """A bucket, or a folder of one.

    Reads are ranged GETs of at most 16 MiB, up to ten side by side for one call. A call that only fails raises within
    ``retry_s + stall_timeout_s`` (80 s) and a pause of at most 5 s where the store refuses, errs, hangs or breaks off,
    and within ``retry_s + request_timeout_s`` (360 s) where it trickles. A listing has ``retry_s`` twice; fetching
    credentials from the machine's role has the first limit for itself.

    Args:
        url: ``s3://bucket/prefix``, taken as it stands (no percent escapes).
        options: fields of ``S3Options``, such as ``endpoint=`` or ``skip_signature=True``.

    Raises:
        StorageError: the address is none.
        MissingExtraError: obstore is not installed.
    """

    def __init__(self, url: str, **options: Any) -> None:
        bucket, prefix = _parse(url)
        self._set(S3Client(bucket, S3Options(**options)), prefix)

    def _set(self, client: S3Client, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self.url = f"s3://{client.bucket}/{prefix}" if prefix else f"s3://{client.bucket}"

    def __reduce__(self) -> tuple[object, tuple[S3Client, str]]:
        return (_restore, (self._client, self._prefix))

    def __repr__(self) -> str:
        return f"<S3Storage {self.url}>"

    def open(self) -> None:
        """Makes the client, without a request; refused in a forked process by Note [obstore and fork]."""
        self._client.store  # noqa: B018 - made at its first use

    def _key(self, path: str) -> str:
        check_path(self.url, path)
        return f"{self._prefix}/{path}" if self._prefix else path

    def _call(self, path: str, request: Callable[[Any], T]) -> T:
        """What a request returns.

        Raises:
            StorageError: it failed for good.
        """
        store = self._client.store
        try:
            return request(store)
        except client_errors() as error:
            raise self._failed(path, error) from None

    def _failed(self, path: str, error: Exception) -> StorageError:
        url = f"{self.url}/{path}" if path else self.url
        return s3_error(url, self._client.options.address, error)

    def size(self, path: str) -> int:
        """Length of an object in bytes, by a HEAD request."""
        key = self._key(path)
        return int(self._call(path, lambda store: store.head(key)["size"]))

    def exists(self, path: str) -> bool:
        """Whether there is such an object, by a HEAD request; a missing bucket looks the same."""
        key = self._key(path)

        def head(store: Any) -> bool:
            try:
                store.head(key)
            except FileNotFoundError:
                return False
            return True

        return self._call(path, head)

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        """``length`` bytes from ``start``, or all that follow: one request a 16 MiB."""
        key = self._key(path)
        check_ranges(f"{self.url}/{path}", [(start, length or 0)])
        if length == 0:
            return b""
        first = _FETCH_BYTES if length is None else min(length, _FETCH_BYTES)

        def get(store: Any) -> tuple[int, memoryview] | None:
            try:
                answer = store.get(key, options={"range": (start, start + first)})
                return int(answer.meta["size"]), memoryview(answer.bytes())
            except client_errors() as error:
                if is_past_the_end(error):
                    return None
                raise

        found = self._call(path, get)
        size, data = found if found is not None else (self.size(path), memoryview(b""))
        wanted = max(size - start, 0) if length is None else length
        if start + wanted > size:
            raise past_the_end(f"{self.url}/{path}", start, length or 0, size)
        if wanted == len(data):
            return data
        whole = bytearray(wanted)  # only now: the size is known to be true
        whole[: len(data)] = data
        rest = split(start + len(data), wanted - len(data), _FETCH_BYTES)
        for group in range(0, len(rest), _GROUP):
            fetches = rest[group : group + _GROUP]
            for fetch, piece in zip(fetches, self._fetch(path, fetches), strict=True):
                whole[fetch.start - start : fetch.end - start] = piece
        return memoryview(whole).toreadonly()

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Several (start, length); neighbouring ones by one request, the requests side by side."""
        check_ranges(f"{self.url}/{check_path(self.url, path)}", ranges)
        fetches = coalesce(ranges, _GAP_BYTES, _FETCH_BYTES)
        return [*cut(ranges, fetches, self._fetch(path, fetches))]

    def _fetch(self, path: str, fetches: Sequence[Fetch]) -> list[memoryview]:
        """The bytes of each read."""
        key = self._key(path)
        data = [memoryview(b"")] * len(fetches)
        # obstore joins ranges that touch, whatever their sum
        for places in disjoint(fetches):
            chosen = [fetches[place] for place in places]

            def get(store: Any, chosen: list[Fetch] = chosen) -> list[Any] | None:
                starts, lengths = [fetch.start for fetch in chosen], [fetch.length for fetch in chosen]
                try:
                    return list(store.get_ranges(key, starts=starts, lengths=lengths, coalesce=0))
                except client_errors() as error:
                    if is_past_the_end(error):
                        return None
                    raise

            pieces = self._call(path, get)
            if pieces is None or any(len(p) != f.length for p, f in zip(pieces, chosen, strict=True)):
                size = self.size(path)
                last = max(chosen, key=lambda fetch: fetch.end)
                raise past_the_end(f"{self.url}/{path}", last.start, last.length, size)
            for place, piece in zip(places, pieces, strict=True):
                data[place] = memoryview(piece)
        return data

    def child(self, prefix: str) -> S3Storage:
        """The folder of that name below this one, through the same client."""
        prefix = check_prefix(self.url, prefix)
        return _restore(self._client, self._key(prefix)) if prefix else self

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """All objects below a folder, which may take a request for each thousand. All are held in memory."""
        prefix = check_prefix(self.url, prefix)
        top = self._key(prefix) if prefix else self._prefix
        cut_off = len(self._prefix) + 1 if self._prefix else 0
        store, options = self._client.store, self._client.options
        end, pause = time.monotonic() + options.retry_s, 0.1
        while True:
            try:
                pages = store.list(prefix=top or None, chunk_size=1000)
                found = [Entry(str(meta["path"])[cut_off:], int(meta["size"])) for page in pages for meta in page]
                break
            except client_errors() as error:
                # obstore tries again all but a page that breaks off in its middle
                if not is_broken_body(error) or time.monotonic() > end:
                    raise self._failed(prefix, error) from None
            time.sleep(pause * (0.5 + random.random() / 2))
            pause = min(2 * pause, 5.0)
        yield from _without_markers(sorted(found, key=lambda entry: entry.path))


def _without_markers(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Leaves out empty objects named like a folder with objects in it.

    Consoles make them (``a/``), and obstore lists them without their slash, under which name they cannot be read.
    """
    paths = [entry.path for entry in entries]
    for entry in entries:
        if entry.size_bytes == 0:
            below = bisect_left(paths, entry.path + "/")
            if below < len(paths) and paths[below].startswith(entry.path + "/"):
                continue
        yield entry


def _parse(url: str) -> tuple[str, str]:
    """Bucket and prefix."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not _BUCKET.fullmatch(bucket):
        # the address is not quoted, as people put keys before an @
        raise StorageError(
            "an address in S3 looks like s3://bucket/prefix; keys and endpoints are options or AWS_* variables"
        )
    return bucket, check_prefix(f"s3://{bucket}", prefix)


def _restore(client: S3Client, prefix: str) -> S3Storage:
    storage = S3Storage.__new__(S3Storage)
    storage._set(client, prefix)
    return storage
