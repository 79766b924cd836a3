"""What tells slices at one position apart: time, echo, diffusion weighting, acquisition."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medshard.readers.dicom.headers import attribute, numbers

__all__ = [
    "Further",
    "Values",
    "b_value",
    "date_time_s",
    "day_of",
    "further_dimension",
    "further_of_file",
    "further_of_frame",
    "private_numbers",
    "seconds_of_day",
]

Values = Mapping[str, tuple[float, ...]]
"""Name of a dimension → where a slice stands on it; a direction has three numbers."""

_ORDER = (
    "temporal_position",
    "temporal_offset_s",
    "frame_reference_time_ms",
    "trigger_time_ms",
    "b_value_s_per_mm2",
    "echo_time_ms",
    "echo_number",
    "inversion_time_ms",
    "flip_angle_deg",
    "gradient_direction",
    "acquisition_number",
    "acquisition_time_s",
)
"""Dimensions in the order in which they are tried; an index that a file names itself comes after them."""

_MOST_AT_ONCE = 3

_FILE_NUMBERS = {
    "temporal_position": "TemporalPositionIdentifier",
    "frame_reference_time_ms": "FrameReferenceTime",
    "trigger_time_ms": "TriggerTime",
    "echo_time_ms": "EchoTime",
    "echo_number": "EchoNumbers",
    "inversion_time_ms": "InversionTime",
    "flip_angle_deg": "FlipAngle",
    "acquisition_number": "AcquisitionNumber",
}

_FRAME_NUMBERS = {
    "temporal_position": ("FrameContentSequence", "TemporalPositionIndex"),
    "temporal_offset_s": ("TemporalPositionSequence", "TemporalPositionTimeOffset"),
    "trigger_time_ms": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "b_value_s_per_mm2": ("MRDiffusionSequence", "DiffusionBValue"),
    "echo_time_ms": ("MREchoSequence", "EffectiveEchoTime"),
    "flip_angle_deg": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "acquisition_number": ("FrameContentSequence", "FrameAcquisitionNumber"),
}
"""Macros of PS3.3 C.7.6.16.2 and C.8.13.5."""

_GE_BIAS = 1_000_000_000


@dataclass(frozen=True)
class Further:
    """A dimension beyond space on which a stack is complete.

    Attributes:
        names: what varies along it.
        keys: its places in order: the numbers of each name.
    """

    names: tuple[str, ...]
    keys: tuple[tuple[tuple[float, ...], ...], ...]

    @property
    def axis_values(self) -> dict[str, tuple[float, ...]]:
        """The single numbers of each place, by name; times of acquisition count from the first."""
        found = {}
        for place, name in enumerate(self.names):
            values = [key[place] for key in self.keys]
            if all(len(value) == 1 for value in values):
                first = values[0][0] if name == "acquisition_time_s" else 0.0
                found[name] = tuple(value[0] - first for value in values)
        return found


def further_dimension(places: Sequence[int], further: Sequence[Values]) -> Further | None:
    """The first dimension, or the first few together, on which every position has every place exactly once.

    Args:
        places: for each slice, which position it has.
        further: for each slice, where it stands on each dimension.

    Returns:
        None where no dimension tells all slices apart, or where some position lacks some place.
    """
    known = set(further[0]).intersection(*further[1:])
    varying = [name for name in known if len({values[name] for values in further}) > 1]
    varying.sort(key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
    positions = len(set(places))
    for together in range(1, _MOST_AT_ONCE + 1):
        for names in itertools.combinations(varying, together):
            keys = [tuple(values[name] for name in names) for values in further]
            distinct = set(keys)
            complete = len(keys) == positions * len(distinct)
            if complete and len(set(zip(places, keys, strict=True))) == len(keys):
                return Further(names, tuple(sorted(distinct)))
    return None


def further_of_file(dataset: Any) -> dict[str, tuple[float, ...]]:
    """Dimensions of an object of one frame."""
    found: dict[str, tuple[float, ...]] = {}
    for name, keyword in _FILE_NUMBERS.items():
        value = numbers(dataset, keyword)
        if value is not None and len(value) == 1:
            found[name] = (float(value[0]),)
    weighting = b_value(dataset)
    if weighting is not None:
        found["b_value_s_per_mm2"] = (weighting,)
    direction = _gradient(dataset)
    if direction is not None:
        found["gradient_direction"] = direction
    seconds = _acquired_s(dataset)
    if seconds is not None:
        found["acquisition_time_s"] = (seconds,)
    return found


def further_of_frame(dataset: Any, macros: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Dimensions of a frame of an enhanced object.

    Args:
        dataset: the object; its DimensionIndexSequence names the indices of its frames (PS3.3 C.7.6.17).
        macros: the frame's functional groups, by keyword.
    """
    found: dict[str, tuple[float, ...]] = {}
    for name, (macro, keyword) in _FRAME_NUMBERS.items():
        value = numbers(macros[macro], keyword) if macro in macros else None
        if value is not None and len(value) == 1:
            found[name] = (float(value[0]),)
    diffusion = macros.get("MRDiffusionSequence")
    directions = attribute(diffusion, "DiffusionGradientDirectionSequence") if diffusion is not None else None
    if directions:
        direction = numbers(directions[0], "DiffusionGradientOrientation")
        found["gradient_direction"] = tuple(direction) if direction is not None else (0.0, 0.0, 0.0)
    elif diffusion is not None:
        found["gradient_direction"] = (0.0, 0.0, 0.0)
    content = macros.get("FrameContentSequence")
    seconds = date_time_s(attribute(content, "FrameAcquisitionDateTime")) if content is not None else None
    if seconds is not None:
        found["acquisition_time_s"] = (seconds,)
    indices = numbers(content, "DimensionIndexValues") if content is not None else None
    described = attribute(dataset, "DimensionIndexSequence") or []
    if indices is not None and len(indices) == len(described):
        for place, (entry, index) in enumerate(zip(described, indices, strict=True)):
            if _keyword_of(attribute(entry, "DimensionIndexPointer")) not in _PLACES_IN_SPACE:
                found[f"dimension_index_{place + 1}"] = (float(index),)
    return found


