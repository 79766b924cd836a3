"""A file of one frame → a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from medshard.errors import GeometryError, ReadError
from medshard.readers.base import Affine, Array, Image
from medshard.readers.dicom.geometry import affine_of_plane, patient_left, plane_of
from medshard.readers.dicom.headers import attribute, frame_of_reference, open_dataset
from medshard.readers.dicom.pixels import stored_frames
from medshard.readers.dicom.spacing import picture_spacing
from medshard.readers.dicom.values import is_hounsfield, padding_of, rescale, shown_window, window_of
from medshard.readers.rescale import rescaled

__all__ = ["picture_affine", "read_picture"]

_HU = "[hnsf'U]"
_RESCALE_HAS_MEANING = ("CT", "PT")


def read_picture(data: bytes) -> Image:
    """One single-frame file.

    Raises:
        ReadError: damaged, of several frames, or of a kind that is not read.
    """
    dataset = open_dataset(data, pixels=False)
    frames, turned = stored_frames(dataset, data)
    if len(frames) != 1:
        raise ReadError(f"has {len(frames)} frames; say kind: volume", error_class="several_frames")
    pixels, unit, window, padding = frames[0], None, None, None
    if pixels.ndim == 2:
        pixels, unit, applied = _plane_values(dataset, pixels)
        window = shown_window(window_of(dataset), dataset, turned=turned, applied=applied)
        padding = padding_of(dataset, turned=turned, applied=applied)
    spacing = picture_spacing(dataset)
    modality, view, uid = (attribute(dataset, name) for name in ("Modality", "ViewPosition", "SOPInstanceUID"))
    return Image(
        pixels=np.ascontiguousarray(pixels),
        bits=_bits(dataset, pixels),
        unit=unit,
        spacing_yx_mm=spacing.yx_mm,
        spacing_region_px=spacing.region_px,
        detector_spacing_yx_mm=spacing.detector_yx_mm,
        affine_ijk_to_ras=picture_affine(dataset),
        patient_left=patient_left(dataset),
        window=window,
        padding=padding,
        modality=str(modality).lower() if modality is not None else None,
        view=str(view) if view is not None else None,
        sop_instance_uid=str(uid) if uid is not None else None,
        frame_of_reference_uid=frame_of_reference(dataset),
    )


def picture_affine(dataset: Any) -> Affine | None:
    """Where a picture lies in the patient; None where its spacing is not the patient's or its plane is not stated."""
    if picture_spacing(dataset).yx_mm is None:
        return None
    try:
        plane = plane_of(dataset)
    except GeometryError:
        return None  # pixels and spacing are still good
    return affine_of_plane(plane) if plane is not None else None


def _bits(dataset: Any, pixels: Array) -> int:
    """BitsStored where the pixels are the stored grey values or samples, else what holds them."""
    stored = attribute(dataset, "BitsStored")
    widest = pixels.dtype.itemsize * 8
    of_palette = pixels.ndim == 3 and attribute(dataset, "SamplesPerPixel") == 1
    if not isinstance(stored, int) or pixels.dtype == np.int16 or of_palette or int(pixels.max()) >> stored:
        return widest
    return min(stored, widest)


def _plane_values(dataset: Any, stored: Array) -> tuple[Array, str | None, tuple[float, float] | None]:
    """Values of one plane, their unit, and the rescale that was applied.

    The type depends on the header, not on how bright the picture is: a trainer scales by type and bits. A rescale that
    is not whole gives fractions: refused where values have a meaning (CT, PET); elsewhere the stored values are kept,
    in arbitrary units.
    """
    factors = rescale(dataset)
    unit = _HU if is_hounsfield(dataset) else None
    if stored.dtype == np.int8:
        stored = stored.astype(np.int16)
    if factors is None or (factors == (1.0, 0.0) and unit is None):
        return stored, unit, factors
    values = rescaled(stored, factors)
    if values.dtype.kind != "f" and values.dtype.itemsize <= 2:
        return (values.astype(np.int16) if values.dtype == np.uint8 else values), unit, factors
    if attribute(dataset, "Modality") in _RESCALE_HAS_MEANING:
        raise ReadError("rescaled values are fractions; say kind: volume", error_class="float_pixels")
    return stored, None, None
