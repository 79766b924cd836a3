"""Small volumes whose every voxel says where it is, as a source that ``medshard build`` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from mixed_tree import LIMITS, Quiet
from numpy.typing import NDArray

from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.spec.load import load_spec_text

SEQUENCES = ("t1", "t1c", "t2", "flair")

SPEC = """\
spec: 1
name: brain
about: {title: Painted sequences, modality: mr, anatomy: brain}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  cases: {json: cases.json, rows: "$[*]"}
  t1: {files: "t1/{id}.nii.gz"}
  t1c: {files: "t1c/{id}.nii.gz"}
  t2: {files: "t2/{id}.nii.gz"}
  flair: {files: "flair/{id}.nii.gz"}
  tumour: {files: "tumour/{id}.nii.gz"}
samples: {from: cases, key: id, patient: unknown, split: train}
media:
  t1: {from: t1, using: [id], kind: volume, no_file: missing}
  t1c: {from: t1c, using: [id], kind: volume, no_file: missing}
  t2: {from: t2, using: [id], kind: volume, no_file: missing}
  flair: {from: flair, using: [id], kind: volume, no_file: missing}
  tumour: {from: tumour, using: [id], kind: mask, like: flair, no_file: missing}
facts:
  parts: {kind: mask_classes, of: tumour, covers: all, map: {1: mass, 2: edema}}
"""


def oblique(spacing_mm: Sequence[float], degrees: float = 20.0) -> NDArray[np.float64]:
    """An affine with three spacings, turned about two axes, away from the origin."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing_mm)
    affine[:3, 3] = (-40.0, 25.0, 7.0)
    return affine


def painted(shape_ijk: Sequence[int], seed: int) -> NDArray[np.int16]:
    """Values of -1000 to 1999 that look like noise and are a function of the place."""
    i, j, k = np.indices(tuple(shape_ijk))
    return (((i * 7919 + j * 104_729 + k * 1_299_709 + seed * 15_485_863) % 3000) - 1000).astype(np.int16)


def ball(shape_ijk: Sequence[int], centre_ijk: Sequence[float], radius: float) -> NDArray[np.bool_]:
    """The voxels within a radius."""
    grid = np.indices(tuple(shape_ijk)).astype(np.float64)
    away = grid - np.array(centre_ijk, np.float64)[:, None, None, None]
    return np.asarray((away**2).sum(0) <= radius**2)


class Brain:
    """Cases with any subset of four sequences, and a mask of two values in some; arrays (i, j, k)."""

    def __init__(self) -> None:
        self.affine: dict[str, NDArray[np.float64]] = {}
        self.sequences: dict[str, dict[str, NDArray[np.int16]]] = {}
        self.tumour: dict[str, NDArray[np.uint8]] = {}

    def add(
        self,
        name: str,
        shape_ijk: Sequence[int],
        there: Sequence[str] = SEQUENCES,
        *,
        labelled: bool = True,
        spacing_mm: Sequence[float] = (0.8, 0.9, 2.0),
        values: NDArray[np.int16] | None = None,
    ) -> None:
        """One case; of the given values, or painted."""
        self.affine[name] = oblique(spacing_mm)
        number = len(self.sequences)
        self.sequences[name] = {
            slot: painted(shape_ijk, 10 * number + SEQUENCES.index(slot)) if values is None else values
            for slot in there
        }
        if labelled:
            middle = np.array(shape_ijk) * 0.7
            mask = np.zeros(tuple(shape_ijk), np.uint8)
            mask[ball(shape_ijk, middle, 7)] = 2
            mask[ball(shape_ijk, middle, 4)] = 1
            self.tumour[name] = mask

    def build(self, root: Path) -> Path:
        """Write the source and build a corpus of it; the corpus's folder."""
        data = root / "data"
        for folder in (*SEQUENCES, "tumour"):
            (data / folder).mkdir(parents=True)
        (data / "cases.json").write_text(json.dumps([{"id": name} for name in self.sequences]))
        for name, sequences in self.sequences.items():
            for slot, values in sequences.items():
                nibabel.save(nibabel.Nifti1Image(values, self.affine[name]), data / slot / f"{name}.nii.gz")
        for name, mask in self.tumour.items():
            nibabel.save(nibabel.Nifti1Image(mask, self.affine[name]), data / "tumour" / f"{name}.nii.gz")
        (loaded,) = load_spec_text(SPEC, "brain.yaml")
        build_corpus([(loaded, data)], root / "corpus", BuildOptions(workers=1, limits=LIMITS), Quiet())
        return root / "corpus"

    def stored(self, key: str, slot: str) -> NDArray[np.generic] | None:
        """(Z, Y, X) of a sample's key; None where it is absent."""
        name = key.removeprefix("brain-")
        values = self.tumour.get(name) if slot == "tumour" else self.sequences[name].get(slot)
        return None if values is None else values.transpose(2, 1, 0)
