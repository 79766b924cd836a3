"""What was asked of crops of volumes, and what the corpus has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medshard.augment.operations import Operation
from medshard.augment.pointwise import Normalize, PercentileNormalize, Window, ZScoreNormalize
from medshard.augment.volume import CompiledVolume, compile_volume
from medshard.errors import LoaderError
from medshard.families import Family
from medshard.loader.selection import Selection

__all__ = ["VolumeOptions", "compile_crops", "layers_of"]


@dataclass(frozen=True)
class VolumeOptions:
    """See ``Loader``."""

    seed: int
    dtype: str
    renditions: float | None
    mask: str | None
    crops_per_volume: int


def compile_crops(
    transform: Sequence[Operation], options: VolumeOptions, family: Family, *, by: str, channels_last: bool
) -> CompiledVolume:
    """Compile a transform of volumes.

    Raises:
        LoaderError: it contradicts the other arguments of the loader.
    """
    compiled = compile_volume(transform)
    if family.image is not None:
        raise LoaderError(
            f"the family {family.name} sees pictures: show volumes to it as planes, see TakeSlice; crops in 3D are for "
            "family='plain'"
        )
    if channels_last:
        raise LoaderError("channels_last=True is for pictures; crops of volumes are (B, C, D, H, W) in memory too")
    if options.crops_per_volume < 1:
        raise LoaderError(f"crops_per_volume is 1 or more, not {options.crops_per_volume}")
    if compiled.needs_foreground and options.mask is None:
        raise LoaderError("ForegroundCrop3D is drawn from a mask: say which with mask=")
    if compiled.grid is not None and options.crops_per_volume != 1:
        raise LoaderError("GridCrop3D gives every window of a volume once; leave crops_per_volume out")
    if compiled.grid is not None and by != "sample":
        raise LoaderError("GridCrop3D gives windows of volumes, of which no text is true; say by='sample'")
    if compiled.grid is not None and compiled.views > 1:
        raise LoaderError("GridCrop3D gives every window of a volume once; leave Views3D out")
    if options.dtype == "uint8":
        unit = any(isinstance(step, (Window, PercentileNormalize)) for _, step in compiled.steps)
        if not unit or any(isinstance(step, (Normalize, ZScoreNormalize)) for _, step in compiled.steps):
            raise LoaderError(
                "dtype='uint8' holds 0..1 times 255: have a Window or PercentileNormalize, and nothing like Normalize, "
                "or take a float type"
            )
    return compiled


def layers_of(selection: Selection, slots: Sequence[str] | None, *, masks: bool = False) -> tuple[int, ...]:
    """The most channels (or times, or layers) that a volume of each slot has in a selection, at least one.

    Args:
        slots: None for any volume, as one.
    """
    media = selection.corpus.samples["media"].take(np.unique(selection.samples)).combine_chunks().flatten()
    kinds = ("mask",) if masks else ("volume",)
    there = pc.and_(media.field("present"), pc.is_in(media.field("kind"), pa.array(kinds)))
    there = pc.and_(there, pc.equal(pc.list_value_length(media.field("shape")), 4))
    found = []
    for slot in slots if slots is not None else (None,):
        chosen = there if slot is None else pc.and_(there, pc.equal(media.field("slot"), slot))
        shapes = media.field("shape").filter(chosen)
        found.append(int(pc.max(pc.list_element(shapes, 0)).as_py()) if len(shapes) else 1)
    return tuple(found)
