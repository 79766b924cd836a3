"""Files → slices: single pictures, the frames of multi-frame objects, the tiles of mosaics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medshard.errors import GeometryError, ReadError
from medshard.readers.base import Array
from medshard.readers.dicom.dimensions import further_of_file, further_of_frame
from medshard.readers.dicom.geometry import plane_of
from medshard.readers.dicom.headers import attribute, numbers, open_dataset
from medshard.readers.dicom.mosaic import is_mosaic, mosaic_of, tiles
from medshard.readers.dicom.pixels import stored_frames
from medshard.readers.dicom.stacking import Slice
from medshard.readers.dicom.values import image_type, rescale
from medshard.readers.limits import check_volume

__all__ = ["PER_FRAME", "File", "frame_macros", "frame_slices", "open_files", "slices_of"]

PER_FRAME = "PerFrameFunctionalGroupsSequence"
"""What only enhanced objects have (PS3.3 C.7.6.16)."""

_SHARED = "SharedFunctionalGroupsSequence"
_PLACING = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
_CONSTANT = (
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "SOPClassUID",
    "PhotometricInterpretation",
)
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")


class File:
    """A file of a series: its header, its bytes, and the macros of its frames."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.dataset = open_dataset(data, pixels=False)
        self.turned = False

    def frames(self) -> Array:
        """(F, Y, X) as ``stored_frames`` gives them.

        Raises:
            ReadError: they are in colour.
        """
        frames, self.turned = stored_frames(self.dataset, self.data)
        if frames.ndim != 3:
            what = "frames in colour are a clip, which is not read yet" if len(frames) > 1 else "a picture in colour"
            raise ReadError(f"{what} is no slice" if len(frames) == 1 else what, error_class="not_a_volume")
        return frames


def open_files(files: Sequence[bytes]) -> list[File]:
    """Open the files of one volume and refuse those that cannot be one.

    Raises:
        ReadError: a file is damaged.
        GeometryError: they differ in series, frame of reference, modality, kind, or kind of pixels.
    """
    opened = [File(data) for data in files]
    for keyword in _CONSTANT:
        values = {str(attribute(file.dataset, keyword)) for file in opened}
        if len(values) > 1:
            message = f"the files differ in {keyword}: {len(values)} values; group by stack"
            raise GeometryError(message, error_class="mixed_series")
    localizers = sum("LOCALIZER" in image_type(file.dataset) for file in opened)
    if 0 < localizers < len(opened):
        message = f"{localizers} of {len(opened)} files are localizers; group by stack"
        raise GeometryError(message, error_class="mixed_series")
    return opened


def slices_of(files: Sequence[File]) -> list[Slice]:
    """All slices, file by file.

    Raises:
        ReadError: pixels cannot be decoded, or are too many.
        GeometryError: files differ in size, or describe their frames badly.
    """
    found: list[Slice] = []
    for place, file in enumerate(files):
        found += _of_file(file, place)
        shapes = {item.pixels.shape for item in (found[0], found[-1])}
        if len(shapes) > 1:
            message = f"slices differ in size: {sorted(list(shape) for shape in shapes)}"
            raise GeometryError(message, error_class="size_differs")
        check_volume((len(found), *found[0].pixels.shape), 4)
    return found


def _of_file(file: File, place: int) -> Iterator[Slice]:
    frames = file.frames()
    if PER_FRAME in file.dataset:
        return frame_slices(file.dataset, frames, place)
    if len(frames) > 1:
        return _of_clip(file.dataset, frames, place)
    if is_mosaic(file.dataset):
        return _of_mosaic(file.dataset, frames[0], place)
    return _of_picture(file.dataset, frames[0], place)


def _uid(dataset: Any) -> str | None:
    uid = attribute(dataset, "SOPInstanceUID")
    return str(uid) if uid is not None else None


def _step(holder: Any) -> float | None:
    step = numbers(holder, "SpacingBetweenSlices") if holder is not None else None
    # Negative in NM, where it tells the order; zero says nothing.
    return abs(float(step[0])) if step is not None and len(step) == 1 and step[0] != 0 else None


def _of_picture(dataset: Any, pixels: Array, place: int) -> Iterator[Slice]:
    yield Slice(
        pixels,
        plane_of(dataset),
        rescale(dataset),
        further_of_file(dataset),
        _step(dataset),
        _uid(dataset),
        place,
    )


def _of_clip(dataset: Any, frames: Array, place: int) -> Iterator[Slice]:
    for pixels in frames:
        yield Slice(pixels, None, rescale(dataset), {}, None, _uid(dataset), place)


def _of_mosaic(dataset: Any, picture: Array, place: int) -> Iterator[Slice]:
    mosaic = mosaic_of(dataset)
    for number, pixels in enumerate(tiles(picture, mosaic)):
        plane = mosaic.planes[number] if mosaic.planes is not None else None
        yield Slice(pixels, plane, rescale(dataset), further_of_file(dataset), mosaic.step_mm, _uid(dataset), place)


def frame_slices(dataset: Any, frames: Array, place: int = 0) -> Iterator[Slice]:
    """The frames of an enhanced object.

    Raises:
        GeometryError: they are of several types, or described badly.
    """
    described = attribute(dataset, PER_FRAME) or []
    if len(described) != len(frames):
        message = f"{len(described)} frame descriptions for {len(frames)} frames"
        raise GeometryError(message, error_class="frames_differ")
    all_macros = [frame_macros(dataset, frame) for frame in described]
    kinds = {tuple(str(word) for word in _frame_type(macros)) for macros in all_macros}
    if len(kinds) > 1:
        raise GeometryError(f"the frames are of {len(kinds)} frame types", error_class="mixed_series")
    for pixels, macros in zip(frames, all_macros, strict=True):
        placing = [macros.get(keyword) for keyword in _PLACING]
        plane = None if any(macro is None for macro in placing) else plane_of(dataset, *placing)
        values = macros.get("PixelValueTransformationSequence")
        factors = rescale(values) if values is not None else rescale(dataset)
        further = further_of_frame(dataset, macros)
        yield Slice(pixels, plane, factors, further, _step(placing[2]), _uid(dataset), place)


def _frame_type(macros: Mapping[str, Any]) -> list[Any]:
    for keyword in _FRAME_TYPES:
        if keyword in macros:
            return list(attribute(macros[keyword], "FrameType") or [])
    return []


def frame_macros(dataset: Any, frame: Any) -> dict[str, Any]:
    """The functional groups of a frame by keyword: its own, else the shared ones (PS3.3 C.7.6.16)."""
    found: dict[str, Any] = {}
    shared = attribute(dataset, _SHARED) or [None]
    for holder in (shared[0], frame):
        for element in holder if holder is not None else ():
            if element.VR == "SQ" and element.value and element.keyword:
                found[element.keyword] = element.value[0]
    return found
