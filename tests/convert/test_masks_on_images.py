"""Masks of every storage on their image, from spec to record: grids, slices by name, segments by code, ROIs by name."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from medshard.convert.sample import MadeSample, make_sample
from medshard.errors import ReadError
from medshard.record.facts import LabelFact, MaskRef, RegionFact

sys.path.insert(0, str(Path(__file__).parent.parent / "readers"))

from blobs import CANARY
from dicom_files import CT, UID, dataset, written
from mask_files import FRAME, KIDNEY, LEFT, LIVER, contour, frame, image_grid, segment, segmentation, structure_set
from small_source import read_source

GRID = image_grid(slices=5, rows=12, columns=14)
SHAPE = GRID.shape_zyx
AFFINE = GRID.affine_ijk_to_ras
assert AFFINE is not None
MARKED = np.zeros(SHAPE, np.uint8)
MARKED[1:4, 2:7, 3:11] = 1
MARKED[2, 4:9, 5:7] = 2


def nifti(array: NDArray[np.generic], affine: NDArray[np.float64] = AFFINE) -> bytes:
    return nibabel.Nifti1Image(array.T, affine, dtype=array.dtype).to_bytes()


def png(plane: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(plane).save(stream, "png")
    return stream.getvalue()


def ct_files(name: str = "ct/{}.dcm") -> dict[str, bytes]:
    """A CT of five slices; slice k has the value 10 k, and its file the name of its number, 11 for the lowest slice."""
    files = {}
    for place in range(SHAPE[0]):
        ras = AFFINE @ [0, 0, place, 1]
        slice_ = dataset(
            np.full(SHAPE[1:], 10 * place, np.int16),
            SOPClassUID=CT,
            SOPInstanceUID=GRID.sop_instance_uids[place],
            SeriesInstanceUID=UID,
            FrameOfReferenceUID=FRAME,
            Modality="CT",
            InstanceNumber=11 - place,
            ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            ImagePositionPatient=[f"{value:.6f}" for value in ras[:3] * [-1, -1, 1]],
            PixelSpacing=["0.75", "0.5"],
        )
        files[name.format(11 - place)] = written(slice_)
    return files


def made(root: Path, body: str, files: Mapping[str, str | bytes]) -> MadeSample:
    source = read_source(root, body, files, modality="ct", anatomy="abdomen")
    (planned,) = source.planned.values()
    return make_sample(source.context, planned)


def stored(sample: MadeSample, slot: str = "mask") -> NDArray[Any]:
    return np.asarray(sample.media.masks[slot].labels)


def region_of(sample: MadeSample, concept: str, side: str | None = None) -> NDArray[np.bool_]:
    """The voxels of a label's only region."""
    labels = {
        fact.id
        for fact in sample.sample.facts
        if isinstance(fact, LabelFact) and fact.concept == f"structure/{concept}" and fact.side == side
    }
    (region,) = [f for f in sample.sample.facts if isinstance(f, RegionFact) and f.of in labels and f.shape == "mask"]
    assert isinstance(region.coords, MaskRef)
    return sample.media.masks[region.coords.slot].region(region.coords.value)


# -- grids -----------------------------------------------------------------------------------------------------------

NIFTI = """
sources: {images: {files: "{id}.ct.nii"}, masks: {files: "{id}.seg.nii"}}
samples: {from: images, patient: unknown, split: none}
media:
  image: {from: images, kind: volume, units: hu}
  mask: {from: masks, using: [id], kind: mask, like: image GRID}
facts:
  part: {kind: mask_classes, of: mask, covers: all, map: {1: liver_region, 2: kidney_region}}
"""
IMAGE = {"a.ct.nii": nifti(np.zeros(SHAPE, np.int16))}


def test_a_mask_on_another_grid_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    coarse = AFFINE @ np.diag([2.0, 2, 1, 1])
    files = {**IMAGE, "a.seg.nii": nifti(MARKED[:, ::2, ::2].copy(), coarse)}
    with pytest.raises(ReadError, match=r"mask: grids differ: \[5, 6, 7\] .* say grid: resample"):
        made(tmp_path, NIFTI.replace("GRID", ""), files)


