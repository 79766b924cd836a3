"""``medshard demo``: everything arrives, and what was painted is what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Demo, medshard_command

import medshard
from medshard.record.facts import Fact, LabelFact, MeasureFact, RegionFact
from medshard.testing.synthetic import abdominal_ct, breast_ultrasound, chest_xray
from medshard.testing.synthetic.abdomen import LABELS


def test_every_item_is_streamed_in_both_epochs(demo: Demo) -> None:
    counts = demo.told["counts"]
    names = {"demo-abdomen", "demo-breast", "demo-chest", "demo-dicom", "demo-nifti"}
    assert set(demo.told["datasets"]) == names
    assert counts["samples"] == sum(build["samples"] for build in demo.told["datasets"].values())
    assert [run["epoch"] for run in demo.told["streamed"]] == [0, 1]
    for run in demo.told["streamed"]:
        assert run["delivered"] == run["distinct"] == counts["items"]
    assert Path(demo.told["report"]).is_file()
    crops = demo.told["crops"]
    assert crops["shape"] == [8, 1, 24, 48, 48]
    assert crops["delivered"] == crops["on_foreground"] == 8 * 4


def test_a_second_run_keeps_what_is_there(demo: Demo) -> None:
    shards = {path: path.stat().st_mtime_ns for path in demo.corpus.rglob("*.tar")}
    again = medshard_command(["demo", "--out", demo.folder, "--json"], demo.folder)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["counts"] == demo.told["counts"]
    assert {path: path.stat().st_mtime_ns for path in demo.corpus.rglob("*.tar")} == shards


def test_the_corpus_verifies(demo: Demo) -> None:
    done = medshard_command(["verify", demo.corpus, "--json"], demo.folder)
    assert done.returncode == 0, done.stdout


def test_painted_lesions_are_the_corpus_lesions(demo: Demo, tmp_path: Path) -> None:
    truth = breast_ultrasound(tmp_path, cases={"benign": 5, "malignant": 6, "normal": 2})  # as the demo's first
    corpus = medshard.open(demo.corpus).select("dataset = 'demo-breast'")
    samples = {sample.key: sample for sample in corpus}
    assert len(samples) == 72
    for painted in truth.images:
        sample = samples[f"demo-breast-{painted.class_name}-{painted.number}"]
        boxes = [f for f in sample.record.facts if isinstance(f, RegionFact) and f.shape == "box"]
        lesions = [lesion for lesion in painted.lesions if lesion.area_px]
        assert sorted(tuple(map(int, box.coords)) for box in boxes) == sorted(lesion.box_xyxy for lesion in lesions)
        mask = sample.array("lesions")
        assert mask.shape[:2] == (painted.height_px, painted.width_px)
        found = sum(int((mask == number + 1).sum()) for number in range(len(lesions)))
        assert found == sum(lesion.area_px for lesion in lesions)


def test_painted_chests_keep_their_polarity_and_labels(demo: Demo, tmp_path: Path) -> None:
    truth = chest_xray(tmp_path, cases=9)  # as the demo's first
    corpus = medshard.open(demo.corpus).select("dataset = 'demo-chest'")
    samples = {sample.key: sample for sample in corpus}
    assert len(samples) == 72
    concepts = {"Cardiomegaly": "finding/cardiomegaly", "Pleural Effusion": "finding/pleural_effusion"}
    states = {1.0: "present", 0.0: "absent", -1.0: "uncertain"}
    for painted in truth.images:
        sample = samples[f"demo-chest-{Path(painted.path).stem}"]
        pixels = np.asarray(sample.array("image"))
        assert pixels.shape == (painted.height_px, painted.width_px)
        assert pixels.dtype in (np.uint16, np.int16)
        # The marker at the patient's left is the brightest thing, once MONOCHROME1 is turned over.
        x0, y0, x1, y1 = painted.marker_xyxy
        assert pixels[y0:y1, x0:x1].min() == pixels.max()
        labels = {f.concept: f.state for f in sample.record.facts if isinstance(f, LabelFact)}
        for column, concept in concepts.items():
            value = painted.labels[column]
            assert labels.get(concept) == (None if value is None else states[value])
        assert sample.record.split == {"valid": "validation"}.get(painted.split, painted.split)


def test_painted_organs_are_the_corpus_volumes_and_measures(demo: Demo, tmp_path: Path) -> None:
    painted = abdominal_ct(tmp_path)
    corpus = medshard.open(demo.corpus).select("dataset = 'demo-abdomen'")
    samples = {sample.key: sample for sample in corpus}
    assert len(samples) == len(painted) == 8
    for case in painted:
        sample = samples[f"demo-abdomen-{case.patient_id}"]
        np.testing.assert_array_equal(sample.array("organs"), case.labels)
        media = {medium.slot: medium for medium in sample.record.media}
        np.testing.assert_allclose(media["ct"].affine_ijk_to_ras, case.affine_ijk_to_ras, atol=1e-4)
        assert np.median(sample.array("ct")[case.labels == LABELS["spleen"]]) == pytest.approx(50, abs=2)
        volumes = _volumes_ml(sample.record.facts)
        _, half = case.organs["spleen"]
        assert volumes["structure/spleen", None] == pytest.approx(4 / 3 * np.pi * np.prod(half) / 1000, rel=0.04)
        for side in ("left", "right"):
            _, half = case.organs[f"kidney_{side}"]
            wanted = 4 / 3 * np.pi * np.prod(half) / 1000
            assert volumes["structure/kidney_region", side] == pytest.approx(wanted, rel=0.04)
        radii = [radius for _, radius in case.lesions]
        assert (("finding/lesion", None) in volumes) == bool(radii)


def _volumes_ml(facts: list[Fact]) -> dict[tuple[str, str | None], float]:
    """By concept and side."""
    by_id = {fact.id: fact for fact in facts}
    found = {}
    for fact in facts:
        if isinstance(fact, MeasureFact) and fact.concept == "quantity/volume":
            region = by_id[fact.of]
            label = by_id[region.of]
            assert isinstance(label, LabelFact)
            found[label.concept, label.side] = fact.value
    return found
