"""The header of an NRRD file as data.

Source: Definition of NRRD File Format, teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from medshard.errors import DecodeError, ReadError

__all__ = ["NrrdHeader", "parse_header"]

_MAX_HEADER_BYTES = 2**24
_MAX_AXES = 16
_TYPES = {
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i1": "signed char, int8, int8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE_OF = {name: kind for kind, names in _TYPES.items() for name in names.split(", ")}
_ENCODING_OF = {
    name: encoding
    for encoding, names in {
        "raw": ("raw",),
        "ascii": ("txt", "text", "ascii"),
        "hex": ("hex",),
        "gzip": ("gz", "gzip"),
        "bzip2": ("bz2", "bzip2"),
    }.items()
    for name in names
}
_ORDER: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
_VECTOR = re.compile(r"\(([^()]*)\)|(none)", re.IGNORECASE)


@dataclass
class NrrdHeader:
    """What an NRRD header says.

    Attributes:
        dtype: of a sample, in the file's byte order.
        sizes: samples along each axis, fastest first.
        encoding: ``raw``, ``ascii``, ``hex``, ``gzip`` or ``bzip2``.
        space: name of the space, lower case; None when the file names none.
        directions: (n,) vector of each axis in the space, None for an axis that is not spatial.
        origin: place of the first sample in the space.
        spacings: distance of samples along each axis, NaN where unknown.
        kinds: kind of each axis, lower case; empty when not given.
        units: unit of the space, or of each axis, lower case; empty when not given.
        data_files: what ``data file`` says; None when the data follow the header.
        listed: the names that follow ``data file: LIST``.
        data_offset: where in the file the data begin, when they follow.
    """

    dtype: np.dtype[np.generic]
    sizes: tuple[int, ...]
    encoding: str
    space: str | None = None
    directions: list[tuple[float, ...] | None] | None = None
    origin: tuple[float, ...] | None = None
    spacings: list[float] | None = None
    kinds: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    line_skip: int = 0
    byte_skip: int = 0
    data_files: str | None = None
    listed: list[str] = field(default_factory=list)
    data_offset: int = 0


def parse_header(data: bytes) -> NrrdHeader:
    """The header at the start of a file.

    Raises:
        DecodeError: damaged or cut off.
        ReadError: of a kind that is not read.
    """
    fields, listed, offset = _fields(data)
    try:
        return _header(fields, listed, offset)
    except (ValueError, OverflowError, KeyError) as error:
        # The text of these errors would quote the header.
        raise DecodeError(
            f"the NRRD header is damaged ({type(error).__name__})", error_class="damaged_header"
        ) from None


def _fields(data: bytes) -> tuple[dict[str, str], list[str], int]:
    """Fields by name, the lines after ``data file: LIST``, and where the data begin."""
    fields: dict[str, str] = {}
    listed: list[str] = []
    is_list = False
    place = 0
    first = True
    while place < len(data):
        end = data.find(b"\n", place, _MAX_HEADER_BYTES)
        if end < 0 and len(data) > _MAX_HEADER_BYTES:
            raise DecodeError("the NRRD header does not end", error_class="damaged_header")
        end = len(data) if end < 0 else end
        line = data[place:end].decode("latin-1").rstrip("\r")
        place = end + 1
        if first:
            first = False
        elif is_list:
            if line.strip():
                listed.append(line.strip())
        elif not line:
            break
        elif not line.startswith("#"):
            name, colon, text = line.partition(": ")
            if colon and ":=" not in name:  # NAME:=TEXT is a key of the writer's own
                key = name.strip().lower().replace(" ", "")
                if key in fields:
                    raise DecodeError("the NRRD header has a field twice", error_class="damaged_header")
                fields[key] = text.strip()
                is_list = key == "datafile" and text.strip().split(" ")[0] == "LIST"
    return fields, listed, place


def _header(fields: dict[str, str], listed: list[str], offset: int) -> NrrdHeader:
    kind = " ".join(fields["type"].lower().split())
    if kind == "block":
        raise ReadError("samples of type block are not read", error_class="pixel_type")
    dtype, encoding = np.dtype(_TYPE_OF[kind]), _ENCODING_OF[fields["encoding"].lower()]
    if dtype.itemsize > 1 and encoding not in ("ascii",):
        dtype = dtype.newbyteorder(_ORDER[fields["endian"].lower()])
    sizes = tuple(int(size) for size in fields["sizes"].split())
    if len(sizes) != int(fields["dimension"]) or not 1 <= len(sizes) <= _MAX_AXES or min(sizes) < 1:
        raise ValueError
    header = NrrdHeader(dtype, sizes, encoding, data_offset=offset, listed=listed)
    header.space = fields["space"].lower() if "space" in fields else None
    header.line_skip, header.byte_skip = int(fields.get("lineskip", 0)), int(fields.get("byteskip", 0))
    header.data_files = fields.get("datafile")
    header.kinds = fields.get("kinds", "").lower().split()
    header.units = re.findall(r'"([^"]*)"', fields.get("spaceunits", fields.get("units", "")).lower())
    if "spacings" in fields:
        header.spacings = [float(text) for text in fields["spacings"].split()]
    if "spacedirections" in fields:
        header.directions = [
            None if none else tuple(float(part) for part in vector.split(","))
            for vector, none in _VECTOR.findall(fields["spacedirections"])
        ]
    if "spaceorigin" in fields:
        header.origin = tuple(float(part) for part in fields["spaceorigin"].strip("() ").split(","))
    for values in (header.kinds or None, header.spacings, header.directions):
        if values is not None and len(values) != len(sizes):
            raise ValueError
    for vector in (*(header.directions or []), header.origin):
        if vector is not None and not all(math.isfinite(part) for part in vector):
            raise ValueError
    return header
