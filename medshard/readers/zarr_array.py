"""One Zarr array, version 2 or 3, decoded by zarr-python from chunks that were checked before.

Only codecs that run no code are let through (numcodecs has one that unpickles), and of each chunk it is known before it
is unpacked that it gives no more than its shape. A chunk that is absent holds the fill value, as the format says; an
array without any chunk is taken as not there, since copies that leave out the fine levels look like that.
Source: Zarr v3 core specification, sharding codec 1.0; Zarr storage specification 2; RFC 8878 (zstd), 3.1.1.1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from medshard.errors import DecodeError, MissingExtraError, ReadError
from medshard.readers.base import Array, Blob
from medshard.readers.limits import MAX_FILE_BYTES, check_volume
from medshard.readers.packed import unpacked

__all__ = ["ZarrArray", "file_below", "json_below"]

_MAX_CHUNKS = 2**17
_MAX_JSON_BYTES = 2**24
_MAX_AXES = 5
_MAX_PATH = 1024
_NO_SIGNS = frozenset("\\\0!")
_FRAME_ROOM = 64
_V2_DTYPE = re.compile(r"[<>|](?:[uif][1248]|b1)")
_V3_DTYPE = re.compile(r"u?int(?:8|16|32|64)|float(?:16|32|64)|bool")
_PACKINGS = ("blosc", "gzip", "zlib", "zstd", "lz4")


def file_below(blob: Blob, path: str) -> bytes | None:
    """The bytes of a file below the folder of ``blob``; None where it is absent.

    Raises:
        ReadError: the path leaves the folder, or the file cannot be read.
    """
    parts = path.split("/")
    if len(path) > _MAX_PATH or any(part in ("", ".", "..") or not _NO_SIGNS.isdisjoint(part) for part in parts):
        raise ReadError("names an array by a path that leaves its folder", error_class="path_escape")
    if blob.beside is None:
        return None
    try:
        return blob.beside(path).read()
    except ReadError as error:
        if error.error_class == "missing":
            return None
        raise


def json_below(blob: Blob, path: str) -> dict[str, Any] | None:
    """A JSON object below the folder of ``blob``; None where it is absent.

    Raises:
        ReadError: as above.
        DecodeError: it is none.
    """
    data = file_below(blob, path)
    if data is None:
        return None
    try:
        found = json.loads(data) if len(data) <= _MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DecodeError("the Zarr metadata are no JSON object", error_class="damaged_header")
    return found


@dataclass(frozen=True)
class ZarrArray:
    """An array whose metadata are known.

    Attributes:
        blob: a file in the folder that ``prefix`` starts from.
        prefix: the array's folder with a slash, or nothing.
        document: ``zarr.json`` or ``.zarray``.
        shape: of the array.
        chunk: of a file; of a sharded array, a shard.
        inner: of what is packed at once: ``chunk``, or the inner chunk of a shard.
        itemsize: bytes a voxel.
        packing: the compression of an inner chunk; None for none.
        tail_bytes: bytes of checksums behind it.
        index: of a sharded array, whether the index is at the end, and the length of its checksum; else None.
        dimensions: names of the axes; empty where they have none.
    """

    blob: Blob
    prefix: str
    document: dict[str, Any]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    inner: tuple[int, ...]
    itemsize: int
    packing: str | None
    tail_bytes: int
    index: tuple[bool, int] | None
    dimensions: tuple[str, ...]

    @classmethod
    def open(cls, blob: Blob, prefix: str) -> ZarrArray | None:
        """The array of a folder; None where there are no metadata of one.

        Raises:
            ReadError: its metadata are damaged, or of a kind that is not read.
        """
        document = json_below(blob, f"{prefix}zarr.json")
        version = 2 if document is None else 3
        if document is None:
            document = json_below(blob, f"{prefix}.zarray")
        if document is None or (version == 3 and document.get("node_type") != "array"):
            return None
        try:
            opened = _version_3(blob, prefix, document) if version == 3 else _version_2(blob, prefix, document)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # their text would quote the file
            raise DecodeError("the metadata of a Zarr array are damaged", error_class="damaged_header") from None
        if len(opened.shape) > _MAX_AXES:
            raise ReadError(f"has {len(opened.shape)} axes, which are not read", error_class="axes")
        check_volume(opened.shape, opened.itemsize)
        check_volume(opened.chunk, opened.itemsize)
        if len(opened.chunk) != len(opened.shape) or len(opened.inner) != len(opened.shape) or min(opened.inner) < 1:
            raise DecodeError("the metadata of a Zarr array are damaged", error_class="damaged_header")
        if math.prod(opened.grid) > _MAX_CHUNKS:
            raise ReadError(f"has {math.prod(opened.grid)} chunks, more than {_MAX_CHUNKS}", error_class="too_large")
        return opened

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks an axis."""
        return tuple(-(-length // edge) for length, edge in zip(self.shape, self.chunk, strict=True))

    def _keys(self) -> Iterator[str]:
        if self.document["zarr_format"] == 3:
            encoding = self.document["chunk_key_encoding"]
            default = encoding["name"] == "default"
            separator = encoding.get("configuration", {}).get("separator", "/" if default else ".")
            head = "c" + separator if default else ""
        else:
            separator, head = self.document.get("dimension_separator", "."), ""
        for place in product(*(range(count) for count in self.grid)):
            yield head + separator.join(str(index) for index in place)

    def read(self) -> tuple[Array, int] | None:
        """All voxels, and how many chunks are absent; None where no chunk is there.

        Raises:
            DecodeError: a chunk is damaged.
            ReadError: the chunks are larger than allowed.
        """
        name = "zarr.json" if self.document["zarr_format"] == 3 else ".zarray"
        files = {name: json.dumps(self.document).encode()}
        size = 0
        for key in self._keys():
            data = file_below(self.blob, self.prefix + key)
            if data is None:
                continue
            size += len(data)
            if size > MAX_FILE_BYTES:
                raise ReadError(f"its chunks have more than {MAX_FILE_BYTES} bytes", error_class="too_large")
            self._check(data)
            files[key] = data
        if len(files) == 1:
            return None
        return _decoded(files, self.document["zarr_format"]), math.prod(self.grid) - len(files) + 1

    def _check(self, data: bytes) -> None:
        """Refuses what would unpack to more than its shape."""
        most = math.prod(self.inner) * self.itemsize
        if self.index is None:
            _check_packed(data[: len(data) - self.tail_bytes], self.packing, most)
            return
        at_end, checksum = self.index
        count = math.prod(-(-edge // small) for edge, small in zip(self.chunk, self.inner, strict=True))
        length = count * 16
        if len(data) < length + checksum:
            raise DecodeError("a shard is cut off", error_class="truncated")
        start = len(data) - length - checksum if at_end else 0
        for offset, size in np.frombuffer(data, "<u8", count * 2, start).reshape(count, 2).tolist():
            if (offset, size) == (2**64 - 1, 2**64 - 1):
                continue
            if offset + size > len(data):
                raise DecodeError("a shard is cut off", error_class="truncated")
            _check_packed(data[offset : offset + size - self.tail_bytes], self.packing, most)


def _version_2(blob: Blob, prefix: str, document: dict[str, Any]) -> ZarrArray:
    if document["zarr_format"] != 2 or document.get("dimension_separator", ".") not in (".", "/"):
        raise ValueError
    if not isinstance(document["dtype"], str) or not _V2_DTYPE.fullmatch(document["dtype"]):
        raise ReadError("voxels of its data type are not read", error_class="pixel_type")
    packing = document["compressor"]["id"] if document["compressor"] is not None else None
    if document.get("filters") or packing not in (None, *_PACKINGS):
        raise ReadError("its filters or its compressor are not read", error_class="unsupported")
    shape, chunk = _lengths(document["shape"]), _lengths(document["chunks"])
    names = (json_below(blob, f"{prefix}.zattrs") or {}).get("_ARRAY_DIMENSIONS") or ()
    itemsize = np.dtype(document["dtype"]).itemsize
    return ZarrArray(blob, prefix, document, shape, chunk, chunk, itemsize, packing, 0, None, _names(names))


def _version_3(blob: Blob, prefix: str, document: dict[str, Any]) -> ZarrArray:
    encoding = document["chunk_key_encoding"]
    separator = encoding.get("configuration", {}).get("separator", "/")
    if document["zarr_format"] != 3 or encoding["name"] not in ("default", "v2") or separator not in ("/", "."):
        raise ValueError
    if not isinstance(document["data_type"], str) or not _V3_DTYPE.fullmatch(document["data_type"]):
        raise ReadError("voxels of its data type are not read", error_class="pixel_type")
    if document["chunk_grid"]["name"] != "regular" or document.get("storage_transformers"):
        raise ReadError("its chunk grid or its storage transformers are not read", error_class="unsupported")
    chunk = inner = _lengths(document["chunk_grid"]["configuration"]["chunk_shape"])
    codecs, index = document["codecs"], None
    if [codec["name"] for codec in codecs] == ["sharding_indexed"]:
        configuration = codecs[0]["configuration"]
        inner, codecs = _lengths(configuration["chunk_shape"]), configuration["codecs"]
        steps = [codec["name"] for codec in configuration["index_codecs"]]
        if steps not in (["bytes"], ["bytes", "crc32c"]):
            raise ReadError("its shards' index is not read", error_class="unsupported")
        if configuration["index_codecs"][0]["configuration"]["endian"] != "little":
            raise ReadError("its shards' index is not read", error_class="unsupported")
        index = (configuration.get("index_location", "end") == "end", 4 * (len(steps) - 1))
    names = [codec["name"] for codec in codecs]
    packings = [name for name in names if name in ("blosc", "gzip", "zstd")]
    known = all(name in ("transpose", "bytes", "crc32c", *packings) for name in names) and len(packings) <= 1
    if not known or (packings and "crc32c" in names[: names.index(packings[0])]):
        raise ReadError("its codecs are not read", error_class="unsupported")
    kind = np.dtype(document["data_type"])
    return ZarrArray(
        blob,
        prefix,
        document,
        _lengths(document["shape"]),
        chunk,
        inner,
        kind.itemsize,
        packings[0] if packings else None,
        4 * names.count("crc32c"),
        index,
        _names(document.get("dimension_names") or ()),
    )


def _lengths(values: list[Any]) -> tuple[int, ...]:
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError
    return tuple(values)


def _names(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if all(isinstance(value, str) for value in values) else ()


def _check_packed(data: bytes, packing: str | None, most: int) -> None:
    if packing in ("gzip", "zlib"):
        unpacked(data, packing, most + _FRAME_ROOM, most)
        return
    size = len(data)
    if packing == "blosc":
        size = int.from_bytes(data[4:8], "little")
    elif packing == "lz4":
        size = int.from_bytes(data[:4], "little")
    elif packing == "zstd":
        size = _zstd_size(data)
    if size > most:
        raise ReadError("a chunk unpacks to more than its shape", error_class="too_large")


def _zstd_size(data: bytes) -> int:
    """What a frame says that it holds."""
    if data[:4] != b"\x28\xb5\x2f\xfd" or len(data) < 6:
        raise DecodeError("a chunk is no zstd frame", error_class="truncated")
    kind = data[4]
    single = kind >> 5 & 1
    start = 6 - single + (0, 1, 2, 4)[kind & 3]
    length = (single, 2, 4, 8)[kind >> 6]
    if not length:
        raise ReadError("a zstd frame that does not state its size is not read", error_class="unsupported")
    return int.from_bytes(data[start : start + length], "little") + (256 if length == 2 else 0)


def _decoded(files: dict[str, bytes], version: int) -> Array:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError("Reading OME-Zarr and Zarr", "zarr", "zarr") from error
    store: dict[str, Any] = dict(files)
    if int(zarr.__version__.split(".")[0]) >= 3:
        from zarr.core.buffer import default_buffer_prototype

        make = default_buffer_prototype().buffer.from_bytes
        store = {name: make(data) for name, data in files.items()}
    elif version == 3:
        raise MissingExtraError("Reading Zarr version 3", "zarr>=3", "zarr")
    try:
        stored = np.asarray(zarr.open_array(store=store, mode="r")[...])
    except Exception as error:  # noqa: BLE001 - whatever a codec raises, whose text may quote the file
        raise DecodeError(f"a chunk cannot be decoded ({type(error).__name__})") from None
    if stored.dtype.kind == "b":
        stored = stored.astype(np.uint8)
    elif stored.dtype == np.float16:
        stored = stored.astype(np.float32)
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)
