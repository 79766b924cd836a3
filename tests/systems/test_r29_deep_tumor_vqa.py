"""Row R29: measurements of tumours in CT, asked as text, equal what geometry says.

Questions that chain several measures (the two reasoning categories) come with the tasks that reason.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from ct_phantom import Ellipsoid, Floats, Phantom, nifti, rotation
from mixed_tree import Quiet
from numpy.typing import NDArray
from small_source import HEAD, read_source

import medshard
from medshard.augment import Operation, Resize, TakeSlices
from medshard.augment.volume import Resize3D
from medshard.convert.corpus import build_corpus
from medshard.convert.options import BuildOptions
from medshard.families import FAMILIES
from medshard.families.base import render_blocks
from medshard.record.conversation import Conversation, MediaBlock
from medshard.record.facts import LabelFact, RegionFact
from medshard.record.sample import Sample
from medshard.shards.sample_parts import stored_size
from medshard.spec.load import load_spec_text
from medshard.tasks.budget import Budget
from medshard.tasks.write import TextOptions

ALL = TextOptions(budget=Budget(items=1000, constant_share=1.0))

BODY = """\
sources:
  scans: {files: "ct/{id}.nii.gz"}
  organs: {files: "organs/{id}.nii.gz"}
  cysts: {files: "cysts/{id}.nii.gz"}
samples: {from: scans, patient: unknown, split: none}
media:
  ct: {from: scans, kind: volume, units: hu}
  organs: {from: organs, using: [id], kind: mask, like: ct, no_file: missing}
  cysts: {from: cysts, using: [id], kind: mask, like: ct, no_file: missing}
facts:
  organ: {kind: mask_classes, of: organs, covers: all, by: expert, map: {MAP}}
  cyst: {kind: mask_instances, of: cysts, concept: cyst, covers: all, by: expert}
