"""Archives as folders: zip and tar (plain, gz, bz2, xz), read in place, as deep as they are nested.

Untrusted input: member names that leave the archive are refused, sizes are bounded before anything is unpacked, links
and devices are not followed. Cost: a zip and a plain tar give any member directly; a compressed tar is unpacked once
a process into a temporary file, after which each member is a seek.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import threading
import zipfile
from pathlib import PurePosixPath
from typing import IO, Protocol

from medshard.errors import ReadError

__all__ = ["Archive", "open_archive"]

MAX_MEMBERS = 5_000_000
MAX_MEMBER_BYTES = 16 * 2**30
MAX_UNPACKED_BYTES = 256 * 2**30
MAX_RATIO = 1000  # deflate cannot exceed 1032; anything near it in bulk is a bomb
_IN_MEMORY_BYTES = 256 * 2**20

_TAR_NAMES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


class Archive(Protocol):
    """A listed archive."""

    def members(self) -> list[tuple[str, int]]:
        """Path and size in bytes of each file, in the archive's order."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of one member.

        Raises:
            ReadError: there is no such member, it is damaged, or it is larger than allowed.
        """
        ...

    def close(self) -> None:
        """Free the file and what was unpacked of it."""
        ...


def open_archive(name: str, handle: IO[bytes]) -> Archive:
    """List an archive.

    Args:
        name: its file name, which decides the format.
        handle: seekable, positioned at the start; owned by the archive from now on.

    Raises:
        ReadError: damaged, encrypted as a whole, or beyond the bounds of this module.
    """
    try:
        return _Zip(handle) if name.lower().endswith(".zip") else _Tar(name.lower(), handle)
    except ReadError:
        handle.close()
        raise
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, lzma.LZMAError) as error:
        handle.close()
        raise ReadError("the archive is damaged or not of the kind its name says", error_class="archive") from error


def _safe(name: str) -> str | None:
    """The member's path, or None when it would leave the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return None
    return str(path)


class _Zip:
    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle
        self._zip = zipfile.ZipFile(handle)
        self._lock = threading.Lock()
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(infos) > MAX_MEMBERS:
            raise ReadError(f"the archive has {len(infos)} members, more than {MAX_MEMBERS}", error_class="too_large")
        self._infos = {path: info for info in infos if (path := _safe(info.filename)) is not None}

    def members(self) -> list[tuple[str, int]]:
        return [(path, info.file_size) for path, info in self._infos.items()]

    def read(self, path: str) -> bytes:
        info = self._infos.get(path)
        if info is None:
            raise ReadError("no such member in the archive", error_class="missing")
        if info.flag_bits & 0x1:
            raise ReadError("the member is encrypted; unpack the archive first", error_class="encrypted")
        if info.file_size > MAX_MEMBER_BYTES or info.file_size > MAX_RATIO * max(info.compress_size, 1024):
            raise ReadError(f"the member unpacks to {info.file_size} bytes, more than allowed", error_class="too_large")
        try:
            with self._lock, self._zip.open(info) as stream:
                data = stream.read(info.file_size + 1)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
            raise ReadError("the archive member is damaged or packed in an unknown way") from error
        if len(data) != info.file_size:
            raise ReadError("the archive member is not of the size its header says", error_class="truncated")
        return data

    def close(self) -> None:
        self._zip.close()
        self._handle.close()


class _Tar:
    def __init__(self, name: str, handle: IO[bytes]) -> None:
        self._handle = _unpacked(name, handle)
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        try:
            self._list()
        except BaseException:
            self._handle.close()
            raise

    def _list(self) -> None:
        with tarfile.open(fileobj=self._handle, mode="r:") as tar:
            for member in tar:
                path = _safe(member.name)
                if not member.isreg() or path is None:
                    continue
                if len(self._places) >= MAX_MEMBERS:
                    raise ReadError(f"the archive has more than {MAX_MEMBERS} members", error_class="too_large")
                self._places[path] = (member.offset_data, member.size)

    def members(self) -> list[tuple[str, int]]:
        return [(path, size) for path, (_, size) in self._places.items()]

    def read(self, path: str) -> bytes:
        if path not in self._places:
            raise ReadError("no such member in the archive", error_class="missing")
        offset, size = self._places[path]
        if size > MAX_MEMBER_BYTES:
            raise ReadError(f"the member has {size} bytes, more than allowed", error_class="too_large")
        with self._lock:
            self._handle.seek(offset)
            data = self._handle.read(size)
        if len(data) != size:
            raise ReadError("the archive is cut off inside this member", error_class="truncated")
        return data

    def close(self) -> None:
        self._handle.close()


def _unpacked(name: str, handle: IO[bytes]) -> IO[bytes]:
    if name.endswith(".tar"):
        return handle
    packed_bytes = handle.seek(0, io.SEEK_END)
    handle.seek(0)
    opener = lzma.open if name.endswith("xz") else bz2.open if name.endswith("2") else gzip.open
    limit = min(MAX_UNPACKED_BYTES, MAX_RATIO * max(packed_bytes, 1024))
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
    try:
        with handle, opener(handle, "rb") as stream:
            total = 0
            while chunk := stream.read(4 * 2**20):
                total += len(chunk)
                if total > limit:
                    raise ReadError(f"the archive unpacks to more than {limit} bytes", error_class="too_large")
                spool.write(chunk)
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return spool
