"""DICOM SEG: places, names, bits, fractions and overlaps against what was written, dcmqi's NRRD and highdicom."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from blobs import CANARY, blob, blob_of
from dicom_files import written
from mask_files import (
    BACKGROUND,
    FRAME,
    KIDNEY,
    LEFT,
    LIVER,
    coded,
    frame,
    image_grid,
    segment,
    segmentation,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from medshard.errors import GeometryError, ReadError
from medshard.readers import read_labels, read_volume
from medshard.readers.base import Mask
from medshard.readers.grid import Grid

GRID = image_grid()
SIZE = GRID.shape_zyx[1:]


def parts(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Frames of 0 and 1; 63 pixels each, so that none but the first begins at a byte."""
    return (np.random.default_rng(seed).random((count, *SIZE)) < 0.4).astype(np.uint8)


def labels_of(dataset: Dataset, grid: Grid | None = GRID) -> Mask:
    return read_labels(blob(written(dataset), "a.dcm"), grid)


def test_frames_go_where_they_say_not_where_they_stand() -> None:
    """Five slices, frames for three of them in a drawn order: the others are empty."""
    places = [3, 0, 2]
    frames = parts(3)
    mask = labels_of(segmentation(frames, [frame(GRID, place, 1) for place in places], [segment(1)]))
    expected = np.zeros(GRID.shape_zyx, np.uint8)
    for pixels, place in zip(frames, places, strict=True):
        expected[place] = pixels
    assert np.array_equal(mask.labels, expected)
    assert mask.names == {1: "SCT:10200004"}
    assert mask.affine_ijk_to_ras is GRID.affine_ijk_to_ras


def test_an_image_that_runs_downwards_gets_its_frames_upside_down() -> None:
    """The image's first slice is the top one: the same file lies the other way round on it."""
    frames = parts(2)
    file = segmentation(frames, [frame(GRID, 1, 1), frame(GRID, 3, 1)], [segment(1)])
    affine = np.array(GRID.affine_ijk_to_ras)
    affine[:3, 3] += 4 * affine[:3, 2]
    affine[:3, 2] *= -1
    downwards = Grid(GRID.shape_zyx, affine, 3, GRID.sop_instance_uids[::-1], FRAME)
    assert np.array_equal(labels_of(file, downwards).labels, labels_of(file).labels[::-1])


def test_a_frame_on_another_slice_than_the_image_it_names_is_refused() -> None:
    uids = GRID.sop_instance_uids
    good = segmentation(parts(1), [frame(GRID, 3, 1, source=uids[3])], [segment(1)])
    assert labels_of(good).labels[3].any()
    bad = segmentation(parts(1), [frame(GRID, 3, 1, source=uids[2])], [segment(1)])
    with pytest.raises(GeometryError, match="another slice than the image that it names"):
        labels_of(bad)


def test_frames_without_positions_go_by_the_image_they_name() -> None:
    uids = GRID.sop_instance_uids
    frames = parts(2)
    groups = [frame(GRID, 0, 1, source=uids[place], position=False) for place in (4, 1)]
    mask = labels_of(segmentation(frames, groups, [segment(1)]))
    assert np.array_equal(mask.labels[[4, 1]], frames)
    assert not mask.labels[[0, 2, 3]].any()
    for source in (None, "1.2.3"):
        nowhere = segmentation(frames[:1], [frame(GRID, 0, 1, source=source, position=False)], [segment(1)])
        with pytest.raises(GeometryError, match="names 0 slices"):
            labels_of(nowhere)


def test_another_frame_of_reference_is_refused() -> None:
    file = segmentation(parts(1), [frame(GRID, 3, 1)], [segment(1)], FrameOfReferenceUID="1.2.3")
    with pytest.raises(GeometryError, match="FrameOfReferenceUID is not that of the image"):
        labels_of(file)


