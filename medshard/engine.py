"""The native engine's typed face: checksums, codecs, and the decode-and-sample pass over a batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medshard import _engine

__all__ = [
    "JOB",
    "MAX_PIXELS",
    "BatchLayout",
    "Engine",
    "Header",
    "Patches",
    "crc32c",
    "decode_image",
    "encode_png",
    "features",
    "read_header",
]

Bytes: TypeAlias = "bytes | bytearray | memoryview"
Reduce: TypeAlias = Literal[1, 2, 4]

MAX_PIXELS = 512 * 2**20
"""Pixels of a picture beyond which it is refused before memory is taken for it."""

PNG_LEVEL = 6

JOB = np.dtype(
    {
        "names": [
            *("address", "size", "out", "box", "bounds", "raw", "height", "width"),
            *("scale", "bias", "codec", "flip_x", "flip_y", "canvas"),
        ],
        "formats": [
            *("<u8", "<u8", "<u8", ("<f8", 4), ("<i4", 4), ("<i4", 3), "<i4", "<i4"),
            *("<f4", "<f4", "u1", "u1", "u1", ("<i4", 4)),
        ],
        "offsets": [0, 8, 16, 24, 56, 72, 84, 88, 92, 96, 100, 101, 102, 104],
        "itemsize": 120,
    }
)
"""What is done to one sample (csrc/pipeline/job.hpp).

address, size: of the compressed stream, or of raw samples. out: bytes from the batch's first to the sample's slot. box:
x0 y0 x1 y1 of the stored picture, continuous pixels, which fills the output. bounds: x0 y0 x1 y1, whole pixels outside
of which nothing is read. raw: height, width, channels of raw samples. height, width: of the output. scale, bias:
value = stored * scale + bias. codec: see ``CODECS``. canvas: with ``Patches``, its height and width, and the row and
column on it of the output's first pixel; what the output does not cover is black.

Jobs of one compressed stream and the same bounds that follow one another decode it once.
"""

CODECS = {"compressed": 0, "uint8": 1, "uint16": 2, "int16": 3, "float32": 4}
"""``compressed`` is told apart by its first bytes; the others are raw samples of that type."""

_OUTPUTS = {"float32": 0, "float16": 1, "bfloat16": 2, "uint8": 3, "int16": 4, "int32": 5}
_OUTPUT_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "uint8": 1, "int16": 2, "int32": 4}
_IMAGE_OUTPUTS = ("float32", "float16", "bfloat16", "uint8")
_FILTERS = {"bilinear": 0, "bicubic": 1}
_MASK_OUTPUTS = ("uint8", "int16", "int32")

if JOB.itemsize != _engine.JOB_BYTES:
    raise ImportError(
        "medshard/engine.py and the built engine are of different versions; build again: pip install -e ."
    )


@dataclass(frozen=True)
class Header:
    """What a stream says of itself before it is decoded.

    Attributes:
        channels: as decoded: 1 grey, 3 RGB, 4 RGBA.
        bits: as decoded: 8 or 16.
        progressive: of a JPEG; such a stream is decoded whole whatever part of it is wanted.
    """

    format: Literal["jpeg", "png"]
    width: int
    height: int
    channels: int
    bits: int
    progressive: bool


def crc32c(data: Bytes, value: int = 0) -> int:
    """CRC-32C of bytes, going on from ``value`` (RFC 3720, B.4)."""
    return int(_engine.crc32c(data, value))


def features() -> dict[str, Any]:
    """Codecs with versions, SIMD levels of this machine and the one in use, compiler, whether CUDA is built."""
    return dict(_engine.features())


def read_header(data: Bytes) -> Header:
    """The header of a JPEG or PNG stream.

    Raises:
        DecodeError: neither, damaged, or of a kind that is not decoded.
    """
    return Header(**_engine.read_header(data))


def decode_image(data: Bytes, *, reduce: Reduce = 1, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Decode a JPEG or PNG stream.

    Args:
        reduce: decode a JPEG at 1/2 or 1/4 of its size (rounded up) in the DCT domain; PNG is not affected.

    Returns:
        (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16. Grey of fewer than 8 bits is spread to 0..255, palettes become
        colours, grey with alpha becomes RGBA. An animated PNG gives its default image.

    Raises:
        DecodeError: damaged, cut off, larger than ``max_pixels``, or of a kind that is not decoded (CMYK, 12 bits).
    """
    array: NDArray[Any] = _engine.decode_image(data, reduce, max_pixels)
    return array


def encode_png(array: NDArray[Any], *, level: int = PNG_LEVEL) -> bytes:
    """A PNG stream without ancillary chunks, the same for the same libraries.

    Args:
        array: (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16.
        level: of zlib, 0 to 9.
    """
    return bytes(_engine.encode_png(np.ascontiguousarray(array), level))


@dataclass(frozen=True)
class Patches:
    """How a resized picture is cut into the squares that a vision-language model takes (csrc/pipeline/patches.hpp).

    Attributes:
        edge: of a square, pixels.
        merge: squares lie in blocks of merge x merge, block by block; 1 for row by row.
        repeat: frames that a still picture becomes.

    A square is (channels, repeat, edge, edge).
    """

    edge: int
    merge: int = 1
    repeat: int = 1

    def __post_init__(self) -> None:
        if min(self.edge, self.merge, self.repeat) < 1:
            raise ValueError(f"edge, merge and repeat of patches are at least 1; found {self}")


