"""The files of one stack → a volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medshard.readers.base import AS_STORED, Array, Volume, VolumeOptions
from medshard.readers.dicom.headers import attribute, frame_of_reference
from medshard.readers.dicom.slices import PER_FRAME, File, frame_macros, frame_slices, open_files, slices_of
from medshard.readers.dicom.stacking import Arrangement, Slice, arranged, resampled
from medshard.readers.dicom.suv import BQ_PER_ML, SUV_BW, mapped_unit, pet_unit, uptake
from medshard.readers.dicom.values import (
    is_hounsfield,
    padding_of,
    rescale,
    shown_window,
    window_of,
)
from medshard.readers.rescale import exact_integers, rescaled

__all__ = ["read_stack", "stored_stack"]

_HU = "[hnsf'U]"


def read_stack(files: Sequence[bytes], options: VolumeOptions) -> Volume:
    """One volume of single pictures, of multi-frame objects or of mosaics, in any order.

    Raises:
        ReadError: a file is damaged, in colour, or of a kind that is not read.
        GeometryError: see ``open_files``, ``slices_of`` and ``arranged``.
    """
    opened = open_files(files)
    slices = slices_of(opened)
    made = arranged(slices, options)
    used = [slices[index] for index in made.order.ravel()]
    volume = Volume(
        voxels=_shaped(_values(used), made),
        axes=_axes(made),
        affine_ijk_to_ras=made.affine,
        axis_values=made.further.axis_values if made.further is not None else {},
        modality=_modality(opened[0].dataset),
        sop_instance_uids=_uids(used, made),
        frame_of_reference_uid=frame_of_reference(opened[0].dataset),
        notes=list(made.notes),
    )
    first = opened[slices[made.order[0, 0]].source]
    volume.window = _window(first)
    _mark_padding(volume, opened, used)
    _state_unit(volume, opened, used, options)
    if made.resample_mm is not None:
        volume.voxels = resampled(volume.voxels, *made.resample_mm)
        volume.sop_instance_uids = ()
        if volume.padding is not None:
            volume.padding = None
            volume.notes.append("padding was mixed with its neighbours by resampling and is not marked")
    return volume


def stored_stack(dataset: Any, frames: Array) -> tuple[Arrangement, Array]:
    """The frames of an enhanced object in the order of their places, as stored.

    Raises:
        GeometryError: see ``arranged``.
    """
    slices = list(frame_slices(dataset, frames))
    made = arranged(slices, AS_STORED)
    return made, _shaped(np.stack([slices[index].pixels for index in made.order.ravel()]), made)


def _modality(dataset: Any) -> str | None:
    modality = attribute(dataset, "Modality")
    return str(modality).lower() if modality is not None else None


def _axes(made: Arrangement) -> str:
    if made.further is None:
        return "ZYX"
    in_time = {"temporal_position", "temporal_offset_s", "frame_reference_time_ms", "trigger_time_ms"}
    in_time |= {"acquisition_number", "acquisition_time_s"}
    return "TZYX" if in_time.intersection(made.further.names) else "CZYX"


def _uids(used: Sequence[Slice], made: Arrangement) -> tuple[str, ...]:
    """Of each slice where each has its own object; of the objects, once each, otherwise."""
    uids = [item.uid for item in used if item.uid is not None]
    return tuple(dict.fromkeys(uids))


def _values(used: Sequence[Slice]) -> Array:
    """Each slice by its own rescale; one type for all: integers where exact, else float32."""
    if all(item.factors is None for item in used):
        return np.stack([item.pixels for item in used])
    values = [rescaled(item.pixels, item.factors or (1.0, 0.0)) for item in used]
    if any(plane.dtype.kind == "f" for plane in values):
        return np.stack([plane.astype(np.float32) for plane in values])
    return exact_integers(np.stack([plane.astype(np.int32) for plane in values]))


def _shaped(values: Array, made: Arrangement) -> Array:
    shape = (*made.order.shape, *values.shape[1:]) if made.further is not None else values.shape
    return np.ascontiguousarray(values.reshape(shape))


def _enhanced(dataset: Any) -> list[dict[str, Any]]:
    """The macros of every frame; none for an object without any."""
    return [frame_macros(dataset, frame) for frame in attribute(dataset, PER_FRAME) or ()]


def _window(file: File) -> tuple[float, float] | None:
    macros = _enhanced(file.dataset)
    if not macros:
        applied = rescale(file.dataset)
        return shown_window(window_of(file.dataset), file.dataset, turned=file.turned, applied=applied)
    stated = macros[0].get("FrameVOILUTSequence")
    return None if file.turned else window_of(file.dataset if stated is None else stated)


def _mark_padding(volume: Volume, opened: Sequence[File], used: Sequence[Slice]) -> None:
    found = {
        padding_of(opened[item.source].dataset, turned=opened[item.source].turned, applied=item.factors)
        for item in used
    }
    if len(found) == 1:
        (volume.padding,) = found
    else:
        volume.notes.append("padding differs between slices and is not marked")


def _state_unit(volume: Volume, opened: Sequence[File], used: Sequence[Slice], options: VolumeOptions) -> None:
    datasets = [file.dataset for file in opened]
    if volume.modality == "ct":
        volume.unit = _HU if all(_hounsfield(dataset) for dataset in datasets) else None
    elif volume.modality == "pt" and all(item.factors is not None for item in used):
        units = {unit for dataset in datasets for unit in _pet_units(dataset)}
        volume.unit = units.pop() if len(units) == 1 else None
        if options.unit == "suv":
            _to_uptake(volume, datasets)


def _pet_units(dataset: Any) -> set[str | None]:
    frames = _enhanced(dataset)
    if not frames:
        return {pet_unit(dataset)}
    values = [(macros, macros.get("PixelValueTransformationSequence")) for macros in frames]
    factors = [(macros, rescale(value) if value is not None else None) for macros, value in values]
    return {mapped_unit(macros, pair) if pair is not None else None for macros, pair in factors}


def _hounsfield(dataset: Any) -> bool:
    macros = _enhanced(dataset)
    if not macros:
        return is_hounsfield(dataset)
    values = [macro.get("PixelValueTransformationSequence") for macro in macros]
    return all(value is not None and is_hounsfield(dataset, value) for value in values)


def _to_uptake(volume: Volume, datasets: Sequence[Any]) -> None:
    found = uptake(datasets)
    if found.factor is None:
        kept = BQ_PER_ML if volume.unit == BQ_PER_ML else "as stored"
        volume.notes.append(f"no SUV, values stay {kept}: {found.reason}")
        return
    volume.unit = SUV_BW
    if found.factor != 1.0:
        volume.voxels = (volume.voxels.astype(np.float64) * found.factor).astype(np.float32)
        ends = [
            None if pair is None else (pair[0] * found.factor, pair[1] * found.factor)
            for pair in (volume.window, volume.padding)
        ]
        volume.window, volume.padding = ends
