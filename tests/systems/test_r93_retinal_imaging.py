"""R93: OCT stacks of two vendors harmonise; fundus series have their order; risk targets keep what they mean."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from corpora_of_specs import built_corpus
from numpy.typing import NDArray
from PIL import Image

HEAD = """\
spec: 1
name: {name}
about: {{title: A synthetic set, modality: {modality}, anatomy: retina, department: ophthalmology}}
licence: {{id: CC0-1.0, evidence: page}}
"""

BSCANS_AS_TIFF = """\
sources:
  exports:
    xml: "{id}/export.xml"
    rows: "."
    columns:
      eye: ".//Laterality"
      device: ".//Model"
      starts_mm: {all: ".//Start/Y"}
      along_mm: ".//ScaleX"
      depth_mm: ".//ScaleY"
  scans: {files: "{id}/B{slice:\\\\d+}.tif"}
samples: {from: exports, patient: unknown, split: train}
media:
  oct:
    from: scans
    using: [id]
    kind: volume
    slices: {of: slice}
    spacing_zyx_mm:
      - "abs(json_extract_string(starts_mm, '$[0]')::double - json_extract_string(starts_mm, '$[1]')::double)"
      - depth_mm
      - along_mm
    evidence: seen
"""

EN_FACE_AS_NIFTI = """\
sources:
  scans: {files: "oct/{id}.nii"}
  meta: {csv: meta.csv}
samples: {from: scans, join: {meta: {using: [id], need: one}}, patient: unknown, split: train}
media:
  oct:
    from: scans
    kind: volume
    axes: YZX
    spacing_zyx_um: [bscan_um, depth_um, along_um]
    evidence: seen
"""

FIELDS = """\
facts:
  eye:
    kind: class
    value: eye
    covers: all
    map:
      {right}: {{concept: retina, side: right, side_frame: patient}}
      {left}: {{concept: retina, side: left, side_frame: patient}}
    by: device
  device: {{kind: class, value: device, covers: all, map: {{"{device}": {concept}}}, by: device}}
"""

FUNDUS = """\
sources:
  visits: {csv: visits.csv}
  images: {files: "images/{image}.png"}
samples:
  from: visits
  join: {images: {using: [image], need: one}}
  key: image
  patient: patient
  exam_date: exam_date
  split: train
media:
  fundus: {from: images, kind: image}
facts:
  risk:
    kind: number
    value: risk_percent
    concept: cardiovascular_risk
    unit: "%"
    resolution: 0.1
    horizon_years: 10
    no_value: missing
