"""Damaged, cut, hostile streams: a clear reason for the item, the other slots intact, never a crash."""

from __future__ import annotations

import io
import resource
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import png_writer as png
import pytest
from engine_jobs import Sampling, run, whole
from numpy.typing import NDArray
from PIL import Image

from medshard.engine import BatchLayout, Engine, decode_image, encode_png, read_header
from medshard.errors import DecodeError

LAYOUT = BatchLayout(12, 16, reduce=1)
SIZE = (30, 41)


def picture(seed: int, channels: int = 3) -> NDArray[np.uint8]:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    values = (
        np.random.default_rng(seed).normal(0, 25, (*SIZE, channels)) + (120 + 60 * np.sin(x / 4 + y / 9))[..., None]
    )
    return np.clip(values, 0, 255).astype(np.uint8)[..., : 1 if channels == 1 else None].squeeze()


def jpeg(pixels: NDArray[np.uint8], **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85, **options)
    return stream.getvalue()


def palette_png() -> bytes:
    samples = np.random.default_rng(1).integers(0, 16, (*SIZE, 1))
    colours = np.random.default_rng(2).integers(0, 256, (16, 3)).astype(np.uint8)
    return png.write_png(samples, png.PALETTE, 4, palette=colours, alpha_of_palette=b"\x10\x20", interlaced=True)


STREAMS = {
    "jpeg": jpeg(picture(0)),
    "jpeg, grey": jpeg(picture(1, 1)),
    "jpeg, progressive": jpeg(picture(2), progressive=True),
    "jpeg, restart markers": jpeg(picture(3), restart_marker_blocks=1),
    "png": encode_png(picture(4)),
    "png, 16 bits": encode_png(picture(5, 1).astype(np.uint16) * 257),
    "png, palette": palette_png(),
}


def damaged(stream: bytes, rng: np.random.Generator) -> bytes:
    """One of: cut, bytes changed, bytes taken out, bytes put in, a piece repeated."""
    kind, at = rng.integers(5), int(rng.integers(2, len(stream)))
    length = int(rng.integers(1, 40))
    if kind == 0:
        return stream[:at]
    if kind == 1:
        changed = bytearray(stream)
        for place in rng.integers(0, len(stream), int(rng.integers(1, 6))):
            changed[place] ^= int(rng.integers(1, 256))
        return bytes(changed)
    if kind == 2:
        return stream[:at] + stream[at + length :]
    if kind == 3:
        return stream[:at] + rng.bytes(length) + stream[at:]
    return stream[:at] + stream[max(0, at - length) : at] * 3 + stream[at:]


