"""WebP, GIF, JPEG 2000, JPEG XL and deep TIFF: what their own libraries give, and what is refused."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from blobs import blob
from numpy.typing import NDArray
from PIL import Image

from medshard.errors import MissingExtraError, ReadError
from medshard.readers import read_image, read_labels
from medshard.readers.jpeg_xl import jpeg_xl_size

SIZES = [(1, 1), (1, 9), (9, 1), (17, 31), (64, 40)]
Pixels = NDArray[np.generic]


def grain(*shape: int, top: int = 255, dtype: type = np.uint8) -> Pixels:
    return np.random.default_rng(sum(shape)).integers(0, top + 1, shape).astype(dtype)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def check(data: bytes, pixels: Pixels, bits: int) -> None:
    image = read_image(blob(data))
    assert (image.pixels.dtype, image.bits) == (pixels.dtype, bits)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.pixels.flags.c_contiguous
    assert image.encoded is None, "only JPEG and PNG are read by every trainer"
    np.testing.assert_array_equal(read_labels(blob(data)).labels[..., : 3 if pixels.ndim == 3 else None], pixels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["webp", "j2k", "jp2", "jxl", "jxl in boxes"])
def test_eight_bits_in_colour_without_loss(kind: str, size: tuple[int, int]) -> None:
    pixels = grain(*size, 3)
    data = {
        "webp": lambda: saved(Image.fromarray(pixels), "WEBP", lossless=True),
        "j2k": lambda: imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat="j2k"),
        "jp2": lambda: saved(Image.fromarray(pixels), "JPEG2000"),
        "jxl": lambda: imagecodecs.jpegxl_encode(pixels, lossless=True),
        "jxl in boxes": lambda: imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=True),
    }[kind]()
    check(data, pixels, 8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["j2k", "jxl"])
def test_sixteen_bits_stay_sixteen_bits(kind: str, channels: int, size: tuple[int, int]) -> None:
    pixels = grain(*size, *([3] if channels == 3 else []), top=65535, dtype=np.uint16)
    encode = imagecodecs.jpeg2k_encode if kind == "j2k" else imagecodecs.jpegxl_encode
    options = {"level": 0, "reversible": True} if kind == "j2k" else {"lossless": True}
    check(encode(pixels, **options), pixels, 16)


def test_twelve_and_signed_bits_of_jpeg_2000() -> None:
    deep = grain(20, 30, top=4095, dtype=np.uint16)
    check(imagecodecs.jpeg2k_encode(deep, level=0, reversible=True, bitspersample=12), deep, 12)
    signed = (grain(20, 30, top=4000, dtype=np.int32) - 2000).astype(np.int16)
    check(imagecodecs.jpeg2k_encode(signed, level=0, reversible=True), signed, 16)


def test_an_alpha_channel_stays_where_it_hides_something() -> None:
    pixels = grain(9, 11, 4)
    for encode in (
        lambda p: saved(Image.fromarray(p), "WEBP", lossless=True, exact=True),
        lambda p: saved(Image.fromarray(p), "JPEG2000"),
        lambda p: imagecodecs.jpegxl_encode(p, lossless=True),
    ):
        np.testing.assert_array_equal(read_image(blob(encode(pixels))).pixels, pixels)
        opaque = pixels.copy()
        opaque[..., 3] = 255
        np.testing.assert_array_equal(read_image(blob(encode(opaque))).pixels, opaque[..., :3])


def test_webp_with_loss_equals_pillow() -> None:
    data = saved(Image.fromarray(grain(40, 30, 3)), "WEBP", quality=60)
    with Image.open(io.BytesIO(data)) as picture:
        check(data, np.asarray(picture), 8)


def test_a_turned_webp_is_turned_back() -> None:
    pixels, exif = grain(7, 5, 3), Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(pixels), "WEBP", lossless=True, exif=exif)
    np.testing.assert_array_equal(read_image(blob(data)).pixels, pixels.swapaxes(0, 1)[:, ::-1])


def test_gif_gives_colours_and_as_a_mask_its_indices() -> None:
    indices = grain(12, 14, top=3)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    data = saved(picture, "GIF", optimize=False)
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [1, 2, 3]], np.uint8)
    image = read_image(blob(data))
    np.testing.assert_array_equal(image.pixels, colours[indices])
    assert image.encoded is None
    np.testing.assert_array_equal(read_labels(blob(data)).labels, indices)
    grey = grain(8, 9)
    np.testing.assert_array_equal(
        read_image(blob(saved(Image.fromarray(grey), "GIF"))).pixels.reshape(8, 9, -1)[..., 0], grey
    )


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_are_refused(kind: str) -> None:
    frames = [Image.fromarray(grain(9, 8 + seed, 3)[:, :8]) for seed in range(3)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    for read in (read_image, read_labels):
        with pytest.raises(ReadError, match="3 frames") as caught:
            read(blob(data))
        assert caught.value.error_class == "several_frames"


def test_an_animated_jpeg_xl_is_refused() -> None:
    data = imagecodecs.jpegxl_encode(grain(3, 9, 8, 3), lossless=True)
    with pytest.raises(ReadError, match="frames"):
        read_image(blob(data))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_a_colour_tiff_of_sixteen_bits_keeps_them(planar: str, compression: str | None) -> None:
    pixels = grain(3, 21, 17, top=65535, dtype=np.uint16)
    stream = io.BytesIO()
    stored = pixels if planar == "separate" else np.moveaxis(pixels, 0, -1)
    tifffile.imwrite(stream, stored, photometric="rgb", planarconfig=planar, compression=compression)
    image = read_image(blob(stream.getvalue()))
    assert (image.pixels.dtype, image.bits, image.encoded) == (np.uint16, 16, None)
    np.testing.assert_array_equal(image.pixels, np.moveaxis(pixels, 0, -1))


def test_colours_multiplied_by_alpha_are_refused() -> None:
    stream = io.BytesIO()
    pixels = grain(6, 5, 4, top=65535, dtype=np.uint16)
    tifffile.imwrite(stream, pixels, photometric="rgb", extrasamples=["assocalpha"])
    with pytest.raises(ReadError, match="multiplied by alpha"):
        read_image(blob(stream.getvalue()))
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(blob(stream.getvalue())).pixels, pixels)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (7, 300), (256, 256), (300, 400), (600, 500), (9000, 2), (32, 64)])
def test_the_size_is_known_before_anything_is_decoded(size: tuple[int, int]) -> None:
    pixels = np.zeros(size, np.uint8)
    for container in (False, True):
        data = imagecodecs.jpegxl_encode(pixels, lossless=True, usecontainer=container)
        assert jpeg_xl_size(data) == size[::-1]


def huge_jpeg_xl() -> bytes:
    """The head of a code stream of 2^30 x 2^30 pixels: no small size, both sides in 30 bits."""
    bits = 0 | 3 << 1 | (2**30 - 1) << 3 | 0 << 33 | 3 << 36 | (2**30 - 1) << 38
    return b"\xff\x0a" + bits.to_bytes(12, "little") + b"\0" * 64


def huge_jpeg_2000() -> bytes:
    data = bytearray(imagecodecs.jpeg2k_encode(grain(9, 9), level=0, reversible=True, codecformat="j2k"))
    place = data.index(b"\xff\x51") + 6
    data[place : place + 8] = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    return bytes(data)


def test_channels_of_other_sizes_are_refused() -> None:
    data = bytearray(imagecodecs.jpeg2k_encode(grain(9, 9, 3), level=0, reversible=True, codecformat="j2k"))
    data[42 + 3 + 1 : 42 + 3 + 3] = b"\2\2"  # the second channel is taken at every other pixel, as in 4:2:0
    with pytest.raises(ReadError, match="differ in size"):
        read_image(blob(bytes(data)))


@pytest.mark.parametrize("make", [huge_jpeg_xl, huge_jpeg_2000])
def test_a_huge_header_is_refused(make: object) -> None:
    with pytest.raises(ReadError):
        read_image(blob(make()))  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "j2k", "jxl"])
def test_damage_is_a_read_error(kind: str) -> None:
    pixels = grain(40, 50, 3)
    data = {
        "WEBP": lambda: saved(Image.fromarray(pixels), "WEBP", lossless=True),
        "GIF": lambda: saved(Image.fromarray(pixels[..., 0]), "GIF"),
        "j2k": lambda: imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True),
        "jxl": lambda: imagecodecs.jpegxl_encode(pixels, lossless=True),
    }[kind]()
    rng, refused = np.random.default_rng(0), 0
    for at in [*range(14, len(data), len(data) // 30), *rng.integers(14, len(data), 20)]:
        changed = bytearray(data)
        changed[at] ^= 0x55
        for broken in (data[:at], bytes(changed)):
            try:
                read_image(blob(broken))
            except ReadError:
                refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("module", "extra", "data"),
    [("imagecodecs", "jxl", huge_jpeg_xl()), ("tifffile", "tiff", None)],
)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, module: str, extra: str, data: bytes | None) -> None:
    if data is None:
        stream = io.BytesIO()
        tifffile.imwrite(stream, grain(5, 6, 3, top=65535, dtype=np.uint16), photometric="rgb")
        data = stream.getvalue()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'medshard\[{extra}\]'"):
        read_image(blob(data))


def test_real_jpeg_2000_files_equal_another_decoder(shared: Path) -> None:
    """Files of the standard's conformance set and of Pillow's odd ones, of 8 to 16 bits."""
    folders = ["pylibjpeg_data/jpg/15444", "pillow_broken/images"]
    depths = []
    for path in sorted(path for folder in folders for path in (shared / "data" / folder).rglob("*.j[2p][k2]")):
        data = path.read_bytes()
        try:
            image = read_image(blob(data))
        except ReadError:
            continue
        try:
            expected = imagecodecs.jpeg2k_decode(data)
        except Exception:  # noqa: BLE001 - a decoder that refuses is no oracle
            continue
        if expected.ndim == 3 and expected.shape[-1] == 4 and image.pixels.shape[-1] == 3:
            assert (expected[..., 3] == np.iinfo(expected.dtype).max).all()
            expected = expected[..., :3]
        np.testing.assert_array_equal(image.pixels, expected, err_msg=path.name)
        depths.append(image.bits)
    assert len(depths) >= 5
    assert len(set(depths)) > 1