"""

LIVER = Ellipsoid("liver_region", (0.0, 0.0, 0.0), (50.0, 40.0, 45.0), 60.0)
SPLEEN = Ellipsoid("spleen", (-40.0, -42.0, -30.0), (9.0, 14.0, 18.0), 45.0)
TUMOUR = Ellipsoid("tumour", (-14.0, 6.0, 3.0), (15.0, 9.0, 11.0), 30.0)
CYSTS = tuple(
    Ellipsoid("cyst", (18.0, y, z), (5.0, 6.0, 5.0), 5.0) for y, z in ((-14.0, 0.0), (6.0, 14.0), (8.0, -16.0))
)
PHANTOM = Phantom((LIVER, SPLEEN, TUMOUR, *CYSTS), (0.4, -0.3, 0.2))

GRIDS = {
    "isotropic": np.diag([1.5, 1.5, 1.5]),
    "anisotropic": np.diag([-0.9, -0.9, 4.0]),
    "oblique": rotation((14, -20, 33)) @ np.diag([1.1, 1.3, 2.6]),
    "tilted gantry": np.array([[1.2, 0, 0], [0, 1.2, -0.9], [0, 0, 2.5]]),
    "oblique and sheared": rotation((10, 12, -35)) @ np.array([[1.2, 0.1, 0], [0, 1.2, -0.9], [0, 0, 2.5]]),
    "resampled": np.diag([0.8, 0.8, 0.8]),
}


def organs_of(labels: NDArray[np.uint8], ids: dict[str, int]) -> NDArray[np.uint8]:
    """The label map of organs and tumour; cysts are liver there."""
    table = np.zeros(16, np.uint8)
    for number, part in enumerate(PHANTOM.parts, start=1):
        table[number] = ids["liver_region" if part.name == "cyst" else part.name]
    return table[labels]


def cysts_of(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(labels > 3, labels - 3, 0).astype(np.uint8)


IDS = {"liver_region": 1, "spleen": 2, "tumour": 3}


def scanned(
    root: Path, hu: NDArray[np.int16], labels: NDArray[np.uint8], affine: Floats | None, ids: dict[str, int] = IDS
) -> Sample:
    names = ", ".join(f"{number}: {name}" for name, number in ids.items())
    files: dict[str, str | bytes] = {
        "ct/one.nii.gz": nifti(hu, affine),
        "organs/one.nii.gz": nifti(organs_of(labels, ids), affine),
        "cysts/one.nii.gz": nifti(cysts_of(labels), affine),
    }
    files = {name.replace(".gz", ""): data for name, data in files.items()}
    body = BODY.replace(".nii.gz", ".nii").replace("MAP", names)
    return read_source(root / "data", body, files, modality="ct", anatomy="abdomen", text=ALL).sample("one")


def said(sample: Sample, conversation: Conversation) -> tuple[str, str]:
    family, seen = FAMILIES.get("plain"), stored_size(sample)
    question, answer = (
        render_blocks([block for block in turn.blocks if not isinstance(block, MediaBlock)], sample.facts, family, seen)
        for turn in conversation.turns
    )
    return question, answer


def answers(sample: Sample, lang: str = "en") -> dict[tuple[str, str], str]:
    """(variant, concept of what is asked about) → the rendered answer."""
    found = {}
    for one in sample.conversations:
        if one.task == "measurement" and one.lang == lang:
            variant = re.split(r"[/-]", one.turns[0].template or "")[1]
            (thing,) = {block.concept for block in one.turns[0].blocks if block.type == "term"}
            found[variant, thing.partition("/")[2]] = said(sample, one)[1]
    return found


def number(text: str) -> float:
    (found,) = re.findall(r"-?\d+(?:\.\d+)?", text)
    return float(found)


def check(sample: Sample, matrix: Floats) -> None:
    """Every rendered answer against the formula, within a voxel."""
    told = answers(sample)
    assert set(told) >= {
        (variant, part.name)
        for variant in ("volume", "axial_diameter", "mean_attenuation")
        for part in (SPLEEN, TUMOUR)
    }
    steps = np.linalg.norm(matrix, axis=0)
    normals = np.linalg.inv(matrix)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    axis = int(np.abs(normals[:, 2]).argmax())
    in_plane = max(step for place, step in enumerate(steps) if place != axis)
    for part in (SPLEEN, TUMOUR):
        low, high = part.volume_bounds_ml(float(steps.max()))
        assert low <= number(told["volume", part.name]) <= high
        longest_mm = part.longest_in_plane_mm(normals[axis])
        # Planes lie up to half their distance beside the middle, where the ellipse is smaller.
        off = (steps[axis] / 2) / min(part.half_axes_mm)
        assert longest_mm * np.sqrt(1 - off**2) - in_plane <= number(told["axial_diameter", part.name])
        assert number(told["axial_diameter", part.name]) <= longest_mm + in_plane
        assert number(told["mean_attenuation", part.name]) == pytest.approx(part.hu, abs=1.5)
    assert number(told["count", "cyst"]) == len(CYSTS)
    assert "liver" in told["organ", "tumour"]
    for unit, variant in (("mL", "volume"), ("mm", "axial_diameter"), ("HU", "mean_attenuation")):
        assert unit in told[variant, "tumour"]


@pytest.mark.parametrize("name", GRIDS)
def test_r29_answers_equal_the_analytic_values_on_any_grid(tmp_path: Path, name: str) -> None:
    shape, affine = PHANTOM.grid(GRIDS[name])
    hu, labels = PHANTOM.sampled(shape, affine)
    sample = scanned(tmp_path, hu, labels, affine)
    check(sample, GRIDS[name])
    chinese = answers(sample, "zh")
    assert {key: number(text) for key, text in answers(sample).items() if key[0] != "organ"} == {
        key: number(text) for key, text in chinese.items() if key[0] != "organ"
    }
    assert "肝脏" in chinese["organ", "tumour"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_r29_reorientation_changes_no_answer(tmp_path: Path, order: tuple[int, int, int]) -> None:
    matrix = GRIDS["oblique"]
    shape, affine = PHANTOM.grid(matrix)
    hu, labels = PHANTOM.sampled(shape, affine)
    told = answers(scanned(tmp_path / "as it was", hu, labels, affine))
    # Axes in another order, the second of them backwards: new (i, j, k) to old.
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, old in enumerate(order):
        to_old[old, new], to_old[old, 3] = (-1, shape[old] - 1) if new == 1 else (1, 0)
    turned = [array.transpose(order)[:, ::-1] for array in (hu, labels)]
    again = answers(scanned(tmp_path / "turned", turned[0], turned[1], affine @ to_old))
    assert set(again) == set(told)
    for key, text in told.items():
        if key[0] == "organ":
            assert ("liver" in again[key]) == ("liver" in text)
        else:
            assert number(again[key]) == pytest.approx(number(text), abs=0.11 if key[0] == "mean_attenuation" else 1e-6)


def test_r29_the_question_names_the_spacing_and_is_not_asked_without_it(tmp_path: Path) -> None:
    shape, affine = PHANTOM.grid(GRIDS["anisotropic"])
    hu, labels = PHANTOM.sampled(shape, affine)
    sample = scanned(tmp_path / "known", hu, labels, affine)
    for one in sample.conversations:
        if re.match(r"measurement/(volume|axial_diameter)-", one.turns[0].template or ""):
            assert "0.9 x 0.9 x 4 mm" in said(sample, one)[0]
            assert one.keeps.resize == "restate"
    unknown = scanned(tmp_path / "unknown", hu, labels, None)
    assert unknown.medium("ct").spacing_mm is None
    assert {variant for variant, _ in answers(unknown)} == {"count", "mean_attenuation", "organ"}


@pytest.mark.parametrize("view", ["planes", "crop"])
def test_r29_the_loader_says_the_spacing_that_it_delivers(tmp_path: Path, view: str) -> None:
    shape, affine = PHANTOM.grid(GRIDS["anisotropic"])
    hu, labels = PHANTOM.sampled(shape, affine)
    scanned(tmp_path, hu, labels, affine)  # writes the files
    body = BODY.replace(".nii.gz", ".nii").replace(
        "MAP", ", ".join(f"{number}: {name}" for name, number in IDS.items())
    )
    head = HEAD.replace("MODALITY", "ct").replace("ANATOMY", "abdomen")
    (loaded,) = load_spec_text(head + body, "phantom.yaml")
    build_corpus([(loaded, tmp_path / "data")], tmp_path / "corpus", BuildOptions(workers=1), Quiet())
    corpus = medshard.open(tmp_path / "corpus").select("task = 'measurement'")
    size_kji = (shape[2], shape[1] // 2, shape[0] // 2)
    transform: list[Operation] = [Resize3D(size_kji)]
    if view == "planes":
        transform = [TakeSlices("z", count=4), Resize(size_kji[1:])]
    told = []
    for batch in medshard.Loader(corpus, 2, transform=transform, channels=1):
        for place in np.flatnonzero(batch["valid"]):
            told += re.findall(r"([\d.]+) x ([\d.]+) x ([\d.]+) mm", batch["text"][place][0]["content"])
    assert len(told) >= 2
    x_mm, y_mm = (0.9 * shape[axis] / (shape[axis] // 2) for axis in (0, 1))
    for x, y, z in told:
        assert (float(x), float(y)) == (pytest.approx(x_mm, rel=1e-2), pytest.approx(y_mm, rel=1e-2))
        assert float(z) == pytest.approx(4.0 if view == "crop" else 4.0 * shape[2] / 4, rel=0.2)


CONVENTIONS = [
    dict(zip(IDS, ids, strict=True))
    for ids in [
        (1, 2, 3), (3, 2, 1), (6, 1, 21), (5, 1, 20), (1, 9, 2), (7, 4, 90), (2, 3, 6), (63, 126, 189), (10, 20, 30),
        (255, 127, 64), (4, 8, 15), (16, 23, 42), (11, 12, 13), (100, 101, 102), (9, 8, 7), (50, 5, 55), (31, 7, 2),
    ]
]  # fmt: skip
"""Numbers of liver, spleen and tumour, as 17 datasets may give them."""


def test_r29_seventeen_label_maps_become_one_taxonomy(tmp_path: Path) -> None:
    assert len(CONVENTIONS) == 17
    assert len({tuple(ids.values()) for ids in CONVENTIONS}) == 17
    shape, affine = PHANTOM.grid(np.diag([2.5, 2.5, 3.0]))
    hu, labels = PHANTOM.sampled(shape, affine)
    told = []
    for place, ids in enumerate(CONVENTIONS):
        sample = scanned(tmp_path / str(place), hu, labels, affine, ids)
        concepts = {fact.concept for fact in sample.facts if isinstance(fact, LabelFact)}
        assert {"structure/liver_region", "structure/spleen", "finding/tumour", "finding/cyst"} <= concepts
        values = {
            (fact.concept or "").partition("/")[2]: fact.coords.value
            for fact in sample.facts
            if isinstance(fact, RegionFact) and fact.shape == "mask" and fact.coords.slot == "organs"  # type: ignore[union-attr]
        }
        assert values == ids, "the stored mask keeps the numbers of its source"
        told.append(answers(sample))
    numbers = [{key: number(text) for key, text in one.items() if key[0] != "organ"} for one in told]
    assert all(one == numbers[0] for one in numbers)