def test_segments_are_known_by_their_codes_not_their_numbers() -> None:
    frames = parts(2)
    frames[1] &= 1 - frames[0]
    both = [segment(1, LIVER), segment(2, KIDNEY, LEFT)]
    mask = labels_of(segmentation(frames, [frame(GRID, 2, 1), frame(GRID, 2, 2)], both))
    assert mask.names == {1: "SCT:10200004", 2: "SCT:64033007+SCT:7771000"}
    swapped = [segment(1, KIDNEY, LEFT), segment(2, LIVER)]
    again = labels_of(segmentation(frames[::-1], [frame(GRID, 2, 1), frame(GRID, 2, 2)], swapped))
    for name in mask.names.values():
        (one,), (other,) = ([v for v, n in m.names.items() if n == name] for m in (mask, again))
        assert np.array_equal(mask.labels == one, again.labels == other)


def test_regions_and_their_modifiers_are_part_of_the_name() -> None:
    item = segment(1, ("86049000", "SCT"))
    region = coded(("64033007", "SCT"), AnatomicRegionModifierSequence=Items([coded(LEFT)]))
    item.AnatomicRegionSequence = Items([region])
    mask = labels_of(segmentation(parts(1), [frame(GRID, 0, 1)], [item]))
    assert mask.names == {1: "SCT:86049000 in SCT:64033007+SCT:7771000"}


def test_a_segment_without_a_coded_type_is_refused() -> None:
    item = segment(1)
    del item.SegmentedPropertyTypeCodeSequence
    with pytest.raises(ReadError, match="segment 1 has no SegmentedPropertyTypeCodeSequence"):
        labels_of(segmentation(parts(1), [frame(GRID, 0, 1)], [item]))


def test_overlaps_survive_in_channels() -> None:
    frames = parts(3, seed=5)
    groups = [frame(GRID, 2, number) for number in (1, 2, 3)]
    mask = labels_of(segmentation(frames, groups, [segment(1), segment(2, KIDNEY), segment(3, ("39607008", "SCT"))]))
    assert mask.labels.ndim == 4
    for number in (1, 2, 3):
        found = (mask.labels == number).any(axis=0)
        assert np.array_equal(found[2], frames[number - 1] != 0)
        assert not found[[0, 1, 3, 4]].any()


def test_a_label_map_keeps_its_numbers_and_drops_its_background() -> None:
    frames = np.random.default_rng(1).choice(np.array([0, 3, 7], np.uint8), (2, *SIZE))
    groups = [frame(GRID, place, None) for place in (4, 0)]
    mask = labels_of(segmentation(frames, groups, [segment(0, BACKGROUND), segment(3), segment(7, KIDNEY)], "LABELMAP"))
    assert mask.names == {3: "SCT:10200004", 7: "SCT:64033007"}
    assert np.array_equal(mask.labels[[4, 0]], frames)
    assert not mask.labels[1:4].any()


def test_padding_of_a_label_map_is_background() -> None:
    frames = np.random.default_rng(1).choice(np.array([0, 3, 9], np.uint8), (1, *SIZE))
    segments = [segment(0, KIDNEY), segment(3)]
    file = segmentation(frames, [frame(GRID, 1, None)], segments, "LABELMAP", PixelPaddingValue=9)
    mask = labels_of(file)
    assert mask.names == {4: "SCT:64033007", 3: "SCT:10200004"}, "segment 0 is a segment here"
    assert np.array_equal(mask.labels[1] == 4, frames[0] == 0)
    assert np.array_equal(mask.labels[1] == 0, frames[0] == 9)
    with pytest.raises(ReadError, match="value 9, which is no segment"):
        labels_of(segmentation(frames, [frame(GRID, 1, None)], segments, "LABELMAP"))


def test_fractions_stay_fractions() -> None:
    frames = np.random.default_rng(1).integers(0, 201, (2, *SIZE)).astype(np.uint8)
    groups = [frame(GRID, 1, 1), frame(GRID, 1, 2)]
    mask = labels_of(segmentation(frames, groups, [segment(1), segment(2, KIDNEY)], "FRACTIONAL"))
    assert (mask.fraction, mask.fraction_maximum) == ("probability", 200)
    assert mask.layers == ("SCT:10200004", "SCT:64033007")
    assert np.array_equal(mask.labels[:, 1], frames)
    assert not mask.labels[:, [0, 2, 3, 4]].any()
    frames[0, 0, 0] = 201
    with pytest.raises(ReadError, match="larger than MaximumFractionalValue"):
        labels_of(segmentation(frames, groups, [segment(1), segment(2, KIDNEY)], "FRACTIONAL"))


