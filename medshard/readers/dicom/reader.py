"""The DICOM reader: one picture from one file, one volume from a file of frames or from a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medshard.errors import GeometryError, ReadError
from medshard.readers.base import AS_STORED, Affine, Array, Blob, Image, Mask, Volume, VolumeOptions
from medshard.readers.dicom.geometry import (
    Plane,
    affine_of_plane,
    affine_of_stack,
    patient_left,
    plane_of,
    plane_spacing,
)
from medshard.readers.dicom.headers import attribute, frame_of_reference, is_dicom, open_dataset
from medshard.readers.dicom.pixels import (
    exact_integers,
    is_hounsfield,
    rescale,
    rescaled,
    shown_window,
    stored_frames,
    window_of,
)
from medshard.readers.dicom.segmentation import SEGMENTATIONS, read_segmentation
from medshard.readers.dicom.structure_set import STRUCTURE_SET, read_structure_set
from medshard.readers.grid import ContourRules, Grid
from medshard.readers.limits import MAX_FRAMES, check_volume

__all__ = ["READER", "DicomReader"]

_HU = "[hnsf'U]"
_RESCALE_HAS_MEANING = ("CT", "PT")


class DicomReader:
    """Reads through pydicom; metadata beyond what ``Image`` and ``Volume`` name never leave."""

    name = "dicom"

    def sniff(self, head: bytes, path: str) -> bool:
        """By the DICM prefix, or a plausible first element."""
        return is_dicom(head)

    def image(self, blob: Blob) -> Image:
        """One single-frame file."""
        data = blob.read()
        dataset = open_dataset(data, pixels=False)
        frames, turned = stored_frames(dataset, data)
        if len(frames) != 1:
            raise ReadError(f"has {len(frames)} frames; say kind: volume", error_class="several_frames")
        pixels, unit, window = frames[0], None, window_of(dataset)
        if pixels.ndim == 2:
            pixels, unit, applied = _plane_values(dataset, pixels)
            window = shown_window(window, dataset, turned=turned, applied=applied)
        else:
            window = None
        modality = attribute(dataset, "Modality")
        view = attribute(dataset, "ViewPosition")
        uid = attribute(dataset, "SOPInstanceUID")
        return Image(
            pixels=np.ascontiguousarray(pixels),
            bits=_bits(dataset, pixels),
            unit=unit,
            spacing_yx_mm=plane_spacing(dataset),
            affine_ijk_to_ras=_picture_affine(dataset),
            patient_left=patient_left(dataset),
            window=window,
            modality=str(modality).lower() if modality is not None else None,
            view=str(view) if view is not None else None,
            sop_instance_uid=str(uid) if uid is not None else None,
            frame_of_reference_uid=frame_of_reference(dataset),
        )

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """One multi-frame file, or the files of one series."""
        if len(blobs) > MAX_FRAMES:
            raise ReadError(f"{len(blobs)} files, more than {MAX_FRAMES}", error_class="too_large")
        files = [blob.read() for blob in blobs]
        datasets = [open_dataset(data, pixels=False) for data in files]
        if len(datasets) == 1:
            frames, turned = stored_frames(datasets[0], files[0])
            if len(frames) > 1 or "PerFrameFunctionalGroupsSequence" in datasets[0]:
                return _of_frames(datasets[0], frames, turned)
        return _of_series(datasets, files)

    def labels(self, blob: Blob) -> Mask:
        """A mask without its image: see ``placed_labels``."""
        return self.placed_labels(blob, None, ContourRules())

    def placed_labels(self, blob: Blob, grid: Grid | None, contours: ContourRules) -> Mask:
        """A segmentation, a structure set, or a mask that is stored as an image: stored values, as they are."""
        data = blob.read()
        dataset = open_dataset(data, pixels=False)
        kind = str(attribute(dataset, "SOPClassUID"))
        try:
            if kind in SEGMENTATIONS:
                return read_segmentation(open_dataset(data, pixels=True), grid)
            if kind == STRUCTURE_SET:
                return read_structure_set(dataset, grid, contours)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            # Where an item should be, a damaged file may have anything; pydicom's errors quote what they find.
            raise ReadError(
                f"the DICOM file is damaged ({type(error).__name__})", error_class="damaged_dicom"
            ) from None
        frames, _ = stored_frames(dataset, data, as_stored=True)
        if len(frames) == 1:
            return Mask(frames[0], affine_ijk_to_ras=_picture_affine(dataset), space=2)
        if "PerFrameFunctionalGroupsSequence" in dataset:
            volume = _of_frames(dataset, frames, turned=False)
            return Mask(volume.voxels, affine_ijk_to_ras=volume.affine_ijk_to_ras, notes=volume.notes)
        return Mask(frames, space=3)


def _picture_affine(dataset: Any) -> Affine | None:
    """Where a picture lies in the patient; None where its spacing is not the patient's or its plane is not stated."""
    if plane_spacing(dataset) is None:
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


