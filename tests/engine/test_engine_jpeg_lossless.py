"""Lossless JPEG against streams that are written plainly, which libjpeg (through pylibjpeg) decodes alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jpeg_lossless_writer import write_jpeg_lossless
from libjpeg import decode as libjpeg_decode
from numpy.typing import NDArray

from medshard.engine import decode_image, read_header
from medshard.errors import DecodeError


def grain(shape: tuple[int, ...], precision: int, seed: int = 0, *, wild: bool = False) -> NDArray[np.uint16]:
    """Noise: of all values, or of a few around a gradient, as of a real picture."""
    rng = np.random.default_rng(seed)
    if wild:
        return rng.integers(0, 1 << precision, shape).astype(np.uint16)
    slope = np.arange(int(np.prod(shape))).reshape(shape) * ((1 << precision) / np.prod(shape))
    return np.clip(slope + rng.normal(0, 3, shape), 0, (1 << precision) - 1).astype(np.uint16)


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("wild", [False, True])
def test_every_predictor(predictor: int, wild: bool) -> None:
    samples = grain((23, 37), 12, wild=wild)
    stream = write_jpeg_lossless(samples, 12, predictor)
    np.testing.assert_array_equal(decode_image(stream), samples)
    np.testing.assert_array_equal(libjpeg_decode(stream), samples)


@pytest.mark.parametrize("precision", range(2, 17))
def test_every_precision(precision: int) -> None:
    """16 bits reach the difference 32768, which has no further bits."""
    samples = grain((9, 31), precision, wild=True)
    samples[0, :4] = (0, (1 << precision) - 1, 1 << (precision - 1), 0)
    for shape in ("short", "even", "reversed"):
        stream = write_jpeg_lossless(samples, precision, 1, shape=shape)
        got = decode_image(stream)
        np.testing.assert_array_equal(got, samples)
        assert got.dtype == (np.uint8 if precision <= 8 else np.uint16)
    header = read_header(stream)
    assert (header.format, header.precision, header.bits) == ("jpeg-lossless", precision, 8 if precision <= 8 else 16)
    np.testing.assert_array_equal(libjpeg_decode(stream), samples)


@pytest.mark.parametrize("transform", [1, 3])
def test_point_transform_gives_the_samples_without_their_low_bits(transform: int) -> None:
    samples = grain((12, 12), 10, wild=True)
    stream = write_jpeg_lossless(samples, 10, 4, transform=transform)
    np.testing.assert_array_equal(decode_image(stream), samples >> transform << transform)


@pytest.mark.parametrize("restart_rows", [1, 2, 5, 11])
@pytest.mark.parametrize("channels", [1, 3])
def test_restart_intervals(restart_rows: int, channels: int) -> None:
    shape = (11, 14) if channels == 1 else (11, 14, channels)
    samples = grain(shape, 8)
    stream = write_jpeg_lossless(samples, 8, 6, restart_rows=restart_rows)
    np.testing.assert_array_equal(decode_image(stream), samples)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("precision", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_components_in_one_scan_and_in_their_own(interleaved: bool, precision: int, channels: int) -> None:
    samples = grain((17, 9, channels), precision, wild=True)
    for predictor in (1, 7):
        stream = write_jpeg_lossless(samples, precision, predictor, interleaved=interleaved)
        np.testing.assert_array_equal(decode_image(stream), samples)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 5), (5, 2), (3, 4)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    samples = grain(size, 14, wild=True)
    for predictor in (1, 4):
        np.testing.assert_array_equal(decode_image(write_jpeg_lossless(samples, 14, predictor)), samples)


def test_a_cut_stream_is_refused() -> None:
    stream = write_jpeg_lossless(grain((20, 20), 12, wild=True), 12)
    for length in (len(stream) // 2, len(stream) - 40, 60, 10):
        with pytest.raises(DecodeError, match="JPEG"):
            decode_image(stream[:length])


def test_a_header_that_promises_more_than_the_stream_can_hold_is_refused() -> None:
    stream = bytearray(write_jpeg_lossless(grain((20, 20), 12), 12))
    at = stream.index(b"\xff\xc3") + 5
    stream[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(DecodeError, match="pixels"):
        decode_image(bytes(stream))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_gives_pixels_or_a_reason(data: st.DataObject) -> None:
    stream = bytearray(write_jpeg_lossless(grain((8, 9, 3), 10, wild=True), 10, 5, restart_rows=4))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(2, len(stream) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_image(bytes(stream), max_pixels=1 << 20)
    except DecodeError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
