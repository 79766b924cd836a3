"""Write a picture as PNG, JPEG, TIFF or BMP, with nothing in the file but pixels, or with a canary everywhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medshard.testing.synthetic import canary as planting

__all__ = ["EXTENSIONS", "ImageFormat", "write_raster"]

ImageFormat: TypeAlias = Literal["png", "jpeg", "tiff", "bmp"]

EXTENSIONS: dict[ImageFormat, str] = {"png": "png", "jpeg": "jpg", "tiff": "tif", "bmp": "bmp"}


def write_raster(
    path: Path,
    pixels: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.bool_],
    image_format: ImageFormat = "png",
    *,
    canary: str | None = None,
) -> None:
    """Write one picture.

    Args:
        path: the file; its folder must exist.
        pixels: (Y, X) or (Y, X, 3) uint8; (Y, X) bool for 1 bit; (Y, X) uint16 for PNG and TIFF.
        image_format: JPEG has quality 92 and loses detail, the others are exact.
        canary: planted in every metadata field of the format, and behind the end of the picture, where many tools
            leave what they do not know.
    """
    options: dict[str, Any] = {"jpeg": {"quality": 92}, "png": {"compress_level": 6}}.get(image_format, {})
    if canary is not None:
        if image_format == "png":
            options |= {"pnginfo": planting.png_text(canary), "exif": planting.exif_bytes(canary)}
        elif image_format == "jpeg":
            options |= {
                "exif": planting.exif_bytes(canary),
                "comment": canary.encode(),
                "xmp": planting.xmp_packet(canary),
                "extra": planting.iptc_segment(canary),
            }
        elif image_format == "tiff":
            options |= {"tiffinfo": planting.tiff_tags(canary)}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format.upper(), **options)
    tail = b"" if canary is None else canary.encode()
    path.write_bytes(buffer.getvalue() + tail)