def test_fractions_can_be_a_volume() -> None:
    frames = np.random.default_rng(1).integers(0, 201, (3, *SIZE)).astype(np.uint8)
    groups = [frame(GRID, 3, 1), frame(GRID, 1, 2), frame(GRID, 1, 1)]
    file = segmentation(frames, groups, [segment(1), segment(2, KIDNEY)], "FRACTIONAL")
    volume = read_volume([blob(written(file), "a.dcm")])
    assert (volume.axes, volume.voxels.dtype, volume.unit) == ("CZYX", np.float32, "1")
    assert np.allclose(volume.voxels[0, [2, 0]], frames[[0, 2]] / 200)
    assert np.allclose(volume.voxels[1, 0], frames[1] / 200)
    assert not volume.voxels[:, 1].any()
    assert volume.affine_ijk_to_ras is not None
    assert np.allclose(volume.affine_ijk_to_ras[:3, 3], (GRID.affine_ijk_to_ras @ [0, 0, 1, 1])[:3])
    whole = segmentation(parts(1), [frame(GRID, 3, 1)], [segment(1)])
    with pytest.raises(ReadError, match="say kind: mask"):
        read_volume([blob(written(whole), "a.dcm")])


def test_frames_off_the_image_lie_on_a_grid_of_their_own() -> None:
    """An image of other pixels: the mask has its own affine, gaps between frames are empty slices."""
    frames = parts(2)
    file = segmentation(frames, [frame(GRID, 4, 1), frame(GRID, 1, 1)], [segment(1)])
    mask = labels_of(file, image_grid(rows=8))
    assert np.array_equal(mask.labels, np.stack([frames[1], np.zeros(SIZE), np.zeros(SIZE), frames[0]]))
    assert mask.affine_ijk_to_ras is not None
    assert np.allclose(mask.affine_ijk_to_ras @ [0, 0, 3, 1], GRID.affine_ijk_to_ras @ [0, 0, 4, 1])
    assert np.array_equal(labels_of(file, None).labels, mask.labels)


def test_frames_that_lie_unevenly_are_refused() -> None:
    groups = [frame(GRID, 0, 1), frame(GRID, 1, 1)]
    groups[1].PlanePositionSequence[0].ImagePositionPatient[2] += 1.1
    with pytest.raises(GeometryError, match="unevenly"):
        labels_of(segmentation(parts(2), groups, [segment(1)]), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SegmentationType": "OTHER"}, "none of BINARY, FRACTIONAL, LABELMAP"),
        ({"SegmentSequence": Items([])}, "SegmentSequence is missing"),
        ({"NumberOfFrames": 3}, "frame descriptions for 3 frames"),
        ({"Rows": 20}, "grid of|decoded|described|frames"),
        ({"NumberOfFrames": 2_000_000}, "1 to 1048576 are read"),
        ({"PerFrameFunctionalGroupsSequence": None}, "0 frame descriptions"),
        ({"TotalPixelMatrixColumns": 9}, "slide"),
        ({"PixelData": b"\0\0"}, "cannot be decoded"),
    ],
)
def test_damage_is_named_without_values_of_the_patient(change: dict[str, object], message: str) -> None:
    file = segmentation(parts(2), [frame(GRID, 0, 1), frame(GRID, 1, 1)], [segment(1)], **change)
    with pytest.raises(ReadError, match=message) as caught:
        labels_of(file)
    assert CANARY not in str(caught.value)


def test_bytes_that_were_changed_never_crash_the_reader() -> None:
    data = written(segmentation(parts(2), [frame(GRID, 0, 1), frame(GRID, 1, 1)], [segment(1)]))
    draw = random.Random(7)
    read = 0
    for _ in range(150):
        broken = bytearray(data[: draw.randrange(200, len(data))] if draw.random() < 0.3 else data)
        for _ in range(draw.randrange(1, 6)):
            broken[draw.randrange(132, len(broken))] = draw.randrange(256)
        said = ""
        try:
            read_labels(blob(bytes(broken), "a.dcm"), GRID)
            read += 1
        except ReadError as error:
            said = str(error)
        assert CANARY not in said
    assert read


