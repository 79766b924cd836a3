"""What a spec says of a volume's values and distances where no header has it, or where the header is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medshard.convert.slot_media import UNITS
from medshard.errors import GeometryError, ReadError
from medshard.plan.row import STATED, MediaRef
from medshard.readers.base import Array, Volume, VolumeOptions
from medshard.readers.rescale import rescaled
from medshard.spec.schema import MediaSlot

__all__ = ["options_of", "unit_of", "with_stated"]

_APART = 0.01  # of a distance, beyond which the header and the table are told to differ
_MM_PER_UM = 1e-3


def options_of(spec: MediaSlot) -> VolumeOptions:
    """What a slot asks of the reader."""
    unit = spec.units if spec.units in ("suv", "bq_per_ml") else None
    return VolumeOptions(uneven_slices=spec.uneven_slices or "refuse", unit=unit)


def unit_of(slot: str, spec: MediaSlot, found: str | None, modality: str | None = None) -> str | None:
    """The unit of a medium: the file's, else the spec's.

    Args:
        found: the unit that the file states.
        modality: as the file states it; a PET file alone knows whether its values became SUV.

    Raises:
        ReadError: the two differ.
    """
    if spec.units is None:
        return found
    stated = UNITS[spec.units]
    if stated is None or found == stated:
        return stated
    if spec.units == "suv" and modality == "pt":
        return found
    if found is not None:
        message = f"{slot}: the spec says that values are {spec.units}, the file says {found}"
        raise ReadError(message, error_class="unit_differs")
    return stated


def with_stated(slot: str, spec: MediaSlot, refs: Sequence[MediaRef], volume: Volume) -> Volume:
    """The volume with the order of axes that the spec states, and the rescale and distances that columns state.

    Raises:
        ReadError: a cell is no number, or differs between the files of the volume.
        GeometryError: a distance is not positive.
    """
    if spec.axes is not None and spec.axes != "ZYX":
        volume = _turned(volume, spec.axes)
    rows = {ref.stated for ref in refs}
    if rows == {None}:
        return volume
    if len(rows) > 1:
        message = f"{slot}: the columns of rescale or spacing differ between the files of one volume"
        raise ReadError(message, error_class="contradiction")
    (cells,) = rows
    assert cells is not None
    values = {name: _number(slot, name, cell) for name, cell in zip(STATED, cells, strict=True) if cell}
    missing = [name for name in _wanted(spec) if name not in values]
    if missing:
        raise ReadError(f"{slot}: the column for {missing[0]} is empty", error_class="empty_cell")
    if spec.rescale is not None:
        volume = _rescaled(slot, volume, (values["slope"], values["intercept"]))
    if spec.spacing_zyx_mm is not None or spec.spacing_zyx_um is not None:
        to_mm = 1.0 if spec.spacing_zyx_mm is not None else _MM_PER_UM
        steps = (values["spacing_z"] * to_mm, values["spacing_y"] * to_mm, values["spacing_x"] * to_mm)
        volume = _spaced(slot, volume, steps)
    return volume


def _turned(volume: Volume, axes: str) -> Volume:
    """Stored axes into the order ZYX; the affine's columns go along."""
    order = [axes.index(letter) for letter in "ZYX"]
    leading = volume.voxels.ndim - 3
    voxels = volume.voxels.transpose(*range(leading), *(leading + place for place in order))
    affine = volume.affine_ijk_to_ras
    if affine is not None:
        columns = [2 - place for place in reversed(order)]
        affine = affine[:, [*columns, 3]]
    uids = volume.sop_instance_uids if axes[0] == "Z" else ()
    return replace(volume, voxels=np.ascontiguousarray(voxels), affine_ijk_to_ras=affine, sop_instance_uids=uids)


def _wanted(spec: MediaSlot) -> tuple[str, ...]:
    rescale = STATED[:2] if spec.rescale is not None else ()
    spaced = spec.spacing_zyx_mm is not None or spec.spacing_zyx_um is not None
    return (*rescale, *(STATED[2:] if spaced else ()))


def _number(slot: str, name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ReadError(f"{slot}: the column for {name} is no number", error_class="bad_number")
    return value


def _rescaled(slot: str, volume: Volume, factors: tuple[float, float]) -> Volume:
    if factors[0] == 0:
        raise ReadError(f"{slot}: a slope of 0", error_class="bad_number")
    if volume.unit is not None:
        message = f"{slot}: the spec rescales values whose unit the file states ({volume.unit})"
        raise ReadError(message, error_class="unit_differs")
    voxels: Array
    if volume.voxels.dtype.kind == "f":
        voxels = (volume.voxels.astype(np.float64) * factors[0] + factors[1]).astype(np.float32)
    else:
        voxels = rescaled(volume.voxels, factors)
    ends = [None if pair is None else _ends(pair, factors) for pair in (volume.window, volume.padding)]
    return replace(volume, voxels=voxels, window=ends[0], padding=ends[1])


def _ends(pair: tuple[float, float], factors: tuple[float, float]) -> tuple[float, float]:
    low, high = sorted(value * factors[0] + factors[1] for value in pair)
    return (low, high)


def _spaced(slot: str, volume: Volume, steps_zyx_mm: tuple[float, float, float]) -> Volume:
    if min(steps_zyx_mm) <= 0:
        raise GeometryError(f"{slot}: a stated distance is not positive", error_class="bad_number")
    known = volume.spacing_zyx_mm
    notes = list(volume.notes)
    if known is not None and not np.allclose(known, steps_zyx_mm, rtol=_APART, atol=0):
        notes.append("the stated spacing differs from the file's, whose directions and origin are kept")
    if volume.affine_ijk_to_ras is None:
        return replace(volume, stated_spacing_zyx_mm=steps_zyx_mm, notes=notes)
    affine = volume.affine_ijk_to_ras.copy()
    affine[:3, :3] *= np.array(steps_zyx_mm[::-1]) / np.linalg.norm(affine[:3, :3], axis=0)
    return replace(volume, affine_ijk_to_ras=affine, notes=notes)