_PLACES_IN_SPACE = ("StackID", "InStackPositionNumber", "ImagePositionPatient", "PlanePositionSequence")


def _keyword_of(tag: Any) -> str | None:
    from pydicom.datadict import keyword_for_tag

    try:
        return keyword_for_tag(tag) if tag is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def b_value(dataset: Any) -> float | None:
    """Diffusion weighting, s/mm2: the standard's attribute, else what the vendors document.

    Siemens (0019,xx0C) of "SIEMENS MR HEADER", Philips (2001,xx03) of "Philips Imaging DD 001", GE the first number of
    (0043,xx39) of "GEMS_PARM_01", to which a bias of 10^9 is added in some sequences.
    """
    value = numbers(dataset, "DiffusionBValue")
    if value is not None and len(value) == 1:
        return float(value[0])
    for group, creator, element in (
        (0x0019, "SIEMENS MR HEADER", 0x0C),
        (0x2001, "Philips Imaging DD 001", 0x03),
        (0x0043, "GEMS_PARM_01", 0x39),
    ):
        private = private_numbers(dataset, group, creator, element)
        if private:
            return private[0] - _GE_BIAS if private[0] >= _GE_BIAS else private[0]
    return None


def _gradient(dataset: Any) -> tuple[float, ...] | None:
    direction = numbers(dataset, "DiffusionGradientOrientation")
    if direction is not None and len(direction) == 3:
        return tuple(float(number) for number in direction)
    private = private_numbers(dataset, 0x0019, "SIEMENS MR HEADER", 0x0E)
    if private is not None and len(private) == 3:
        return tuple(private)
    # An image without diffusion weighting has no direction; where the others have one it stands at the origin.
    return (0.0, 0.0, 0.0) if b_value(dataset) is not None else None


def private_numbers(dataset: Any, group: int, creator: str, element: int) -> list[float] | None:
    """Numbers of a private element (PS3.5 7.8.1); None where it is absent or holds none.

    With an unknown VR (a file in implicit VR) it may be packed as float64 or written as text.
    """
    try:
        value = dataset.private_block(group, creator)[element].value
    except Exception:  # noqa: BLE001 - pydicom raises many types for damaged elements
        return None
    if isinstance(value, bytes):
        text = value.decode("ascii", "replace").strip(" \0")
        try:
            return [float(part) for part in text.split("\\")]
        except ValueError:
            pass
        packed = np.frombuffer(value, "<f8") if len(value) in (8, 24) else np.frombuffer(value, "<f4")[:1]
        return [float(number) for number in packed] if len(packed) and np.isfinite(packed).all() else None
    items = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    try:
        found = [float(str(item)) for item in items]
    except ValueError:
        return None
    return found if found and np.isfinite(found).all() else None


def seconds_of_day(text: Any) -> float | None:
    """A time of day (VR TM, PS3.5 6.2) in seconds; None when it is none."""
    digits, _, fraction = str(text or "").replace(":", "").partition(".")
    if not digits.isdigit() or len(digits) not in (2, 4, 6) or (fraction and not fraction.isdigit()):
        return None
    parts = [int(digits[place : place + 2]) for place in range(0, len(digits), 2)] + [0, 0]
    if parts[0] > 23 or parts[1] > 59 or parts[2] > 60:
        return None
    return parts[0] * 3600 + parts[1] * 60 + parts[2] + float(f"0.{fraction or 0}")


def day_of(text: Any) -> int | None:
    """A date (VR DA) as the number of a day; None when it is none."""
    digits = str(text or "").replace(".", "")
    try:
        return datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).toordinal()
    except ValueError:
        return None


def date_time_s(text: Any) -> float | None:
    """A date and time (VR DT) as seconds; a zone is left out, since it is the same within a series."""
    digits = str(text or "")
    for sign in "+-":
        digits = digits.partition(sign)[0]
    day, seconds = day_of(digits[:8]), seconds_of_day(digits[8:])
    return day * 86400.0 + seconds if day is not None and seconds is not None else None


def _acquired_s(dataset: Any) -> float | None:
    stated = date_time_s(attribute(dataset, "AcquisitionDateTime"))
    if stated is not None:
        return stated
    seconds = seconds_of_day(attribute(dataset, "AcquisitionTime"))
    day = day_of(attribute(dataset, "AcquisitionDate"))
    return seconds + 86400.0 * (day or 0) if seconds is not None else None
