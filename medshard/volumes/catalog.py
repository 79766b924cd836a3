"""``volumes.bin``: metadata and shard indexes of a corpus's volumes, so that a crop asks for nothing but its chunks.

Layout, version 1, little-endian: a header of 32 bytes, a record a volume in the order of the manifest (16 bytes), then
a block a volume. A block has the length of its documents (uint32), the documents (a JSON object path → ``zarr.json``,
deflated), and for each shard of each array, in the order of the documents, the size of every inner chunk (uint32, C
order; 0 for one that holds only the fill value). Offsets follow from the order in which chunks are written
(``volumes.order``), 4 bytes a chunk instead of 16. A volume in another order has an empty block and is read through its
own indexes. The file is memory-mapped locally; from S3 it is read whole, or a block at a time where it is long.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medshard.engine import crc32c
from medshard.errors import CorpusError
from medshard.storage.base import Bytes, Storage
from medshard.volumes.layout import ArrayLayout
from medshard.volumes.order import ORDER
from medshard.volumes.table import ChunkTable

__all__ = ["CATALOG_NAME", "Catalog", "CataloguedVolume", "catalogue_volume", "write_catalog"]

CATALOG_NAME = "volumes.bin"

_MAGIC = b"MSVOL\0\0\x01"
_HEADER = np.dtype([("magic", "S8"), ("volumes", "<u8"), ("crc32c", "<u4"), ("spare", "V12")])
_RECORD = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc32c", "<u4")])
_WHOLE_BYTES = 64 * 2**20  # a file up to this long is read at once
_DOCUMENTS_BYTES = 16 * 2**20


class CataloguedVolume:
    """What the catalog holds of a volume.

    Args:
        block: of the catalog, its checksum compared.
        path: of the volume below the corpus.

    Raises:
        CorpusError: the block is not of this form.
    """

    def __init__(self, block: Bytes, path: str) -> None:
        self._path = path
        try:
            end = 4 + int.from_bytes(block[:4], "little")
            unpacked = zlib.decompressobj().decompress(block[4:end], _DOCUMENTS_BYTES)
            self._documents = {str(name): str(text).encode() for name, text in json.loads(unpacked).items()}
            self._sizes = np.frombuffer(block[end:], "<u4")
            self._first: dict[str, tuple[ArrayLayout, int]] = {}
            first = 0
            for name, layout in self._arrays():
                self._first[name] = (layout, first)
                first += layout.chunks * int(np.prod(layout.shards))
        except (ValueError, zlib.error, AttributeError) as error:
            raise CorpusError(f"{CATALOG_NAME}: the block of {path} is damaged") from error
        if first != len(self._sizes):
            raise CorpusError(f"{CATALOG_NAME}: the block of {path} has {len(self._sizes)} chunks, its arrays {first}")

    def _arrays(self) -> Iterator[tuple[str, ArrayLayout]]:
        return _arrays(self._documents, self._path)

    def document(self, path: str) -> bytes | None:
        """A ``zarr.json`` of the volume, by its path below the corpus."""
        return self._documents.get(path.removeprefix(f"{self._path}/"))

    def sizes(self, array: str, shard: tuple[int, ...]) -> NDArray[np.int64] | None:
        """Sizes of a shard's inner chunks, in C order.

        Args:
            array: path below the corpus.
        """
        found = self._first.get(array.removeprefix(f"{self._path}/"))
        if found is None:
            return None
        layout, first = found
        first += layout.chunks * int(np.ravel_multi_index(shard, layout.shards))
        return self._sizes[first : first + layout.chunks].astype(np.int64)


def _arrays(documents: dict[str, bytes], path: str) -> Iterator[tuple[str, ArrayLayout]]:
    for name, text in documents.items():
        if json.loads(text).get("node_type") == "array":
            array = name.removesuffix("/zarr.json")
            yield array, ArrayLayout.parse(text, f"{path}/{array}")


def catalogue_volume(storage: Storage, path: str) -> bytes:
    """The block of a volume; empty where its chunks lie in another order than this version writes.

    Raises:
        CorpusError: a shard is damaged.
    """
    documents: dict[str, bytes] = {}
    sizes_bytes: dict[str, int] = {}
    for entry in storage.list(path):
        name = entry.path.removeprefix(f"{path}/")
        sizes_bytes[name] = entry.size_bytes
        if name.endswith("zarr.json"):
            documents[name] = bytes(storage.read(entry.path))
    try:
        written = json.loads(documents["zarr.json"])["attributes"]["medshard"].get("chunk_order")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorpusError(f"{path}/zarr.json is no volume that medshard wrote") from error
    if written != ORDER:
        return b""
    found: list[NDArray[np.int64]] = []
    for array, layout in _arrays(documents, path):
        for shard in itertools.product(*(range(count) for count in layout.shards)):
            name = f"{array}/{layout.shard_path(shard)}"
            end = sizes_bytes.get(name, 0) - layout.index_bytes
            if end < 0:
                raise CorpusError(f"{path}/{name} is not there, or cut off")
            raw = bytes(storage.read(f"{path}/{name}", end, layout.index_bytes))
            table = ChunkTable.parse(raw, layout, end, f"{path}/{name}")
            if not table.is_in_order(layout):
                return b""
            found.append(table.sizes)
    texts = json.dumps({name: text.decode() for name, text in documents.items()})
    packed = zlib.compress(texts.encode(), 9)
    return len(packed).to_bytes(4, "little") + packed + np.concatenate(found).astype("<u4").tobytes()


def write_catalog(path: Path, blocks: Iterable[bytes], volumes: int) -> None:
    """Write the file.

    Args:
        blocks: of ``catalogue_volume``, one a volume.
        volumes: their number.
    """
    records = np.zeros(volumes, _RECORD)
    header = np.zeros(1, _HEADER)
    with path.open("wb") as file:
        file.seek(_HEADER.itemsize + records.nbytes)
        for place, block in enumerate(blocks):
            records[place] = (file.tell(), len(block), crc32c(block))
            file.write(block)
        header[0] = (_MAGIC, volumes, crc32c(records.tobytes()), b"")
        file.seek(0)
        file.write(header.tobytes() + records.tobytes())


class Catalog:
    """Finds volumes by their number in the manifest.

    Args:
        read: gives (start, length) of the file.
        size_bytes: of the file.

    Raises:
        CorpusError: no catalog of this version, or damaged.
    """

    def __init__(self, read: Callable[[int, int], Bytes], size_bytes: int) -> None:
        self._read, self._size_bytes = read, size_bytes
        if size_bytes < _HEADER.itemsize:
            raise CorpusError(f"{CATALOG_NAME} is cut off")
        header = np.frombuffer(bytes(read(0, _HEADER.itemsize)), _HEADER)[0]
        if header["magic"] != _MAGIC:
            raise CorpusError(f"{CATALOG_NAME} is not of version 1; rebuild the index with medshard build")
        self.volumes = int(header["volumes"])
        if _HEADER.itemsize + self.volumes * _RECORD.itemsize > size_bytes:
            raise CorpusError(f"{CATALOG_NAME} is cut off")
        self._checksum = int(header["crc32c"])

    @classmethod
    def open(cls, storage: Storage) -> Catalog:
        """Of a corpus."""
        root = getattr(storage, "root", None)
        if root is not None:
            try:
                mapped = np.memmap(Path(root) / CATALOG_NAME, np.uint8, "r")
            except (OSError, ValueError) as error:
                raise CorpusError(f"{CATALOG_NAME} cannot be mapped: {error}") from error
            view = memoryview(mapped)  # type: ignore[arg-type]
            return cls(lambda start, length: view[start : start + length], len(mapped))
        size_bytes = storage.size(CATALOG_NAME)
        if size_bytes <= _WHOLE_BYTES:
            whole = memoryview(storage.read(CATALOG_NAME, 0, size_bytes))
            return cls(lambda start, length: whole[start : start + length], size_bytes)
        return cls(lambda start, length: storage.read(CATALOG_NAME, start, length), size_bytes)

    @cached_property
    def _records(self) -> NDArray[np.void]:
        raw = bytes(self._read(_HEADER.itemsize, self.volumes * _RECORD.itemsize))
        if crc32c(raw) != self._checksum:
            raise CorpusError(f"{CATALOG_NAME} fails its checksum; the file is damaged")
        return np.frombuffer(raw, _RECORD)

    def block(self, number: int) -> bytes:
        """The block of a volume.

        Raises:
            CorpusError: it is damaged.
        """
        offset, size, checksum = self._records[number].item()
        block = bytes(self._read(offset, size)) if offset + size <= self._size_bytes else b""
        if len(block) != size or crc32c(block) != checksum:
            raise CorpusError(f"{CATALOG_NAME}: the block of volume {number} is damaged")
        return block

    def volume(self, number: int, path: str) -> CataloguedVolume | None:
        """What is held of a volume; None where it has to be read itself."""
        block = self.block(number)
        return CataloguedVolume(block, path) if block else None
