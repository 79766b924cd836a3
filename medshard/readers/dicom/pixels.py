"""Stored values → what they mean: sign of grey, palette, colour, rescale, window."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array

from medshard.engine import read_dicom_frames
from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array
from medshard.readers.dicom.headers import attribute, open_dataset, quiet
from medshard.readers.limits import MAX_FRAMES, MAX_VOLUME_BYTES, check_plane, check_volume

__all__ = ["exact_integers", "is_hounsfield", "rescale", "rescaled", "shown_window", "stored_frames", "window_of"]

_MEASURED = ("CT", "PT")
"""Modalities whose rescaled values are quantities: MONOCHROME1 then tells how to show them, not what they are."""

_NOT_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "a dose grid",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
}


def stored_frames(dataset: Any, data: bytes, *, as_stored: bool = False) -> tuple[Array, bool]:
    """All frames: (F, Y, X) or (F, Y, X, 3), MONOCHROME1 turned over unless values are measured, colours as RGB.

    The native engine decodes what it can; the rest is pydicom's with its plug-ins. Both give the same values, but for
    lossy JPEG: in colour they differ by at most 3 of 255 (rounding of the colour transform and of upsampling), of 12
    bits by at most 1 of 4095 (rounding of the transform).

    Args:
        dataset: the file's header; its pixels may be left out.
        data: the whole file.
        as_stored: grey is not turned over, palette indices stay indices, colours stay in the file's colour space.

    Returns:
        The frames, and whether they were turned over.

    Raises:
        ReadError: not an image, too large, or of a pixel type that is not read.
        DecodeError: the pixels cannot be decoded.
    """
    kind = _NOT_IMAGES.get(str(attribute(dataset, "SOPClassUID")))
    if kind is not None:
        raise ReadError(f"is {kind}, not an image", error_class="not_an_image")
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    if rows is None or columns is None:
        missing = "Rows" if rows is None else "Columns"
        raise ReadError(f"has no image: {missing} is missing", error_class="not_an_image")
    frames = _whole(dataset, "NumberOfFrames") or 1
    samples = _whole(dataset, "SamplesPerPixel") or 1
    allocated = _whole(dataset, "BitsAllocated") or 16
    if frames > MAX_FRAMES:
        raise ReadError(f"has {frames} frames, more than {MAX_FRAMES}", error_class="too_large")
    check_plane(columns, rows)
    check_volume((frames, rows, columns, samples), (allocated + 7) // 8)
    values = _native(data, (frames, rows, columns), as_rgb=not as_stored)
    if values is None:
        dataset = open_dataset(data, pixels=True)
        if "PixelData" not in dataset:
            raise ReadError("has no image: PixelData is missing", error_class="not_an_image")
    try:
        with quiet():
            if values is None:
                values = pixel_array(dataset, raw=as_stored)
            photometric = str(dataset.PhotometricInterpretation)
            if photometric == "PALETTE COLOR" and not as_stored:
                values = _palette(dataset, values)
    except ReadError:
        raise
    except Exception as error:  # noqa: BLE001 - plugins raise many types, with values in their text
        raise DecodeError(_why_not_decoded(dataset, error), error_class="pixels") from None
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.itemsize > 2 or values.dtype.kind not in "ui":
        raise ReadError(f"pixels of type {values.dtype} are not read", error_class="pixel_type")
    channels = 3 if photometric == "PALETTE COLOR" and not as_stored else samples
    shape = (frames, rows, columns, *([channels] if channels > 1 else []))
    if channels not in (1, 3) or values.size != int(np.prod(shape)):
        raise DecodeError(f"decodes to the shape {list(values.shape)}, not {list(shape)}", error_class="pixels")
    values = values.reshape(shape)
    turned = photometric == "MONOCHROME1" and not as_stored and not _is_measured(dataset)
    if turned:
        low, high = stored_range(dataset)
        values = (low + high - values.astype(np.int32)).astype(values.dtype)
    return np.ascontiguousarray(values), turned


def _native(data: bytes, shape: tuple[int, int, int], *, as_rgb: bool) -> Array | None:
    """The frames from the native engine; None where they are left to pydicom, which then also says what is wrong.

    Two parsers may read a damaged header in two ways: pydicom's reading rules.
    """
    try:
        values = read_dicom_frames(data, as_rgb=as_rgb, max_bytes=MAX_VOLUME_BYTES)
    except DecodeError:
        return None
    return values if values.shape[:3] == shape else None


def _is_measured(dataset: Any) -> bool:
    scaled = attribute(dataset, "RescaleSlope") is not None or "PerFrameFunctionalGroupsSequence" in dataset
    return scaled and attribute(dataset, "Modality") in _MEASURED


def _why_not_decoded(dataset: Any, error: Exception) -> str:
    """The encoding, the packages that tried, and those that could try; nothing of the error's own text."""
    kind = type(error).__name__
    syntax = attribute(getattr(dataset, "file_meta", None) or {}, "TransferSyntaxUID")
    if syntax is None:
        return f"the pixels cannot be decoded ({kind}): the file states no TransferSyntaxUID"
    try:
        with quiet():
            decoder = get_decoder(syntax)
    except Exception:  # noqa: BLE001 - a private or damaged UID, or several
        return f"the pixels cannot be decoded ({kind}): no decoder of this TransferSyntaxUID is known"
    bits = attribute(dataset, "BitsStored")
    name = f"{syntax.name} of {bits} bits" if isinstance(bits, int) else str(syntax.name)
    if not syntax.is_encapsulated:
        return f"the pixels cannot be decoded ({kind}): {name}, damaged, cut off or against its header"
    if not decoder.is_available:
        return f"the pixels cannot be decoded: {name} needs one of: {'; '.join(decoder.missing_dependencies)}"
    tried = ", ".join(decoder.available_plugins) or "pydicom"
    reason = (
        f"the pixels cannot be decoded ({kind}): {name}, refused by {tried}; the stream is damaged or not conformant"
    )
    others = [text.split(" ")[0] for text in decoder.missing_dependencies]
    return reason + (f" (not installed, so not tried: {', '.join(others)})" if others else "")


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
    """Lowest and highest value of the first window, in rescaled values.

    PS3.3 C.11.2.1.2.1: c - 0.5 -+ (w - 1) / 2; C.11.2.1.3.2, LINEAR_EXACT: c -+ w / 2.
    """
    centre, width = attribute(dataset, "WindowCenter"), attribute(dataset, "WindowWidth")
    if centre is None or width is None:
        return None
    try:
        first = [float(value[0] if type(value).__name__ == "MultiValue" else value) for value in (centre, width)]
    except (TypeError, ValueError, IndexError):
        return None
    exact = attribute(dataset, "VOILUTFunction") == "LINEAR_EXACT"
    if not np.isfinite(first).all() or first[1] <= 0 or (first[1] < 1 and not exact):
        return None
    if exact:
        return (first[0] - first[1] / 2, first[0] + first[1] / 2)
    half = (first[1] - 1) / 2
    return (first[0] - 0.5 - half, first[0] - 0.5 + half)


def shown_window(
    window: tuple[float, float] | None, dataset: Any, *, turned: bool, applied: tuple[float, float] | None
) -> tuple[float, float] | None:
    """A file's window on the values that a reader gives, which may be turned over or left without their rescale.

    Args:
        window: on rescaled values, as ``window_of`` gives it.
        turned: whether the stored values were turned over.
        applied: the rescale that was applied to them.
    """
    stated = rescale(dataset)
    if window is None or (not turned and stated == applied):
        return window
    slope, intercept = stated or (1.0, 0.0)
    stored = [(value - intercept) / slope for value in window]
    if turned:
        stored = [sum(stored_range(dataset)) - value for value in stored]
    slope, intercept = applied or (1.0, 0.0)
    low, high = sorted(value * slope + intercept for value in stored)
    return (low, high)
