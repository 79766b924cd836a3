"""Slices → the order in which they are one volume, its affine, and what was decided on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medshard.errors import GeometryError
from medshard.readers.base import Affine, Array, VolumeOptions
from medshard.readers.dicom.dimensions import Further, Values, further_dimension
from medshard.readers.dicom.geometry import Plane, affine_of_steps, agreeing, missing_slices, uneven

__all__ = ["Arrangement", "Slice", "arranged", "resampled"]

_SAME_PLACE_MM = 1e-3
_WIDEST_GAP = 3.0  # of the new spacing: beyond it there is a hole, not an uneven scan
_ASIDE_MM = 0.05


@dataclass
class Slice:
    """One picture of a series, of a multi-frame object or of a mosaic.

    Attributes:
        pixels: (Y, X), as stored.
        plane: None when unknown.
        factors: slope and intercept of its values; None when it has none.
        further: where it stands on dimensions beyond space.
        step_mm: distance to the next slice, where the file states it (SpacingBetweenSlices).
        uid: of its object.
        source: place of its object among the files.
    """

    pixels: Array
    plane: Plane | None
    factors: tuple[float, float] | None
    further: Values
    step_mm: float | None = None
    uid: str | None = None
    source: int = 0


@dataclass
class Arrangement:
    """The order of slices.

    Attributes:
        order: (T, Z) numbers of the slices; T is 1 without a further dimension.
        further: the further dimension; None for a plain volume.
        affine: (4, 4), (i, j, k) to RAS mm; None when unknown.
        resample_mm: where the slices lie along the normal and where they are wanted; None where they lie evenly.
        notes: what was decided.
    """

    order: NDArray[np.int64]
    further: Further | None = None
    affine: Affine | None = None
    resample_mm: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    notes: list[str] = field(default_factory=list)


def arranged(slices: Sequence[Slice], options: VolumeOptions) -> Arrangement:
    """Order slices by where they lie along their normal, and by the dimension on which positions repeat.

    Raises:
        GeometryError: they are of several directions or spacings, are not placed, several differ at one position, a
            slice is missing, or they lie unevenly.
    """
    planes = [item.plane for item in slices]
    unplaced = sum(plane is None for plane in planes)
    if unplaced == len(slices):
        return _unplaced(slices)
    if unplaced:
        message = f"{unplaced} of {len(slices)} slices have no position, orientation or spacing"
        raise GeometryError(message, error_class="no_position")
    known = [plane for plane in planes if plane is not None]
    agreeing(known)
    places = _places(known)
    kept, further, notes = _told_apart(slices, places)
    order = _in_order(slices, kept, places, further)
    if further is not None:
        notes.append(f"{order.shape[0]} volumes of {order.shape[1]} slices by {' and '.join(further.names)}")
    return _placed(slices, known, order, further, notes, options)


def _unplaced(slices: Sequence[Slice]) -> Arrangement:
    """Frames of one object keep their order and have no geometry; files without positions have no order."""
    if len({item.source for item in slices}) > 1:
        message = f"{len(slices)} of {len(slices)} slices have no position, orientation or spacing"
        raise GeometryError(message, error_class="no_position")
    notes = ["frames without positions: the stack has no geometry"] if len(slices) > 1 else []
    return Arrangement(np.arange(len(slices))[None], notes=notes)


def _places(planes: Sequence[Plane]) -> NDArray[np.int64]:
    """For each slice the number of its position along the normal.

    Raises:
        GeometryError: slices at one distance along the normal lie side by side.
    """
    positions = np.array([plane.position for plane in planes])
    along = positions @ planes[0].normal
    order = np.argsort(along, kind="stable")
    places = np.empty(len(planes), np.int64)
    place, first = -1, order[0]
    for index in order:
        if place < 0 or along[index] - along[first] > _SAME_PLACE_MM:
            place, first = place + 1, index
        elif np.abs(positions[index] - positions[first]).max() > _SAME_PLACE_MM:
            message = "slices at one distance along their normal lie side by side"
            raise GeometryError(message, error_class="ambiguous_positions")
        places[index] = place
    return places


def _told_apart(slices: Sequence[Slice], places: NDArray[np.int64]) -> tuple[list[int], Further | None, list[str]]:
    """Which slices are kept, and the dimension that tells those at one position apart."""
    everything = list(range(len(slices)))
    if len(set(places.tolist())) == len(slices):
        return everything, None, []
    further = further_dimension(places.tolist(), [item.further for item in slices])
    if further is not None and not _repeats(slices, places):
        return everything, further, []
    kept: list[int] = []
    by_place: dict[int, list[int]] = {}
    for index in everything:
        there = by_place.setdefault(int(places[index]), [])
        if not any(_equal(slices[index], slices[other]) for other in there):
            there.append(index)
            kept.append(index)
    dropped = len(slices) - len(kept)
    notes = [f"{dropped} duplicate {'slice' if dropped == 1 else 'slices'} dropped"] if dropped else []
    if len(by_place) == len(kept):
        return kept, None, notes
    further = further_dimension([int(places[i]) for i in kept], [slices[i].further for i in kept])
    if further is None:
        several = sum(len(there) > 1 for there in by_place.values())
        raise GeometryError(
            f"several different slices lie at {several} of {len(by_place)} positions, and no time, echo, b-value, "
            "direction or acquisition tells them all apart",
            error_class="ambiguous_positions",
        )
    return kept, further, notes


def _equal(one: Slice, other: Slice) -> bool:
    return one.factors == other.factors and np.array_equal(one.pixels, other.pixels)


def _repeats(slices: Sequence[Slice], places: NDArray[np.int64]) -> bool:
    """Whether the places of a dimension all hold the same pixels: then it is a copy, not a dimension."""
    first: dict[int, int] = {}
    return all(_equal(slices[index], slices[first.setdefault(int(place), index)]) for index, place in enumerate(places))


def _in_order(
    slices: Sequence[Slice], kept: Sequence[int], places: NDArray[np.int64], further: Further | None
) -> NDArray[np.int64]:
    if further is None:
        return np.array(sorted(kept, key=lambda index: int(places[index])))[None]
    keys = {key: place for place, key in enumerate(further.keys)}
    order = np.empty((len(keys), len(set(places[list(kept)].tolist()))), np.int64)
    for index in kept:
        key = tuple(slices[index].further[name] for name in further.names)
        order[keys[key], int(places[index])] = index
    return order


def _placed(
    slices: Sequence[Slice],
    planes: Sequence[Plane],
    order: NDArray[np.int64],
    further: Further | None,
    notes: list[str],
    options: VolumeOptions,
) -> Arrangement:
    first, count = planes[order[0, 0]], order.shape[1]
    made = Arrangement(order, further, notes=notes)
    if count == 1:
        step_mm = slices[order[0, 0]].step_mm
        if step_mm is None:
            return replace(made, notes=[*notes, "one slice without a stated distance to the next: no affine"])
        return replace(made, affine=affine_of_steps(first, first.position, first.normal * step_mm))
    positions = np.array([planes[index].position for index in order[0]])
    off = uneven(positions)
    if off is None:
        return replace(
            made, affine=affine_of_steps(first, first.position, (positions[-1] - positions[0]) / (count - 1))
        )
    along = (positions - positions[0]) @ first.normal
    missing = missing_slices(along)
    if options.uneven_slices == "refuse":
        if missing is not None:
            gaps = f"in {missing[1]} {'gap' if missing[1] == 1 else 'gaps'}"
            message = f"slices lie unevenly: at least {missing[0]} of {count + missing[0]} are missing, {gaps}"
            raise GeometryError(message, error_class="missing_slices")
        message = (
            f"slices lie unevenly: slice {off[0]} of {count} is {off[1]:.3g} mm off an even spacing of {off[2]:.4g} mm"
        )
        raise GeometryError(message, error_class="uneven_slices")
    return _resampling(made, first, positions, along)


def _resampling(
    made: Arrangement, first: Plane, positions: NDArray[np.float64], along: NDArray[np.float64]
) -> Arrangement:
    """Even positions at the median of the distances, from the first slice to the last that fits."""
    gaps = np.diff(along)
    spacing_mm = float(np.median(gaps))
    if gaps.max() > _WIDEST_GAP * spacing_mm:
        times = gaps.max() / spacing_mm
        message = f"a gap between slices is {times:.1f} times the usual one; that is a hole and is not resampled"
        raise GeometryError(message, error_class="missing_slices")
    step = (positions[-1] - positions[0]) / along[-1]
    aside_mm = np.abs(positions - positions[0] - along[:, None] * step).max()
    if aside_mm > _ASIDE_MM:
        message = f"slices do not lie on one line: {aside_mm:.3g} mm aside"
        raise GeometryError(message, error_class="uneven_slices")
    count = int(np.floor(along[-1] / spacing_mm + 1e-6)) + 1
    wanted = np.arange(count, dtype=np.float64) * spacing_mm
    note = f"{len(along)} unevenly lying slices resampled to {len(wanted)}, linearly, at the median distance"
    return replace(
        made,
        affine=affine_of_steps(first, first.position, step * spacing_mm),
        resample_mm=(along, wanted),
        notes=[*made.notes, note],
    )


def resampled(voxels: Array, lie_mm: NDArray[np.float64], wanted_mm: NDArray[np.float64]) -> Array:
    """Slices at even positions, linear between those beside each.

    Args:
        voxels: (..., Z, Y, X).
        lie_mm: (Z,) where the slices lie, rising.
        wanted_mm: (Z',) where they are wanted, within.

    Returns:
        (..., Z', Y, X) float32.
    """
    after = np.clip(np.searchsorted(lie_mm, wanted_mm), 1, len(lie_mm) - 1)
    before = after - 1
    share = ((wanted_mm - lie_mm[before]) / (lie_mm[after] - lie_mm[before])).clip(0, 1)[:, None, None]
    low, high = voxels[..., before, :, :].astype(np.float64), voxels[..., after, :, :].astype(np.float64)
    return np.ascontiguousarray((low * (1 - share) + high * share).astype(np.float32))
