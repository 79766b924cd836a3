"""DICOM Segmentation (PS3.3 A.51, C.8.20) and Label Map Segmentation (Supplement 243) as masks.

A frame is placed by its position and by the image that it names, never by its place in the file. Where no frame is,
nothing is segmented. A segment is known by its coded type.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels import iter_pixels

from medshard.errors import DecodeError, GeometryError, ReadError
from medshard.readers.base import Mask, Volume
from medshard.readers.dicom.coded_names import BACKGROUND, segment_name
from medshard.readers.dicom.frame_places import FramePlaces, place_frames
from medshard.readers.dicom.headers import attribute, frame_of_reference, quiet
from medshard.readers.dicom.packed_bits import packed_frames
from medshard.readers.grid import Grid
from medshard.readers.label_stack import LabelStack
from medshard.readers.limits import check_plane, check_volume

__all__ = ["SEGMENTATIONS", "read_fractions", "read_segmentation"]

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage and Label Map Segmentation Storage."""

_MAX_SEGMENTS = 65535


def read_segmentation(dataset: Any, grid: Grid | None) -> Mask:
    """All segments of a file.

    Args:
        dataset: the whole file.
        grid: of the image that the segmentation is of. The mask lies on it where the frames do, else on a grid of its
            own, made of the frames' positions.

    Returns:
        BINARY and LABELMAP: labels with ``names``. FRACTIONAL: one channel a segment, values 0 to
        ``fraction_maximum``, with the segments' names in ``layers``.

    Raises:
        ReadError: damaged, of a kind that is not read, or a segment has no coded type.
        GeometryError: frames contradict each other or the image that they name.
    """
    kind = str(attribute(dataset, "SegmentationType"))
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise ReadError("SegmentationType is none of BINARY, FRACTIONAL, LABELMAP", error_class="segmentation")
    names = _names(dataset)
    places = place_frames(dataset, grid)
    check_plane(places.grid.shape_zyx[2], places.grid.shape_zyx[1])
    mask = _fractional(dataset, names, places) if kind == "FRACTIONAL" else _labels(dataset, kind, names, places)
    mask.affine_ijk_to_ras = places.grid.affine_ijk_to_ras
    mask.notes += places.notes
    return mask


def read_fractions(dataset: Any) -> Volume:
    """The fractions of a FRACTIONAL segmentation, 0 to 1, on the grid of its frames.

    Returns:
        float32 (Z, Y, X), or (C, Z, Y, X) with a channel for each segment in the order of their numbers.

    Raises:
        ReadError: its segments are whole voxels, or as ``read_segmentation``.
        GeometryError: as ``read_segmentation``.
    """
    if str(attribute(dataset, "SegmentationType")) != "FRACTIONAL":
        raise ReadError("is a segmentation of whole voxels, not an image; say kind: mask", error_class="not_an_image")
    mask = read_segmentation(dataset, None)
    fractions = mask.labels.astype(np.float32) / np.float32(mask.fraction_maximum or 1)
    return Volume(
        fractions if len(mask.layers) > 1 else fractions[0],
        "CZYX" if len(mask.layers) > 1 else "ZYX",
        mask.affine_ijk_to_ras,
        unit="1",
        modality="seg",
        frame_of_reference_uid=frame_of_reference(dataset),
        notes=[f"{mask.fraction} of {name}" for name in mask.layers],
    )


def _names(dataset: Any) -> dict[int, str]:
    """Name of each segment, by its number."""
    names: dict[int, str] = {}
    for segment in attribute(dataset, "SegmentSequence") or ():
        number = attribute(segment, "SegmentNumber")
        if not isinstance(number, int) or not 0 <= number <= _MAX_SEGMENTS or number in names:
            raise ReadError("SegmentNumber is missing, above 65535, or stands twice", error_class="segmentation")
        names[number] = segment_name(segment)
    if not names:
        raise ReadError("SegmentSequence is missing or empty", error_class="segmentation")
    return names


