"""Fixtures of five modalities, painted: label 1 dark, label 2 bright, all else between, so a picture tells its mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from mixed_tree import Quiet
from numpy.typing import NDArray
from PIL import Image
from volume_tree import turned

from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.spec.load import load_spec_text

SPEC = """\
spec: 1
name: suite-{slug}
variants:
  - {slug: ct, modality: ct, kind: volume, units: hu, extension: nii.gz}
  - {slug: mr, modality: mri, kind: volume, units: arbitrary, extension: nii.gz}
  - {slug: pet, modality: pet, kind: volume, units: bq_per_ml, extension: nii.gz}
  - {slug: em, modality: electron_microscopy, kind: volume, units: arbitrary, extension: nii.gz}
  - {slug: wsi, modality: histopathology, kind: image, extension: png}
about: {title: "Painted {slug}", modality: "{modality}"}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  images: {files: "{slug}/image/{id}.{extension}", derive: {class: "id[1]"}}
  labels: {files: "{slug}/label/{id}.{extension}"}
samples: {from: images, key: id, patient: id, split: train}
media:
  image: {from: images, kind: "{kind}", units: "{units}"}
  label: {from: labels, using: [id], kind: mask, like: image, no_file: not_annotated}
facts:
  finding: {kind: class, value: class, covers: all, no_value: error, map: {a: nodule, b: mass}, by: expert}
  region: {kind: mask_classes, of: label, covers: all, map: {1: nodule, 2: mass}, by: expert}
"""


@dataclass(frozen=True)
class Paint:
    """Values of label 1, of nothing, of label 2."""

    dtype: str
    values: tuple[float, float, float]

    def image(self, labels: NDArray[np.uint8]) -> NDArray[np.generic]:
        """The picture of a label image."""
        dark, between, bright = self.values
        return np.choose(labels, [between, dark, bright]).astype(self.dtype)


PAINTS = {
    "ct": Paint("int16", (-800, 0, 800)),
    "mr": Paint("int16", (100, 500, 900)),
    "pet": Paint("float32", (0.25, 8.25, 16.25)),
    "em": Paint("uint8", (28, 128, 228)),
    "wsi": Paint("uint8", (28, 128, 228)),
}
AFFINES = {
    "ct": turned((0.8, 0.8, 2.5), (10, -6, 4)) @ np.diag([-1.0, -1, 1, 1]),
    "mr": turned((1.0, 1.0, 3.0), (0, 8, 0))[:, [1, 2, 0, 3]],
    "pet": turned((4.0, 4.0, 4.0), (0, 0, 0)),
    "em": np.diag([4e-6, 4e-6, 4e-6, 1.0]),
}
EACH = 3


def write_suite(root: Path) -> None:
    """Three samples a modality; shapes at least 24 voxels or 64 pixels across."""
    rng = np.random.default_rng(3)
    for slug, paint in PAINTS.items():
        for part in ("image", "label"):
            (root / slug / part).mkdir(parents=True)
        for number in range(EACH):
            name = f"{'ab'[number % 2]}{slug}{number}"
            labels = _picture(rng) if slug == "wsi" else _volume(rng)
            _save(root / slug / "label" / name, labels, slug)
            _save(root / slug / "image" / name, paint.image(labels), slug)


def _volume(rng: np.random.Generator) -> NDArray[np.uint8]:
    labels = np.zeros((64, 70, 60), np.uint8)
    x, y, z = rng.integers(0, 6, 3)
    labels[x : x + 26, y : y + 28, z : z + 55] = 1
    labels[64 - 26 - x : 64 - x, 70 - 30 - y : 70 - y, 60 - 54 - z : 60 - z] = 2
    return labels


def _picture(rng: np.random.Generator) -> NDArray[np.uint8]:
    labels = np.zeros((1100, 1300), np.uint8)
    y, x = rng.integers(0, 60, 2)
    labels[y : y + 420, x : x + 500] = 1
    labels[600 + y : 1020 + y, 700 + x : 1200 + x] = 2
    return labels


def _save(path: Path, values: NDArray[np.generic], slug: str) -> None:
    if slug == "wsi":
        Image.fromarray(values).save(path.with_name(path.name + ".png"))
    else:
        nibabel.save(nibabel.Nifti1Image(values, AFFINES[slug]), path.with_name(path.name + ".nii.gz"))


def build_suite(root: Path, corpus: Path) -> Corpus:
    """One corpus of all five."""
    loaded = load_spec_text(SPEC, "suite.yaml")
    build_corpus([(spec, root) for spec in loaded], corpus, BuildOptions(workers=1), Quiet())
    return open_corpus(corpus)


def seen_labels(picture: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The labels that a picture shows, of values mapped so that dark to bright are 0 to 1."""
    return np.where(picture < 0.25, 1, np.where(picture > 0.75, 2, 0)).astype(np.uint8)


def overlap(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """Intersection over union."""
    return float((found & wanted).sum() / max(1, (found | wanted).sum()))
