"""Media: which files fill the slots of a sample."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from medshard.spec.schema.base import Column, Evidence, Expression, Name, Node, SourceName

__all__ = ["Absence", "ChannelFiles", "Contours", "MediaSlot", "Renditions", "Rescale", "SliceFiles", "Unit"]

Absence = Literal["absent", "not_annotated", "missing", "error"]
"""What nothing means: looked for and not there, never looked for, lost, or a mistake. It has no default."""

Unit = Literal["hu", "arbitrary", "suv", "bq_per_ml"]


class ChannelFiles(Node):
    """Channels in several files: ``of`` gives a file's channel, ``order`` the channels in order."""

    of: Expression
    order: Annotated[list[str], Field(min_length=1)]
    no_file: Absence


class SliceFiles(Node):
    """A volume or a mask in files of one slice each.

    Attributes:
        of: the slice that a file holds. A stack of pictures is ordered by it as a number; a DICOM series is ordered by
            its positions, and a mask by its image: there it only says which slice is which.
        no_file: of masks: what a slice of the image without a file means; without it such a sample is refused.
    """

    of: Expression
    no_file: Literal["absent", "not_annotated", "error"] | None = None


class Contours(Node):
    """How contours (RTSTRUCT) become voxels; what is not said is refused or as the DICOM standard has it.

    Attributes:
        off_plane: contours between two slices are refused, or drawn on the nearest.
        outside: contours above or below all slices of the image are refused, or left out.
        overlap: where contours of one structure lie over one another, an even number of them is outside
            (``even_odd``: a contour in a contour is a hole), or all is inside (``union``).
    """

    off_plane: Literal["refuse", "nearest"] = "refuse"
    outside: Literal["refuse", "leave_out"] = "refuse"
    overlap: Literal["even_odd", "union"] = "even_odd"


def _halving(factor: int) -> int:
    if factor not in (2, 4, 8, 16):
        raise ValueError(f"{factor} is no factor of a level; allowed: 2, 4, 8, 16")
    return factor


Factor = Annotated[int, AfterValidator(_halving), Field(json_schema_extra={"enum": [2, 4, 8, 16]})]
"""By which a level is smaller on each side."""


class Renditions(Node):
    """Smaller levels of large pictures, stored beside them for loaders that deliver less than the file has.

    Attributes:
        from_px: a level is made while the one before it has so many pixels or more on its longer side.
        factors: the levels that may be made, each a part of the picture's size.
    """

    from_px: Annotated[int, Field(ge=16)] = 1024
    factors: Annotated[list[Factor], Field(min_length=1)] = [2, 4, 8, 16]


class Rescale(Node):
    """Values that a table, not the file, turns into what they mean: stored * slope + intercept."""

    slope: Expression
    intercept: Expression


