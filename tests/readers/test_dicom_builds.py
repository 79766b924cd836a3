"""DICOM series from files to a corpus with nothing said of grouping: stacks, policies, units, and the account."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from blobs import CANARY
from corpora_of_specs import built_corpus
from dicom_files import written
from dicom_series import CORONAL, ROOT, grain, series
from pydicom.dataset import Dataset

from medshard.cli import main
from medshard.corpus.corpus import Corpus

SPEC = """\
spec: 1
name: scans
about: {title: Synthetic series, modality: ct, anatomy: chest}
licence: {id: CC0-1.0, evidence: page}
sources: {slices: {dicom: "**/{_}.dcm"}}
samples: {from: slices, patient: PatientID, split: train}
media: {ct: {from: slices, kind: volume}}
"""


def put(folder: Path, slices: list[Dataset]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in slices:
        (folder / f"{image.SOPInstanceUID.rsplit('.', 1)[1]}.dcm").write_bytes(written(image))


def mixed(root: Path) -> Corpus:
    """One series of an axial stack, a coronal one and a localizer; a series with echoes; one with a missing slice."""
    data = root / "scans"
    put(data, series(grain(5, 6, 7), ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]))
    put(data, series(grain(3, 6, 7), CORONAL, first_uid=200, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]))
    put(data, series(grain(1, 6, 7), first_uid=300, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    for number, echo in enumerate(("5", "10")):
        put(
            data / "echoes",
            series(
                grain(4, 6, 7, seed=number), first_uid=400 + 10 * number, SeriesInstanceUID=f"{ROOT}.8", EchoTime=echo
            ),
        )
    put(
        data,
        [
            image
            for k, image in enumerate(series(grain(6, 6, 7), first_uid=500, SeriesInstanceUID=f"{ROOT}.9"))
            if k != 2
        ],
    )
    return built_corpus(root, {"scans": SPEC})


def test_volumes_need_no_word_of_grouping(tmp_path: Path) -> None:
    corpus = mixed(tmp_path)
    shapes = sorted(tuple(sample.medium("ct").shape or ()) for sample in corpus)
    assert shapes == [(1, 6, 7), (2, 4, 6, 7), (3, 6, 7), (5, 6, 7)]
    assert all(re.fullmatch(r"scans-2-25-\d+", sample.key) for sample in corpus)


def test_the_report_tells_what_was_split_merged_and_refused(tmp_path: Path) -> None:
    mixed(tmp_path)
    page = re.sub(r"\s*</td><td class=\"n\">", ": ", (tmp_path / "corpus" / "report.html").read_text())
    for line in (
        "series: 3",
        "stacks: 5",
        "series split by image type: 1",
        "series split by orientation: 1",
        "stacks with several volumes by echo_time_ms: 1",
        "volumes of ZYX: 3",
        "volumes of CZYX: 1",
        "refused: missing_slices: 1",
    ):
        assert line in page, line


def test_check_tells_it_before_a_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed(tmp_path)
    (tmp_path / "scans.yaml").write_text(SPEC)
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "scans.yaml"), "--data", str(tmp_path / "scans")])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for line in ("series: 3", "stacks: 5", "series split by image type: 1", "5 samples"):
        assert line in told


def test_nothing_of_the_patient_and_no_uid_is_anywhere(tmp_path: Path) -> None:
    mixed(tmp_path)
    for path in (tmp_path / "corpus").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert CANARY.encode() not in data, path.name
            assert ROOT.encode() not in data, path.name


def test_policies_and_units_of_the_spec_reach_the_reader(tmp_path: Path) -> None:
    slices = series(grain(5, 6, 7), RescaleSlope=1, RescaleIntercept=-1024)
    z = [0.0, 2.0, 4.0, 7.0, 9.0]
    for image, place in zip(slices, z, strict=True):
        image.ImagePositionPatient = ["0", "0", str(place)]
        image.add_new("PixelPaddingValue", "SS", -2000)
    put(tmp_path / "scans", slices)
    spec = SPEC.replace("kind: volume}", "kind: volume, uneven_slices: resample, units: hu}")
    corpus = built_corpus(tmp_path, {"scans": spec})
    (sample,) = corpus
    medium = sample.medium("ct")
    assert (medium.shape, medium.dtype, medium.unit) == ([5, 6, 7], "float32", "[hnsf'U]")
    stored = np.stack([image.pixel_array for image in slices]) - 1024.0
    np.testing.assert_allclose(sample.array("ct")[3], (stored[2] + 2 * stored[3]) / 3, atol=1e-3)
    assert medium.padding is None
    assert "resampled" in (tmp_path / "corpus" / "report.html").read_text()


def test_a_unit_against_the_file_is_refused(tmp_path: Path) -> None:
    slices = series(grain(3, 6, 7), RescaleSlope=1, RescaleIntercept=-1024)
    for image in slices:
        image.add_new("PixelPaddingValue", "SS", -2000)
    put(tmp_path / "scans", slices)
    (sample,) = built_corpus(tmp_path, {"scans": SPEC})
    assert sample.medium("ct").padding == [-3024.0, -3024.0]
    other = tmp_path / "other"
    put(other / "scans", slices)
    corpus = built_corpus(other, {"scans": SPEC.replace("kind: volume}", "kind: volume, units: bq_per_ml}")})
    assert len(corpus) == 0
    assert "unit_differs" in (other / "corpus" / "report.html").read_text()