def test_grid_resample_brings_it_there_and_the_record_says_so(tmp_path: Path) -> None:
    """Twice as large voxels over the same space: each image voxel takes that of the voxel around it."""
    coarse = AFFINE @ np.diag([2.0, 2, 1, 1])
    coarse[:3, 3] = (AFFINE @ [0.5, 0.5, 0, 1])[:3]
    small = MARKED[:, ::2, ::2].copy()
    sample = made(tmp_path, NIFTI.replace("GRID", ", grid: resample"), {**IMAGE, "a.seg.nii": nifti(small, coarse)})
    assert np.array_equal(stored(sample), small.repeat(2, axis=1).repeat(2, axis=2))
    said = sample.sample.medium("mask").derived_from
    assert said is not None
    assert (said["op"], said["shape"], said["image_outside"], said["labels_lost"]) == (
        "resample_nearest",
        [5, 6, 7],
        0,
        0,
    )
    assert "mask: resampled (nearest) onto the grid of image" in sample.notes
    assert [scope.of for scope in sample.sample.scopes] == ["presence"]


def test_a_mask_that_covers_part_of_the_image_claims_no_absence(tmp_path: Path) -> None:
    files = {**IMAGE, "a.seg.nii": nifti(MARKED[1:].copy(), AFFINE @ np.array(_shifted(2)))}
    sample = made(tmp_path, NIFTI.replace("GRID", ", grid: resample"), files)
    assert not sample.sample.scopes
    assert any("absence is not claimed" in note for note in sample.notes)
    assert np.array_equal(stored(sample)[2:], MARKED[1:-1])


def _shifted(slices: int) -> list[list[float]]:
    return [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, slices], [0, 0, 0, 1]]


def test_axes_in_another_order_are_turned_without_being_asked(tmp_path: Path) -> None:
    picture = nibabel.Nifti1Image(MARKED.T, AFFINE, dtype=np.uint8)
    turned = picture.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
    sample = made(tmp_path, NIFTI.replace("GRID", ""), {**IMAGE, "a.seg.nii": turned.to_bytes()})
    assert np.array_equal(stored(sample), MARKED)
    assert sample.sample.medium("mask").derived_from is None
    assert "mask: axes turned into the order of image; no voxel changed" in sample.notes


# -- slices ----------------------------------------------------------------------------------------------------------

SLICES = """
sources:
  ct: {dicom: "ct/{slice:\\\\d+}.dcm"}
  masks: {files: "mask/{slice:\\\\d+}.png", derive: {study: "'1'"}}
samples: {from: ct, group: [SeriesInstanceUID], key: "'a'", patient: unknown, split: none}
media:
  ct: {from: ct, kind: volume, slices: {of: "IMAGE_SLICE"}}
  mask: {from: masks, using: [slice], kind: mask, like: ct, slices: {of: slice NO_FILE} MORE}
facts:
  part: {kind: mask_classes, of: mask, covers: all, map: {1: liver_region, 2: kidney_region}}
"""


def sliced(image_slice: str = "slice", no_file: str = "", more: str = "") -> str:
    return SLICES.replace("IMAGE_SLICE", image_slice).replace("NO_FILE", no_file).replace("MORE", more)


def mask_files() -> dict[str, bytes]:
    """Names count down while positions go up: sorted as text, as numbers, or by position, the orders all differ."""
    return {f"mask/{11 - place}.png": png(MARKED[place]) for place in range(SHAPE[0])}


@pytest.mark.parametrize("image_slice", ["slice", "InstanceNumber"])
def test_mask_slices_go_where_the_image_slice_of_that_number_went(tmp_path: Path, image_slice: str) -> None:
    sample = made(tmp_path, sliced(image_slice), {**ct_files(), **mask_files()})
    image = sample.media.volumes["ct"].voxels
    assert image[:, 0, 0].tolist() == [0, 10, 20, 30, 40], "ordered by position, not by the numbers 11 to 7"
    assert np.array_equal(stored(sample), MARKED)
    assert np.allclose(sample.media.masks["mask"].affine_ijk_to_ras, AFFINE)


def test_zeros_before_a_number_do_not_matter(tmp_path: Path) -> None:
    files = {f"mask/{11 - place:04d}.png": png(MARKED[place]) for place in range(SHAPE[0])}
    body = (
        sliced()
        .replace('masks: {files: "mask/{slice:', 'masks: {files: "mask/{number:')
        .replace("derive: {study: \"'1'\"}", 'derive: {slice: "number::int::varchar"}')
    )
    assert np.array_equal(stored(made(tmp_path, body, {**ct_files(), **files})), MARKED)


def test_missing_mask_slices_are_refused_or_declared(tmp_path: Path) -> None:
    files = {**ct_files(), **mask_files()}
    del files["mask/11.png"], files["mask/8.png"]
    with pytest.raises(ReadError, match="2 slices of ct have no mask"):
        made(tmp_path, sliced(), files)
    expected = MARKED.copy()
    expected[[0, 3]] = 0
    absent = made(tmp_path, sliced(no_file=", no_file: absent"), files)
    assert np.array_equal(stored(absent), expected)
    assert absent.sample.scopes
    unknown = made(tmp_path, sliced(no_file=", no_file: not_annotated"), files)
    assert np.array_equal(stored(unknown), expected)
    assert not unknown.sample.scopes, "what was not looked at is not known to be absent"


