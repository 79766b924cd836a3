"""The dataset's root: what files there are, and their bytes, archives included."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from medshard.errors import ReadError, StorageError
from medshard.readers.base import Blob
from medshard.readers.companion import path_beside
from medshard.source.archive import Archive, open_archive
from medshard.source.pattern import CompiledPattern

__all__ = ["DataRoot", "Listing"]

_NESTED_ARCHIVE_BYTES = 4 * 2**30
_OPEN_ARCHIVES = 16
_ZARR_2 = (".zattrs", ".zarray")
"""Hidden files that stand for a folder: Zarr of version 2 (``readers.ome_zarr``)."""


@dataclass(frozen=True)
class Listing:
    """Files below a root.

    Attributes:
        paths: text, ``/``-separated, sorted by code point.
        sizes: int64, bytes; null where a plain list of paths does not say.
        system_files: hidden files and files of operating systems, which no pattern sees.
    """

    paths: pa.Array
    sizes: pa.Array
    system_files: int


class DataRoot:
    """Files below one folder, or a plain list of paths without bytes.

    Symbolic links inside the folder are followed (data are often linked into place), each folder once.

    Args:
        path: the folder; None for a list of paths.
        paths: with ``path`` None, the files that there would be; ``!/`` marks members of archives.
    """

    def __init__(self, path: Path | None, paths: Iterable[str] | None = None) -> None:
        self.path = path
        self._given = sorted(set(paths)) if paths is not None else None
        self._listing: Listing | None = None
        self._archives: dict[str, Archive] = {}
        if path is not None and not path.is_dir():
            raise StorageError(f"{path}: there is no such folder; --data names the folder that holds the dataset")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the archives; they open again when they are needed."""
        for archive in getattr(self, "_archives", {}).values():
            archive.close()
        self._archives = {}

    def __reduce__(self) -> tuple[type[DataRoot], tuple[Path | None, list[str] | None]]:
        return (DataRoot, (self.path, self._given))

    @property
    def has_bytes(self) -> bool:
        """Whether files can be read, not only listed."""
        return self.path is not None

    def listing(self) -> Listing:
        """All files, read once."""
        if self._listing is None:
            self._listing = self._list()
        return self._listing

    def _list(self) -> Listing:
        found: list[tuple[str, int | None]] = []
        system = 0
        entries = ((path, None) for path in self._given) if self._given is not None else self._walk()
        for path, size in entries:
            if _is_system_file(path):
                system += 1
            else:
                found.append((path, size))
        found.sort()
        paths = pa.array([path for path, _ in found], pa.string())
        return Listing(paths, pa.array([size for _, size in found], pa.int64()), system)

    def _walk(self) -> Iterable[tuple[str, int | None]]:
        assert self.path is not None
        seen: set[str] = set()
        for folder, names, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            relative = os.path.relpath(folder, self.path)
            prefix = "" if relative == "." else relative.replace(os.sep, "/") + "/"
            for name in files:
                try:
                    size = os.stat(os.path.join(folder, name)).st_size
                except OSError:  # a dangling link, or removed meanwhile: listed, so that its absence is named later
                    size = 0
                yield prefix + name, size

    def match(self, pattern: CompiledPattern) -> pa.Table:
        """Files that a pattern matches: captures, ``path`` and ``size``, in the order of ``path``."""
        listing = self.listing()
        if not self.has_bytes and len(pattern.segments) > 1:
            return self._match_listed_members(pattern)
        table = pattern.match(0, listing.paths)
        table = table.append_column("path", listing.paths.take(table["index"]).cast(pa.string()))
        table = table.append_column("size", listing.sizes.take(table["index"]).cast(pa.int64()))
        table = table.drop_columns(["index"])
        for level in range(1, len(pattern.segments)):
            table = self._match_members(pattern, level, table)
        return table.combine_chunks()

    def _match_members(self, pattern: CompiledPattern, level: int, archives: pa.Table) -> pa.Table:
        parts = []
        for row in archives.to_pylist():
            members = sorted(self._archive(row["path"]).members())
            names = pa.array([name for name, _ in members], pa.string())
            sizes = pa.array([size for _, size in members], pa.int64())
            found = pattern.match(level, names)
            for name in archives.column_names:
                if name in found.column_names:  # captured inside and outside: must be equal
                    found = found.filter(pc.equal(found[name], row[name]))
                elif name not in ("path", "size"):
                    found = found.append_column(name, pa.repeat(row[name], len(found)))
            index = found["index"]
            paths = pc.binary_join_element_wise(row["path"] + "!", names.take(index).cast(pa.string()), "/")
            found = found.append_column("path", paths).append_column("size", sizes.take(index))
            parts.append(found.drop_columns(["index"]).select([*pattern.captures_until(level), "path", "size"]))
        if parts:
            return pa.concat_tables(parts)
        names = [*pattern.captures, "path"]
        columns = {name: pa.array([], pa.string()) for name in names}
        return pa.table({**columns, "size": pa.array([], pa.int64())})

    def _match_listed_members(self, pattern: CompiledPattern) -> pa.Table:
        whole = CompiledPattern(pattern.text, ("!/".join(pattern.segments).replace("$!/^", "!/"),), pattern.captures)
        paths = self.listing().paths
        table = whole.match(0, paths)
        found = paths.take(table["index"]).cast(pa.string())
        table = table.append_column("path", found)
        return table.append_column("size", pa.nulls(len(found), pa.int64())).drop_columns(["index"])

    def blob(self, path: str, size_bytes: int | None = None) -> Blob:
        """A file of the listing, to be read when asked for."""
        return Blob(
            path,
            size_bytes or 0,
            lambda: self.read(path),
            lambda count: self.read(path, count),
            lambda name: self.blob(path_beside(path, name)),
        )

    def read(self, path: str, count: int = -1) -> bytes:
        """The bytes of a file or of an archive's member: all, or the first ``count``.

        Raises:
            ReadError: it cannot be read.
        """
        if self.path is None:
            raise ReadError("only a list of paths was given, there are no bytes", error_class="no_bytes")
        outer, separator, member = path.rpartition("!/")
        if separator:
            data = self._archive(outer).read(member)
            return data if count < 0 else data[:count]
        parts = path.split("/")
        if path.startswith("/") or ".." in parts:
            raise ReadError("the path leaves the dataset's root", error_class="path_escape")
        try:
            with (self.path / path).open("rb") as handle:
                return handle.read(count)
        except OSError as error:
            absent = isinstance(error, FileNotFoundError | NotADirectoryError)
            word = "missing" if absent else "unreadable"
            raise ReadError(f"cannot be read: {error.strerror}", error_class=word) from error

    def _archive(self, path: str) -> Archive:
        if path not in self._archives:
            assert self.path is not None
            if len(self._archives) >= _OPEN_ARCHIVES:
                self._archives.pop(next(iter(self._archives))).close()
            if "!/" in path:
                data = self.read(path)
                if len(data) > _NESTED_ARCHIVE_BYTES:
                    raise ReadError("the nested archive is too large; unpack the outer one", error_class="too_large")
                self._archives[path] = open_archive(path, io.BytesIO(data))
            else:
                try:
                    handle = (self.path / path).open("rb")
                except OSError as error:
                    raise ReadError(f"cannot be read: {error.strerror}") from error
                self._archives[path] = open_archive(path, handle)
        return self._archives[path]


def _is_system_file(path: str) -> bool:
    parts = path.replace("!/", "/").split("/")
    hidden = any(part.startswith(".") for part in (parts[:-1] if parts[-1] in _ZARR_2 else parts))
    return hidden or "__MACOSX" in parts or parts[-1] in ("Thumbs.db", "desktop.ini")