def _labels(dataset: Any, kind: str, names: dict[int, str], places: FramePlaces) -> Mask:
    """Values are segment numbers; of a label map without background code, segment 0 gets the first free number."""
    padding = attribute(dataset, "PixelPaddingValue") if kind == "LABELMAP" else None
    shown = {number: name for number, name in names.items() if name != BACKGROUND and number != padding}
    values = {number: number or max(shown) + 1 for number in shown}
    stack = LabelStack(places.grid.shape_zyx, max(values.values(), default=1))
    numbers = _segment_of_frames(dataset, names, len(places.slices)) if kind == "BINARY" else None
    for frame, pixels in enumerate(_frames(dataset, places)):
        if numbers is not None:
            if numbers[frame] in values:
                stack.put(places.slices[frame], values[numbers[frame]], pixels != 0)
            continue
        for number in np.unique(pixels).tolist():
            if number in values:
                stack.put(places.slices[frame], values[number], pixels == number)
            elif number != padding and number not in names and number != 0:
                raise ReadError(f"pixels have the value {number}, which is no segment", error_class="segmentation")
    return Mask(
        stack.labels(places.grid.space),
        names={values[number]: name for number, name in shown.items()},
        space=2 if places.grid.space == 2 else 3,
    )


def _fractional(dataset: Any, names: dict[int, str], places: FramePlaces) -> Mask:
    """One channel a segment; PS3.3 C.8.20.2.3: a value of Maximum Fractional Value means 1."""
    maximum = attribute(dataset, "MaximumFractionalValue")
    word = str(attribute(dataset, "SegmentationFractionalType"))
    if not isinstance(maximum, int) or not 1 <= maximum <= 255:
        raise ReadError("MaximumFractionalValue is missing or not 1 to 255", error_class="segmentation")
    if word not in ("PROBABILITY", "OCCUPANCY"):
        raise ReadError("SegmentationFractionalType is neither PROBABILITY nor OCCUPANCY", error_class="segmentation")
    kind: Literal["probability", "occupancy"] = "probability" if word == "PROBABILITY" else "occupancy"
    channel_of = {number: place for place, number in enumerate(sorted(names))}
    check_volume((len(names), *places.grid.shape_zyx), 1)
    fractions = np.zeros((len(names), *places.grid.shape_zyx), np.uint8)
    numbers = _segment_of_frames(dataset, names, len(places.slices))
    filled: set[tuple[int, int]] = set()
    for frame, pixels in enumerate(_frames(dataset, places)):
        place = (channel_of[numbers[frame]], places.slices[frame])
        if place in filled:
            raise GeometryError("two frames of a segment lie at one position", error_class="ambiguous_positions")
        filled.add(place)
        if int(pixels.max()) > maximum:
            raise ReadError("pixels are larger than MaximumFractionalValue", error_class="segmentation")
        fractions[place] = pixels
    if places.grid.space == 2:
        fractions = np.ascontiguousarray(np.moveaxis(fractions[:, 0], 0, -1))
    return Mask(
        fractions,
        layers=tuple(names[number] for number in sorted(names)),
        space=2 if places.grid.space == 2 else 3,
        fraction=kind,
        fraction_maximum=maximum,
    )


def _segment_of_frames(dataset: Any, names: dict[int, str], frames: int) -> list[int]:
    """The segment of each frame: its own functional group, else the shared one (PS3.3 C.8.20.3.1)."""
    found = []
    shared = (attribute(dataset, "SharedFunctionalGroupsSequence") or [None])[0]
    for groups in attribute(dataset, "PerFrameFunctionalGroupsSequence") or [None] * frames:
        stated = [
            attribute(holder, "SegmentIdentificationSequence") for holder in (groups, shared) if holder is not None
        ]
        items = next((sequence for sequence in stated if sequence), None)
        number = attribute(items[0], "ReferencedSegmentNumber") if items else None
        if number is None and len(names) == 1:
            number = next(iter(names))
        if number not in names:
            raise ReadError("a frame names no segment of the SegmentSequence", error_class="segmentation")
        found.append(int(number))
    return found


def _frames(dataset: Any, places: FramePlaces) -> Iterator[NDArray[Any]]:
    """Stored values of each frame (Y, X), in the order of the file, one after another in memory."""
    shape = places.grid.shape_zyx[1:]
    count = 0
    try:
        with quiet():
            bits = attribute(dataset, "BitsAllocated") == 1
            packed = packed_frames(dataset, len(places.slices), shape) if bits else None
            for pixels in packed if packed is not None else iter_pixels(dataset, raw=True):
                if pixels.shape != shape or count == len(places.slices):
                    raise DecodeError("frames are not those that the header describes", error_class="pixels")
                count += 1
                yield pixels
    except ReadError:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom and its plug-ins raise many types, with values in their text
        raise DecodeError(f"the frames cannot be decoded ({type(error).__name__})", error_class="pixels") from None
    if count != len(places.slices):
        raise DecodeError(f"has {count} frames, its header says {len(places.slices)}", error_class="pixels")
