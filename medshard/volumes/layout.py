"""How an array lies on disk: Zarr v3, regular shards of inner chunks, each a Blosc frame with its CRC-32C.

Source: Zarr v3 core specification; sharding codec 1.0 (index at the end, crc32c); OME-NGFF 0.5.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.errors import CorpusError
from medshard.volumes.order import chunk_order

__all__ = ["CODEC", "INNER", "LEVEL", "MISSING", "ArrayLayout", "layout_for", "pack"]

INNER = 32
"""Edge of an inner chunk in voxels: a random crop of 96 then decodes little more than it wants."""

_SHARD_BYTES = 2**30
"""A level is one shard up to so many bytes of voxels: a crop is then a few ranges of one file (``volumes.order``), and
its index is at most 512 KiB."""

_SHARD_CHUNKS = 2**16

_BLOCK_PLANES = 8
"""Planes of a chunk that are one Blosc block: a crop unpacks only the blocks that it meets, a fifth less of a 96^3."""

CODEC, LEVEL = "lz4hc", 5
"""After a bit shuffle. Measured on CT in chunks of 32^3 (benchmarks/volume_codecs.py): smaller than zstd after a byte
shuffle, and unpacked 1.5 to 2 times as fast."""

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_SHUFFLE = "bitshuffle"

MISSING = 2**64 - 1
"""Offset and size of an inner chunk that holds nothing but the fill value."""

_DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "uint32", "float32")


@dataclass(frozen=True)
class ArrayLayout:
    """Shape and grids of one array.

    Attributes:
        shape: of the array.
        shard: of a shard, a multiple of ``inner`` an axis.
        inner: of an inner chunk.
        dtype: numpy name.
        axes: lower-case letters, one an axis.
    """

    shape: tuple[int, ...]
    shard: tuple[int, ...]
    inner: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]

    @property
    def shards(self) -> tuple[int, ...]:
        """Number of shards an axis."""
        return tuple(-(-length // edge) for length, edge in zip(self.shape, self.shard, strict=True))

    @property
    def inner_per_shard(self) -> tuple[int, ...]:
        """Number of inner chunks of a shard an axis."""
        return tuple(edge // inner for edge, inner in zip(self.shard, self.inner, strict=True))

    @property
    def chunks(self) -> int:
        """Number of inner chunks of a shard."""
        return math.prod(self.inner_per_shard)

    @property
    def order(self) -> NDArray[np.int64]:
        """Numbers of the inner chunks of a shard, in C order, as they follow one another in the file."""
        return chunk_order(self.inner_per_shard, self.axes)

    @property
    def block_bytes(self) -> int:
        """Unpacked length of a Blosc block: a number of whole planes that divides the chunk."""
        depth = self.inner[-3]
        planes = _BLOCK_PLANES if depth % _BLOCK_PLANES == 0 else depth
        return self.chunk_bytes // depth * planes

    @property
    def index_bytes(self) -> int:
        """Length of a shard's index: two numbers an inner chunk, and its checksum."""
        return self.chunks * 16 + 4

    @property
    def chunk_bytes(self) -> int:
        """Unpacked length of an inner chunk."""
        return math.prod(self.inner) * np.dtype(self.dtype).itemsize

    def shard_path(self, shard: tuple[int, ...]) -> str:
        """Path of a shard below the array (default chunk key encoding)."""
        return "c/" + "/".join(str(place) for place in shard)

    def metadata(self) -> bytes:
        """``zarr.json`` of the array."""
        endian = {"name": "bytes", "configuration": {"endian": "little"}}
        blosc = {
            "cname": CODEC,
            "clevel": LEVEL,
            "shuffle": _SHUFFLE,
            "typesize": np.dtype(self.dtype).itemsize,
            "blocksize": self.block_bytes,
        }
        sharding = {
            "chunk_shape": list(self.inner),
            "codecs": [endian, {"name": "blosc", "configuration": blosc}, {"name": "crc32c"}],
            "index_codecs": [endian, {"name": "crc32c"}],
            "index_location": "end",
        }
        document = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.shard)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "dimension_names": list(self.axes),
            "attributes": {},
        }
        return json.dumps(document, indent=1).encode()

    @classmethod
    def parse(cls, data: bytes, path: str) -> ArrayLayout:
        """From ``zarr.json``.

        Raises:
            CorpusError: it is not of the form that medshard writes.
        """
        try:
            document = json.loads(data)
            (codec,) = document["codecs"]
            inner = codec["configuration"]
            names = [step["name"] for step in inner["codecs"]]
            fits = codec["name"] == "sharding_indexed" and names == ["bytes", "blosc", "crc32c"]
            fits = fits and inner["index_location"] == "end" and document["fill_value"] == 0
            layout = cls(
                tuple(int(length) for length in document["shape"]),
                tuple(int(edge) for edge in document["chunk_grid"]["configuration"]["chunk_shape"]),
                tuple(int(edge) for edge in inner["chunk_shape"]),
                str(document["data_type"]),
                tuple(document["dimension_names"]),
            )
            grids = zip(layout.shape, layout.shard, layout.inner, layout.axes, strict=True)
            even = all(length > 0 and small > 0 and edge > 0 and edge % small == 0 for length, edge, small, _ in grids)
            even = even and len(layout.shape) >= 3 and all(edge == 1 for edge in layout.inner[:-3])
            fits = fits and even and layout.dtype in _DTYPES and layout.chunk_bytes <= 2**28
        except (KeyError, TypeError, ValueError) as error:
            raise CorpusError(f"{path}/zarr.json is no array that medshard wrote") from error
        if not fits:
            raise CorpusError(f"{path}/zarr.json is no array that medshard wrote")
        return layout


def layout_for(shape: tuple[int, ...], dtype: np.dtype[Any], axes: tuple[str, ...]) -> ArrayLayout:
    """Grids for an array: leading axes (channels, time) by ones, axes of space in blocks; one shard where it may be.

    Raises:
        ValueError: the type has no place in the store.
    """
    if dtype.name not in _DTYPES:
        raise ValueError(f"voxels of type {dtype} are not stored; types: {', '.join(_DTYPES)}")
    inner = tuple(min(INNER, length) if axis in "zyx" else 1 for length, axis in zip(shape, axes, strict=True))
    blocks = [-(-length // edge) for length, edge in zip(shape, inner, strict=True)]
    chunk_bytes = math.prod(inner) * dtype.itemsize
    most = max(1, min(_SHARD_CHUNKS, _SHARD_BYTES // chunk_bytes))
    while math.prod(blocks) > most:  # leading axes are cut first, then the longest
        axis = next((place for place, count in enumerate(blocks[:-3]) if count > 1), None)
        axis = max(range(len(blocks)), key=blocks.__getitem__) if axis is None else axis
        blocks[axis] = -(-blocks[axis] // 2)
    shard = tuple(edge * count for edge, count in zip(inner, blocks, strict=True))
    return ArrayLayout(shape, shard, inner, dtype.name, axes)


def pack(chunk: np.ndarray[Any, Any], block_bytes: int = 0) -> bytes:
    """A chunk as a Blosc frame and the frame's CRC-32C; ``native.place_pieces`` unpacks it.

    Args:
        block_bytes: unpacked length of a block that can be unpacked by itself; 0 for the whole chunk.
    """
    little = np.ascontiguousarray(chunk).astype(chunk.dtype.newbyteorder("<"), copy=False)
    shuffle = _SHUFFLES[_SHUFFLE]
    return bytes(_engine.pack_chunk(little.data, chunk.dtype.itemsize, CODEC, LEVEL, shuffle, block_bytes))