def test_two_stacks_that_would_be_sorted_separately_are_refused(tmp_path: Path) -> None:
    """Without slices there is no sample; with them on the mask alone there is no spec."""
    body = sliced().replace(", slices: {of: slice }", "")
    assert body != sliced()
    source = read_source(tmp_path, body, {**ct_files(), **mask_files()}, modality="ct", anatomy="abdomen")
    assert source.planned == {}


def test_a_slice_of_another_size_is_refused(tmp_path: Path) -> None:
    files = {**ct_files(), **mask_files(), "mask/9.png": png(np.zeros((3, 3), np.uint8))}
    with pytest.raises(ReadError, match="slice 9 has 3 x 3 pixels, ct has 14 x 12"):
        made(tmp_path, sliced(), files)


STACK = """
sources:
  images: {files: "{id}/image/{slice:\\\\d+}.png"}
  masks: {files: "{id}/{layer:liver|kidney}/{slice:\\\\d+}.png"}
samples: {from: images, group: [id], patient: unknown, split: none}
media:
  image: {from: images, kind: volume, slices: {of: slice}}
  mask: {from: masks, using: [id], kind: mask, layers: layer, like: image, slices: {of: masks.slice, no_file: absent}}
facts:
  part: {kind: mask_classes, of: mask, covers: all, map: {liver: liver_region, kidney: kidney_region}}
"""


def stack_files(first: int = 8) -> dict[str, bytes]:
    """Slices 8 to 12: as text 10 comes before 8."""
    files = {f"a/image/{first + k}.png": png(np.full(SHAPE[1:], 10 + k, np.uint8)) for k in range(SHAPE[0])}
    for value, layer in ((1, "liver"), (2, "kidney")):
        for k in range(SHAPE[0]):
            if (MARKED[k] == value).any():
                files[f"a/{layer}/{first + k}.png"] = png((MARKED[k] == value).astype(np.uint8) * 255)
    return files


def test_pictures_are_stacked_by_number_with_a_layer_a_folder(tmp_path: Path) -> None:
    sample = made(tmp_path, STACK, stack_files())
    assert sample.media.volumes["image"].voxels[:, 0, 0].tolist() == [10, 11, 12, 13, 14]
    assert np.array_equal(region_of(sample, "liver_region"), MARKED == 1)
    assert np.array_equal(region_of(sample, "kidney_region"), MARKED == 2)
    assert sample.sample.medium("image").affine_ijk_to_ras is None


def test_a_stack_with_a_gap_is_refused(tmp_path: Path) -> None:
    files = stack_files()
    del files["a/image/10.png"]
    with pytest.raises(ReadError, match="slice 10 is missing between 8 and 12"):
        made(tmp_path, STACK, files)


def test_a_mask_slice_without_an_image_slice_is_refused(tmp_path: Path) -> None:
    files = {**stack_files(), "a/liver/13.png": png(MARKED[1])}
    with pytest.raises(ReadError, match="slice 13 of the mask is no slice of image"):
        made(tmp_path, STACK, files)


# -- segments and structures -----------------------------------------------------------------------------------------

PLACED = """
sources:
  ct: {dicom: "ct/{n}.dcm"}
  masks: {dicom: "mask.dcm", derive: {study: "'1'"}}
  series: {dicom: "ct/11.dcm"}
samples: {from: series, key: "'a'", patient: unknown, split: none}
media:
  ct: {from: ct, using: [SeriesInstanceUID], kind: volume}
  mask: {from: masks, using: [PatientID], kind: mask, like: ct MORE}
facts:
  part: {kind: mask_classes, of: mask, covers: named_only, MAP}
"""
CODES = """map: {"SCT:10200004": liver_region,
                  "SCT:64033007+SCT:7771000": {concept: kidney_region, side: left, side_frame: patient}}"""


def placed(more: str, lines: str) -> str:
    return PLACED.replace("MORE", more).replace("MAP", lines)


