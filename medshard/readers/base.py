"""What a reader is, and what it gives: array + geometry.

Conventions, written once for all readers:

- A voxel's index is its centre. ``affine_ijk_to_ras`` maps (i, j, k) to millimetres right, anterior, superior;
  i is the fastest axis, so arrays are indexed ``[k, j, i]``. DICOM and ITK (LPS) are turned in the reader.
- What the file does not say stays ``None``: no identity affine, no spacing 1, no unit.
- Values are what the file means: rescale slope and intercept are applied, MONOCHROME1 is turned over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["AS_STORED", "Affine", "Array", "Blob", "Encoded", "Image", "Mask", "Reader", "Volume", "VolumeOptions"]

Array: TypeAlias = NDArray[np.generic]
Affine: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Blob:
    """A source file whose bytes are read when asked for.

    Attributes:
        path: path below the dataset's root, ``!/`` into an archive; for messages and provenance.
        size_bytes: length of the file.
        read: gives all bytes.
        head: gives at most so many bytes from the start; all of them are read where it is None.
        beside: gives the file of a plain name in the same folder, for formats whose header and data are two files; None
            where nothing is beside it.
    """

    path: str
    size_bytes: int
    read: Callable[[], bytes]
    head: Callable[[int], bytes] | None = None
    beside: Callable[[str], Blob] | None = None


@dataclass(frozen=True)
class Encoded:
    """Compressed pixels that may be stored as they are: same pixels, no metadata left.

    Attributes:
        extension: ``jpg`` or ``png``.
        data: the file's bytes without any metadata segment or chunk.
    """

    extension: Literal["jpg", "png"]
    data: bytes


@dataclass
class Image:
    """A 2D picture.

    Attributes:
        pixels: (Y, X) or (Y, X, C) with C 3 or 4; uint8, uint16, int16; C-contiguous.
        bits: significant bits of the values, 1 to 16.
        encoded: the same pixels as a compressed stream that can be stored unchanged; None when the file's own
            stream cannot (its codec is not one that every trainer reads, or its orientation tag turns it).
        unit: UCUM code such as ``[hnsf'U]``; None when arbitrary or unknown.
        spacing_yx_mm: distance of pixel centres; None when unknown.
        spacing_region_px: x0, y0, x1, y1 of the part in which ``spacing_yx_mm`` holds; None where it holds everywhere.
        detector_spacing_yx_mm: of a projection, distance of pixel centres on the detector; magnified, so never a
            measure of the patient.
        affine_ijk_to_ras: (4, 4) with k = 0; of a plane without a third dimension the third column is its unit normal;
            None when unknown.
        patient_left: where the patient's left lies in the picture.
        window: (lowest, highest) value that the file asks to be shown.
        padding: (lowest, highest) value of pixels that the file declares to be no measurement; they stay as they are.
        modality: the file's own word (DICOM Modality), lower case.
        view: the file's own word (DICOM ViewPosition).
        sop_instance_uid: identity of the DICOM object, to be remapped before it is stored.
        frame_of_reference_uid: of the DICOM object; media with one UID share their millimetres. Never stored.
    """

    pixels: Array
    bits: int
    encoded: Encoded | None = None
    unit: str | None = None
    spacing_yx_mm: tuple[float, float] | None = None
    spacing_region_px: tuple[int, int, int, int] | None = None
    detector_spacing_yx_mm: tuple[float, float] | None = None
    affine_ijk_to_ras: Affine | None = None
    patient_left: Literal["image_left", "image_right", "none"] | None = None
    window: tuple[float, float] | None = None
    padding: tuple[float, float] | None = None
    modality: str | None = None
    view: str | None = None
    sop_instance_uid: str | None = None
    frame_of_reference_uid: str | None = None


@dataclass
class Volume:
    """A 3D image, with a leading axis for channels or time where there is one.

    Attributes:
        voxels: (Z, Y, X), (C, Z, Y, X) or (T, Z, Y, X); integer or float32; C-contiguous.
        axes: the letters of ``voxels``' axes.
        affine_ijk_to_ras: (4, 4); None when unknown.
        unit: UCUM code of the values; None when arbitrary or unknown.
        window: (lowest, highest) value that the file asks to be shown.
        padding: (lowest, highest) value of voxels that the file declares to be no measurement; they stay as they are.
        axis_values: what each place of the leading axis stands for, by name (``echo_time_ms``, ``b_value_s_per_mm2``).
        stated_spacing_zyx_mm: distances that are known without a place in the patient; used where no affine is.
        modality: the file's own word (DICOM Modality), lower case.
        sop_instance_uids: identity of each slice in the order of Z, to be remapped before they are stored.
        frame_of_reference_uid: of the DICOM series; media with one UID share their millimetres. Never stored.
        notes: what was decided on the way and belongs in the report ("2 duplicate slices dropped").
    """

    voxels: Array
    axes: str = "ZYX"
    affine_ijk_to_ras: Affine | None = None
    unit: str | None = None
    window: tuple[float, float] | None = None
    padding: tuple[float, float] | None = None
    axis_values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    stated_spacing_zyx_mm: tuple[float, float, float] | None = None
    modality: str | None = None
    sop_instance_uids: tuple[str, ...] = ()
    frame_of_reference_uid: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def spacing_zyx_mm(self) -> tuple[float, float, float] | None:
        """Distance of voxel centres along each array axis, derived from the affine where there is one."""
        if self.affine_ijk_to_ras is None:
            return self.stated_spacing_zyx_mm
        lengths = np.sqrt((self.affine_ijk_to_ras[:3, :3] ** 2).sum(axis=0))
        return (float(lengths[2]), float(lengths[1]), float(lengths[0]))


@dataclass
class Mask:
    """Stored values of a mask file, on the grid of an image or a volume, before they get a meaning.

    Attributes:
        labels: (Y, X) or (Y, X, C) as stored, palette indices for palette images; or (Z, Y, X), (C, Z, Y, X).
        layers: the name of each channel of a layered volume mask, empty for a label map.
        affine_ijk_to_ras: (4, 4); None when unknown.
        space: axes of space: 2 or 3.
        names: what the file itself calls the region of each value, where it names them: a segment's coded type, an
            ROI's name. The region of value v is where any channel equals v. Empty where values are all there is.
        free_names: whether the names are free text of a person, which may identify: they are looked up in the spec's
            map and neither quoted nor stored.
        fraction: what values from 0 to ``fraction_maximum`` are shares of: the probability that the voxel belongs to
            the channel's part, or how much of the voxel it fills. None of masks that hold no fractions.
        fraction_maximum: the value that means 1.
        points: landmarks of the file, each with its name and its place x, y, z in RAS mm.
        notes: what was decided on the way and belongs in the report.
    """

    labels: Array
    layers: tuple[str, ...] = ()
    affine_ijk_to_ras: Affine | None = None
    space: Literal[2, 3] = 3
    names: dict[int, str] = field(default_factory=dict)
    free_names: bool = False
    fraction: Literal["probability", "occupancy"] | None = None
    fraction_maximum: int | None = None
    points: tuple[tuple[str, tuple[float, float, float]], ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class VolumeOptions:
    """What the spec decides of a volume, where the files leave it open.

    Attributes:
        uneven_slices: slices that do not lie evenly are refused, or resampled along their normal, linearly, at the
            median of their distances.
        unit: the values that are wanted where a file can give several: ``suv`` or ``bq_per_ml`` of PET; None gives
            what is stored.
    """

    uneven_slices: Literal["refuse", "resample"] = "refuse"
    unit: Literal["suv", "bq_per_ml"] | None = None


AS_STORED = VolumeOptions()
"""Nothing is resampled and no unit is asked for."""


class Reader(Protocol):
    """Turns source files of one format into arrays with geometry.

    A reader never guesses: a file that it cannot read raises ``ReadError`` (or its kin) with a reason that quotes no
    metadata of the file. It never crashes, hangs, follows a path named inside a file (but for plain names
    beside it, see ``readers.companion``), or unpickles. It bounds
    memory by the limits of ``medshard.readers.limits``.
    """

    name: str

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether a file with these first 512 bytes and this name is of this reader's format."""
        ...

    def image(self, blob: Blob) -> Image:
        """One 2D picture.

        Raises:
            ReadError: the file is damaged, of a kind that is not read, or holds more than one frame.
        """
        ...

    def volume(self, blobs: Sequence[Blob], options: VolumeOptions = AS_STORED) -> Volume:
        """One volume, from one file or from the files of a series in any order.

        Raises:
            ReadError: a file is damaged or of a kind that is not read.
            GeometryError: the parts contradict each other.
        """
        ...

    def labels(self, blob: Blob) -> Mask:
        """The stored values of a mask file, without any colour conversion.

        Raises:
            ReadError: as above.
        """
        ...
