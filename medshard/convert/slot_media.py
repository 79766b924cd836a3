"""What reading the slots of a sample gives, and what all kinds of slots say of their media."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medshard.facts.mask_labels import MaskLabels
from medshard.readers.base import Affine, Mask, Volume
from medshard.readers.grid import Grid
from medshard.record.sample import Media
from medshard.spec.schema import MediaSlot
from medshard.spec.taxonomy import Taxonomy

__all__ = ["UNITS", "ReadMedia", "listed", "stated_spacing", "view_of"]

UNITS = {"hu": "[hnsf'U]", "arbitrary": None, "suv": "g/mL{SUVbw}", "bq_per_ml": "Bq/mL"}
"""UCUM code of each unit that a spec may state."""


@dataclass
class ReadMedia:
    """The media of one sample.

    Attributes:
        media: one line a slot, absent ones included, in the order of the spec.
        parts: extension → bytes, for the tar.
        levels: factor → extension → bytes, for the sibling tars of renditions.
        volumes: volumes to store, by slot; masks that lie on one are its labels.
        labels: masks that are stored with a volume: slot of the volume → slot of the mask → mask.
        masks: decoded masks, by slot, for the facts.
        grids: where the pixels of images and volumes lie, by slot, for the masks that lie on them.
        resampled: how masks were brought onto another grid, by slot, as ``Media.derived_from`` says it.
        digests: ``sha256:...`` of every source file read, by path.
        notes: what was decided on the way.
    """

    media: dict[str, Media] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)
    levels: dict[int, dict[str, bytes]] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    labels: dict[str, dict[str, Mask]] = field(default_factory=dict)
    masks: dict[str, MaskLabels] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    resampled: dict[str, dict[str, Any]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def view_of(spec: MediaSlot, word: str | None, taxonomy: Taxonomy) -> str | None:
    """The view as a concept's name: the spec's, else the file's own word where the taxonomy knows it."""
    if spec.view is not None:
        return taxonomy.find(spec.view, ("view",)).name
    try:
        return taxonomy.find(word, ("view",)).name if word else None
    except KeyError:
        return None


def stated_spacing(spec: MediaSlot) -> list[float] | None:
    if spec.spacing_yx_mm is not None:
        return list(spec.spacing_yx_mm)
    if spec.spacing_yx_um is not None:
        return [step / 1000.0 for step in spec.spacing_yx_um]
    return None


def listed(affine: Affine | None) -> list[list[float]] | None:
    return affine.tolist() if affine is not None else None