def _of_series(datasets: list[Any], files: list[bytes]) -> Volume:
    """Slices sorted by position along their normal."""
    _refuse_mixed(datasets)
    modality = attribute(datasets[0], "Modality")
    decoded, turned = [], []
    for dataset, data in zip(datasets, files, strict=True):
        frames, over = stored_frames(dataset, data)
        turned.append(over)
        if len(frames) != 1:
            raise ReadError("a series holds files of several frames beside others", error_class="several_frames")
        if frames.ndim != 3:
            raise ReadError("a series of colour pictures is no volume", error_class="not_a_volume")
        decoded.append(frames[0])
    if len(set(turned)) > 1:
        raise GeometryError("slices differ in PhotometricInterpretation", error_class="mixed_series")
    shapes = {plane.shape for plane in decoded}
    if len(shapes) != 1:
        raise GeometryError(f"slices differ in size: {sorted(shapes)}", error_class="size_differs")
    check_volume((len(decoded), *decoded[0].shape), 4)
    planes = [plane_of(dataset) for dataset in datasets]
    notes: list[str] = []
    if any(plane is None for plane in planes):
        if len(planes) > 1:
            missing = sum(plane is None for plane in planes)
            message = f"{missing} of {len(planes)} slices have no position, orientation or spacing"
            raise GeometryError(message, error_class="no_position")
        known: list[Plane] = []
        order = [0]
    else:
        known = [plane for plane in planes if plane is not None]
        order, dropped = _sorted(known, decoded, [rescale(dataset) for dataset in datasets])
        if dropped:
            notes.append(f"{dropped} duplicate slices dropped")
    step = attribute(datasets[0], "SpacingBetweenSlices")
    affine = affine_of_stack([known[i] for i in order], float(step) if step else None) if known else None
    voxels, unit = _stack_values([datasets[i] for i in order], [decoded[i] for i in order])
    first = datasets[order[0]]
    uids = [attribute(datasets[i], "SOPInstanceUID") for i in order]
    return Volume(
        voxels=voxels,
        axes="ZYX",
        affine_ijk_to_ras=affine,
        unit=unit,
        window=shown_window(window_of(first), first, turned=turned[0], applied=rescale(first)),
        modality=str(modality).lower() if modality is not None else None,
        sop_instance_uids=tuple(str(uid) for uid in uids if uid is not None),
        frame_of_reference_uid=frame_of_reference(first),
        notes=notes,
    )


def _refuse_mixed(datasets: list[Any]) -> None:
    for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID", "Modality"):
        values = {str(attribute(dataset, keyword)) for dataset in datasets}
        if len(values) > 1:
            raise GeometryError(f"the files differ in {keyword}: {len(values)} values", error_class="mixed_series")
    localizers = sum("LOCALIZER" in [str(w) for w in attribute(d, "ImageType") or ()] for d in datasets)
    if 0 < localizers < len(datasets):
        raise GeometryError(f"{localizers} of {len(datasets)} files are localizers", error_class="mixed_series")


def _sorted(
    planes: list[Plane], pixels: list[Array], factors: list[tuple[float, float] | None]
) -> tuple[list[int], int]:
    """The order along the normal, without equal slices at equal positions.

    Raises:
        GeometryError: two slices lie at one position and differ: there is a further dimension.
    """
    along = [float(plane.position @ planes[0].normal) for plane in planes]
    order = sorted(range(len(planes)), key=lambda index: (along[index], index))
    kept = order[:1]
    for index in order[1:]:
        if abs(along[index] - along[kept[-1]]) > 1e-4:
            kept.append(index)
        elif (
            not np.allclose(planes[index].position, planes[kept[-1]].position, rtol=0, atol=1e-3)
            or factors[index] != factors[kept[-1]]
            or not np.array_equal(pixels[index], pixels[kept[-1]])
        ):
            raise GeometryError("several different slices lie at one position", error_class="ambiguous_positions")
    return kept, len(order) - len(kept)


