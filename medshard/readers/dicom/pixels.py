"""The frames of a file as stored values: sign of grey, palette, colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array

from medshard.engine import read_dicom_frames
from medshard.errors import DecodeError, ReadError
from medshard.readers.base import Array
from medshard.readers.dicom.headers import attribute, open_dataset, quiet, whole
from medshard.readers.dicom.values import stored_range
from medshard.readers.limits import MAX_FRAMES, MAX_VOLUME_BYTES, check_plane, check_volume

__all__ = ["stored_frames"]

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
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    if rows is None or columns is None:
        missing = "Rows" if rows is None else "Columns"
        raise ReadError(f"has no image: {missing} is missing", error_class="not_an_image")
    frames = whole(dataset, "NumberOfFrames") or 1
    samples = whole(dataset, "SamplesPerPixel") or 1
    allocated = whole(dataset, "BitsAllocated") or 16
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


def _palette(dataset: Any, values: Array) -> Array:
    """Colours of the palette in 8 bits: entries of 16 bits keep their high byte (PS3.3 C.7.6.3.1.5)."""
    colours = apply_color_lut(values, dataset)
    if colours.dtype == np.uint16:
        colours = (colours >> 8).astype(np.uint8)
    return np.asarray(colours)