@pytest.mark.parametrize("name", STREAMS)
def test_damage_fails_its_item_alone(name: str) -> None:
    rng = np.random.default_rng(len(name))
    clean = run([whole(STREAMS[name], SIZE, scale=1 / 255)], LAYOUT)[0][0]
    engine, refused, decoded = Engine(2), 0, 0
    for _ in range(30):
        streams = [damaged(STREAMS[name], rng) if place % 2 else STREAMS[name] for place in range(16)]
        out, failed = run([whole(stream, SIZE, scale=1 / 255) for stream in streams], LAYOUT, engine=engine)
        for place, stream in enumerate(streams):
            if place % 2 == 0:
                assert place not in failed
                assert np.array_equal(out[place], clean)
            elif place in failed:
                refused += 1
                assert failed[place].strip()
                assert not out[place].any()
            else:
                decoded += 1
                again = decode_image(stream)
                assert min(again.shape[0] - SIZE[0], again.shape[1] - SIZE[1]) >= 0
                assert np.isfinite(out[place]).all()
    # PNG has checksums, JPEG has none: a changed coefficient is another picture.
    assert refused > 150 if "png" in name else refused > 40
    assert refused + decoded == 240


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_anywhere_is_refused(name: str) -> None:
    stream = STREAMS[name]
    last = len(stream) - (12 if "png" in name else 2)  # IEND and EOI hold no pixels
    for at in range(0, last, max(1, last // 150)):
        with pytest.raises(DecodeError):
            decode_image(stream[:at])


@pytest.mark.parametrize("name", [name for name in STREAMS if "png" in name])
def test_every_changed_bit_of_a_png_is_seen(name: str) -> None:
    stream = STREAMS[name]
    expected = decode_image(stream)
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(stream) - 12)[:150]:
        changed = bytearray(stream)
        changed[place] ^= 1 << int(rng.integers(8))
        try:
            decoded = decode_image(bytes(changed))
        except DecodeError:
            continue
        # tRNS is ancillary: with another name it is another chunk, which a decoder may leave out.
        assert "palette" in name
        assert np.array_equal(decoded[..., :3], expected[..., :3])


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what it mends
        yield


def decoded_or_reason(stream: bytes) -> NDArray[np.generic] | str:
    try:
        return decode_image(stream)
    except DecodeError as error:
        return str(error)


def test_what_pillow_refuses_or_reads(shared: Path) -> None:
    """Odd files of Pillow's tests: whatever both read is equal."""
    both = 0
    for path in sorted((shared / "data/pillow_broken/images").rglob("*")):
        if path.suffix not in (".jpg", ".png"):
            continue
        stream = path.read_bytes()
        decoded = decoded_or_reason(stream)
        if isinstance(decoded, str):
            assert decoded
            continue
        try:
            with quiet(), Image.open(io.BytesIO(stream)) as image:
                if image.mode not in ("L", "RGB", "RGBA") or decoded.dtype == np.uint16:
                    continue
                expected = np.asarray(image)
        except (OSError, SyntaxError):
            continue
        assert np.array_equal(decoded, expected), path.name
        both += 1
    assert both > 20


@pytest.mark.parametrize("name", ["truncated_jpeg.jpg", "broken.png", "broken_data_stream.png", "truncated_image.png"])
def test_files_known_to_be_damaged_are_refused(shared: Path, name: str) -> None:
    with pytest.raises(DecodeError):
        decode_image((shared / "data/pillow_broken/images" / name).read_bytes())


def huge_headers() -> dict[str, bytes]:
    small = bytearray(jpeg(picture(0, 1)))
    start = small.index(b"\xff\xc0")
    small[start + 5 : start + 9] = b"\xff\xdc\xff\xdc"  # 65500 x 65500
    rows = png.chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return {
        "jpeg": bytes(small),
        "png": png.header(2**31 - 1, 2**31 - 1, 16, png.RGBA) + rows + png.chunk(b"IEND", b""),
        "png, 60000": png.header(60000, 60000, 8, png.GREY) + rows + png.chunk(b"IEND", b""),
    }


@pytest.mark.parametrize("name", huge_headers())
def test_a_huge_header_is_refused_before_memory_is_taken(name: str) -> None:
    stream = huge_headers()[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DecodeError, match=r"more than 536870912|overflow"):
        decode_image(stream)
    with pytest.raises(DecodeError, match=r"cannot hold|overflow"):
        decode_image(stream, max_pixels=2**63)
    _, failed = run([whole(stream, (9, 9)), whole(stream, (9, 9))], LAYOUT, max_pixels=2**63)
    assert len(failed) == 2
    assert all("cannot hold" in reason or "overflow" in reason for reason in failed.values())
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024


def test_real_pictures_of_one_colour_are_still_read() -> None:
    """The most that a stream can promise and hold."""
    flat = np.zeros((2000, 2000), np.uint8)
    for stream in (encode_png(flat, level=9), jpeg(flat), jpeg(flat, optimize=True), jpeg(flat, progressive=True)):
        assert np.array_equal(decode_image(stream), flat)
    one_bit = png.write_png(np.zeros((3000, 3000, 1), int), png.GREY, 1, filters=[0])
    assert len(one_bit) < 1500
    assert not decode_image(one_bit).any()


def test_an_ancillary_chunk_cannot_unpack_without_end() -> None:
    text = b"Comment\0\0" + zlib.compress(b"\0" * (200 << 20), 9)
    stream = STREAMS["png"]
    bomb = stream[:33] + png.chunk(b"zTXt", text) + stream[33:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decoded = decoded_or_reason(bomb)
    if isinstance(decoded, str):
        assert "PNG" in decoded
    else:
        assert np.array_equal(decoded, decode_image(stream))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_max_pixels_is_the_callers() -> None:
    stream = STREAMS["jpeg"]
    count = SIZE[0] * SIZE[1]
    assert decode_image(stream, max_pixels=count).shape == (*SIZE, 3)
    with pytest.raises(DecodeError, match=f"more than {count - 1}"):
        decode_image(stream, max_pixels=count - 1)
    _, failed = run([whole(stream, SIZE), whole(picture(0), SIZE)], LAYOUT, max_pixels=count - 1)
    assert set(failed) == {0, 1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Sampling(STREAMS["jpeg"], (0, 0, 41, 30), (0, 0, 42, 30)), "41 x 30 pixels: the index and the stored picture"),
        (Sampling(STREAMS["png"], (0, 0, 41, 30), (0, -1, 41, 30)), "reaches outside"),
        (Sampling(STREAMS["png"], (0, 0, 41, 30), (5, 5, 5, 9)), "reaches outside"),
        (Sampling(STREAMS["png"], (9, 0, 9, 30), (0, 0, 41, 30)), "reaches outside"),
        (Sampling(STREAMS["png"], (float("nan"), 0, 9, 30), (0, 0, 41, 30)), "reaches outside"),
        (Sampling(STREAMS["png"], (0, 0, float("inf"), 30), (0, 0, 41, 30)), "reaches outside"),
        (Sampling(np.zeros((30, 41, 2), np.uint8), (0, 0, 41, 30), (0, 0, 41, 30)), "2 channels"),
        (Sampling(b"", (0, 0, 41, 30), (0, 0, 41, 30)), "neither a JPEG nor a PNG"),
        (Sampling(b"hello", (0, 0, 41, 30), (0, 0, 41, 30)), "neither a JPEG nor a PNG"),
    ],
)
def test_a_job_that_cannot_be_done_names_its_reason(wrong: Sampling, message: str) -> None:
    good = whole(STREAMS["png"], SIZE, scale=1 / 255)
    expected = run([good], LAYOUT)[0][0]
    out, failed = run([good, wrong, good], LAYOUT)
    assert list(failed) == [1]
    assert message in failed[1]
    assert not out[1].any()
    assert np.array_equal(out[0], expected)
    assert np.array_equal(out[2], expected)


def test_headers_of_damaged_streams_never_crash() -> None:
    rng = np.random.default_rng(7)
    for stream in STREAMS.values():
        for _ in range(300):
            try:
                told = read_header(damaged(stream, rng))
            except DecodeError:
                continue
            assert told.width > 0
            assert told.height > 0
