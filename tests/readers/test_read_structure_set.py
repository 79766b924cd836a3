"""RTSTRUCT: an analytic case for each way to draw a structure, and for each that is refused."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest
from blobs import CANARY, blob, blob_of
from dicom_files import written
from mask_files import contour, image_grid, structure_set
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from medshard.errors import GeometryError, ReadError
from medshard.readers import read_image, read_labels
from medshard.readers.base import Mask
from medshard.readers.grid import ContourRules, Grid

GRID = image_grid(slices=5, rows=20, columns=24)
OBLIQUE = image_grid(slices=5, rows=20, columns=24, orientation=((0.8, 0.6, 0.0), (-0.36, 0.48, 0.8)))
OUTER = np.array([[2.5, 3.5], [14.5, 3.5], [14.5, 13.5], [2.5, 13.5]])
INNER = np.array([[5.5, 5.5], [9.5, 5.5], [9.5, 8.5], [5.5, 8.5]])
AREA, HOLE = 12 * 10, 4 * 3


def drawn(rois: dict[str, list[Dataset]], grid: Grid = GRID, **rules: object) -> Mask:
    return read_labels(blob(written(structure_set(rois)), "a.dcm"), grid, ContourRules(**rules))


def one(contours: list[Dataset], grid: Grid = GRID, **rules: object) -> NDArray[np.bool_]:
    return np.asarray(drawn({"a": contours}, grid, **rules).labels == 1)


@pytest.mark.parametrize("grid", [GRID, OBLIQUE], ids=["axial", "oblique"])
def test_a_rectangle_has_its_area_on_its_slice_and_nothing_elsewhere(grid: Grid) -> None:
    """Slices 1 and 3 are drawn; slice 2 between them is missing and stays empty."""
    inside = one([contour(grid, 1, OUTER), contour(grid, 3, OUTER)], grid)
    assert [int(plane.sum()) for plane in inside] == [0, AREA, 0, AREA, 0]
    assert inside[1, 4:14, 3:15].all()


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_contour_in_a_contour_is_a_hole_whatever_its_direction(kind: str, turned: bool) -> None:
    inner = INNER[::-1] if turned else INNER
    inside = one([contour(GRID, 2, OUTER, kind), contour(GRID, 2, inner, kind)])
    assert inside.sum() == AREA - HOLE
    assert not inside[2, 6:9, 6:10].any()


def test_union_fills_what_is_not_declared_exclusive() -> None:
    assert one([contour(GRID, 2, OUTER), contour(GRID, 2, INNER)], overlap="union").sum() == AREA
    exclusive = [contour(GRID, 2, points, "CLOSEDPLANAR_XOR") for points in (OUTER, INNER)]
    assert one(exclusive, overlap="union").sum() == AREA - HOLE


def test_a_keyhole_is_a_hole() -> None:
    keyhole = [*OUTER, OUTER[0], INNER[0], *INNER[::-1], OUTER[0]]
    assert one([contour(GRID, 2, keyhole)]).sum() == AREA - HOLE


def test_two_islands_on_one_slice_are_both_there() -> None:
    inside = one([contour(GRID, 2, INNER), contour(GRID, 2, INNER + np.array([8, 4]))])
    assert inside.sum() == 2 * HOLE


def test_overlap_in_part_is_outside_and_said() -> None:
    mask = drawn({"a": [contour(GRID, 2, INNER), contour(GRID, 2, INNER + np.array([2, 0]))]})
    assert (mask.labels == 1).sum() == 2 * (HOLE - 2 * 3)
    assert mask.notes == ["2 contours on slices where those of one structure overlap in part: the overlap is outside"]


def test_structures_that_overlap_stay_whole() -> None:
    mask = drawn({"Body": [contour(GRID, 2, OUTER)], "PTV 1": [contour(GRID, 2, INNER)], "empty": []})
    assert mask.names == {1: "Body", 2: "PTV 1", 3: "empty"}
    assert mask.labels.shape == (2, *GRID.shape_zyx)
    assert [(mask.labels == value).any(axis=0).sum() for value in mask.names] == [AREA, HOLE, 0]


def test_a_contour_between_slices_is_refused_or_drawn_on_the_nearest() -> None:
    off = [contour(GRID, 2.3, OUTER)]
    with pytest.raises(GeometryError, match=r"0\.3 slices off the nearest slice; say contours: {off_plane: nearest}"):
        one(off)
    assert one(off, off_plane="nearest")[2].sum() == AREA
    assert one([contour(GRID, 2.02, OUTER)])[2].sum() == AREA, "two digits of a millimetre are no other plane"


def test_a_contour_that_is_not_parallel_to_the_slices_is_refused() -> None:
    """On an image whose slices are oblique, contours of axial planes lie across the slices."""
    across = [contour(GRID, 2, OUTER)]
    with pytest.raises(GeometryError, match="not parallel to the slices"):
        one(across, OBLIQUE, off_plane="nearest", outside="leave_out")


@pytest.mark.parametrize("place", [-1.0, 5.0, 40.0])
def test_a_contour_beyond_the_slices_is_refused_or_left_out(place: float) -> None:
    contours = [contour(GRID, place, OUTER), contour(GRID, 2, INNER)]
    with pytest.raises(GeometryError, match="above or below all slices"):
        one(contours)
    mask = drawn({"a": contours}, outside="leave_out")
    assert (mask.labels == 1).sum() == HOLE
    assert mask.notes == ["1 contours above or below all slices of the image left out"]


def test_the_image_that_a_contour_names_must_be_the_one_it_lies_on() -> None:
    uids = GRID.sop_instance_uids
    assert one([contour(GRID, 2, OUTER, image=uids[2])]).sum() == AREA
    with pytest.raises(GeometryError, match="another slice than the image that it names"):
        one([contour(GRID, 2, OUTER, image=uids[1])])


def test_another_frame_of_reference_is_refused() -> None:
    file = structure_set({"a": [contour(GRID, 2, OUTER)]}, frame_uid="1.2.3")
    with pytest.raises(GeometryError, match="ReferencedFrameOfReferenceUID"):
        read_labels(blob(written(file), "a.dcm"), GRID)


def test_without_an_image_there_is_nothing_to_draw_on() -> None:
    file = blob(written(structure_set({"a": [contour(GRID, 2, OUTER)]})), "a.dcm")
    for grid in (None, Grid((5, 20, 24))):
        with pytest.raises(GeometryError, match="contours need an image of known geometry"):
            read_labels(file, grid)


def test_open_contours_enclose_nothing() -> None:
    mask = drawn({"a": [contour(GRID, 2, OUTER, "OPEN_PLANAR"), contour(GRID, 2, INNER[:2])]})
    assert not mask.labels.any()
    assert len(mask.notes) == 2


def test_points_are_landmarks_in_the_patient() -> None:
    mask = drawn({"a": [contour(GRID, 2, INNER)], "iso": [contour(GRID, 1.4, OUTER[:1], "POINT")]})
    assert (mask.labels == 1).sum() == HOLE
    ((name, place),) = mask.points
    assert name == "iso"
    assert np.allclose(place, (GRID.affine_ijk_to_ras @ [*OUTER[0], 1.4, 1])[:3])


def test_a_structure_is_cut_at_the_edge_of_the_image() -> None:
    mask = drawn({"a": [contour(GRID, 2, OUTER - np.array([10, 0]))]})
    assert (mask.labels == 1).sum() == 5 * 10
    assert "cut at its edge" in mask.notes[0]


def test_bytes_that_were_changed_never_crash_the_reader() -> None:
    data = written(structure_set({"a": [contour(GRID, 2, OUTER), contour(GRID, 3, INNER)], "b": []}))
    draw = random.Random(5)
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


@pytest.mark.parametrize("data", [["1", "2"], ["1e999", "0", "0"] * 3, None])
def test_damaged_points_are_named(data: list[str] | None) -> None:
    broken = contour(GRID, 2, OUTER)
    broken.ContourData = data
    with pytest.raises(ReadError, match="ContourData"):
        one([broken])


def test_the_one_slice_of_dicompyler_has_the_contours_that_lie_on_it(shared: Path) -> None:
    """One CT slice of 98 is here: 437 of 441 contours lie elsewhere, and areas are those of the polygons."""
    folder = shared / "data/dicompyler_rt/example_data"
    image = read_image(blob_of(folder / "ct.0.dcm"))
    grid = Grid((1, 512, 512), image.affine_ijk_to_ras, 2, (str(image.sop_instance_uid),), image.frame_of_reference_uid)
    with pytest.raises(GeometryError, match="above or below all slices"):
        read_labels(blob_of(folder / "rtss.dcm"), grid)
    mask = read_labels(blob_of(folder / "rtss.dcm"), grid, ContourRules(outside="leave_out"))
    assert "437 contours above or below all slices of the image left out" in mask.notes
    dataset = pydicom.dcmread(folder / "rtss.dcm")
    names = {roi.ROINumber: roi.ROIName for roi in dataset.StructureSetROISequence}
    seen = 0
    for roi in dataset.ROIContourSequence:
        name = names[roi.ReferencedROINumber]
        here = [c for c in roi.get("ContourSequence", []) if abs(float(c.ContourData[2]) - 168.56) < 0.01]
        (value,) = [value for value, other in mask.names.items() if other == name]
        region = mask.labels == value
        found = int((region if region.ndim == 2 else region.any(axis=-1)).sum())
        if not here:
            assert found == 0, name
            continue
        areas, border = [], 0.0
        for item in here:
            x, y = np.array(item.ContourData, float).reshape(-1, 3)[:, :2].T / 1.074219
            areas.append(0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))))
            border += float(np.hypot(np.diff(x), np.diff(y)).sum())
        assert abs(found - sum(areas)) <= 0.1 * border, "islands; none of them is a hole in another"
        seen += 1
    assert seen == 1, "four contours of the body; no other structure reaches this slice"
