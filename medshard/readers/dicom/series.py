"""Headers of many files → stacks: files that are one volume, told apart without reading a pixel."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError
from medshard.readers.dicom.dimensions import Values, further_dimension, further_of_file
from medshard.readers.dicom.geometry import Plane, plane_of, uneven
from medshard.readers.dicom.headers import attribute, numbers, undamaged
from medshard.readers.dicom.mosaic import is_mosaic
from medshard.readers.dicom.slices import frame_macros
from medshard.readers.dicom.values import image_type

__all__ = ["SeriesAccount", "StackHeader", "Stacks", "stack_header", "stacks_of"]

_SAME_PLACE_MM = 1e-3
_TOLERANCE = 1e-4
_PARTS = ("temporal_position", "b_value_s_per_mm2", "echo_time_ms", "echo_number", "acquisition_number")
"""Dimensions by which a stack is parted that is not complete on any."""


@dataclass(frozen=True)
class StackHeader:
    """What a header says of where a file belongs.

    Attributes:
        series: SeriesInstanceUID; None when missing.
        uid: SOPInstanceUID.
        traits: what must be equal within a stack, by the word that the report uses.
        directions: (8,) cosines and spacings, equal within a tolerance; None when unknown.
        plane: of a single slice; None when unknown.
        further: dimensions beyond space.
    """

    series: str | None
    uid: str | None
    traits: Mapping[str, str]
    directions: NDArray[np.float64] | None
    plane: Plane | None
    further: Values


@dataclass
class SeriesAccount:
    """What became of a source's series, by headers alone.

    Attributes:
        series: how many there are.
        stacks: into how many they are split.
        split: reason → how many series are split by it.
        merged: dimension → how many stacks have their positions repeated along it.
        copies: files whose object is there already.
        unnamed: files without SeriesInstanceUID, which are grouped by folder.
    """

    series: int = 0
    stacks: int = 0
    split: dict[str, int] = field(default_factory=dict)
    merged: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    unnamed: int = 0


@dataclass(frozen=True)
class Stacks:
    """The stack of each file, and the account."""

    names: list[str]
    account: SeriesAccount


def stack_header(dataset: Any) -> StackHeader:
    """From a file's attributes; of an enhanced object, the directions of its first frame count.

    Raises:
        ReadError: an attribute that is looked at is damaged.
    """
    with undamaged():
        return _stack_header(dataset)


def _stack_header(dataset: Any) -> StackHeader:
    series, uid = attribute(dataset, "SeriesInstanceUID"), attribute(dataset, "SOPInstanceUID")
    frames = attribute(dataset, "PerFrameFunctionalGroupsSequence")
    macros = frame_macros(dataset, frames[0]) if frames else {}
    placing = [macros.get(f"{name}Sequence") for name in ("PlaneOrientation", "PixelMeasures")]
    orientation, measures = (dataset if macro is None else macro for macro in placing)
    cosines, spacing = numbers(orientation, "ImageOrientationPatient"), numbers(measures, "PixelSpacing")
    known = cosines is not None and spacing is not None and (len(cosines), len(spacing)) == (6, 2)
    several = numbers(dataset, "NumberOfFrames")
    clip = several is not None and several[0] > 1 and not frames
    try:
        plane = None if frames or clip else plane_of(dataset)
    except GeometryError:
        plane = None
    return StackHeader(
        series=str(series) if series is not None else None,
        uid=str(uid) if uid is not None else None,
        traits={
            "kind of object": _words(dataset, "Modality", "SOPClassUID"),
            "image type": "\\".join(image_type(dataset)),
            "kind of pixels": _words(dataset, "SamplesPerPixel", "PhotometricInterpretation"),
            "frame of reference": _words(dataset, "FrameOfReferenceUID"),
            "grid": _words(dataset, "Rows", "Columns"),
            "clip": str(uid) if clip else "",
            "place of the mosaic": _words(dataset, "ImagePositionPatient") if is_mosaic(dataset) else "",
        },
        directions=np.concatenate([cosines, spacing]) if known else None,
        plane=plane,
        further={} if frames or clip else further_of_file(dataset),
    )


def _words(dataset: Any, *keywords: str) -> str:
    return "\\".join(str(attribute(dataset, keyword)) for keyword in keywords)


def stacks_of(headers: Sequence[StackHeader], paths: Sequence[str]) -> Stacks:
    """Name the stack of each file.

    A stack's name is its series' UID, with ``/`` and a number where the series has several. The numbers follow what
    the stacks are, not the order of files. Files whose SeriesInstanceUID is missing or blanked are a series a folder,
    by whose path it is named.

    Args:
        paths: of each file, for those without a series.
    """
    by_series: dict[str, list[int]] = {}
    for index, header in enumerate(headers):
        by_series.setdefault(header.series or f"/{posixpath.dirname(paths[index])}", []).append(index)
    names = [""] * len(headers)
    split: Counter[str] = Counter()
    merged: Counter[str] = Counter()
    stacks = copies = 0
    for series, members in by_series.items():
        distinct = {headers[i].uid or str(i): i for i in members}
        copies += len(members) - len(distinct)
        parts, reasons = _parts([headers[index] for index in members])
        split.update(reasons)
        numbered = sorted(set(parts))
        stacks += len(numbered)
        for index, part in zip(members, parts, strict=True):
            name = series.removeprefix("/") or "."
            names[index] = name if len(numbered) == 1 else f"{name}/{numbered.index(part) + 1}"
        merged.update(
            _dimension([headers[i] for i, part in zip(members, parts, strict=True) if part == one]) for one in numbered
        )
    merged.pop("", None)
    account = SeriesAccount(
        len(by_series),
        stacks,
        dict(sorted(split.items())),
        dict(sorted(merged.items())),
        copies,
        sum(header.series is None for header in headers),
    )
    return Stacks(names, account)


def _parts(headers: Sequence[StackHeader]) -> tuple[list[tuple[Any, ...]], set[str]]:
    """A sortable key for each file of a series, and the words for why keys differ."""
    turned = _directions(headers)
    keys: list[tuple[Any, ...]] = [
        (*header.traits.values(), *direction) for header, direction in zip(headers, turned, strict=True)
    ]
    reasons = {word for word in headers[0].traits if len({header.traits[word] for header in headers}) > 1}
    for place, word in enumerate(("orientation", "grid")):
        if len({direction[place] for direction in turned}) > 1:
            reasons.add(word)
    made = list(keys)
    for key in set(keys):
        members = [index for index, other in enumerate(keys) if other == key]
        name = _parting([headers[index] for index in members])
        for index in members:
            made[index] = (*key, *(headers[index].further[name] if name is not None else ()))
        if name is not None:
            reasons.add(name)
    return made, reasons


def _directions(headers: Sequence[StackHeader]) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Orientation and spacing of each file, those that are equal within the tolerance written alike."""
    seen: list[NDArray[np.float64]] = []
    found: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
    for header in headers:
        if header.directions is None:
            found.append(((), ()))
            continue
        for one in seen:
            cosines_alike = np.allclose(one[:6], header.directions[:6], rtol=0, atol=_TOLERANCE)
            if cosines_alike and np.allclose(one[6:], header.directions[6:], rtol=_TOLERANCE, atol=0):
                break
        else:
            one = header.directions
            seen.append(one)
        found.append((tuple(one[:6].tolist()), tuple(one[6:].tolist())))
    return found