def _stack_values(datasets: list[Any], slices: list[Array]) -> tuple[Array, str | None]:
    """Each slice by its own rescale; one type for all."""
    factors = [rescale(dataset) for dataset in datasets]
    if all(factor is None for factor in factors):
        return np.ascontiguousarray(np.stack(slices)), None
    values = [rescaled(plane, factor or (1.0, 0.0)) for plane, factor in zip(slices, factors, strict=True)]
    unit = _HU if all(is_hounsfield(dataset) for dataset in datasets) else None
    if any(plane.dtype.kind == "f" for plane in values):
        return np.ascontiguousarray(np.stack([plane.astype(np.float32) for plane in values])), unit
    return np.ascontiguousarray(exact_integers(np.stack([plane.astype(np.int32) for plane in values]))), unit


def _of_frames(dataset: Any, frames: Array, turned: bool) -> Volume:
    """A multi-frame object: placed where its frames say so, else a stack without geometry."""
    if frames.ndim != 3:
        raise ReadError("frames in colour are a clip, which is not read yet", error_class="not_a_volume")
    modality = attribute(dataset, "Modality")
    per_frame = attribute(dataset, "PerFrameFunctionalGroupsSequence")
    planes = _frame_planes(dataset, per_frame) if per_frame is not None else None
    order, notes, affine = list(range(len(frames))), [], None
    described = list(per_frame) if per_frame is not None else [None] * len(frames)
    if len(described) != len(frames):
        message = f"{len(described)} frame descriptions for {len(frames)} frames"
        raise GeometryError(message, error_class="frames_differ")
    factors = [_frame_rescale(dataset, frame) for frame in described]
    if planes is not None:
        order, dropped = _sorted(planes, list(frames), factors)
        notes = [f"{dropped} duplicate frames dropped"] if dropped else []
        step = attribute(_measures(dataset, per_frame[0]), "SpacingBetweenSlices")
        affine = affine_of_stack([planes[i] for i in order], float(step) if step else None)
    else:
        notes = ["frames without positions: the stack has no geometry"]
    factors = [factors[i] for i in order]
    kept = [frames[i] for i in order]
    if all(factor is None for factor in factors):
        voxels, unit = np.stack(kept), None
    else:
        values = [rescaled(plane, factor or (1.0, 0.0)) for plane, factor in zip(kept, factors, strict=True)]
        floats = any(plane.dtype.kind == "f" for plane in values)
        voxels = np.stack([plane.astype(np.float32 if floats else np.int32) for plane in values])
        voxels = voxels if floats else exact_integers(voxels)
        unit = _HU if modality == "CT" and _all_hounsfield(dataset, per_frame) else None
    uid = attribute(dataset, "SOPInstanceUID")
    stated = _macro(dataset, described[order[0]], "FrameVOILUTSequence") if per_frame is not None else None
    window = window_of(dataset if stated is None else stated)
    if per_frame is None:
        window = shown_window(window, dataset, turned=turned, applied=rescale(dataset))
    return Volume(
        voxels=np.ascontiguousarray(voxels),
        axes="ZYX",
        affine_ijk_to_ras=affine,
        unit=unit,
        window=None if turned and per_frame is not None else window,
        modality=str(modality).lower() if modality is not None else None,
        sop_instance_uids=(str(uid),) if uid is not None else (),
        frame_of_reference_uid=frame_of_reference(dataset),
        notes=notes,
    )


def _macro(dataset: Any, frame: Any, keyword: str) -> Any:
    """A functional group of a frame: its own, else the shared one (PS3.3 C.7.6.16)."""
    for holder in (frame, (attribute(dataset, "SharedFunctionalGroupsSequence") or [None])[0]):
        if holder is not None:
            sequence = attribute(holder, keyword)
            if sequence is not None and len(sequence):
                return sequence[0]
    return None


def _measures(dataset: Any, frame: Any) -> Any:
    return _macro(dataset, frame, "PixelMeasuresSequence")


def _frame_planes(dataset: Any, per_frame: Any) -> list[Plane] | None:
    planes = []
    for frame in per_frame:
        macros = [
            _macro(dataset, frame, keyword)
            for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        ]
        if any(macro is None for macro in macros):
            return None
        plane = plane_of(dataset, *macros)
        if plane is None:
            return None
        planes.append(plane)
    return planes


def _frame_rescale(dataset: Any, frame: Any) -> tuple[float, float] | None:
    macro = _macro(dataset, frame, "PixelValueTransformationSequence") if frame is not None else None
    return rescale(macro) if macro is not None else rescale(dataset)


def _all_hounsfield(dataset: Any, per_frame: Any) -> bool:
    """PS3.3 C.8.15.3.10: the type of a CT frame's values is stated with its rescale."""
    if per_frame is None:
        return is_hounsfield(dataset)
    macros = [_macro(dataset, frame, "PixelValueTransformationSequence") for frame in per_frame]
    return all(macro is not None and attribute(macro, "RescaleType") in (None, "HU") for macro in macros)


READER = DicomReader()