@pytest.mark.parametrize("coding", ["deflate", "rle", "j2k", "expb"])
@pytest.mark.parametrize("name", ["liver", "liver_nonbyte_aligned"])
def test_bits_of_every_coding_are_those_of_the_plain_file(shared: Path, name: str, coding: str) -> None:
    """pydicom's files of one segmentation; those of 510 x 510 pixels have frames that end within a byte."""
    folder = shared / "data/pydicom_data"
    if not (folder / f"{name}_{coding}.dcm").exists():
        pytest.skip("there is no such file")
    plain = read_labels(blob_of(folder / f"{name}.dcm"))
    coded = read_labels(blob_of(folder / f"{name}_{coding}.dcm"))
    assert plain.labels.any()
    assert np.array_equal(coded.labels, plain.labels)
    if name == "liver":
        dcmqi = SimpleITK.ReadImage(str(shared / "data/dcmqi/data/segmentations/liver_seg.nrrd"))
        assert np.array_equal(plain.labels, SimpleITK.GetArrayFromImage(dcmqi))


# -- dcmqi -----------------------------------------------------------------------------------------------------------


def grid_of(folder: Path) -> Grid:
    volume = read_volume([blob_of(path) for path in sorted(folder.glob("*.dcm"))])
    return Grid(
        volume.voxels.shape, volume.affine_ijk_to_ras, 3, volume.sop_instance_uids, volume.frame_of_reference_uid
    )


@pytest.mark.parametrize(
    ("file", "image", "nrrd"),
    [
        ("liver.dcm", "ct-3slice", "liver_seg.nrrd"),
        ("23x38x3/seg/label.seg", "23x38x3/image", "23x38x3/nrrd/label.nrrd"),
        ("24x38x3/seg/label.seg", "24x38x3/image", "24x38x3/nrrd/label.nrrd"),
        ("sparse-labelmap-noppv.dcm", "24x38x3/image", "sparse_labelmap_noppv_seg.nrrd"),
        ("sparse-labelmap-ppv5.dcm", "24x38x3/image", "sparse_labelmap_ppv5_seg.nrrd"),
    ],
)
def test_files_of_dcmqi_equal_its_own_label_maps(shared: Path, file: str, image: str, nrrd: str) -> None:
    """On the image's grid and on their own. dcmqi fills a missing slice with the padding value 5: nothing, here."""
    folder = shared / "data/dcmqi/data/segmentations"
    picture = SimpleITK.ReadImage(str(folder / nrrd))
    expected = SimpleITK.GetArrayFromImage(picture)
    expected = np.where(expected == 5, 0, expected)
    origin = np.array([*picture.GetOrigin(), 1]) * [-1, -1, 1, 1]
    for grid in (grid_of(folder / image), None):
        mask = read_labels(blob_of(folder / file), grid)
        assert np.array_equal(mask.labels, expected)
        assert mask.affine_ijk_to_ras is not None
        assert np.allclose(mask.affine_ijk_to_ras[:, 3], origin, atol=1e-4)
        assert next(iter(mask.names.values())) in ("SRT:T-62000", "SCT:10200004")


def test_parts_of_dcmqi_that_overlap_equal_its_three_label_maps(shared: Path) -> None:
    folder = shared / "data/dcmqi/data/segmentations"
    mask = read_labels(blob_of(folder / "partial_overlaps.dcm"), grid_of(folder / "ct-3slice"))
    maps = [
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) for path in folder.glob("partial_overlaps-*.nrrd")
    ]
    assert sorted(mask.names) == [1, 2, 3, 4, 5]
    for value in mask.names:
        expected = np.any([array == value for array in maps], axis=0)
        assert expected.any()
        assert np.array_equal((mask.labels == value).any(axis=0), expected)