def _placed(headers: Sequence[StackHeader]) -> tuple[list[int], NDArray[np.float64], list[StackHeader]] | None:
    """Positions by number, their distances along the normal, and the objects, each once; None where some has none."""
    distinct = list({header.uid or str(index): header for index, header in enumerate(headers)}.values())
    planes = [header.plane for header in distinct if header.plane is not None]
    if len(planes) != len(distinct) or not planes:
        return None
    along = np.array([plane.position for plane in planes]) @ planes[0].normal
    places: list[int] = [0] * len(along)
    distances: list[float] = []
    for index in np.argsort(along, kind="stable"):
        if not distances or along[index] - distances[-1] > _SAME_PLACE_MM:
            distances.append(float(along[index]))
        places[index] = len(distances) - 1
    return places, np.array(distances), distinct


def _parting(headers: Sequence[StackHeader]) -> str | None:
    """The dimension by which files are parted: positions repeat and no dimension is complete, or they lie unevenly."""
    placed = _placed(headers)
    if placed is None:
        return None
    places, distances, distinct = placed
    repeated = len(distances) < len(places)
    if repeated and further_dimension(places, [header.further for header in distinct]) is not None:
        return None
    if not repeated and uneven(distances[:, None]) is None:
        return None
    for name in _PARTS:
        if not all(name in header.further for header in distinct):
            continue
        parts: dict[tuple[float, ...], list[int]] = {}
        for place, header in zip(places, distinct, strict=True):
            parts.setdefault(header.further[name], []).append(place)
        whole = all(len(part) > 1 and len(set(part)) == len(part) for part in parts.values())
        even = all(uneven(np.sort(distances[part])[:, None]) is None for part in parts.values())
        if len(parts) > 1 and whole and even:
            return name
    return None


def _dimension(headers: Sequence[StackHeader]) -> str:
    """The dimensions along which a stack's positions repeat; empty for a plain one."""
    placed = _placed(headers)
    if placed is None or len(placed[1]) == len(placed[0]):
        return ""
    further = further_dimension(placed[0], [header.further for header in placed[2]])
    return " and ".join(further.names) if further is not None else "(by pixels)"
