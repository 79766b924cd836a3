"""PNG streams lose all metadata and keep every pixel, for Pillow, the engine and the reader that stores them."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from planted_streams import CANARY, chunks, pillow, png_of, png_with_canaries, saved

from medshard.engine import decode_image
from medshard.errors import DecodeError, ReadError
from medshard.privacy.png import strip_png
from medshard.readers import read_image
from medshard.readers.base import Blob

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from png_writer import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, SAMPLES, chunk, header, write_png

KEPT = [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"]
ENTRIES = np.arange(768, dtype=np.uint8).reshape(256, 3)


def grain(*shape: int, high: int = 256, dtype: object = np.uint8) -> NDArray[np.generic]:
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def png(colour: int, depth: int, *, interlaced: bool = False, shape: tuple[int, int] = (9, 13)) -> bytes:
    samples = grain(*shape, SAMPLES[colour], high=2**depth, dtype=np.uint16 if depth == 16 else np.uint8)
    palette = ENTRIES[: 2**depth] if colour == PALETTE else None
    return write_png(samples, colour, depth, interlaced=interlaced, palette=palette)


def image_of(data: bytes) -> object:
    return read_image(Blob("a.png", len(data), lambda: data))


# -- what goes and what stays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("colour", "depth"),
    [
        *((GREY, depth) for depth in (1, 2, 4, 8, 16)),
        *((PALETTE, depth) for depth in (1, 2, 4, 8)),
        *((colour, depth) for colour in (RGB, GREY_ALPHA, RGBA) for depth in (8, 16)),
    ],
)
def test_canaries_everywhere_are_gone_and_the_pixels_are_the_same(colour: int, depth: int, interlaced: bool) -> None:
    data = png(colour, depth, interlaced=interlaced)
    planted = png_with_canaries(data)
    assert planted.count(CANARY) >= 10
    stripped = strip_png(planted)
    assert stripped == data
    assert CANARY not in stripped
    np.testing.assert_array_equal(decode_image(stripped), decode_image(data))
    if depth <= 8:
        np.testing.assert_array_equal(pillow(stripped), pillow(data))
    assert strip_png(stripped) == stripped


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    kind=st.sampled_from([(GREY, 1), (GREY, 4), (PALETTE, 2), (RGB, 8), (RGBA, 16), (GREY_ALPHA, 8)]),
    interlaced=st.booleans(),
    cut=st.integers(1, 40),
)
def test_any_size_in_any_number_of_chunks(
    shape: tuple[int, int], kind: tuple[int, int], interlaced: bool, cut: int
) -> None:
    parts: list[tuple[bytes, bytes]] = []
    for name, body in chunks(png(*kind, interlaced=interlaced, shape=shape)):
        if name == b"IDAT":
            parts += [(name, body[start : start + cut]) for start in range(0, len(body), cut)]
        else:
            parts.append((name, body))
    assert strip_png(png_of(parts)) == png_of(parts)


def test_what_pillow_writes_into_a_file_is_gone() -> None:
    info = PngInfo()
    info.add_text("Patient", CANARY.decode())
    info.add_itxt("Comment", CANARY.decode(), zip=True)
    exif = Image.Exif()
    exif[0x010E] = CANARY.decode()
    data = saved(Image.fromarray(grain(9, 9, 3)), "PNG", pnginfo=info, exif=exif, dpi=(300, 300), icc_profile=CANARY)
    stripped = strip_png(data)
    assert stripped is not None
    with Image.open(io.BytesIO(stripped)) as picture:
        picture.load()
        assert picture.info == {}
        assert not picture.getexif()
    np.testing.assert_array_equal(pillow(stripped), grain(9, 9, 3))


def test_advice_for_displays_is_dropped_and_transparency_of_the_right_length_stays() -> None:
    data = png(RGB, 8)
    head, *rest = chunks(data)
    assert strip_png(png_of([head, (b"PLTE", CANARY), *rest])) == data
    clear = png_of([head, (b"tRNS", b"\0\1\0\2\0\3"), *rest])
    assert strip_png(clear) == clear
    with_alpha = chunks(png(RGBA, 8))
    assert strip_png(png_of([with_alpha[0], (b"tRNS", CANARY), *with_alpha[1:]])) == png_of(with_alpha)


def test_animation_is_dropped_to_the_default_picture() -> None:
    frames = [Image.fromarray(grain(5, 5)), Image.fromarray(255 - grain(5, 5))]
    stripped = strip_png(saved(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True))
    assert stripped is not None
    np.testing.assert_array_equal(pillow(stripped), grain(5, 5))
    assert [name for name, _ in chunks(stripped) if name not in KEPT] == []


# -- what compressed pixels may hide ---------------------------------------------------------------------------------


def png_around(idat: bytes, *, colour: int = GREY, depth: int = 8, shape: tuple[int, int] = (9, 13)) -> bytes:
    return header(shape[1], shape[0], depth, colour) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def rows() -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in grain(9, 13))


@pytest.mark.parametrize("depth", [8, 16])
def test_more_pixels_than_the_picture_are_not_passed_and_the_picture_is_still_read(depth: int) -> None:
    shape = (9, 13) if depth == 8 else (9, 6)
    raw = rows() if depth == 8 else b"".join(b"\0" + row[:12].tobytes() for row in grain(9, 13))
    whole = zlib.compress(raw, 0)
    for idat in (zlib.compress(raw + CANARY, 0), zlib.compress(raw + CANARY * 2**17), whole[:-4]):
        data = png_around(idat, depth=depth, shape=shape)
        assert strip_png(data) is None
        try:
            image = image_of(data)
        except DecodeError:
            continue
        assert image.encoded is None  # type: ignore[attr-defined]
        wanted = decode_image(png_around(whole, depth=depth, shape=shape))
        np.testing.assert_array_equal(image.pixels, wanted)  # type: ignore[attr-defined]


@pytest.mark.parametrize("place", [1, 5])
def test_what_follows_the_compressed_pixels_is_cut(place: int) -> None:
    whole = zlib.compress(rows())
    data = header(13, 9, 8, GREY) + b"".join(
        chunk(b"IDAT", body) for body in (whole[:place], whole[place:] + CANARY, CANARY)
    )
    stripped = strip_png(data + chunk(b"IEND", CANARY))
    assert stripped == header(13, 9, 8, GREY) + b"".join(
        [chunk(b"IDAT", whole[:place]), chunk(b"IDAT", whole[place:]), chunk(b"IEND", b"")]
    )


# -- damage ----------------------------------------------------------------------------------------------------------


def test_every_cut_is_told() -> None:
    data = png(RGB, 8)
    for length in range(len(data)):
        with pytest.raises(DecodeError, match="PNG"):
            strip_png(data[:length])


def test_every_flipped_byte_is_told_or_dropped() -> None:
    data = png(RGB, 8)
    planted = png_of([*chunks(data)[:1], (b"tEXt", b"a\0b"), *chunks(data)[1:]])
    for place in range(len(planted)):
        broken = bytearray(planted)
        broken[place] ^= 0x55
        try:
            stripped = strip_png(bytes(broken))
        except DecodeError:
            continue
        assert stripped == data  # only the dropped chunk, whose checksum is nobody's concern


@pytest.mark.parametrize(
    "parts",
    [
        [],
        ["IEND"],
        ["IDAT", "IEND"],
        ["IHDR", "IEND"],
        ["IHDR", "IHDR", "IDAT", "IEND"],
        ["tEXt", "IDAT", "IHDR", "IEND"],
        ["IHDR", "XXXX", "IDAT", "IEND"],
        ["IHDR", "\0\0\0\0", "IDAT", "IEND"],
        ["IHDR", "IDAT"],
    ],
)
def test_chunks_in_another_order_are_told(parts: list[str]) -> None:
    bodies = dict(chunks(png(GREY, 8)))
    data = png_of([(name.encode(), bodies.get(name.encode(), b"")) for name in parts])
    with pytest.raises(DecodeError, match="PNG"):
        strip_png(data)


@pytest.mark.parametrize(
    ("colour", "depth", "name", "body"),
    [
        (GREY, 8, b"tRNS", b"\0\1" + CANARY),
        (RGB, 8, b"tRNS", b"\0\1"),
        (PALETTE, 2, b"tRNS", bytes(5)),
        (PALETTE, 2, b"PLTE", bytes(15)),
        (PALETTE, 2, b"PLTE", bytes(4)),
        (PALETTE, 2, b"PLTE", b""),
    ],
)
def test_palettes_and_transparency_of_a_wrong_length_are_told(
    colour: int, depth: int, name: bytes, body: bytes
) -> None:
    parts = [(kind, found) for kind, found in chunks(png(colour, depth)) if kind != name]
    place = 2 if name == b"tRNS" and colour == PALETTE else 1
    with pytest.raises(DecodeError, match=r"palette|transparency"):
        strip_png(png_of([*parts[:place], (name, body), *parts[place:]]))


def test_a_palette_that_is_missing_doubled_or_late_is_told() -> None:
    head, palette, pixels, end = chunks(png(PALETTE, 2))
    for parts in ([head, pixels, end], [head, palette, palette, pixels, end], [head, pixels, palette, end]):
        with pytest.raises(DecodeError, match="palette"):
            strip_png(png_of(parts))


@pytest.mark.parametrize(
    "fields",
    [
        (0, 9, 8, 0, 0, 0, 0),
        (13, 0, 8, 0, 0, 0, 0),
        (13, 9, 3, 0, 0, 0, 0),
        (13, 9, 4, 2, 0, 0, 0),
        (13, 9, 16, 3, 0, 0, 0),
        (13, 9, 8, 1, 0, 0, 0),
        (13, 9, 8, 0, 1, 0, 0),
        (13, 9, 8, 0, 0, 1, 0),
        (13, 9, 8, 0, 0, 0, 2),
        (2**31, 9, 8, 0, 0, 0, 0),
    ],
)
def test_headers_of_another_form_are_told(fields: tuple[int, ...]) -> None:
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *fields)), *chunks(png(GREY, 8))[1:]]
    with pytest.raises(DecodeError, match="header is damaged"):
        strip_png(png_of(parts))
    parts[0] = (b"IHDR", parts[0][1] + b"\0")
    with pytest.raises(DecodeError, match="wrong length"):
        strip_png(png_of(parts))


@pytest.mark.parametrize("damage", ["cut", "flip", "none"])
def test_compressed_pixels_that_are_damaged_are_told(damage: str) -> None:
    whole = zlib.compress(rows())
    idat = {"cut": whole[:-20], "flip": whole[:9] + bytes([whole[9] ^ 0xFF]) + whole[10:], "none": b""}[damage]
    with pytest.raises(DecodeError, match="compressed pixels"):
        strip_png(png_around(idat))
    with pytest.raises(DecodeError):
        image_of(png_around(idat))


def test_a_small_stream_that_inflates_to_much_is_left_early() -> None:
    """A header of one pixel before 256 MiB of zeros: what is more than the picture is not inflated."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    assert strip_png(png_around(bomb, shape=(1, 1))) is None


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_is_stored_decodes_to_what_was_read(data: st.DataObject) -> None:
    """Any damage, with checksums made right again: either refused, or read and stored with equal pixels."""
    colour = data.draw(st.sampled_from([GREY, RGB, RGBA]))
    parts = chunks(png(colour, 8))
    which = data.draw(st.integers(0, 1))
    body = bytearray(parts[which][1])
    places = st.integers(0, len(body) - 1) if which else st.sampled_from([2, 3, 6, 7, 8, 9, 10, 11, 12])  # of few rows
    body[data.draw(places)] = data.draw(st.integers(0, 255))
    parts[which] = (parts[which][0], bytes(body))
    try:
        image = image_of(png_of(parts))
    except ReadError:
        return
    if image.encoded is not None:  # type: ignore[attr-defined]
        np.testing.assert_array_equal(decode_image(image.encoded.data), image.pixels)  # type: ignore[attr-defined]
