"""What stored values mean: rescale, Hounsfield units, padding, window."""

from __future__ import annotations

from typing import Any

import numpy as np

from medshard.errors import ReadError
from medshard.readers.dicom.headers import attribute, whole

__all__ = [
    "image_type",
    "is_hounsfield",
    "padding_of",
    "rescale",
    "shown_window",
    "stored_range",
    "window_of",
]


def stored_range(dataset: Any) -> tuple[int, int]:
    """Lowest and highest value that BitsStored and PixelRepresentation allow."""
    bits = whole(dataset, "BitsStored") or whole(dataset, "BitsAllocated") or 16
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


def is_hounsfield(dataset: Any, values: Any = None) -> bool:
    """Whether rescaled values are Hounsfield units.

    They are where Rescale Type says HU. Where it is absent, the CT Image Module (PS3.3 C.8.2.1) makes them HU in an
    ORIGINAL image that is no LOCALIZER and not of multiple energies; of a derived image it says nothing. An ImageType
    that is missing takes nothing away, since Rescale Type must be there when the unit is another (type 1C).

    Args:
        values: where a frame of an enhanced object has its Rescale Type (PS3.3 C.8.15.3.10); the object by default.
    """
    holder = dataset if values is None else values
    if attribute(dataset, "Modality") != "CT" or rescale(holder) is None:
        return False
    stated = attribute(holder, "RescaleType")
    if stated is not None:
        return str(stated) == "HU"
    kinds = image_type(dataset)
    original = not kinds or kinds[0] in ("ORIGINAL", "MIXED")
    return original and "LOCALIZER" not in kinds and attribute(dataset, "MultienergyCTAcquisition") != "YES"


def image_type(dataset: Any) -> tuple[str, ...]:
    """ImageType in capitals, without empty words at its end."""
    stated = attribute(dataset, "ImageType")
    words = [stated] if isinstance(stated, str) else list(stated or ())
    kinds = [str(word).strip().upper() for word in words]
    while kinds and not kinds[-1]:
        kinds.pop()
    return tuple(kinds)


def padding_range(dataset: Any) -> tuple[int, int] | None:
    """Lowest and highest stored value that is no measurement (PS3.3 C.7.5.1.1.2); None when there is none."""
    value = whole(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = whole(dataset, "PixelPaddingRangeLimit")
    low, high = stored_range(dataset)
    found = []
    for end in (value, value if limit is None else limit):
        # Written with the other sign, as VR US in a signed image is.
        end = end - (1 << 16) if end > high and low < 0 else end + (1 << 16) if end < low == 0 else end
        found.append(end)
    return (min(found), max(found))


def padding_of(dataset: Any, *, turned: bool, applied: tuple[float, float] | None) -> tuple[float, float] | None:
    """The padding on the values that a reader gives; None when there is none.

    Args:
        turned: whether the stored values were turned over.
        applied: the rescale that was applied to them.
    """
    stored = padding_range(dataset)
    if stored is None:
        return None
    ends = [sum(stored_range(dataset)) - end if turned else end for end in stored]
    slope, intercept = applied or (1.0, 0.0)
    low, high = sorted(end * slope + intercept for end in ends)
    return (low, high)


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
