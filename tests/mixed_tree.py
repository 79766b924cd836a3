"""A small dataset of all kinds of media, written by the test itself, and builds of it.

Pictures as JPEG and as PNG of 8 and 16 bits, masks and labels on some samples only, samples without any medium, the
first of them without any fact, and CT volumes as NIfTI. What was written is kept, to compare with what comes out.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medshard.convert.corpus import build_corpus
from medshard.convert.dataset import DatasetBuild
from medshard.convert.options import BuildOptions
from medshard.plan.units import UnitLimits
from medshard.spec.load import load_spec_text

SPEC = """\
spec: 1
name: NAME
about: {title: A mixed tree, modality: [ct, xray], anatomy: chest, department: radiology}
licence: {id: MIT, access: open, redistribute: "yes", evidence: page}
sources:
  cases: {csv: cases.csv}
  questions: {csv: questions.csv}
  images: {files: "img/{id}.{ext:jpg|png}"}
  masks: {files: "mask/{id}.png"}
  scans: {files: "ct/{id}.nii.gz"}
samples:
  from: cases
  join: {questions: {using: [id], need: any}}
  key: id
  patient: patient
  split: {value: split, map: {a: train, b: test}}
media:
  image: {from: images, using: [id], kind: image, no_file: absent}
  mask: {from: masks, using: [id], kind: mask, like: image, no_file: not_annotated}
  ct: {from: scans, using: [id], kind: volume, units: hu, no_file: absent}
facts:
  finding: {kind: class, value: finding, covers: all, no_value: not_annotated, map: {n: nodule, m: mass}, by: expert}
  lesion: {kind: mask_classes, of: mask, covers: all, map: {1: nodule, 2: mass}, by: expert}
  caption: {kind: text, section: caption, value: caption, language: en, no_value: missing, by: expert}
  qa: {kind: qa, of: questions, question: question, answer: answer, answer_type: "'open'", language: en, by: expert}
EXPECT"""


@dataclass
class Tree:
    """A dataset's folder and what was written into it.

    Attributes:
        images, masks, volumes: arrays by id; volumes are (x, y, z) as NIfTI stores them.
        cases: rows of ``cases.csv``, by id.
        questions: (question, answer) by id.
        affine_ijk_to_ras: of all volumes, i the first axis of the file.
    """

    root: Path
    images: dict[str, NDArray[Any]] = field(default_factory=dict)
    masks: dict[str, NDArray[Any]] = field(default_factory=dict)
    volumes: dict[str, NDArray[Any]] = field(default_factory=dict)
    cases: dict[str, dict[str, str]] = field(default_factory=dict)
    questions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    affine_ijk_to_ras: NDArray[np.float64] = field(
        default_factory=lambda: np.array([[-0.7, 0, 0, 90], [0, 0.8, 0, -120], [0, 0, 2.5, 40], [0, 0, 0, 1.0]])
    )

    def add_case(self, name: str, *, finding: str = "", caption: str = "", questions: int = 0) -> None:
        number = len(self.cases)
        split = "b" if number % 4 == 3 else "a"
        self.cases[name] = {"id": name, "patient": f"p{number // 2 * 2 + number % 4 // 3}", "split": split,
                            "finding": finding, "caption": caption}  # fmt: skip
        if questions:
            asked = [(f"What is item {n} of {name}?", f"It is {'x' * n}.") for n in range(1, questions + 1)]
            self.questions[name] = asked

    def write_tables(self) -> None:
        rows = ["id,patient,split,finding,caption", *(",".join(case.values()) for case in self.cases.values())]
        (self.root / "cases.csv").write_text("\n".join(rows) + "\n")
        asked = [f"{name},{q},{a}" for name, pairs in self.questions.items() for q, a in pairs]
        (self.root / "questions.csv").write_text("\n".join(["id,question,answer", *asked]) + "\n")


def write_mixed_tree(root: Path, *, each: int = 4) -> Tree:
    """``each`` samples of every kind."""
    tree = Tree(root)
    rng = np.random.default_rng(5)
    for folder in ("img", "mask", "ct"):
        (root / folder).mkdir(parents=True)

    def picture(name: str, extension: str, *, mask: bool = False) -> None:
        height, width = (int(edge) for edge in rng.integers(20, 60, 2))
        ramp = np.add.outer(np.arange(height), np.arange(width)) * 2
        path = root / "img" / f"{name}.{extension}"
        if extension == "jpg":
            colours = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1).astype(np.uint8)
            Image.fromarray(colours).save(path, quality=90, exif=_exif())
            tree.images[name] = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
        else:
            values = (ramp * 300 + rng.integers(0, 99)) if name.startswith("deep") else ramp
            tree.images[name] = values.astype(np.uint16 if name.startswith("deep") else np.uint8)
            Image.fromarray(tree.images[name]).save(path)
        if mask:
            labels = np.zeros((height, width), np.uint8)
            labels[2:8, 3:9] = 1
            labels[10:15, 4:18] = 2
            Image.fromarray(labels).save(root / "mask" / f"{name}.png")
            tree.masks[name] = labels

    for number in range(each):
        tree.add_case(f"bare{number}")  # no fact at all, and first in the table
        tree.add_case(f"photo{number}", finding="nm"[number % 2], caption=f"Picture {number} of a chest.")
        picture(f"photo{number}", "jpg")
        tree.add_case(f"flat{number}", finding="n" if number % 2 else "")
        picture(f"flat{number}", "png", mask=number % 2 == 0)
        tree.add_case(f"deep{number}", finding="m", questions=number % 3)
        picture(f"deep{number}", "png", mask=number % 2 == 1)
        tree.add_case(f"words{number}", questions=2)
        tree.add_case(f"scan{number}", finding="n", caption="A scan.")
        shape = (9 + number, 8, 5)
        tree.volumes[f"scan{number}"] = rng.integers(-1000, 1000, shape).astype(np.int16)
        scan = nibabel.Nifti1Image(tree.volumes[f"scan{number}"], tree.affine_ijk_to_ras)
        nibabel.save(scan, root / "ct" / f"scan{number}.nii.gz")
    tree.write_tables()
    return tree


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "IDENTIFYING DESCRIPTION"
    return exif


class Quiet:
    """A progress that counts and shows nothing."""

    def __init__(self) -> None:
        self.stages: dict[str, int] = {}

    def stage(self, name: str, total: int | None = None) -> None:
        self._now = name
        self.stages[name] = 0

    def step(self, count: int) -> None:
        self.stages[self._now] += count


LIMITS = UnitLimits(samples=2)
"""Two samples a unit, so that a small tree has many units."""


def build(
    tree: Path, corpus: Path, *, name: str = "mixed", expect: str = "", progress: Quiet | None = None, **options: Any
) -> DatasetBuild:
    """Build the dataset into a corpus, beside what is there already."""
    (loaded,) = load_spec_text(SPEC.replace("NAME", name).replace("EXPECT", expect), "mixed.yaml")
    chosen = BuildOptions(**{"workers": 1, "limits": LIMITS, **options})
    _, (made,) = build_corpus([(loaded, tree)], corpus, chosen, progress or Quiet())
    return made


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder, by path; folders without files stand with an empty digest."""
    return dict(_digests(folder))


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir() and not any(path.iterdir()):
            yield name, ""