"""


def bscans(seed: int) -> NDArray[np.uint8]:
    """(B-scan, depth, along)."""
    return np.random.default_rng(seed).integers(0, 256, (4, 24, 16)).astype(np.uint8)


def tiff(pixels: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "TIFF")
    return stream.getvalue()


def first_vendor(root: Path, eyes: list[str]) -> None:
    """A folder a scan: a TIFF a B-scan, an XML that says where they start, in millimetres."""
    for number, eye in enumerate(eyes):
        folder = root / f"v{number}"
        folder.mkdir(parents=True)
        for place, plane in enumerate(bscans(number), start=1):
            (folder / f"B{place}.tif").write_bytes(tiff(plane))
        starts = "".join(f"<Start><Y>{6.8 - 0.24 * place:.3f}</Y></Start>" for place in range(4))
        (folder / "export.xml").write_text(
            f"<Export><Laterality>{eye}</Laterality><Model>Spectralis</Model>"
            f"<ScaleX>0.0118</ScaleX><ScaleY>0.00387</ScaleY>{starts}</Export>"
        )


def second_vendor(root: Path, eyes: list[str]) -> None:
    """One file a scan, en-face planes first (depth, B-scan, along), without a place; a table in micrometres."""
    (root / "oct").mkdir(parents=True)
    lines = ["id,eye,device,bscan_um,depth_um,along_um"]
    for number, eye in enumerate(eyes):
        stored = np.moveaxis(bscans(number), 1, 0)
        nibabel.Nifti1Image(np.ascontiguousarray(stored).transpose(), None).to_filename(root / f"oct/w{number}.nii")
        lines.append(f"w{number},{eye},3D OCT-2000,240,3.87,11.8")
    (root / "meta.csv").write_text("\n".join(lines) + "\n")


def test_r93_oct_of_two_vendors_has_one_axis_order_and_spacing(tmp_path: Path) -> None:
    first_vendor(tmp_path / "first", ["R", "L"])
    second_vendor(tmp_path / "second", ["OD", "OS"])
    specs = {
        "first": HEAD.format(name="first", modality="oct")
        + BSCANS_AS_TIFF
        + FIELDS.format(right="R", left="L", device="Spectralis", concept="heidelberg_spectralis"),
        "second": HEAD.format(name="second", modality="oct")
        + EN_FACE_AS_NIFTI
        + FIELDS.format(right="OD", left="OS", device="3D OCT-2000", concept="topcon_oct"),
    }
    corpus = built_corpus(tmp_path, specs)
    for number, side in enumerate(("right", "left")):
        for key, device in ((f"first-v{number}", "heidelberg_spectralis"), (f"second-w{number}", "topcon_oct")):
            sample = corpus.sample(key)
            medium = sample.medium("oct")
            assert medium.axes == "ZYX"
            assert medium.affine_ijk_to_ras is None, "neither file places the eye in the patient"
            np.testing.assert_allclose(np.array(medium.spacing_mm) * 1000, [240, 3.87, 11.8], rtol=1e-6)
            np.testing.assert_array_equal(sample.array("oct"), bscans(number))
            labels = {fact.concept: fact for fact in sample.record.facts if fact.kind == "label"}
            retina = next(fact for fact in labels.values() if fact.concept == "anatomy/retina")
            assert (retina.side, retina.side_frame) == (side, "patient")
            assert f"device/{device}" in labels


@pytest.fixture
def visits(tmp_path: Path) -> dict[str, tuple[str, str, float]]:
    """Image → patient, date and risk: files and rows are in no order of time."""
    rows = {
        "a7": ("p1", "2019-03-05", 7.5),
        "a1": ("p1", "2021-11-30", 12.3),
        "a3": ("p1", "2018-12-31", 6.0),
        "b2": ("p2", "2020-02-29", 20.1),
        "b1": ("p2", "2020-03-01", 20.4),
    }
    folder = tmp_path / "fundus" / "images"
    folder.mkdir(parents=True)
    for image in rows:
        Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 24, 3)).astype(np.uint8)).save(
            folder / f"{image}.png"
        )
    lines = ["image,patient,exam_date,risk_percent"]
    lines += [f"{image},{patient},{date},{risk}" for image, (patient, date, risk) in rows.items()]
    (tmp_path / "fundus" / "visits.csv").write_text("\n".join(lines) + "\n")
    return rows


def test_r93_a_fundus_series_is_ordered_by_exam_and_risks_keep_unit_and_horizon(
    tmp_path: Path, visits: dict[str, tuple[str, str, float]]
) -> None:
    corpus = built_corpus(tmp_path, {"fundus": HEAD.format(name="fundus", modality="fundus") + FUNDUS})
    series: dict[str, list[tuple[int, str]]] = {}
    for sample in corpus:
        (medium,) = sample.record.media
        assert medium.day is not None
        assert sample.record.group is not None
        image = sample.key.removeprefix("fundus-")
        series.setdefault(sample.record.group, []).append((medium.day, image))
        (risk,) = (fact for fact in sample.record.facts if fact.kind == "measure")
        assert (risk.value, risk.unit, risk.horizon_years, risk.resolution) == (visits[image][2], "%", 10.0, 0.1)
    assert sorted(sorted(days) for days in series.values()) == [
        [(0, "a3"), (64, "a7"), (1065, "a1")],
        [(0, "b2"), (1, "b1")],
    ]
    kept = json.dumps([sample.record.model_dump(mode="json", exclude={"source"}) for sample in corpus])
    assert not any(date in kept for _, date, _ in visits.values()), "the dates themselves are not kept"
