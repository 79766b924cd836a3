"""Stored values → what they mean: sign of grey, palette, colour, rescale, window."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.pixels import apply_color_lut, pixel_array

from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array
from medshard.readers.dicom.headers import attribute, quiet
from medshard.readers.limits import MAX_FRAMES, check_plane, check_volume

__all__ = ["exact_integers", "is_hounsfield", "rescale", "rescaled", "stored_frames", "window_of"]

_NOT_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "a dose grid",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
}


def stored_frames(dataset: Any) -> tuple[Array, bool]:
    """All frames: (F, Y, X) or (F, Y, X, 3), MONOCHROME1 turned over, colours as RGB.

    Returns:
        The frames, and whether they were turned over.

    Raises:
        ReadError: not an image, too large, or of a pixel type that is not read.
        DecodeError: the pixels cannot be decoded.
    """
    kind = _NOT_IMAGES.get(str(attribute(dataset, "SOPClassUID")))
    if kind is not None:
        raise ReadError(f"is {kind}, not an image", error_class="not_an_image")
    rows, columns = attribute(dataset, "Rows"), attribute(dataset, "Columns")
    if "PixelData" not in dataset or rows is None or columns is None:
        missing = next((word for word in ("Rows", "Columns", "PixelData") if word not in dataset), "PixelData")
        raise ReadError(f"has no image: {missing} is missing", error_class="not_an_image")
    frames = _whole(dataset, "NumberOfFrames") or 1
    samples = _whole(dataset, "SamplesPerPixel") or 1
    allocated = _whole(dataset, "BitsAllocated") or 16
    if frames > MAX_FRAMES:
        raise ReadError(f"has {frames} frames, more than {MAX_FRAMES}", error_class="too_large")
    check_plane(int(columns), int(rows))
    check_volume((frames, int(rows), int(columns), samples), (allocated + 7) // 8)
    try:
        with quiet():
            values = pixel_array(dataset)
            photometric = str(dataset.PhotometricInterpretation)
            if photometric == "PALETTE COLOR":
                values = _palette(dataset, values)
    except ReadError:
        raise
    except Exception as error:  # noqa: BLE001 - plugins raise many types, with values in their text
        reason = f"the pixels cannot be decoded ({type(error).__name__})"
        raise DecodeError(reason, error_class="pixels") from None
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.itemsize > 2 or values.dtype.kind not in "ui":
        raise ReadError(f"pixels of type {values.dtype} are not read", error_class="pixel_type")
    colour = samples == 3 or photometric == "PALETTE COLOR"
    values = values.reshape(frames, int(rows), int(columns), *([3] if colour else []))
    turned = photometric == "MONOCHROME1"
    if turned:
        low, high = stored_range(dataset)
        values = (low + high - values.astype(np.int32)).astype(values.dtype)
    return np.ascontiguousarray(values), turned


def _whole(dataset: Any, keyword: str) -> int | None:
    value = attribute(dataset, keyword)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        raise ReadError(f"{keyword} is no whole number", error_class="damaged_dicom") from None


def _palette(dataset: Any, values: Array) -> Array:
    """Colours of the palette in 8 bits: entries of 16 bits keep their high byte (PS3.3 C.7.6.3.1.5)."""
    colours = apply_color_lut(values, dataset)
    if colours.dtype == np.uint16:
        colours = (colours >> 8).astype(np.uint8)
    return np.asarray(colours)


def stored_range(dataset: Any) -> tuple[int, int]:
    """Lowest and highest value that BitsStored and PixelRepresentation allow."""
    bits = _whole(dataset, "BitsStored") or _whole(dataset, "BitsAllocated") or 16
    if attribute(dataset, "PixelRepresentation") == 1:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def rescale(dataset: Any) -> tuple[float, float] | None:
    """Slope and intercept of the Modality LUT (PS3.3 C.11.1); None when the file has none.

    Raises:
        ReadError: the file has a lookup table instead, or a slope of 0.
    """
    if attribute(dataset, "ModalityLUTSequence") is not None:
        raise ReadError("a Modality LUT Sequence is not read", error_class="unsupported")
    slope, intercept = attribute(dataset, "RescaleSlope"), attribute(dataset, "RescaleIntercept")
    if slope is None and intercept is None:
        return None
    try:
        values = (float(1 if slope is None else slope), float(0 if intercept is None else intercept))
    except (TypeError, ValueError):
        raise ReadError("RescaleSlope or RescaleIntercept is no number", error_class="damaged_dicom") from None
    if values[0] == 0 or not np.isfinite(values).all():
        raise ReadError("RescaleSlope is 0 or not finite", error_class="damaged_dicom")
    return values


def is_hounsfield(dataset: Any) -> bool:
    """Whether rescaled values are Hounsfield units.

    CT Image Module (PS3.3 C.8.2.1): output units are HU unless Rescale Type says otherwise; a localizer's need not be.
    """
    if attribute(dataset, "Modality") != "CT" or rescale(dataset) is None:
        return False
    image_type = [str(word) for word in attribute(dataset, "ImageType") or ()]
    return attribute(dataset, "RescaleType") in (None, "HU") and "LOCALIZER" not in image_type


def rescaled(values: Array, factors: tuple[float, float]) -> Array:
    """stored * slope + intercept: integers where that is exact, else float32."""
    slope, intercept = factors
    if slope.is_integer() and intercept.is_integer():
        return exact_integers(values.astype(np.int64) * int(slope) + int(intercept))
    return (values.astype(np.float64) * slope + intercept).astype(np.float32)


def exact_integers(values: Array) -> Array:
    """The smallest of uint8, int16, uint16, int32 that holds all values."""
    low, high = int(values.min()), int(values.max())
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(kind)
    raise ReadError("rescaled values do not fit 32 bits", error_class="pixel_type")


def window_of(dataset: Any) -> tuple[float, float] | None:
    """Lowest and highest value of the first window (PS3.3 C.11.2.1.2.1): c - 0.5 -+ (w - 1) / 2."""
    centre, width = attribute(dataset, "WindowCenter"), attribute(dataset, "WindowWidth")
    if centre is None or width is None:
        return None
    try:
        first = [float(value[0] if type(value).__name__ == "MultiValue" else value) for value in (centre, width)]
    except (TypeError, ValueError, IndexError):
        return None
    if not np.isfinite(first).all() or first[1] < 1:
        return None
    half = (first[1] - 1) / 2
    return (first[0] - 0.5 - half, first[0] - 0.5 + half)
