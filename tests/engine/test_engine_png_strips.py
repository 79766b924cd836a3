"""PNG in independent strips: any reader decodes them, the engine decodes those under the crop, and trusts no chunk."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import png_writer as png
import pytest
from engine_jobs import Sampling, run
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import STRIP_ROWS, BatchLayout, Engine, decode_image, encode_png, features
from medshard.errors import DecodeError

LAYOUT = BatchLayout(16, 16, channels=1, reduce=1, clamp=False)
ENGINE = Engine(1)
FOLDER = Path(__file__).parent


def chunks(stream: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Kind, place of the body and body of each chunk."""
    at = 8
    while at < len(stream):
        (size,) = struct.unpack_from(">I", stream, at)
        yield stream[at + 4 : at + 8], at + 8, stream[at + 8 : at + 8 + size]
        at += 12 + size


def joined(parts: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(png.chunk(kind, body) for kind, body in parts)


def radiograph(height: int, width: int, seed: int = 0) -> NDArray[np.uint16]:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).normal(0, 40, (height, width))
    return (20_000 + 15_000 * np.sin(x / 31) * np.cos(y / 47) + noise).astype(np.uint16)


def sampled(source: NDArray[np.generic] | bytes, bounds: tuple[int, int, int, int]) -> NDArray[np.generic] | str:
    out, failed = run([Sampling(source, bounds, bounds)], LAYOUT, engine=ENGINE)
    return failed.get(0) or out[0]


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 30)),
    rows=st.integers(1, 80),
    channels=st.sampled_from([1, 3, 4]),
    bits=st.sampled_from([8, 16]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_the_whole_and_any_part_come_back(
    size: tuple[int, int], rows: int, channels: int, bits: int, seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(seed)
    shape = size if channels == 1 else (*size, channels)
    pixels = np.clip(np.cumsum(rng.normal(0, 3, shape), 0) + 2 ** (bits - 1), 0, 2**bits - 1)
    pixels = pixels.astype(np.uint16 if bits == 16 else np.uint8)
    stream = encode_png(pixels, strip_rows=rows)
    assert np.array_equal(decode_image(stream), pixels)
    assert np.array_equal(imagecodecs.png_decode(stream), pixels), "libpng reads another picture"
    if bits == 8 or channels == 1:
        with Image.open(io.BytesIO(stream)) as image:
            image.load()
            assert np.array_equal(np.asarray(image), pixels)
    y0, x0 = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, size[0])), data.draw(st.integers(x0 + 1, size[1]))
    assert np.array_equal(sampled(stream, (x0, y0, x1, y1)), sampled(pixels, (x0, y0, x1, y1)))
    plain = encode_png(pixels)
    assert np.array_equal(sampled(plain, (x0, y0, x1, y1)), sampled(pixels, (x0, y0, x1, y1)))


KINDS = [
    *((png.GREY, depth) for depth in (1, 2, 4, 8, 16)),
    *((png.PALETTE, depth) for depth in (1, 2, 4, 8)),
    *((colour, depth) for colour in (png.RGB, png.GREY_ALPHA, png.RGBA) for depth in (8, 16)),
]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_parts_of_every_kind(colour: int, depth: int, interlaced: bool) -> None:
    """A part of any stream is that part of the whole."""
    rng = np.random.default_rng(depth)
    samples = rng.integers(0, 2**depth, (29, 23, png.SAMPLES[colour]))
    palette = rng.integers(0, 256, (2**depth, 3)).astype(np.uint8) if colour == png.PALETTE else None
    for filters in ([0], [1, 2, 2, 2], [3], [4], [2], [0, 1, 2, 3, 4]):
        stream = png.write_png(samples, colour, depth, filters=filters, interlaced=interlaced, palette=palette)
        whole = np.ascontiguousarray(decode_image(stream))
        for bounds in [(0, 0, 23, 29), (3, 5, 4, 6), (22, 28, 23, 29), (1, 0, 9, 1), (5, 11, 17, 28)]:
            assert np.array_equal(sampled(stream, bounds), sampled(whole, bounds)), (filters, bounds)


