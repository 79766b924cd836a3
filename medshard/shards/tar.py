"""Plain POSIX tars, written the same way every time, with the place of every part.

Headers are ustar (POSIX.1-1988) with mode 0644 and nothing of the host: owner 0, group 0, time 0, no names.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medshard.engine import crc32c
from medshard.errors import CorpusError

__all__ = ["BLOCK_BYTES", "TarPart", "TarWriter", "read_tar"]

BLOCK_BYTES = 512
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[a-z0-9_]+)+")
_MAX_NAME_BYTES = 100  # the ustar name field; the prefix field is of use only for names with folders
_MAX_PART_BYTES = 8**11 - 1  # eleven octal digits of the ustar size field


@dataclass(frozen=True)
class TarPart:
    """One member of a tar.

    Attributes:
        name: ``KEY.extension``.
        offset: of its first data byte in the tar.
        size_bytes: of its data.
        crc32c: of its data.
    """

    name: str
    offset: int
    size_bytes: int
    crc32c: int

    @property
    def key(self) -> str:
        """The name up to its first dot, as WebDataset splits it."""
        return self.name.partition(".")[0]

    @property
    def extension(self) -> str:
        """The name after its first dot."""
        return self.name.partition(".")[2]


class TarWriter:
    """Writes members one after another.

    Attributes:
        parts: what was written, in order.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._sha256 = hashlib.sha256()
        self._offset = 0
        self.parts: list[TarPart] = []

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self._offset += len(data)

    def add(self, name: str, data: bytes) -> TarPart:
        """Append a member.

        Raises:
            ValueError: the name is no ``KEY.EXTENSION`` or does not fit the header, or the data are too large for it.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no KEY.EXTENSION of letters, digits, _ and -")
        if len(name) > _MAX_NAME_BYTES:
            raise ValueError(f"{name!r} does not fit the {_MAX_NAME_BYTES} bytes of a tar header's name")
        if len(data) > _MAX_PART_BYTES:
            raise ValueError(f"{name}: {len(data)} bytes; a tar member has at most {_MAX_PART_BYTES}")
        header = tarfile.TarInfo(name)
        header.size = len(data)
        self._write(header.tobuf(format=tarfile.USTAR_FORMAT))
        part = TarPart(name, self._offset, len(data), crc32c(data))
        self._write(data)
        self._write(b"\0" * (-len(data) % BLOCK_BYTES))
        self.parts.append(part)
        return part

    def close(self) -> tuple[int, str]:
        """End the archive; gives its size in bytes and its sha256 as hex."""
        self._write(b"\0" * (2 * BLOCK_BYTES))
        self._file.flush()
        self._file.close()
        return self._offset, self._sha256.hexdigest()

    def discard(self) -> None:
        """Close without ending the archive."""
        self._file.close()


def read_tar(tar_file: Path | bytes, name: str = "") -> Iterator[tuple[TarPart, bytes]]:
    """Every regular member with its data, checked only for being whole.

    Args:
        tar_file: its path or its bytes.
        name: of the tar, for messages; the path's own by default.

    Raises:
        CorpusError: damaged or cut off, or holds links or folders.
    """
    # tarfile's own iteration takes a damaged header after the first for the end of the archive.
    with io.BytesIO(tar_file) if isinstance(tar_file, bytes) else tar_file.open("rb") as handle:
        total = handle.seek(0, io.SEEK_END)
        handle.seek(0)
        shown = name or getattr(handle, "name", "tar").rpartition("/")[2]
        while (block := handle.read(BLOCK_BYTES)) != bytes(BLOCK_BYTES):
            offset = handle.tell() - len(block)
            try:
                member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            except (tarfile.TarError, ValueError) as error:
                kind = "is cut off" if len(block) < BLOCK_BYTES else "has a damaged header"
                raise CorpusError(f"{shown}: {kind} at byte {offset}") from error
            if not member.isreg():
                raise CorpusError(f"{shown}: member {member.name!r} is no regular file")
            # A damaged size may be negative, or more than the memory there is.
            data = handle.read(member.size) if 0 <= member.size <= total - handle.tell() else b""
            if len(data) != member.size:
                raise CorpusError(f"{shown}: member {member.name!r} is cut off")
            yield TarPart(member.name, offset + BLOCK_BYTES, member.size, crc32c(data)), data
            handle.seek(-member.size % BLOCK_BYTES, io.SEEK_CUR)
        if handle.read() != bytes(BLOCK_BYTES):
            raise CorpusError(f"{shown}: does not end as a tar does; cut off, or bytes were added")
