"""On which slice each frame of a segmentation lies, by its position and by the image that it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError, ReadError
from medshard.readers.dicom.geometry import Plane, affine_of_plane, plane_of
from medshard.readers.dicom.headers import attribute, frame_of_reference
from medshard.readers.grid import Grid

__all__ = ["FramePlaces", "place_frames"]

_ON_GRID = 0.05
"""Of a voxel: positions are decimal text of at most 16 characters, and directions err by 1e-6 a pixel."""
_MAX_FRAMES = 1 << 20  # a hundred segments of a thousand slices are usual
_MAX_GAP_SLICES = 20_000
_SAME_PLACE_MM = 1e-3


@dataclass
class FramePlaces:
    """Where the frames lie.

    Attributes:
        grid: the image's, or one of their own.
        slices: for each frame in the order of the file, its index along Z of ``grid``.
        notes: what was decided on the way.
    """

    grid: Grid
    slices: list[int]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Frames:
    """What the header says of the frames: a plane each, or None, and the images that each names."""

    rows: int
    columns: int
    planes: list[Plane] | None
    sources: list[frozenset[str]]
    step_mm: float | None


def place_frames(dataset: Any, grid: Grid | None) -> FramePlaces:
    """Place all frames.

    Args:
        grid: of the image; its slices are taken where all frames lie on them.

    Raises:
        GeometryError: position and named image contradict each other, the frame of reference is another, or nothing
            says where a frame lies.
    """
    frames = _described(dataset)
    if grid is None:
        return _own_grid(frames, dataset)
    theirs, ours = grid.frame_of_reference_uid, frame_of_reference(dataset)
    if None not in (theirs, ours) and theirs != ours:
        raise GeometryError("FrameOfReferenceUID is not that of the image", error_class="frame_of_reference")
    if frames.planes is None or grid.affine_ijk_to_ras is None:
        return FramePlaces(grid, _by_source(frames, grid), ["frames placed by the images that they name"])
    slices = _by_position(frames, grid)
    if slices is None:
        return _own_grid(frames, dataset)
    for place, sources in zip(slices, frames.sources, strict=True):
        named = {grid.slice_of(uid) for uid in sources} - {None}
        if named and place not in named:
            raise GeometryError(
                "a frame lies on another slice than the image that it names", error_class="frame_places"
            )
    return FramePlaces(grid, slices)


def _described(dataset: Any) -> _Frames:
    rows, columns = (_whole(dataset, keyword) for keyword in ("Rows", "Columns"))
    count = _whole(dataset, "NumberOfFrames")
    if not 1 <= count <= _MAX_FRAMES:
        raise ReadError(f"has {count} frames; 1 to {_MAX_FRAMES} are read", error_class="too_large")
    if attribute(dataset, "TotalPixelMatrixColumns") is not None:
        raise ReadError("is a segmentation of a slide, which is not read", error_class="unsupported")
    groups = attribute(dataset, "PerFrameFunctionalGroupsSequence")
    if groups is None and count == 1:
        groups = [None]
    if groups is None or len(groups) != count:
        described = 0 if groups is None else len(groups)
        raise GeometryError(f"{described} frame descriptions for {count} frames", error_class="frames_differ")
    shared = (attribute(dataset, "SharedFunctionalGroupsSequence") or [None])[0]
    planes, sources = [], []
    for frame in groups:
        macros = [
            _macro((frame, shared), keyword)
            for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        ]
        planes.append(plane_of(dataset, *macros) if None not in macros else None)
        sources.append(_sources((frame, shared)))
    known = [plane for plane in planes if plane is not None]
    try:
        step_mm = float(attribute(_macro((groups[0], shared), "PixelMeasuresSequence"), "SpacingBetweenSlices"))
    except (AttributeError, TypeError, ValueError):
        step_mm = 0.0
    return _Frames(rows, columns, known if len(known) == count else None, sources, step_mm if step_mm > 0 else None)


def _whole(dataset: Any, keyword: str) -> int:
    value = attribute(dataset, keyword)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ReadError(f"{keyword} is missing or no whole number", error_class="damaged_dicom") from None


def _macro(holders: tuple[Any, ...], keyword: str) -> Any:
    """A functional group of a frame: its own, else the shared one (PS3.3 C.7.6.16)."""
    for holder in holders:
        items = attribute(holder, keyword) if holder is not None else None
        if items is not None and len(items):
            return items[0]
    return None


def _sources(holders: tuple[Any, ...]) -> frozenset[str]:
    """SOP Instance UIDs of the images that a frame was drawn on (PS3.3 C.7.6.16.2.6)."""
    derivation = _macro(holders, "DerivationImageSequence")
    images = attribute(derivation, "SourceImageSequence") if derivation is not None else None
    found = (attribute(image, "ReferencedSOPInstanceUID") for image in images or ())
    return frozenset(str(uid) for uid in found if uid is not None)


def _by_source(frames: _Frames, grid: Grid) -> list[int]:
    if (frames.rows, frames.columns) != grid.shape_zyx[1:]:
        raise GeometryError(
            f"frames of {frames.columns} x {frames.rows} pixels without a position on an image of "
            f"{grid.shape_zyx[2]} x {grid.shape_zyx[1]}",
            error_class="grid_mismatch",
        )
    slices = []
    for sources in frames.sources:
        named = {grid.slice_of(uid) for uid in sources} - {None}
        if len(named) != 1:
            raise GeometryError(
                f"a frame has no position and names {len(named)} slices of the image", error_class="no_position"
            )
        slices.append(int(next(place for place in named if place is not None)))
    return slices


def _by_position(frames: _Frames, grid: Grid) -> list[int] | None:
    """The slice of each frame; None unless every pixel of every frame lies on a voxel of the grid."""
    if (frames.rows, frames.columns) != grid.shape_zyx[1:]:
        return None
    assert frames.planes is not None
    corners = np.array([[0, 0], [frames.columns - 1, 0], [0, frames.rows - 1]], np.float64)
    found: dict[bytes, int | None] = {}
    slices = []
    for plane in frames.planes:
        affine = affine_of_plane(plane)
        key = affine.tobytes()
        if key not in found:
            index = grid.index_of(corners @ affine[:3, :2].T + affine[:3, 3])
            found[key] = _slice_under(index, corners, grid)
        place = found[key]
        if place is None:
            return None
        slices.append(place)
    return slices


def _slice_under(index: NDArray[np.float64], corners: NDArray[np.float64], grid: Grid) -> int | None:
    place = round(float(index[0, 2]))
    on_grid = np.abs(index - np.column_stack([corners, np.full(3, place)])).max() <= _ON_GRID
    return place if on_grid and 0 <= place < grid.shape_zyx[0] else None


def _own_grid(frames: _Frames, dataset: Any) -> FramePlaces:
    """A grid through the frames' positions; positions between them without a frame are slices where nothing is."""
    planes = frames.planes
    if planes is None:
        raise GeometryError("frames have no position, orientation or spacing", error_class="no_position")
    first = planes[0]
    for plane in planes:
        same = np.allclose([plane.row, plane.column], [first.row, first.column], atol=1e-4)
        if not same or not np.allclose(plane.spacing_yx_mm, first.spacing_yx_mm, rtol=1e-4):
            raise GeometryError("frames differ in orientation or pixel spacing", error_class="orientation_differs")
    along = np.array([float(plane.position @ first.normal) for plane in planes])
    apart = np.diff(np.unique(np.round(along / _SAME_PLACE_MM)) * _SAME_PLACE_MM)
    apart = apart[apart > 2 * _SAME_PLACE_MM]
    step_mm = frames.step_mm if frames.step_mm is not None else float(apart.min()) if len(apart) else None
    affine = affine_of_plane(planes[int(along.argmin())])
    if step_mm is None:  # one position and no stated distance: the depth of a voxel is unknown
        shape = (1, frames.rows, frames.columns)
        return FramePlaces(Grid(shape, None, frame_of_reference_uid=frame_of_reference(dataset)), [0] * len(planes))
    exact = (along - along.min()) / step_mm
    places = np.round(exact).astype(np.int64)
    if np.abs(exact - places).max() > _ON_GRID:
        raise GeometryError(
            f"frames lie unevenly: one is {float(np.abs(exact - places).max() * step_mm):.3g} mm off a step of "
            f"{step_mm:.4g} mm",
            error_class="uneven_slices",
        )
    if int(places.max()) >= _MAX_GAP_SLICES:
        raise ReadError(f"frames span {int(places.max()) + 1} slices", error_class="too_large")
    affine[:3, 2] *= step_mm
    if len(apart):  # a tilted gantry: the step is not along the normal
        last = int(places.argmax())
        affine[:3, 2] = (affine_of_plane(planes[last])[:3, 3] - affine[:3, 3]) / int(places[last])
        positions = np.array([affine_of_plane(plane)[:3, 3] for plane in planes])
        off_mm = np.linalg.norm(positions - affine[:3, 3] - places[:, None] * affine[:3, 2], axis=1).max()
        if off_mm > _ON_GRID * step_mm:
            raise GeometryError(f"frames do not lie on a line: {off_mm:.3g} mm off", error_class="uneven_slices")
    shape = (int(places.max()) + 1, frames.rows, frames.columns)
    return FramePlaces(
        Grid(shape, affine, frame_of_reference_uid=frame_of_reference(dataset)), [int(place) for place in places]
    )
