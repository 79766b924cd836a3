"""Packed chunks: what other Blosc writers make is read equally, and nothing damaged is taken."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs import Blosc
from numpy.typing import NDArray

from medshard.engine import crc32c
from medshard.errors import CorpusError
from medshard.volumes.layout import pack
from medshard.volumes.native import PIECE, Mapping, crop_record, place_pieces

Array = NDArray[np.generic]


def unpacked(packed: bytes, count: int, dtype: str) -> Array:
    """A chunk as a row of voxels."""
    out = np.full(count, 77, dtype)
    crop = crop_record((1, 1, count), (1, 1, count), dtype, None, (False, False, False))
    crop["out"] = out.ctypes.data
    held = np.frombuffer(packed, np.uint8)
    pieces = np.zeros(1, PIECE)
    pieces["address"], pieces["size"] = held.ctypes.data, len(packed)
    place_pieces(crop, pieces, "here")
    return out


def summed(frame: bytes) -> bytes:
    return frame + crc32c(frame).to_bytes(4, "little")


def voxels(count: int, dtype: str, seed: int = 0) -> Array:
    """A slope with grain: bits repeat as in an image."""
    rng = np.random.default_rng(seed)
    return (np.arange(count) / 7 + rng.normal(0, 3, count)).astype(dtype)


@pytest.mark.parametrize("cname", ["lz4", "lz4hc", "zstd"])
@pytest.mark.parametrize("shuffle", [Blosc.NOSHUFFLE, Blosc.SHUFFLE, Blosc.BITSHUFFLE])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "int32"])
def test_frames_of_another_writer_are_read(cname: str, shuffle: int, dtype: str) -> None:
    for count in (1, 7, 8, 31, 64, 255, 256, 257, 2048, 4099, 32**3, 70_000):
        for blocksize in (0, 4096):
            values = voxels(count, dtype, count)
            frame = bytes(Blosc(cname, clevel=5, shuffle=shuffle, blocksize=blocksize).encode(values))
            if len(frame) <= 20:
                continue
            np.testing.assert_array_equal(unpacked(summed(frame), count, dtype), values)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32"])
def test_another_reader_reads_our_frames(dtype: str) -> None:
    for shape in ((32, 32, 32), (1, 3, 5), (1, 1, 1), (5, 32, 8)):
        values = voxels(int(np.prod(shape)), dtype).reshape(shape)
        packed = pack(values)
        np.testing.assert_array_equal(np.frombuffer(Blosc().decode(packed[:-4]), dtype).reshape(shape), values)
        np.testing.assert_array_equal(unpacked(packed, values.size, dtype), values.ravel())


def test_noise_that_does_not_become_shorter_is_kept() -> None:
    values = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8)
    np.testing.assert_array_equal(unpacked(pack(values), 5000, "uint8"), values)


@pytest.mark.parametrize("count", [99, 101, 1, 10**6])
def test_a_chunk_of_another_length_is_refused(count: int) -> None:
    packed = pack(voxels(100, "uint8"))
    with pytest.raises(CorpusError, match=r"here: the inner chunk at .* damaged: .*not of the length"):
        unpacked(packed, count, "uint8")
    for data in (packed[:4], packed[:-1], packed[1:], packed[:-4] + b"\0\0\0\0"):
        with pytest.raises(CorpusError, match=r"checksum|cut off"):
            unpacked(data, 100, "uint8")


FRAME = bytes(Blosc("lz4", shuffle=Blosc.BITSHUFFLE, blocksize=512).encode(voxels(1000, "int16")))
ZSTD = bytes(Blosc("zstd", shuffle=Blosc.SHUFFLE).encode(voxels(1000, "int16")))


@given(
    st.sampled_from([FRAME, ZSTD]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(0, 2000),
)
@settings(max_examples=400, deadline=None)
def test_hostile_frames_with_a_right_checksum_do_no_harm(
    frame: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(frame)
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: max(length, 1)] if length < len(data) else data
    with contextlib.suppress(CorpusError):
        assert unpacked(summed(bytes(data)), 1000, "int16").shape == (1000,)


@pytest.mark.parametrize("flip", [(False, False, False), (True, False, True), (True, True, True)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_values_are_mapped_and_turned_over(flip: tuple[bool, bool, bool], dtype: str) -> None:
    stored = voxels(4 * 5 * 6, dtype).reshape(4, 5, 6)
    held = np.frombuffer(pack(stored), np.uint8)
    out = np.full((3, 4, 5), np.nan, np.float32)
    crop = crop_record(out.shape, stored.shape, dtype, Mapping(0.25, -1.5, 0.0, 1.0), flip)
    crop["out"] = out.ctypes.data
    pieces = np.zeros(1, PIECE)
    pieces["address"], pieces["size"], pieces["origin"] = held.ctypes.data, len(held), (-1, -1, 0)
    place_pieces(crop, pieces, "here")
    box = stored[1:, 1:, :5].astype(np.float32)
    steps = tuple(slice(None, None, -1 if turned else 1) for turned in flip)
    np.testing.assert_array_equal(out, np.clip(box * np.float32(0.25) - np.float32(1.5), 0, 1)[steps])
