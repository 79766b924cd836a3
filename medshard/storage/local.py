"""Files on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from medshard.errors import StorageError
from medshard.storage.base import Bytes, Entry
from medshard.storage.byte_range import check_ranges, coalesce, cut, past_the_end
from medshard.storage.path import check_path, check_prefix

__all__ = ["LocalStorage", "open_local"]

_GAP_BYTES = 64 * 1024  # reading on is cheaper than another system call up to about here
_FETCH_BYTES = 16 * 2**20

# O_NONBLOCK: a named pipe in a folder of unknown origin must not hold the reader until somebody writes; no effect on
# files. O_NOFOLLOW: the path was resolved before; a link that took its place since is refused.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class LocalStorage:
    """A folder.

    Links: the root may be one, and is resolved once. A symbolic link below it is followed when it stays inside the
    root; one that leaves it is refused, since a corpus may come from anywhere and must not read out other files, unless
    ``follow_links`` says that whoever made the folder is trusted (a dataset linked from another disk, a Hugging Face
    cache). A link to nothing is no object.

    Each call opens the file, preads and closes it (3 microseconds on a local disk, beside reads of a MiB): there are no
    handles to share, to go stale when a file is replaced, or to inherit by fork. Files are not mapped into memory, as a
    file that is cut off while mapped kills the process; here it is a ``StorageError``. A local read is not tried again.

    Args:
        root: the folder; it need not exist yet.
        follow_links: whether links may leave the root.
    """

    def __init__(self, root: Path | str, *, follow_links: bool = False) -> None:
        self.url = os.path.abspath(root)
        self.root = Path(os.path.realpath(root))
        self.follow_links = follow_links
        self._inside = os.path.join(self.root, "")

    def __reduce__(self) -> tuple[object, tuple[str, str, bool]]:
        return (_restore, (self.url, str(self.root), self.follow_links))

    def __repr__(self) -> str:
        return f"<LocalStorage {self.url}>"

    def _resolve(self, path: str) -> str:
        """The real path of an object.

        Raises:
            StorageError: it leaves the root.
        """
        real = os.path.realpath(self._inside + path)
        if not self.follow_links and not real.startswith(self._inside):
            raise StorageError(
                f"{self.url}/{path}: a link on the way leaves the folder {self.url}. If you trust whoever made it, "
                "open the folder with follow_links=True."
            )
        return real

    @contextmanager
    def opened(self, path: str) -> Iterator[tuple[int, int]]:
        """File descriptor and size, for code that reads by itself."""
        try:
            handle = os.open(self._resolve(check_path(self.url, path)), _FLAGS)
        except OSError as error:
            raise self._failed(path, error) from error
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise StorageError(f"{self.url}/{path}: is not a file")
            yield handle, status.st_size
        except OSError as error:
            raise self._failed(path, error) from error
        finally:
            os.close(handle)

    def _failed(self, path: str, error: OSError) -> StorageError:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return StorageError(f"{self.url}/{path}: there is no such file")
        return StorageError(f"{self.url}/{path}: cannot be read: {error.strerror}")

    def _pread(self, path: str, handle: int, size: int, start: int, length: int) -> bytes:
        if start + length > size:
            raise past_the_end(f"{self.url}/{path}", start, length, size)
        pieces = []
        while length:
            piece = os.pread(handle, length, start)  # at most 2 GiB a call, so perhaps fewer
            if not piece:
                raise StorageError(f"{self.url}/{path}: ends at byte {start}; it was cut off while it was read")
            pieces.append(piece)
            start, length = start + len(piece), length - len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def open(self) -> None:
        """Looks whether the folder is there."""
        if not self.root.is_dir():
            raise StorageError(f"{self.url}: there is no such folder")

    def size(self, path: str) -> int:
        """Length of a file in bytes."""
        with self.opened(path) as (_, size):
            return size

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            return stat.S_ISREG(os.stat(self._resolve(check_path(self.url, path))).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._failed(path, error) from error

    def read(self, path: str, start: int = 0, length: int | None = None) -> Bytes:
        """``length`` bytes from ``start``, or all that follow."""
        check_ranges(f"{self.url}/{check_path(self.url, path)}", [(start, length or 0)])
        if length == 0:
            return b""
        with self.opened(path) as (handle, size):
            if length is None:
                length = max(size - start, 0)
            return self._pread(path, handle, size, start, length)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[Bytes]:
        """Several (start, length), neighbouring ones by one system call."""
        check_ranges(f"{self.url}/{check_path(self.url, path)}", ranges)
        fetches = coalesce(ranges, _GAP_BYTES, _FETCH_BYTES)
        if not fetches:
            return [b""] * len(ranges)
        with self.opened(path) as (handle, size):
            data = [self._pread(path, handle, size, fetch.start, fetch.length) for fetch in fetches]
        return [*cut(ranges, fetches, data)]

    def child(self, prefix: str) -> LocalStorage:
        """The folder of that name below this one."""
        prefix = check_prefix(self.url, prefix)
        if not prefix:
            return self
        return _restore(os.path.join(self.url, prefix), self._resolve(prefix), self.follow_links)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Files below a folder. Links are followed as in reading; links to nothing, pipes and devices are left out."""
        prefix = check_prefix(self.url, prefix)
        self.open()
        top = self._resolve(prefix) if prefix else str(self.root)
        if os.path.isdir(top):
            yield from self._walk(top, f"{prefix}/" if prefix else "", ())

    def _walk(self, folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[Entry]:
        if folder in above:
            raise StorageError(f"{self.url}/{prefix}: links form a circle here")
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = check_path(self.url, prefix + entry.name)
                    real = self._resolve(path) if entry.is_symlink() else entry.path
                    try:
                        status = os.stat(real, follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISDIR(status.st_mode):
                        found.append((path + "/", real, -1))
                    elif stat.S_ISREG(status.st_mode):
                        found.append((path, real, status.st_size))
        except OSError as error:
            raise self._failed(prefix, error) from error
        # a folder sorts as its name with the slash, so that walking in this order gives whole paths in order
        for path, real, size in sorted(found):
            if size < 0:
                yield from self._walk(real, path, (*above, folder))
            else:
                yield Entry(path, size)


def _restore(url: str, root: str, follow_links: bool) -> LocalStorage:
    """A storage that goes on reading the folder to which its root was resolved, under the name that it was given."""
    storage = LocalStorage(root, follow_links=follow_links)
    storage.url = url
    return storage


def open_local(address: str, *, follow_links: bool = False) -> LocalStorage:
    """The folder of an address.

    Args:
        address: a path, taken as it stands, or ``file:///path`` with percent escapes.
        follow_links: as in ``LocalStorage``.

    Raises:
        StorageError: the address names another machine, or no folder.
    """
    if not address.startswith("file://"):
        return LocalStorage(address, follow_links=follow_links)
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path or parts.query or parts.fragment:
        raise StorageError(
            f"{address}: is no folder of this machine. Addresses look like file:///data/corpus, with ? and # escaped "
            "as %3F and %23; or give the plain path."
        )
    return LocalStorage(unquote(parts.path), follow_links=follow_links)