@dataclass(frozen=True)
class BatchLayout:
    """How a batch lies in memory, and what values become.

    Attributes:
        height, width: of a slot; the jobs of a batch with samples of several sizes say their own.
        channels: of every sample. Grey is repeated for three channels; RGB becomes BT.601 luma for one;
            alpha is dropped.
        dtype: pictures: float32, float16, bfloat16 or uint8 (0..1 times 255); masks: uint8, int16 or int32.
        channels_last: (N, H, W, C) instead of (N, C, H, W).
        mask: stored values by the nearest pixel, without mapping; channels that the mask lacks are 0. An item with a
            value that does not fit ``dtype`` fails.
        clamp: values are clipped to 0..1 after scale and bias.
        mean, deviation: then (value - mean) / deviation; one number, or one a channel; of float types only.
        reduce: a JPEG of which the output needs at most every other pixel is decoded at half size, and with 4 at a
            quarter where it needs at most every fourth; 1 always decodes the full size.
        filter: of resizing: bilinear (the triangle), or bicubic (Keys 1981, a = -1/2), both antialiased.
        patches: pictures are cut into squares, each job onto its canvas. 8-bit pictures are then resized in whole
            levels, equal to Pillow's ``Image.resize``.
    """

    height: int
    width: int
    channels: int = 3
    dtype: str = "float32"
    channels_last: bool = False
    mask: bool = False
    clamp: bool = True
    mean: Sequence[float] = ()
    deviation: Sequence[float] = ()
    reduce: Reduce = 2
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    patches: Patches | None = None

    def __post_init__(self) -> None:
        allowed = _MASK_OUTPUTS if self.mask else _IMAGE_OUTPUTS
        if self.dtype not in allowed:
            raise ValueError(f"dtype {self.dtype!r}; allowed for {'masks' if self.mask else 'pictures'}: {allowed}")
        if not self.mask and self.channels not in (1, 3):
            raise ValueError(f"pictures have 1 or 3 channels, not {self.channels}")
        if min(self.height, self.width, self.channels) < 1:
            raise ValueError("height, width and channels are at least 1")
        if len(self.mean) != len(self.deviation) or len(self.mean) not in (0, 1, self.channels):
            raise ValueError(
                f"mean and deviation have one number, or one a channel ({self.channels}); "
                f"they have {len(self.mean)} and {len(self.deviation)}"
            )
        if any(not deviation > 0 for deviation in self.deviation):
            raise ValueError(f"deviation is above 0; found {tuple(self.deviation)}")
        if self.mean and self.dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"dtype {self.dtype!r} cannot hold values after mean and deviation; take a float type")
        if self.filter not in _FILTERS:
            raise ValueError(f"filter {self.filter!r}; allowed: {', '.join(_FILTERS)}")
        if self.patches is not None and (self.mask or self.channels_last or self.channels != 3):
            raise ValueError("patches are of pictures of 3 channels, channels first")
        if self.patches is not None and self.dtype == "uint8":
            raise ValueError("patches are float32, float16 or bfloat16")

    @property
    def slot_bytes(self) -> int:
        """Of a slot of ``height`` x ``width``."""
        return self.channels * self.height * self.width * _OUTPUT_BYTES[self.dtype]


class Engine:
    """Threads that decode and sample. They start at the first run and belong to the process that starts them.

    Args:
        threads: as many as this process may use of the machine's cores by default.
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads if threads is not None else max(1, len(os.sched_getaffinity(0)))
        if self.threads < 1:
            raise ValueError(f"threads is at least 1, not {threads}")
        self._engine = _engine.Engine(self.threads)

    def __reduce__(self) -> tuple[type[Engine], tuple[int]]:
        return (Engine, (self.threads,))

    def run(
        self,
        jobs: NDArray[np.void],
        out_address: int,
        layout: BatchLayout,
        *,
        keep_alive: Sequence[object] = (),
        max_pixels: int = MAX_PIXELS,
    ) -> dict[int, str]:
        """Decode and sample every job into its slot, side by side, with the interpreter free.

        Args:
            jobs: of dtype ``JOB``; addresses are trusted.
            out_address: of the first slot; each job says where its own lies from there.
            keep_alive: objects whose memory the jobs name.

        Returns:
            Index of a job → why it failed; its slot is zeros.
        """
        if jobs.dtype != JOB:
            raise ValueError(f"jobs are of dtype JOB, not {jobs.dtype}")
        failed = self._engine.run(
            np.ascontiguousarray(jobs).view(np.uint8).reshape(-1),
            out_address,
            layout.channels,
            _OUTPUTS[layout.dtype],
            layout.channels_last,
            layout.mask,
            layout.clamp,
            layout.reduce,
            list(layout.mean),
            list(layout.deviation),
            max_pixels,
            _FILTERS[layout.filter],
            (layout.patches.edge, layout.patches.merge, layout.patches.repeat) if layout.patches else (0, 1, 1),
        )
        del keep_alive
        return {int(index): str(reason) for index, reason in failed.items()}


def address_of(data: Bytes) -> int:
    """Where bytes lie, for ``JOB``; the object must outlive the run."""
    return int(np.frombuffer(data, np.uint8).ctypes.data)