def test_segments_become_labels_by_their_codes(tmp_path: Path) -> None:
    """Numbers 1 and 2 say nothing: the kidney comes first here, and the two overlap."""
    kidney, liver = (MARKED == 2).astype(np.uint8), (MARKED > 0).astype(np.uint8)
    frames, groups = [], []
    for place in (3, 1, 2):
        for number, part in ((2, liver), (1, kidney)):
            if part[place].any():
                frames.append(part[place])
                groups.append(frame(GRID, place, number, source=GRID.sop_instance_uids[place]))
    file = segmentation(np.array(frames), groups, [segment(1, KIDNEY, LEFT), segment(2, LIVER)])
    sample = made(tmp_path, placed("", CODES), {**ct_files(), "mask.dcm": written(file)})
    assert np.array_equal(region_of(sample, "liver_region"), liver != 0)
    assert np.array_equal(region_of(sample, "kidney_region", "left"), kidney != 0)
    raw = {c.raw for f in sample.sample.facts if isinstance(f, RegionFact) and f.shape == "mask" for c in f.source}
    assert raw == {"SCT:10200004", "SCT:64033007+SCT:7771000"}


def test_a_segment_that_the_map_lacks_is_named(tmp_path: Path) -> None:
    file = segmentation(MARKED[1:2], [frame(GRID, 1, 1)], [segment(1, ("39607008", "SCT"))])
    with pytest.raises(ReadError, match="mask mask: the value 'SCT:39607008' is not mapped"):
        made(tmp_path, placed("", CODES), {**ct_files(), "mask.dcm": written(file)})


def test_fractions_need_a_declared_threshold(tmp_path: Path) -> None:
    fractions = np.random.default_rng(2).integers(0, 201, SHAPE).astype(np.uint8)
    groups = [frame(GRID, place, 1) for place in range(SHAPE[0])]
    files = {**ct_files(), "mask.dcm": written(segmentation(fractions, groups, [segment(1)], "FRACTIONAL"))}
    codes = 'map: {"SCT:10200004": liver_region}'
    with pytest.raises(ReadError, match=r"holds fractions \(probability\); say foreground:"):
        made(tmp_path, placed("", codes), files)
    sample = made(tmp_path, placed(', foreground: ">= 0.5"', codes), files)
    assert np.array_equal(region_of(sample, "liver_region"), fractions >= 100)


def test_structures_become_labels_by_their_names(tmp_path: Path) -> None:
    square = np.array([[2.5, 1.5], [10.5, 1.5], [10.5, 6.5], [2.5, 6.5]])
    uids = GRID.sop_instance_uids
    rois = {
        "Liver_1": [contour(GRID, place, square, image=uids[place]) for place in (1, 2)],
        "PTV": [contour(GRID, 2, square + np.array([1, 1]))],
        "far": [contour(GRID, 9, square)],
        "liver tip": [contour(GRID, 3, square[:1], "POINT")],
    }
    files = {**ct_files(), "mask.dcm": written(structure_set(rois))}
    aliases = 'match: {"(?i)liver.*": liver_region}, drop: {PTV: a target of treatment, far: elsewhere}'
    with pytest.raises(ReadError, match="ROI 3: a contour lies above or below all slices"):
        made(tmp_path, placed("", aliases), files)
    sample = made(tmp_path, placed(", contours: {outside: leave_out}", aliases), files)
    expected = np.zeros(SHAPE, bool)
    expected[1:3, 2:7, 3:11] = True
    assert np.array_equal(region_of(sample, "liver_region"), expected)
    assert "mask: 1 contours above or below all slices of the image left out" in sample.notes
    (tip,) = [f for f in sample.sample.facts if isinstance(f, RegionFact) and f.shape == "point" and f.by != "derived"]
    assert (tip.frame, tip.concept) == ("ras_mm", "structure/liver_region")
    assert np.allclose(np.asarray(tip.coords), (AFFINE @ [2.5, 1.5, 3, 1])[:3])


def test_names_of_structures_are_looked_up_and_never_quoted(tmp_path: Path) -> None:
    """They are free text that a person typed; a pattern may match more than was thought of."""
    square = np.array([[2.5, 1.5], [10.5, 1.5], [10.5, 6.5], [2.5, 6.5]])
    rois = {f"Liver {CANARY}": [contour(GRID, 2, square)], "Kidney": [contour(GRID, 3, square)]}
    files = {**ct_files(), "mask.dcm": written(structure_set(rois))}
    sample = made(tmp_path, placed("", 'match: {"(?i)liver.*": liver_region}, map: {Kidney: kidney_region}'), files)
    assert CANARY not in sample.sample.model_dump_json()
    assert '"raw":"Kidney"' in sample.sample.model_dump_json()
    with pytest.raises(ReadError, match="the name of ROI 1 is not mapped") as caught:
        made(tmp_path, placed("", "map: {Kidney: kidney_region}"), files)
    assert CANARY not in str(caught.value)
