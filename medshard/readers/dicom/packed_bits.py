"""Frames of one bit a pixel: native, run-length coded, deflated. pydicom 3.0 takes none of them frame by frame."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import generate_frames

from medshard.errors import DecodeError, ReadError

__all__ = ["packed_frames"]

_RLE = "1.2.840.10008.1.2.5"
_DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


def packed_frames(dataset: Any, frames: int, shape: tuple[int, int]) -> Iterator[NDArray[np.uint8]] | None:
    """Frames (Y, X) of 0 and 1, one after another; None of an encoding that is left to pydicom.

    Args:
        dataset: the whole file, with BitsAllocated 1.

    Raises:
        DecodeError: a frame is cut off or against its coding.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in (_RLE, _DEFLATED_FRAMES):  # pydicom 3.0 does not know the second
        return _encapsulated(dataset, frames, shape)
    return None if syntax.is_encapsulated else _native(dataset, frames, shape)


def _native(dataset: Any, frames: int, shape: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """The first pixel in the lowest bit; a frame begins where the last one ended, within a byte (PS3.5 8.1.1, D.1)."""
    if not dataset.file_meta.TransferSyntaxUID.is_little_endian and dataset["PixelData"].VR != "OB":
        raise ReadError("bits in words of big endian order are not read", error_class="unsupported")
    data = np.frombuffer(dataset.PixelData, np.uint8)
    bits = shape[0] * shape[1]
    if len(data) * 8 < frames * bits:
        raise DecodeError("the frames cannot be decoded: they are cut off", error_class="truncated")
    for frame in range(frames):
        first = frame * bits
        part = np.unpackbits(data[first // 8 : (first + bits + 7) // 8], bitorder="little")
        yield part[first % 8 : first % 8 + bits].reshape(shape)


def _encapsulated(dataset: Any, frames: int, shape: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Each frame begins at a byte of its own."""
    bits = shape[0] * shape[1]
    size = (bits + 7) // 8
    run_lengths = dataset.file_meta.TransferSyntaxUID == _RLE
    for coded in generate_frames(dataset.PixelData, number_of_frames=frames):
        data = _expanded(coded, size) if run_lengths else zlib.decompressobj(-15).decompress(coded, size)
        if len(data) < size:
            raise DecodeError("the frames cannot be decoded: one is cut off", error_class="truncated")
        yield np.unpackbits(np.frombuffer(data, np.uint8, size), bitorder="little")[:bits].reshape(shape)


def _expanded(coded: bytes, size: int) -> bytes:
    """The only segment of a run-length coded frame (PS3.5 G.3, G.5), up to so many bytes."""
    segments, place = (int.from_bytes(coded[at : at + 4], "little") for at in (0, 4))
    if segments != 1 or place < 64:
        raise DecodeError(
            "the frames cannot be decoded: their run lengths have no single segment", error_class="pixels"
        )
    out = bytearray()
    while len(out) < size and place + 1 < len(coded):
        count = coded[place]
        if count < 128:
            out += coded[place + 1 : place + 2 + count]
            place += 2 + count
        else:
            out += coded[place + 1 : place + 2] * (257 - count) if count > 128 else b""
            place += 2 if count > 128 else 1
    return bytes(out)
