"""Packed chunks and boxes as the native engine takes them (csrc/volume/crop.hpp)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.errors import CorpusError

__all__ = ["CROP", "PIECE", "TYPES", "Mapping", "crop_record", "place_pieces"]

PIECE = np.dtype(
    {
        "names": ["address", "size", "origin"],
        "formats": ["<u8", "<u8", ("<i4", 3)],
        "offsets": [0, 8, 16],
        "itemsize": 32,
    }
)
"""One inner chunk under a box. address, size: of the packed chunk, in memory or in a file; size 0 where it holds only
the fill value. origin: of its first voxel, counted from the box's first, (z, y, x)."""

CROP = np.dtype(
    {
        "names": [
            *("out", "shape", "inner", "stored", "mapped", "flip"),
            *("scale", "bias", "low", "high"),
        ],
        "formats": ["<u8", ("<i4", 3), ("<i4", 3), "u1", "u1", ("u1", 3), "<f4", "<f4", "<f4", "<f4"],
        "offsets": [0, 8, 20, 32, 33, 34, 40, 44, 48, 52],
        "itemsize": 56,
    }
)
"""A box. out: address of its first value, C-contiguous (z, y, x). shape: of the box. inner: of a chunk. stored: see
``TYPES``. mapped: whether values become float32, stored * scale + bias, held to low..high. flip: z, y, x."""

TYPES = {"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5, "float32": 6}

if CROP.itemsize != _engine.CROP_BYTES or PIECE.itemsize != _engine.PIECE_BYTES:
    raise ImportError(
        "medshard/volumes/native.py and the built engine are of different versions; build again: pip install -e ."
    )


@dataclass(frozen=True)
class Mapping:
    """What stored values become: float32, value * scale + bias, held to ``low`` .. ``high``."""

    scale: float = 1.0
    bias: float = 0.0
    low: float = -np.inf
    high: float = np.inf


def crop_record(
    shape_zyx: tuple[int, ...],
    inner_zyx: tuple[int, ...],
    dtype: str,
    mapping: Mapping | None,
    flip_zyx: tuple[bool, bool, bool],
) -> NDArray[np.void]:
    """A record of ``CROP`` whose ``out`` is still to be said."""
    record = np.zeros(1, CROP)
    record["shape"], record["inner"], record["stored"], record["flip"] = shape_zyx, inner_zyx, TYPES[dtype], flip_zyx
    if mapping is not None:
        record["mapped"], record["scale"], record["bias"] = 1, mapping.scale, mapping.bias
        record["low"], record["high"] = mapping.low, mapping.high
    return record


def place_pieces(crop: NDArray[np.void], pieces: NDArray[np.void], where: str, file: int = -1) -> None:
    """Unpack pieces into a box, on this thread, with the interpreter free.

    Args:
        file: descriptor of the open file in which the pieces lie; -1 where they lie in memory.

    Raises:
        CorpusError: a chunk is damaged; ``where`` names its file.
    """
    failed = _engine.read_crop(crop.view(np.uint8).reshape(-1), pieces.view(np.uint8).reshape(-1), file)
    if failed is not None:
        number, reason = failed
        origin = tuple(int(place) for place in pieces["origin"][number])
        raise CorpusError(f"{where}: the inner chunk at {origin} of the box that was read is damaged: {reason}")
