"""Rescale, distances and axes that a spec states, units against files, and DICOM series through a build."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from small_source import Source, read_source, table

from medshard.convert.sample import MadeSample, make_sample
from medshard.errors import ReadError, SpecError

SPEC = """\
sources:
  scans: {files: "{id}.nii"}
  meta: {csv: meta.csv}
samples: {from: scans, join: {meta: {using: [id], need: one}}, patient: unknown, split: train}
media:
  ct:
    from: scans
    kind: volume
    units: hu
"""
STATED = """\
    rescale: {slope: slope, intercept: intercept}
    spacing_zyx_mm: [z_mm, "json_extract_string(xy_mm, '$[1]')", "json_extract_string(xy_mm, '$[0]')"]
    evidence: page
"""
OBLIQUE = np.array([[0.8, 0.0, 0.6, 10.0], [0.6, 0.0, -0.8, -20.0], [0.0, 1.0, 0.0, 5.0], [0, 0, 0, 1]])


def nifti(voxels_kji: NDArray[Any], affine: NDArray[np.float64] | None = None) -> bytes:
    image = nibabel.Nifti1Image(voxels_kji.transpose(), affine)
    stream = io.BytesIO()
    image.to_stream(stream)
    return stream.getvalue()


def voxels(seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-1000, 3000, (3, 4, 5)).astype(np.int16)


def made(source: Source, key: str = "a") -> MadeSample:
    return make_sample(source.context, source.planned[key])


def built(root: Path, spec: str, file: bytes, row: tuple[object, ...]) -> MadeSample:
    files = {"a.nii": file, "meta.csv": table("id,slope,intercept,z_mm,xy_mm", [("a", *row)])}
    return made(read_source(root, spec, files, modality="ct"))


@pytest.mark.parametrize(("slope", "intercept", "kind"), [("1", "-1024.0", "int16"), ("0.5", "-3", "float32")])
def test_slope_and_intercept_come_from_a_table(slope: str, intercept: str, kind: str, tmp_path: Path) -> None:
    stored = voxels()
    files = {
        "a.nii": nifti(stored, OBLIQUE),
        "meta.csv": f'id,slope,intercept,z_mm,xy_mm\na,{slope},{intercept},2.5,"[0.7, 0.9]"\n',
    }
    sample = made(read_source(tmp_path, SPEC + STATED, files, modality="ct"))
    volume, medium = sample.media.volumes["ct"], sample.media.media["ct"]
    np.testing.assert_array_equal(volume.voxels, stored * float(slope) + float(intercept))
    assert (str(volume.voxels.dtype), medium.unit) == (kind, "[hnsf'U]")
    assert medium.spacing_mm == pytest.approx([2.5, 0.9, 0.7])
    affine = np.array(medium.affine_ijk_to_ras)
    np.testing.assert_allclose(affine[:3, 3], OBLIQUE[:3, 3])
    np.testing.assert_allclose(affine[:3, :3], OBLIQUE[:3, :3] * [0.7, 0.9, 2.5])
    assert "ct: the stated spacing differs from the file's, whose directions and origin are kept" in sample.notes


def test_distances_without_a_place_are_no_affine(tmp_path: Path) -> None:
    spec = SPEC + "    spacing_zyx_um: [z_mm, '30.5', '12']\n    evidence: page\n"
    sample = built(tmp_path, spec, nifti(voxels()), (1, 0, 240, ""))
    medium = sample.media.media["ct"]
    assert medium.affine_ijk_to_ras is None
    assert medium.spacing_mm == pytest.approx([0.24, 0.0305, 0.012])


@pytest.mark.parametrize(
    ("row", "error_class"),
    [
        ((1, "x", 1, ""), "bad_number"),
        ((1, "", 1, ""), "empty_cell"),
        ((0, 0, 1, ""), "bad_number"),
        ((1, 0, -1, ""), "bad_number"),
        ((1, 0, "nan", ""), "bad_number"),
    ],
)
def test_cells_that_say_nothing_are_refused(row: tuple[object, ...], error_class: str, tmp_path: Path) -> None:
    lines = "    rescale: {slope: slope, intercept: intercept}\n    spacing_zyx_mm: [z_mm, '1', '1']\n"
    spec = SPEC + lines + "    evidence: page\n"
    with pytest.raises(ReadError) as caught:
        built(tmp_path, spec, nifti(voxels(), OBLIQUE), row)
    assert caught.value.error_class == error_class


@pytest.mark.parametrize("axes", ["YZX", "XYZ", "ZXY", "YXZ"])
def test_stored_axes_are_turned_with_their_places(axes: str, tmp_path: Path) -> None:
    stored = voxels()
    spec = SPEC + f"    axes: {axes}\n    evidence: page\n"
    sample = built(tmp_path, spec, nifti(stored, OBLIQUE), (1, 0, 1, ""))
    volume = sample.media.volumes["ct"]
    wanted = np.einsum(f"{axes.lower()}->zyx", stored)
    np.testing.assert_array_equal(volume.voxels, wanted)
    assert volume.affine_ijk_to_ras is not None
    for k, j, i in ((0, 0, 0), (1, 2, 1), (2, 1, 0)):
        place = dict(zip("zyx", (k, j, i), strict=True))
        c, b, a = (place[letter] for letter in axes.lower())
        if c < 3 and b < 4 and a < 5:
            here = volume.affine_ijk_to_ras @ [i, j, k, 1]
            np.testing.assert_allclose(here, OBLIQUE @ [a, b, c, 1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("    rescale: {slope: '1', intercept: '0'}\n", "rescale: needs evidence"),
        ("    spacing_zyx_mm: ['1', '1', '1']\n", "a spacing needs evidence"),
        ("    axes: YZX\n", "axes: needs evidence"),
        ("    axes: YZZ\n", "not allowed"),
        (
            "    spacing_zyx_mm: ['1', '1', '1']\n    spacing_zyx_um: ['1', '1', '1']\n    evidence: page\n",
            "give one of",
        ),
        ("    uneven_slices: average\n", "not allowed"),
    ],
)
def test_what_is_stated_without_evidence_or_twice_is_no_spec(lines: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message):
        built(tmp_path, SPEC + lines, nifti(voxels()), (1, 0, 1, ""))
