"""RT Structure Sets (PS3.3 A.19, C.8.8.5, C.8.8.6) as masks on the grid of their image.

Each closed planar contour is drawn on the one slice on which it lies. Slices without a contour stay empty: nothing is
filled between.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError, ReadError
from medshard.readers.base import Mask
from medshard.readers.dicom.headers import attribute
from medshard.readers.grid import ContourRules, Grid
from medshard.readers.label_stack import LabelStack
from medshard.readers.polygons import inside_polygon

__all__ = ["STRUCTURE_SET", "read_structure_set"]

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_ON_SLICE = 0.05  # of a slice step: planning systems write positions with two digits
_ON_SLICE_MM = 0.05  # where the image has one slice, and so no step
_MAX_POINTS = 50_000_000
_MAX_CONTOURS_A_SLICE = 2000  # of one structure; each pair of them is compared
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class _Contour:
    """One closed contour in continuous indices (N, 3) i, j, k of the grid."""

    index: NDArray[np.float64]
    exclusive: bool
    image_uids: frozenset[str]


def read_structure_set(dataset: Any, grid: Grid | None, rules: ContourRules) -> Mask:
    """All structures of a file; values are their ROI numbers, ``names`` has their ROI names.

    ROI names are free text (PS3.15 E.1 has them replaced): messages name a structure by its number.

    A structure without closed contours marks nothing; points are landmarks of their own. A voxel belongs to a
    structure when its centre is inside.

    Args:
        grid: of the image that the structures were drawn on.

    Raises:
        GeometryError: without the grid of an image, of another frame of reference, or with a contour whose place
            ``rules`` do not allow.
        ReadError: the file is damaged.
    """
    if grid is None or grid.affine_ijk_to_ras is None:
        raise GeometryError("contours need an image of known geometry: say like:", error_class="no_grid")
    names = _names(dataset, grid)
    stack = LabelStack(grid.shape_zyx, max(names))
    notes: Counter[str] = Counter()
    if grid.frame_of_reference_uid is None:
        notes["the image states no frame of reference to compare with"] += 1
    contours, points = _contours_by_roi(dataset, grid, notes)
    for number in names:
        _draw(number, contours.get(number, []), grid, rules, stack, notes)
    return Mask(
        stack.labels(grid.space),
        affine_ijk_to_ras=grid.affine_ijk_to_ras,
        space=2 if grid.space == 2 else 3,
        names=names,
        free_names=True,
        points=tuple((names[number], place) for number, place in points if number in names),
        notes=[f"{count} {text}" if text.startswith("contours") else text for text, count in sorted(notes.items())],
    )


def _names(dataset: Any, grid: Grid) -> dict[int, str]:
    names: dict[int, str] = {}
    for roi in attribute(dataset, "StructureSetROISequence") or ():
        number, name = _number(roi, "ROINumber"), attribute(roi, "ROIName")
        if number in names or not 1 <= number <= 65535 or name is None:
            raise ReadError(
                "an ROINumber stands twice or is not 1 to 65535, or an ROI has no ROIName", error_class="structure_set"
            )
        frame = attribute(roi, "ReferencedFrameOfReferenceUID")
        if None not in (frame, grid.frame_of_reference_uid) and str(frame) != grid.frame_of_reference_uid:
            raise GeometryError(
                "ReferencedFrameOfReferenceUID of an ROI is not that of the image", error_class="frame_of_reference"
            )
        names[number] = str(name).strip()
    if not names:
        raise ReadError("StructureSetROISequence is missing or empty", error_class="structure_set")
    return names


def _number(holder: Any, keyword: str) -> int:
    value = attribute(holder, keyword)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ReadError(f"{keyword} is missing or no whole number", error_class="structure_set") from None


def _contours_by_roi(
    dataset: Any, grid: Grid, notes: Counter[str]
) -> tuple[dict[int, list[_Contour]], list[tuple[int, tuple[float, float, float]]]]:
    """Closed contours by ROI number; points with the ROI number of each, in RAS mm."""
    found: dict[int, list[_Contour]] = {}
    landmarks: list[tuple[int, tuple[float, float, float]]] = []
    points = 0
    for roi in attribute(dataset, "ROIContourSequence") or ():
        number = _number(roi, "ReferencedROINumber")
        contours = found.setdefault(number, [])
        for contour in attribute(roi, "ContourSequence") or ():
            kind = str(attribute(contour, "ContourGeometricType"))
            if kind == "POINT":
                landmarks += [(number, (float(x), float(y), float(z))) for x, y, z in _points(contour)]
                continue
            if kind not in _CLOSED:
                known = kind if kind in ("OPEN_PLANAR", "OPEN_NONPLANAR") else "another type"
                notes[f"contours of {known} left out: they enclose nothing"] += 1
                continue
            ras_mm = _points(contour)
            points += len(ras_mm)
            if points > _MAX_POINTS:
                raise ReadError(f"has more than {_MAX_POINTS} contour points", error_class="too_large")
            if len(ras_mm) < 3:
                notes["contours of fewer than three points left out: they enclose nothing"] += 1
                continue
            images = attribute(contour, "ContourImageSequence") or ()
            uids = frozenset(str(attribute(image, "ReferencedSOPInstanceUID")) for image in images)
            contours.append(_Contour(grid.index_of(ras_mm), kind == "CLOSEDPLANAR_XOR", uids))
    return found, landmarks


def _points(contour: Any) -> NDArray[np.float64]:
    """(N, 3) in RAS mm."""
    data = attribute(contour, "ContourData")
    try:
        numbers = np.array([float(number) for number in data], np.float64)
    except (TypeError, ValueError):
        raise ReadError("ContourData is missing or holds no numbers", error_class="structure_set") from None
    if len(numbers) % 3 or not np.isfinite(numbers).all():
        raise ReadError("ContourData does not hold triples of finite numbers", error_class="structure_set")
    return np.asarray(numbers.reshape(-1, 3) * _LPS_TO_RAS)


def _draw(
    number: int,
    contours: list[_Contour],
    grid: Grid,
    rules: ContourRules,
    stack: LabelStack,
    notes: Counter[str],
) -> None:
    by_slice: dict[int, list[_Contour]] = {}
    for contour in contours:
        place = _slice_of(number, contour, grid, rules, notes)
        if place is not None:
            by_slice.setdefault(place, []).append(contour)
    size_yx = grid.shape_zyx[1:]
    for place, members in sorted(by_slice.items()):
        polygons = [contour.index[:, :2] for contour in members]
        low, high = np.min([p.min(axis=0) for p in polygons], axis=0), np.max([p.max(axis=0) for p in polygons], axis=0)
        if (low < -0.5).any() or high[0] > size_yx[1] - 0.5 or high[1] > size_yx[0] - 0.5:
            notes["contours on slices where their structure reaches beyond the image: cut at its edge"] += len(members)
        if len(members) > _MAX_CONTOURS_A_SLICE:
            raise ReadError(
                f"ROI {number}: more than {_MAX_CONTOURS_A_SLICE} contours on a slice", error_class="too_large"
            )
        patches = [inside_polygon(polygon, size_yx) for polygon in polygons]
        inside = np.zeros(size_yx, bool)
        for contour, patch in zip(members, patches, strict=True):
            part = inside[patch.rows, patch.columns]
            if rules.overlap == "union" and not contour.exclusive:
                part |= patch.inside
            else:
                part ^= patch.inside
        if rules.overlap == "even_odd" and not all(contour.exclusive for contour in members):
            overlapping = any(one.overlaps_in_part(other) for one, other in itertools.combinations(patches, 2))
            if overlapping:
                notes["contours on slices where those of one structure overlap in part: the overlap is outside"] += len(
                    members
                )
        stack.put(place, number, inside)


def _slice_of(number: int, contour: _Contour, grid: Grid, rules: ContourRules, notes: Counter[str]) -> int | None:
    """The slice that a contour lies on; None where it is left out.

    Raises:
        GeometryError: it is not parallel to the slices, lies where ``rules`` allow none, or names another slice.
    """
    along = contour.index[:, 2]
    step_mm = grid.slice_step_mm
    allowed = _ON_SLICE if step_mm is not None else _ON_SLICE_MM
    if float(along.max() - along.min()) > 2 * allowed:
        raise GeometryError(
            f"ROI {number}: a contour is not parallel to the slices of the image", error_class="off_plane"
        )
    mean = float(along.mean())
    place = int(np.floor(mean + 0.5))
    reach = 0.5 if step_mm is not None else allowed
    if not -reach <= mean <= grid.shape_zyx[0] - 1 + reach:
        if rules.outside == "refuse":
            raise GeometryError(
                f"ROI {number}: a contour lies above or below all slices of the image; say contours: "
                f"{{outside: leave_out}} to leave such out",
                error_class="contour_outside",
            )
        notes["contours above or below all slices of the image left out"] += 1
        return None
    place = min(max(place, 0), grid.shape_zyx[0] - 1)
    if abs(mean - place) > allowed:
        if rules.off_plane == "refuse":
            raise GeometryError(
                f"ROI {number}: a contour lies {abs(mean - place):.2g} slices off the nearest slice; say contours: "
                f"{{off_plane: nearest}} to draw such on the nearest",
                error_class="off_plane",
            )
        notes["contours between slices drawn on the nearest"] += 1
    named = {grid.slice_of(uid) for uid in contour.image_uids} - {None}
    if named and place not in named:
        raise GeometryError(
            f"ROI {number}: a contour lies on another slice than the image that it names", error_class="frame_places"
        )
    if contour.image_uids and grid.sop_instance_uids and not named:
        notes["contours that name an image that is not here, placed by their position"] += 1
    return place
