"""Checksums and codecs: streams of bytes to pixels and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard import _engine
from medshard.errors import DecodeError, ReadError

__all__ = [
    "MAX_PIXELS",
    "PNG_LEVEL",
    "STRIP_ROWS",
    "Bytes",
    "Header",
    "Reduce",
    "address_of",
    "crc32c",
    "decode_image",
    "encode_png",
    "features",
    "index_jpeg",
    "inflate_gzip",
    "inflate_zlib",
    "read_header",
]

Bytes: TypeAlias = "bytes | bytearray | memoryview"
Reduce: TypeAlias = Literal[1, 2, 4]

MAX_PIXELS = 512 * 2**20
"""Pixels of a picture beyond which it is refused before memory is taken for it."""

PNG_LEVEL = 3
"""Beyond it, 16-bit pictures become 1 to 2 % smaller and take two to three times as long to write (docs/formats.md)."""

STRIP_ROWS = 64
"""Rows of a picture that can be decoded without the others, in PNGs that are written for reading parts of them."""

_INDEXED_PARTS = 4
"""Segments that an indexed JPEG divides each row of blocks into. Four, with tables of the stream's own, make it 0.2 to
0.6 % smaller than its source, and crops of 5 to 30 % of the picture decode 1.7 to 1.9 times as fast; eight are hardly
faster and 0.3 % larger."""


@dataclass(frozen=True)
class Header:
    """What a stream says of itself before it is decoded.

    Attributes:
        channels: as decoded: 1 grey, 3 RGB, 4 RGBA.
        bits: as decoded: 8 or 16.
        progressive: of a JPEG; such a stream is decoded whole whatever part of it is wanted.
        orientation: how EXIF says that a JPEG is to be turned to be seen, 1 to 8 (EXIF 2.32, 4.6.4); 1 where it says
            nothing. Decoding does not turn.
        precision: bits that a sample may use of ``bits``.
        is_signed: samples are stored with a sign; ``decode_image`` gives value + 32768 then.
        frames: of a DICOM file; else 1.
    """

    format: Literal["jpeg", "png", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "dicom"]
    width: int
    height: int
    channels: int
    bits: int
    progressive: bool
    orientation: int = 1
    precision: int = 8
    is_signed: bool = False
    frames: int = 1


def crc32c(data: Bytes, value: int = 0) -> int:
    """CRC-32C of bytes, going on from ``value`` (RFC 3720, B.4)."""
    return int(_engine.crc32c(data, value))


def features() -> dict[str, Any]:
    """Codecs with versions, SIMD levels of this machine and the one in use, compiler, whether CUDA is built."""
    return dict(_engine.features())


def read_header(data: Bytes) -> Header:
    """The header of a JPEG, lossless JPEG, JPEG-LS, JPEG 2000 or PNG stream, or of a DICOM file's pixels.

    Raises:
        DecodeError: none of them, damaged, or of a kind that is not decoded.
    """
    return Header(**_engine.read_header(data))


def decode_image(data: Bytes, *, reduce: Reduce = 1, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Decode a JPEG, lossless JPEG, JPEG-LS, JPEG 2000 or PNG stream, or the first frame of a DICOM file.

    Args:
        reduce: decode a JPEG at 1/2 or 1/4 of its size (rounded up) in the DCT domain, JPEG 2000 with fewer levels of
            its wavelet; others are not affected.

    Returns:
        (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16. Grey of fewer than 8 bits is spread to 0..255, palettes become
        colours, grey with alpha becomes RGBA. An animated PNG gives its default image. CMYK becomes RGB as with
        Pillow's ``convert("RGB")``: values are inverted ink, as Adobe writes them. A JPEG of 12 bits (sequential,
        not subsampled) gives uint16 of 0..4095. Signed samples come as
        value + 32768.

    Raises:
        DecodeError: damaged, cut off, larger than ``max_pixels``, or of a kind that is not decoded.
    """
    array: NDArray[Any] = _engine.decode_image(data, reduce, max_pixels)
    return array


def index_jpeg(data: Bytes, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """A JPEG stream rewritten without loss so that a part of it can be decoded without what lies before.

    The coefficients stay; they are written as one sequential scan with restart markers (ITU-T T.81, E.1.4) four times a
    row of blocks and with Huffman tables of their own. Metadata is left out. Any decoder gives the same pixels.

    Raises:
        DecodeError: damaged, cut off, of four components or 12 bits, or larger than ``max_pixels``.
    """
    return bytes(_engine.index_jpeg(data, _INDEXED_PARTS, max_pixels))


def inflate_gzip(data: Bytes, size_limit: int, *, expected: int = 0) -> NDArray[np.uint8]:
    """A gzip file of one or several members, unpacked whole; zeros may follow (RFC 1952).

    Args:
        size_limit: bytes that it may unpack to.
        expected: bytes that it is likely to unpack to; only memory is taken by it. 0: what the file says of itself.

    Returns:
        (n,), the buffer that was unpacked into.

    Raises:
        ReadError: more than ``size_limit`` bytes.
        DecodeError: damaged or cut off.
    """
    return _inflate(data, True, size_limit, expected)


def inflate_zlib(data: Bytes, size_limit: int, *, expected: int = 0) -> NDArray[np.uint8]:
    """The zlib stream at the start of ``data`` (RFC 1950); otherwise as ``inflate_gzip``."""
    return _inflate(data, False, size_limit, expected)


def _inflate(data: Bytes, gzip: bool, size_limit: int, expected: int) -> NDArray[np.uint8]:
    try:
        array = _engine.inflate(data, gzip, size_limit, expected)
    except DecodeError as error:
        raise DecodeError(error.reason, error_class="truncated") from None
    if array is None:
        raise ReadError(f"unpacks to more than {size_limit} bytes", error_class="too_large")
    return array


def encode_png(array: NDArray[Any], *, level: int = PNG_LEVEL, strip_rows: int = 0) -> bytes:
    """A PNG stream without metadata, the same for the same libraries.

    Args:
        array: (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16.
        level: of zlib, 0 to 9.
        strip_rows: rows of an independent strip, so that a part of the picture is decoded without the rest; 0 for
            none. Any reader decodes such a stream; the chunk ``msST`` says where its strips lie (docs/formats.md).
    """
    if strip_rows < 0:
        raise ValueError(f"strip_rows is at least 0, not {strip_rows}")
    return bytes(_engine.encode_png(np.ascontiguousarray(array), level, strip_rows))


def address_of(data: Bytes) -> int:
    """Where bytes lie, for ``JOB``; the object must outlive the run."""
    return int(np.frombuffer(data, np.uint8).__array_interface__["data"][0])  # .ctypes takes five times as long
