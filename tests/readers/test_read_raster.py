"""The raster reader against Pillow, numpy and a PNG writer of the standard's text; what is stored decodes as read."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from blobs import blob, blob_of, saved
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medshard.engine import decode_image
from medshard.errors import DecodeError, ReadError
from medshard.readers import read_image, read_labels, read_volume

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from png_writer import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, write_png

ORIENTATION = 0x0112


def grain(*shape: int, seed: int = 0, high: int = 256, dtype: type = np.uint8) -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def smooth(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / (5 + c)) * np.cos(y / (7 - c)) for c in range(channels)]
    return np.stack(waves, -1).astype(np.uint8).squeeze()


def check_stored(image: object, pixels: NDArray[np.generic]) -> None:
    """The pixels, and those of the stream that would be stored, are these."""
    assert image.pixels.dtype == pixels.dtype  # type: ignore[attr-defined]
    assert image.pixels.flags.c_contiguous  # type: ignore[attr-defined]
    np.testing.assert_array_equal(image.pixels, pixels)  # type: ignore[attr-defined]
    if image.encoded is not None:  # type: ignore[attr-defined]
        np.testing.assert_array_equal(decode_image(image.encoded.data), pixels)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image.encoded.data))), pixels)  # type: ignore[attr-defined]


# -- PNG -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (40, 33)])
@pytest.mark.parametrize("colour", [GREY, RGB, RGBA, GREY_ALPHA])
@pytest.mark.parametrize("depth", [8, 16])
def test_png_of_every_colour(shape: tuple[int, int], colour: int, depth: int, interlaced: bool) -> None:
    count = {GREY: 1, RGB: 3, RGBA: 4, GREY_ALPHA: 2}[colour]
    samples = grain(*shape, count, high=2**depth - 1, dtype=np.uint16 if depth == 16 else np.uint8)
    image = read_image(blob(write_png(samples, colour, depth, interlaced=interlaced), "a.png"))
    wanted = samples[..., [0, 0, 0, 1]] if colour == GREY_ALPHA else samples.squeeze(-1) if count == 1 else samples
    np.testing.assert_array_equal(image.pixels, wanted)
    assert image.pixels.dtype == wanted.dtype
    assert image.bits == depth
    assert image.spacing_yx_mm is image.affine_ijk_to_ras is image.unit is image.window is None
    if colour in (GREY, RGB, RGBA):
        assert image.encoded is not None
    if image.encoded is not None:
        np.testing.assert_array_equal(decode_image(image.encoded.data), wanted)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_png_of_few_bits_is_spread_as_a_picture_and_raw_as_labels(depth: int) -> None:
    samples = grain(9, 13, 1, high=2**depth)
    data = write_png(samples, GREY, depth)
    spread = (samples[..., 0].astype(int) * 255 // (2**depth - 1)).astype(np.uint8)
    check_stored(read_image(blob(data)), spread)
    np.testing.assert_array_equal(read_labels(blob(data)).labels, samples[..., 0])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png_is_colours_as_a_picture_and_indices_as_labels(depth: int) -> None:
    palette = grain(2**depth, 3, seed=3)
    samples = grain(11, 14, 1, high=2**depth)
    data = write_png(samples, PALETTE, depth, palette=palette)
    check_stored(read_image(blob(data)), palette[samples[..., 0]])
    mask = read_labels(blob(data))
    np.testing.assert_array_equal(mask.labels, samples[..., 0])
    assert mask.space == 2


def test_palette_png_with_transparency_keeps_its_alpha() -> None:
    palette, alpha = grain(4, 3, seed=3), bytes([0, 100, 200, 255])
    samples = grain(6, 6, 1, high=4)
    image = read_image(blob(write_png(samples, PALETTE, 8, palette=palette, alpha_of_palette=alpha)))
    wanted = np.concatenate([palette[samples[..., 0]], np.frombuffer(alpha, np.uint8)[samples]], -1)
    np.testing.assert_array_equal(image.pixels, wanted)


def test_alpha_that_hides_nothing_is_dropped_and_other_alpha_stays() -> None:
    pixels = grain(5, 6, 4)
    pixels[..., 3] = 255
    image = read_image(blob(saved(Image.fromarray(pixels), "PNG")))
    check_stored(image, pixels[..., :3])
    pixels[2, 3, 3] = 254
    check_stored(read_image(blob(saved(Image.fromarray(pixels), "PNG"))), pixels)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_colour_without_alpha_channel_says_nothing(mode: str) -> None:
    pixels = grain(5, 6, 3)[..., 0] if mode == "L" else grain(5, 6, 3)
    transparent = 7 if mode == "L" else (1, 2, 3)
    check_stored(read_image(blob(saved(Image.fromarray(pixels), "PNG", transparency=transparent))), pixels)


# -- JPEG ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 2}])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_passes_through_with_pillows_pixels(channels: int, options: dict[str, object]) -> None:
    data = saved(Image.fromarray(smooth(37, 50, channels)), "JPEG", **options)
    image = read_image(blob(data))
    assert image.encoded is not None
    assert image.encoded.extension == "jpg"
    check_stored(image, np.asarray(Image.open(io.BytesIO(data))))


def test_rgb_jpeg_that_is_stored_without_colour_transform() -> None:
    data = saved(Image.fromarray(smooth(20, 20, 3)), "JPEG", keep_rgb=True)
    check_stored(read_image(blob(data)), np.asarray(Image.open(io.BytesIO(data))))


def test_cmyk_jpeg_becomes_rgb_pixels() -> None:
    picture = Image.merge("CMYK", [Image.fromarray(smooth(20, 24, 4)[..., c].copy()) for c in range(4)])
    data = saved(picture, "JPEG")
    image = read_image(blob(data))
    assert image.encoded is None
    np.testing.assert_array_equal(image.pixels, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_applied_once_to_picture_and_labels(kind: str, orientation: int) -> None:
    picture = Image.fromarray(smooth(16, 24, 3))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = saved(picture, kind, **({"tiffinfo": {ORIENTATION: orientation}} if kind == "TIFF" else {"exif": exif}))
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    image = read_image(blob(data))
    check_stored(image, wanted)
    assert (image.encoded is None) == (orientation != 1 or kind == "TIFF")
    np.testing.assert_array_equal(read_labels(blob(data)).labels, wanted)


@pytest.mark.parametrize("orientation", [1, 6])
def test_orientation_of_a_16_bit_png(orientation: int) -> None:
    pixels = grain(5, 9, high=65535, dtype=np.uint16)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = saved(Image.fromarray(pixels), "PNG", exif=exif)
    image = read_image(blob(data))
    check_stored(image, pixels if orientation == 1 else np.ascontiguousarray(np.rot90(pixels, -1)))
    np.testing.assert_array_equal(read_labels(blob(data)).labels, image.pixels)


def test_a_jpeg_that_the_engine_cannot_decode_is_refused() -> None:
    """Pillow fills what is missing with grey; the loader would refuse the stored stream later."""
    data = bytearray(saved(Image.fromarray(smooth(64, 64, 1)), "JPEG", quality=95))
    start = data.index(b"\xff\xda") + 2 + struct.unpack_from(">H", data, data.index(b"\xff\xda") + 2)[0]
    middle = start + (len(data) - start) // 2
    cut = bytes(data[:middle]).rstrip(b"\xff") + b"\xff\xd9"
    with pytest.raises(DecodeError):
        read_image(blob(cut))


# -- TIFF, BMP -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "I;16", "1"])
def test_tiff_by_mode_and_compression(kind: str, compression: str | None) -> None:
    pixels = {
        "L": grain(21, 34),
        "RGB": grain(21, 34, 3),
        "RGBA": grain(21, 34, 4),
        "I;16": grain(21, 34, high=65536, dtype=np.uint16),
        "1": grain(21, 34, high=2).astype(bool),
    }[kind]
    options = {"compression": compression} if compression else {}
    data = saved(Image.fromarray(pixels), "TIFF", **options)
    image = read_image(blob(data))
    assert image.encoded is None
    wanted = (pixels * 255).astype(np.uint8) if kind == "1" else pixels
    check_stored(image, wanted)
    np.testing.assert_array_equal(read_labels(blob(data)).labels, pixels)


def tiff(pixels: NDArray[np.generic], *, order: str = "<", sample_format: int = 1, tile: int | None = None) -> bytes:
    """An uncompressed grey TIFF 6.0, in one strip or in square tiles, of either byte order."""
    height, width = pixels.shape
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    blocks = [stored]
    if tile is not None:
        padded = np.zeros((-(-height // tile) * tile, -(-width // tile) * tile), stored.dtype)
        padded[:height, :width] = stored
        blocks = [
            padded[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, padded.shape[1], tile)
        ]
    raw = [block.tobytes() for block in blocks]
    tags: list[tuple[int, list[int]]] = [(256, [width]), (257, [height]), (258, [pixels.dtype.itemsize * 8])]
    tags += [(259, [1]), (262, [1]), (277, [1])]
    place, lengths = (273, 279) if tile is None else (324, 325)
    tags += [(place, [0] * len(raw)), (lengths, [len(part) for part in raw]), (339, [sample_format])]
    tags += [(278, [height])] if tile is None else [(322, [tile]), (323, [tile])]
    tags.sort()
    ifd = 8
    extra = ifd + 2 + 12 * len(tags) + 4
    first = extra + sum(4 * len(values) for _, values in tags if len(values) > 1)
    out, tail = struct.pack(order + "H", len(tags)), b""
    for tag, found in tags:
        values = list(np.cumsum([first, *[len(part) for part in raw[:-1]]])) if tag == place else found
        packed = struct.pack(f"{order}{len(values)}L", *[int(value) for value in values])
        if len(values) > 1:
            packed, tail = struct.pack(order + "L", extra + len(tail)), tail + packed
        out += struct.pack(order + "HHL", tag, 4, len(values)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", ifd)
    return head + out + b"\0" * 4 + tail + b"".join(raw)


@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_of_either_byte_order_in_strips_and_tiles(bits: int, order: str, tile: int | None) -> None:
    pixels = grain(37, 21, high=2**bits, dtype=np.uint16 if bits == 16 else np.uint8)
    data = tiff(pixels, order=order, tile=tile)
    check_stored(read_image(blob(data)), pixels)
    np.testing.assert_array_equal(read_labels(blob(data)).labels, pixels)


def test_signed_and_32_bit_tiff_are_kept_exactly_or_refused() -> None:
    small = grain(8, 9, high=65536, dtype=np.int32)
    check_stored(read_image(blob(tiff(small, sample_format=2))), small.astype(np.uint16))
    for values in (small - 70_000, small + 70_000):
        data = tiff(values, sample_format=2)
        with pytest.raises(ReadError, match="16 bits"):
            read_image(blob(data))
        np.testing.assert_array_equal(read_labels(blob(data)).labels, values)
    with pytest.raises(ReadError, match="not read"):
        read_image(blob(tiff(small.astype(np.float32), sample_format=3)))
    signed = grain(8, 9, high=60_000, dtype=np.int32) - 30_000
    data = tiff(signed.astype(np.int16), sample_format=2)
    try:
        got = read_labels(blob(data)).labels
    except ReadError:
        return
    np.testing.assert_array_equal(got, signed)


def test_tiff_of_several_pages_is_refused() -> None:
    data = saved(
        Image.fromarray(grain(5, 5)), "TIFF", save_all=True, append_images=[Image.fromarray(grain(5, 5, seed=1))]
    )
    for read in (read_image, read_labels):
        with pytest.raises(ReadError, match="2 pages") as caught:
            read(blob(data))
        assert caught.value.error_class == "several_frames"


def test_animated_png_is_refused() -> None:
    frames = [Image.fromarray(grain(5, 5, seed=seed)) for seed in range(3)]
    data = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(ReadError) as caught:
        read_image(blob(data))
    assert caught.value.error_class == "several_frames"


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3)])
def test_bmp(shape: tuple[int, ...]) -> None:
    pixels = grain(*shape)
    image = read_image(blob(saved(Image.fromarray(pixels), "BMP")))
    check_stored(image, pixels)
    assert image.encoded is None


def test_a_picture_is_no_volume() -> None:
    with pytest.raises(ReadError, match="kind: image"):
        read_volume([blob(saved(Image.fromarray(grain(5, 5)), "PNG"))])


def test_big_tiff_is_refused_by_name() -> None:
    with pytest.raises(ReadError, match="BigTIFF") as caught:
        read_image(blob(b"II+\0" + b"\0" * 40))
    assert caught.value.error_class == "unsupported"


# -- real files ------------------------------------------------------------------------------------------------------

REAL = {
    "bccd": ("**/*.jpg", 12),
    "busi": ("**/*.png", 8),
    "figure1_covid_cxr": ("**/*.[jp][pn]g", 8),
    "dsb2018_fixes": ("**/*.png", 12),
    "lgg_mri": ("**/*.tif", 12),
    "kvasir_seg_mini": ("**/*.jpg", 4),
    "axondeepseg_sem": ("**/*.png", 6),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_equal_pillow(shared: Path, name: str) -> None:
    pattern, count = REAL[name]
    paths = sorted((shared / "data" / name).glob(pattern))
    for path in paths[:: max(1, len(paths) // count)]:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            wanted = np.asarray(upright)
        if wanted.ndim == 3 and wanted.shape[-1] == 4 and (wanted[..., 3] == 255).all():
            wanted = wanted[..., :3]
        if upright.mode in ("L", "RGB", "RGBA", "I;16"):
            check_stored(read_image(blob_of(path)), wanted)
