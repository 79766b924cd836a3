"""TIFF in colour with 16 bits a channel, which Pillow would cut to 8, through the extra ``tiff``."""

from __future__ import annotations

import io

import numpy as np

from medshard.errors import DecodeError, MissingExtraError, ReadError
from medshard.readers.base import Array
from medshard.readers.limits import check_plane

__all__ = ["decode_deep_tiff"]

_RGB = 2  # PhotometricInterpretation (TIFF 6.0, section 6)
_ASSOCIATED = 1  # ExtraSamples (TIFF 6.0, section 18)


def decode_deep_tiff(data: bytes) -> Array:
    """Pixels of the only page: (Y, X, 3 or 4), uint16, as they are stored.

    Raises:
        ReadError: damaged, or not RGB of 16 bits with or without a free alpha channel.
        MissingExtraError: the extra is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtraError("Reading TIFF in colour with 16 bits a channel", "tifffile", "tiff") from error
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            check_plane(page.imagewidth, page.imagelength)
            if page.photometric != _RGB or page.dtype != np.uint16 or page.samplesperpixel not in (3, 4):
                kind = f"{page.samplesperpixel} channels of type {page.dtype}"
                raise ReadError(f"a colour TIFF of {kind} is not read", error_class="unsupported")
            if _ASSOCIATED in page.extrasamples:
                raise ReadError(
                    "a colour TIFF whose colours are multiplied by alpha is not read", error_class="unsupported"
                )
            pixels = page.asarray()
            apart = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    except ReadError:
        raise
    except Exception as error:
        raise DecodeError(f"cannot be decoded ({type(error).__name__})") from error
    pixels = np.moveaxis(pixels, 0, -1) if apart else pixels
    if pixels.ndim != 3 or pixels.dtype != np.uint16:
        raise DecodeError("was decoded to another kind of picture than its header says")
    return np.ascontiguousarray(pixels)