@pytest.mark.parametrize("height", [1, 63, 64, 65, 128, 200])
def test_the_chunk_says_where_strips_lie(height: int) -> None:
    pixels = radiograph(height, 50)
    stream = encode_png(pixels, strip_rows=STRIP_ROWS)
    listed = list(chunks(stream))
    bodies = [(at, body) for kind, at, body in listed if kind == b"IDAT"]
    strips = -(-height // STRIP_ROWS)
    if strips == 1:
        assert [kind for kind, _, _ in listed] == [b"IHDR", b"IDAT", b"IEND"]
        return
    assert len(bodies) == strips
    assert listed[1][0] == b"msST"
    told = struct.unpack(f">{3 + strips}I", listed[1][2])
    assert told == (1, STRIP_ROWS, strips, *(at for at, _ in bodies))
    # Each strip by itself, from its bytes alone, with a decoder that knows nothing of the others.
    for number, (_, body) in enumerate(bodies):
        rows = zlib.decompressobj(-15).decompress(body[2:] if number == 0 else body)
        count = min(STRIP_ROWS, height - number * STRIP_ROWS)
        assert len(rows) == count * 101
        assert rows[0] in (0, 1), "the first row of a strip does not look up"
    assert zlib.decompress(b"".join(body for _, body in bodies))  # its Adler-32 holds


def tampered(stream: bytes, number: int) -> bytes:
    """One strip is other bytes, with a checksum that holds and the places as they were."""
    parts, seen = [], 0
    for kind, _, body in chunks(stream):
        if kind == b"IDAT" and seen == number:
            body = b"\xff" * (len(body) - 4) + body[-4:]  # no block is of kind 3
        seen += kind == b"IDAT"
        parts.append((kind, body))
    return joined(parts)


def test_only_the_strips_under_the_crop_are_decoded() -> None:
    pixels = radiograph(300, 40)
    stream = tampered(encode_png(pixels, strip_rows=64), 2)  # rows 128 to 191
    with pytest.raises(DecodeError, match="damaged"):
        decode_image(stream)
    for bounds in [(0, 0, 40, 128), (3, 192, 30, 300), (5, 70, 40, 71)]:
        assert np.array_equal(sampled(stream, bounds), sampled(pixels, bounds))
    assert "damaged" in str(sampled(stream, (0, 100, 40, 129)))
    assert "damaged" in str(sampled(stream, (0, 191, 40, 192)))


def test_a_changed_bit_outside_of_the_crop_is_still_seen() -> None:
    stream = bytearray(encode_png(radiograph(300, 40), strip_rows=64))
    stream[-40] ^= 4
    assert "checksum" in str(sampled(bytes(stream), (0, 0, 40, 10)))


def lies(stream: bytes) -> dict[str, bytes]:
    """Streams whose pixels are whole and whose chunk of strips says something else."""
    parts = [(kind, body) for kind, _, body in chunks(stream)]
    told = np.frombuffer(parts[1][1], ">u4").copy()

    def with_chunk(values: NDArray[np.generic] | bytes) -> bytes:
        return joined(
            [parts[0], (b"msST", bytes(values) if isinstance(values, bytes) else values.tobytes()), *parts[2:]]
        )

    changed = {}
    for name, place, value in [
        ("another version", 0, 2),
        ("no rows", 1, 0),
        ("other rows", 1, 63),
        ("rows beyond the picture", 1, 2**31),
        ("fewer strips", 2, told[2] - 1),
        ("more strips than memory", 2, 2**32 - 1),
        ("a place outside", 4, 2**32 - 1),
        ("a place elsewhere", 4, told[4] + 1),
    ]:
        values = told.copy()
        values[place] = value
        changed[name] = with_chunk(values)
    changed["cut off"] = with_chunk(told.tobytes()[:-3])
    changed["empty"] = with_chunk(b"")
    pixels = b"".join(body for kind, body in parts if kind == b"IDAT")
    changed["one chunk of pixels"] = joined([*parts[:2], (b"IDAT", pixels), (b"IEND", b"")])
    third = len(pixels) // 3
    split = [(b"IDAT", pixels[i : i + third]) for i in range(0, len(pixels), third)]
    changed["other chunks of pixels"] = joined([*parts[:2], *split, (b"IEND", b"")])
    return changed


@pytest.mark.parametrize("name", lies(encode_png(radiograph(200, 40), strip_rows=64)))
def test_a_chunk_that_disagrees_with_the_pixels_is_not_believed(name: str) -> None:
    pixels = radiograph(200, 40)
    stream = lies(encode_png(pixels, strip_rows=64))[name]
    assert np.array_equal(decode_image(stream), pixels)
    for bounds in [(0, 0, 40, 10), (0, 60, 40, 70), (9, 150, 10, 200)]:
        assert np.array_equal(sampled(stream, bounds), sampled(pixels, bounds))


@pytest.mark.parametrize("filters", [(2,), (4,), (3,)])
def test_a_strip_that_looks_up_is_decoded_with_the_rows_above(filters: tuple[int, ...]) -> None:
    """The strips are cut where the chunk says, their first rows need the row above: the filter tells."""
    pixels = radiograph(96, 20)
    plain = next(
        body for kind, _, body in chunks(png.write_png(pixels[..., None], 0, 16, filters=filters)) if kind == b"IDAT"
    )
    rows = zlib.decompress(plain)
    deflate, bodies = zlib.compressobj(), []
    for top in range(0, 96, 32):
        body = deflate.compress(rows[top * 41 : (top + 32) * 41])
        bodies.append(body + (deflate.flush(zlib.Z_FULL_FLUSH) if top < 64 else deflate.flush()))
    head = png.header(20, 96, 16, png.GREY)
    places, at = [], len(head) + 12 + 24
    for body in bodies:
        places.append(at + 8)
        at += 12 + len(body)
    told = struct.pack(">6I", 1, 32, 3, *places)
    stream = head + png.chunk(b"msST", told) + b"".join(png.chunk(b"IDAT", body) for body in bodies)
    stream += png.chunk(b"IEND", b"")
    assert np.array_equal(decode_image(stream), pixels)
    assert np.array_equal(sampled(stream, (0, 40, 20, 90)), sampled(pixels, (0, 40, 20, 90)))


PROGRAM = """
import hashlib, sys
import numpy as np
import png_writer as png
from medshard.engine import decode_image
state = hashlib.sha256()
for colour in (png.GREY, png.RGB, png.GREY_ALPHA, png.RGBA):
    for depth in (8, 16):
        for kind in range(5):
            shape = (9, 37 + kind, png.SAMPLES[colour])
            samples = np.random.default_rng(kind).integers(0, 2**depth, shape)
            decoded = decode_image(png.write_png(samples, colour, depth, filters=[kind]))
            state.update(decoded.tobytes())
print(state.hexdigest())
"""


def test_every_simd_level_undoes_every_filter_alike() -> None:
    root = FOLDER.parents[1]
    found = set()
    for level in features()["simd_levels"]:
        paths = os.pathsep.join([str(root), str(FOLDER)])
        environment = {**os.environ, "PYTHONPATH": paths, "MEDSHARD_SIMD": level}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == len(hashlib.sha256().hexdigest())


def deflated(rows: bytes) -> bytes:
    return zlib.compress(rows)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (deflated(b"\0\1\2\0\3\4")[:-4], None),  # without its checksum
        (deflated(b"\0\1\2\0\3\4" + b"\0" * 70_000), None),  # more than the picture
        (deflated(b"\0\1\2\0\3\4") + b"more", None),  # bytes behind the stream
        (deflated(b"\0\1\2\0\3\4")[:-4] + b"\0\0\0\0", "damaged"),  # another checksum
        (deflated(b"\0\1\2\0\3"), "cut off"),
        (deflated(b"\0\1\2\5\3\4"), "filter"),
        (b"", "cut off"),
        (b"\x78", "cut off"),
        (b"\x79\x01", "damaged"),
    ],
)
def test_odd_compressed_pixels(pixels: bytes, reason: str | None) -> None:
    stream = png.header(2, 2, 8, png.GREY) + png.chunk(b"IDAT", pixels) + png.chunk(b"IEND", b"")
    if reason is None:
        assert decode_image(stream).tolist() == [[1, 2], [3, 4]]
        return
    with pytest.raises(DecodeError, match=reason):
        decode_image(stream)


@pytest.mark.parametrize("where", [None, 0, 1, 2])
def test_chunks_in_a_wrong_place_are_refused(where: int | None) -> None:
    colours = np.arange(6, dtype=np.uint8).reshape(2, 3)
    palette, clear = (b"PLTE", colours.tobytes()), (b"tRNS", b"\x07")
    pixels = (b"IDAT", zlib.compress(b"\0\0\1"))
    header = (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 3, 0, 0, 0))
    orders = {
        None: [palette, clear, pixels],
        0: [clear, palette, pixels],
        1: [pixels, palette],
        2: [palette, pixels, (b"tEXt", b"a\0b"), pixels],
    }
    stream = joined([header, *orders[where], (b"IEND", b"")])
    if where is None:
        assert decode_image(stream).tolist() == [[[0, 1, 2, 7], [3, 4, 5, 255]]]
        return
    with pytest.raises(DecodeError):
        decode_image(stream)