class MediaSlot(Node):
    """One medium of each sample.

    Attributes:
        from_: source of the files.
        using: columns that tie a file to its sample; not needed when ``from`` is the samples' own source.
        where: which of the joined files are meant.
        kind: what the files hold. A ``volume`` of several files is a DICOM series.
        role: ``target`` when a model is to produce it; masks are targets unless said otherwise.
        layers: for masks in several files: the layer of a file; each layer stays whole, overlaps survive.
        instances: for masks in several files: each file is one instance.
        foreground: which stored values are the object, such as ``> 0`` or ``= 255``; without it, values are labels.
        channel: for masks whose values stand in one channel of a colour picture: its index.
        like: the slot whose grid this one has; checked.
        grid: for masks with ``like``: a mask on another grid is refused, as without the line, or resampled onto the
            image's grid (nearest voxel, by both affines).
        slices: files of one slice each; see ``SliceFiles``.
        contours: how the contours of a structure set are drawn; see ``Contours``.
        channels: channels of a volume in several files.
        units: what the values are where the files cannot say it; a table by modality is not needed, one word is. A
            file that says another unit is refused. For PET in DICOM, ``suv`` is computed where the file has all that
            it takes.
        rescale: for volumes: slope and intercept from columns, where no header has them; needs evidence.
        axes: for volumes: what the stored axes are, from the slowest, where a format or a vendor has its own order; the
            volume is stored as ZYX. Of an OCT stack, Z are its B-scans, Y depth, X the place along a scan. Needs
            evidence.
        spacing_zyx_mm: for volumes: distance of voxel centres, as expressions, where no header has it or the header's
            is known to be wrong; needs evidence. Directions stay the file's.
        spacing_zyx_um: the same in micrometres.
        uneven_slices: slices of a series that do not lie evenly are refused, as without the line, or resampled along
            their normal, linearly.
        spacing_yx_um: distance of pixel centres in micrometres, where no header has it; needs evidence.
        spacing_yx_mm: the same in millimetres.
        jpeg: for images: ``indexed`` stores JPEG files rewritten without loss, with restart markers, so that crops
            decode faster; without it they are stored as they are.
        view: projection or plane, as a concept name.
        renditions: smaller levels of large pictures; without it none, or what ``medshard build --renditions`` says.
        no_file: what a missing file means; without it the sample is left out and named.
        evidence: how the claims of this slot are known.
    """

    from_: SourceName = Field(alias="from")
    using: list[Column] = []
    where: Expression | None = None
    kind: Literal["image", "volume", "mask"]
    role: Literal["input", "target", "context"] | None = None
    layers: Expression | None = None
    instances: Literal["file"] | None = None
    foreground: Annotated[str, Field(pattern=r"^(=|!=|<|<=|>|>=) *-?\d+(\.\d+)?$")] | None = None
    channel: Annotated[int, Field(ge=0, le=3)] | None = None
    like: Name | None = None
    grid: Literal["refuse", "resample"] | None = None
    slices: SliceFiles | None = None
    contours: Contours | None = None
    channels: ChannelFiles | None = None
    units: Unit | None = None
    rescale: Rescale | None = None
    axes: Literal["ZYX", "ZXY", "YZX", "YXZ", "XZY", "XYZ"] | None = None
    spacing_zyx_mm: tuple[Expression, Expression, Expression] | None = None
    spacing_zyx_um: tuple[Expression, Expression, Expression] | None = None
    uneven_slices: Literal["refuse", "resample"] | None = None
    spacing_yx_um: tuple[float, float] | None = None
    spacing_yx_mm: tuple[float, float] | None = None
    jpeg: Literal["indexed"] | None = None
    view: str | None = None
    renditions: Renditions | None = None
    no_file: Absence | None = None
    evidence: Evidence | dict[str, Evidence] | None = None

    @model_validator(mode="after")
    def _coherent(self) -> MediaSlot:
        only_masks = {
            "layers": self.layers,
            "instances": self.instances,
            "foreground": self.foreground,
            "grid": self.grid,
            "contours": self.contours,
        }
        wrong = [name for name, value in only_masks.items() if value is not None and self.kind != "mask"]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: only for kind: mask, this slot is kind: {self.kind}")
        if self.grid is not None and self.like is None:
            raise ValueError("grid: says how the mask comes onto the grid of its image; name that with like:")
        if self.slices is not None and self.kind == "image":
            raise ValueError("slices: for kind: volume and kind: mask, this slot is kind: image")
        if self.slices is not None and self.kind == "mask" and self.like is None:
            raise ValueError("slices of a mask are paired with those of its image; name that with like:")
        if self.slices is not None and self.instances is not None:
            raise ValueError("slices and instances exclude each other: a file is a slice or an instance")
        if self.renditions is not None and self.kind != "image":
            raise ValueError(f"renditions: only for kind: image, this slot is kind: {self.kind}")
        if self.jpeg is not None and self.kind != "image":
            raise ValueError(f"jpeg: only for kind: image, this slot is kind: {self.kind}")
        if self.layers is not None and self.instances is not None:
            raise ValueError("layers and instances exclude each other: a file is a layer or an instance")
        only_volumes = {
            "axes": self.axes,
            "rescale": self.rescale,
            "spacing_zyx_mm": self.spacing_zyx_mm,
            "spacing_zyx_um": self.spacing_zyx_um,
            "uneven_slices": self.uneven_slices,
        }
        wrong = [name for name, value in only_volumes.items() if value is not None and self.kind != "volume"]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: only for kind: volume, this slot is kind: {self.kind}")
        spacings = (self.spacing_yx_um, self.spacing_yx_mm, self.spacing_zyx_um, self.spacing_zyx_mm)
        if any(spacings) and self.evidence is None:
            raise ValueError("a spacing needs evidence: seen, code, page, recall or unknown")
        for name, value in (("rescale", self.rescale), ("axes", self.axes)):
            if value is not None and self.evidence is None:
                raise ValueError(f"{name}: needs evidence: seen, code, page, recall or unknown")
        if sum(spacing is not None for spacing in spacings) > 1:
            raise ValueError("give one of spacing_yx_um, spacing_yx_mm, spacing_zyx_um, spacing_zyx_mm")
        return self
