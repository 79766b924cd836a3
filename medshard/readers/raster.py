"""PNG, JPEG, TIFF, BMP, WebP and GIF, 8 and 16 bits, through Pillow; JPEG 2000 and JPEG XL by their own libraries."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from medshard.engine import decode_image
from medshard.errors import DecodeError, MissingExtraError, ReadError
from medshard.privacy.jpeg import strip_jpeg
from medshard.privacy.png import strip_png
from medshard.readers import jpeg2000, jpeg_xl
from medshard.readers.base import AS_STORED, Array, Blob, Encoded, Image, Mask, Volume, VolumeOptions
from medshard.readers.deep_tiff import decode_deep_tiff
from medshard.readers.limits import check_plane

__all__ = ["READER", "RasterReader"]

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF8", *jpeg2000.MAGIC, *jpeg_xl.MAGIC)
_NOT_READ = {b"II+\0": "BigTIFF", b"MM\0+": "BigTIFF"}
_ORIENTATION_TAG = 0x0112  # EXIF 2.32, 4.6.4
_BITS_PER_SAMPLE_TAG = 258  # TIFF 6.0, section 8


class RasterReader:
    """2D pictures in files that cameras, scanners and programs write.

    ``encoded`` is the file's own stream where that is a JPEG or PNG which every trainer decodes to the same pixels:
    not turned by an orientation tag, not CMYK, one frame.
    """

    name = "raster"

    def sniff(self, head: bytes, path: str) -> bool:
        """By magic bytes; formats that are known and not read are claimed, to be refused by name."""
        webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
        return webp or head.startswith((*_MAGIC, *_NOT_READ))

    def image(self, blob: Blob) -> Image:
        """One picture: (Y, X) or (Y, X, 3 or 4), uint8 or uint16."""
        data = blob.read()
        _refuse_unread(data)
        if _is_png16(data):
            return _png16(data)
        if (decoded := _by_own_library(data)) is not None:
            return Image(np.ascontiguousarray(_without_opaque_alpha(decoded[0])), decoded[1], None)
        with _opened(data) as picture:
            stripped = strip_jpeg(data) if picture.format == "JPEG" and picture.mode in ("L", "RGB") else None
            encoded = None
            if stripped is not None:
                # Decoded as the loader will: what Pillow fills up and the engine refuses is no picture.
                pixels, bits, encoded = decode_image(stripped), 8, Encoded("jpg", stripped)
            else:
                pixels, bits = _deep_tiff(picture, data) or _pixels(_loaded(picture))
                if picture.format == "PNG" and _stream_shape(picture) == pixels.shape:
                    stripped = strip_png(data)
                    encoded = Encoded("png", stripped) if stripped is not None else None
            orientation = _orientation(picture)
        if orientation != 1:
            return Image(_turned(pixels, orientation), bits, None)
        return Image(np.ascontiguousarray(pixels), bits, encoded)

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """Refused: pictures have no geometry in space."""
        raise ReadError("a picture is no volume; say kind: image", error_class="not_a_volume")

    def labels(self, blob: Blob) -> Mask:
        """Values as stored: palette indices, 0 and 1 of one-bit pictures, channels of colour ones."""
        data = blob.read()
        _refuse_unread(data)
        if _is_png16(data):
            return Mask(_png16(data).pixels, space=2)
        if (decoded := _by_own_library(data)) is not None:
            return Mask(decoded[0], space=2)
        with _opened(data) as picture:
            _loaded(picture)
            if picture.mode in ("1", "L", "P", "I;16", "I;16B", "I;16L", "RGB", "RGBA"):
                values = np.asarray(picture)
            elif picture.mode in ("LA", "PA"):
                values = np.asarray(picture)[..., 0]
            elif picture.mode == "I":
                values = np.asarray(picture).astype(np.int32)
            else:
                raise ReadError(f"a mask of mode {picture.mode} is not read", error_class="pixel_type")
            if values.dtype == np.bool_:
                values = values.astype(np.uint8)
            elif picture.format == "PNG" and picture.mode == "L":
                values = values // _spread_of_grey(data)
            values = _turned(values.astype(values.dtype.newbyteorder("=")), _orientation(picture))
            return Mask(values, space=2)


def _refuse_unread(data: bytes) -> None:
    for magic, name in _NOT_READ.items():
        if data.startswith(magic):
            raise ReadError(f"{name} files are not read", error_class="unsupported")


def _by_own_library(data: bytes) -> tuple[Array, int] | None:
    """Pixels and bits of a format that Pillow does not read, or not with all its bits; None for the others."""
    if data.startswith(jpeg2000.MAGIC):
        return jpeg2000.decode_jpeg2000(data)
    if data.startswith(jpeg_xl.MAGIC):
        return jpeg_xl.decode_jpeg_xl(data)
    return None


def _deep_tiff(picture: PillowImage.Image, data: bytes) -> tuple[Array, int] | None:
    """Pillow cuts the channels of a colour TIFF to 8 bits without a word."""
    if not isinstance(picture, TiffImageFile) or len(picture.getbands()) == 1:
        return None
    if max(picture.tag_v2.get(_BITS_PER_SAMPLE_TAG, (8,))) <= 8:
        return None
    _refuse_frames(picture)
    return decode_deep_tiff(data), 16


@contextmanager
def _opened(data: bytes) -> Iterator[PillowImage.Image]:
    """A Pillow image before its pixels are decoded; whatever goes wrong inside the block is one of our errors."""
    pillow_limit = PillowImage.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings(), _without_stderr(data[:4] in (b"II*\0", b"MM\0*")):
            warnings.simplefilter("ignore")
            PillowImage.MAX_IMAGE_PIXELS = None  # check_plane holds medshard's own limit, before pixels are unpacked
            picture = PillowImage.open(io.BytesIO(data), formats=_FORMATS)
            check_plane(*picture.size)
            yield picture
    except (ReadError, MissingExtraError):
        raise
    except UnidentifiedImageError as error:
        raise DecodeError("is no picture that can be decoded") from error
    except Exception as error:
        raise DecodeError(f"cannot be decoded ({type(error).__name__})") from error
    finally:
        PillowImage.MAX_IMAGE_PIXELS = pillow_limit


@contextmanager
def _without_stderr(wanted: bool) -> Iterator[None]:
    """libtiff writes what it finds in damaged files straight to the process's standard error."""
    if not wanted:
        yield
        return
    saved, void = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(void, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(void)


def _loaded(picture: PillowImage.Image) -> PillowImage.Image:
    """The picture with its pixels decoded, when it is one whose pixels Pillow gives as they are stored."""
    _refuse_frames(picture)
    _refuse_deep_colour(picture)
    picture.load()
    return picture


def _orientation(picture: PillowImage.Image) -> int:
    """How it is to be turned; Pillow has turned a TIFF when it is loaded, and its tag is gone then."""
    found: object = picture.getexif().get(_ORIENTATION_TAG, 1)
    return found if isinstance(found, int) and found in range(1, 9) else 1


def _refuse_frames(picture: PillowImage.Image) -> None:
    frames = getattr(picture, "n_frames", 1)
    if picture.format in ("TIFF", "PNG", "WEBP", "GIF") and frames != 1:
        pages = "pages" if picture.format == "TIFF" else "frames"
        raise ReadError(f"has {frames} {pages}; a picture has one", error_class="several_frames")


def _refuse_deep_colour(picture: PillowImage.Image) -> None:
    """Pillow cuts the channels of a colour TIFF to 8 bits without a word."""
    if isinstance(picture, TiffImageFile) and len(picture.getbands()) > 1:
        bits = max(picture.tag_v2.get(_BITS_PER_SAMPLE_TAG, (8,)))
        if bits > 8:
            raise ReadError(f"a colour TIFF of {bits} bits a channel is not read", error_class="unsupported")


def _pixels(picture: PillowImage.Image) -> tuple[Array, int]:
    """Pixels in one of the modes that are stored, and their significant bits."""
    mode = picture.mode
    if mode in ("L", "RGB"):
        return np.asarray(picture), 8
    if mode == "1":
        return np.asarray(picture.convert("L")), 8
    if mode == "P":
        converted = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        return _without_opaque_alpha(np.asarray(converted)), 8
    if mode == "RGBA":
        return _without_opaque_alpha(np.asarray(picture)), 8
    if mode in ("LA", "PA"):
        return _without_opaque_alpha(np.asarray(picture.convert("RGBA"))), 8
    if mode in ("CMYK", "YCbCr", "LAB"):
        return np.asarray(picture.convert("RGB")), 8
    if mode in ("I;16", "I;16B", "I;16L"):
        return np.asarray(picture).astype(np.uint16), 16
    if mode == "I":
        values = np.asarray(picture)
        if values.min() >= 0 and values.max() <= 65535:
            return values.astype(np.uint16), 16
        raise ReadError("has 32-bit values that do not fit 16 bits", error_class="pixel_type")
    raise ReadError(f"pixels of mode {mode} are not read", error_class="pixel_type")


def _without_opaque_alpha(pixels: Array) -> Array:
    """An alpha channel that hides nothing says nothing."""
    most = 65535 if pixels.dtype == np.uint16 else 255
    if pixels.ndim == 3 and pixels.shape[-1] == 4 and (pixels[..., 3] == most).all():
        pixels = pixels[..., :3]
    return pixels


def _stream_shape(picture: PillowImage.Image) -> tuple[int, ...] | None:
    """The shape that decoders give for the stream as it is; None where they differ in what they give."""
    height, width = picture.size[1], picture.size[0]
    if picture.mode == "L":
        return (height, width)
    if picture.mode in ("RGB", "RGBA"):
        return (height, width, len(picture.mode))
    return None


def _turned(pixels: Array, orientation: int) -> Array:
    """The picture as its orientation tag says that it is to be seen (EXIF 2.32, 4.6.4 A)."""
    turns = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p.swapaxes(0, 1)[:, ::-1],
        7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
        8: lambda p: p.swapaxes(0, 1)[::-1],
    }
    return np.ascontiguousarray(turns[orientation](pixels))


def _is_png16(data: bytes) -> bool:
    """A PNG of 16 bits with colour or alpha, which Pillow would cut to 8 bits, or grey, for one path."""
    return data[:4] == b"\x89PNG" and len(data) > 25 and data[24] == 16


def _png16(data: bytes) -> Image:
    check_plane(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    stripped = strip_png(data)
    pixels = decode_image(stripped if stripped is not None else data)
    if pixels.dtype != np.uint16:
        raise DecodeError("a PNG of 16 bits was not decoded as such")
    if any(chunk in data for chunk in (b"acTL", b"eXIf", b"Raw profile")):
        with _opened(data) as picture:
            _refuse_frames(picture)
            orientation = _orientation(picture)
        if orientation != 1:
            return Image(_turned(pixels, orientation), 16, None)
    return Image(pixels, 16, Encoded("png", stripped) if stripped is not None else None)


def _spread_of_grey(data: bytes) -> int:
    """What Pillow multiplies the values of a grey PNG of few bits by (PNG 1.2, 12.5: to the whole range)."""
    return 255 // ((1 << min(data[24], 8)) - 1)


READER = RasterReader()
