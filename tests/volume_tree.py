"""Painted volumes with label volumes as NIfTI, on grids that lie differently in the patient, and corpora of them.

Image values are made of the labels' own and of each voxel's place, so that a picture tells where it was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
from mixed_tree import Quiet
from numpy.typing import NDArray

from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.spec.load import load_spec_text

SPEC = """\
spec: 1
name: painted
about: {title: Painted volumes, modality: ct, anatomy: abdomen, department: radiology}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  scans: {files: "ct/{id}.nii.gz"}
  labels: {files: "seg/{id}.nii.gz"}
samples: {from: scans, key: id, patient: id, split: train}
media:
  ct: {from: scans, kind: volume, units: UNITS}
  organs: {from: labels, using: [id], kind: mask, like: ct, no_file: not_annotated}
facts:
  organ: {kind: mask_classes, of: organs, covers: all, map: {1: nodule, 2: mass}, by: expert}
"""

IJK = NDArray[np.float64]


def turned(spacing_xyz: tuple[float, float, float], degrees: tuple[float, float, float]) -> IJK:
    """An affine of a spacing, turned about the three axes of the world, one after another."""
    affine = np.diag([*spacing_xyz, 1.0])
    for axis, angle in enumerate(np.deg2rad(degrees)):
        turn = np.eye(4)
        a, b = [other for other in range(3) if other != axis]
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        affine = turn @ affine
    affine[:3, 3] = -31.0, 17.5, 240.25
    return affine


AFFINES: dict[str, IJK] = {
    "plain": turned((1.0, 1.0, 1.0), (0, 0, 0)),
    "scanner": turned((0.8, 0.8, 3.0), (0, 0, 0)) @ np.diag([-1.0, -1, 1, 1]),  # i to the left, j to the back
    "oblique": turned((0.7, 0.9, 2.5), (12, -20, 8)) @ np.diag([-1.0, 1, -1, 1]),
    "sagittal": turned((1.1, 1.1, 4.0), (5, 0, 7))[:, [1, 2, 0, 3]] @ np.diag([1.0, -1, 1, 1]),
    "coronal": turned((0.9, 2.2, 0.9), (0, 6, -9))[:, [0, 2, 1, 3]],
}
"""By name of the volume; ``sagittal`` and ``coronal`` have another axis of the world as their first."""


@dataclass
class PaintedTree:
    """What was written.

    Attributes:
        images, labels: (i, j, k), as in the files.
        affines: index to millimetres; None where the file says none.
    """

    root: Path
    images: dict[str, NDArray[np.int16]] = field(default_factory=dict)
    labels: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    affines: dict[str, IJK | None] = field(default_factory=dict)

    def add(self, name: str, affine: IJK | None, shape: tuple[int, int, int], *, labelled: bool = True) -> None:
        """Write one volume: two boxes of labels, off the middle, on a ramp of places."""
        i, j, k = np.indices(shape)
        labels = np.zeros(shape, np.uint8)
        third = [length // 3 for length in shape]
        labels[2 : 2 + third[0], 3 : 3 + third[1], 1 : 1 + third[2]] = 1
        labels[shape[0] - third[0] - 1 : -1, shape[1] // 2 : -2, third[2] + 2 : -1] = 2
        values = labels.astype(np.int64) * 600 + i * 7 + j * 3 + k * 5 - 900
        self.images[name], self.affines[name] = values.astype(np.int16), affine
        self._save("ct", name, self.images[name], affine)
        if labelled:
            self.labels[name] = labels
            self._save("seg", name, labels, affine)

    def _save(self, folder: str, name: str, values: NDArray[np.generic], affine: IJK | None) -> None:
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        made = nibabel.Nifti1Image(values, affine if affine is not None else np.eye(4))
        if affine is None:
            made.set_sform(None, code=0)
            made.set_qform(None, code=0)
        nibabel.save(made, self.root / folder / f"{name}.nii.gz")

    def zyx(self, name: str) -> NDArray[np.int16]:
        """The image as it is stored in a corpus."""
        return self.images[name].transpose()

    def canonical(self, name: str) -> nibabel.Nifti1Image:
        """The image with axes along right, anterior, superior, by nibabel."""
        return nibabel.as_closest_canonical(nibabel.Nifti1Image(self.images[name], self.affines[name]))


def write_painted_tree(root: Path) -> PaintedTree:
    """All of ``AFFINES``, and one volume without any geometry and without labels."""
    tree = PaintedTree(root)
    for number, (name, affine) in enumerate(AFFINES.items()):
        tree.add(name, affine, (44 + number, 39, 35 + 2 * number))
    tree.add("unknown", None, (33, 37, 34), labelled=False)
    return tree


def build_painted(tree: Path, corpus: Path, *, units: str = "hu", spec: str = SPEC) -> Corpus:
    """A corpus of a painted tree."""
    (loaded,) = load_spec_text(spec.replace("UNITS", units), "painted.yaml")
    build_corpus([(loaded, tree)], corpus, BuildOptions(workers=1), Quiet())
    return open_corpus(corpus)
