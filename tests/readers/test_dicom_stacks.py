"""Splitting of series by headers, and what the reader does with what headers do not tell."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
from dicom_files import dataset
from dicom_series import CORONAL, ROOT, grain, read, series, stacked
from pydicom.dataset import Dataset

from medshard.errors import GeometryError


def moved(slices: list[Dataset], first_uid: int, **attributes: object) -> list[Dataset]:
    """Copies of slices as other objects, with other attributes."""
    again = copy.deepcopy(slices)
    for k, image in enumerate(again):
        image.SOPInstanceUID = f"{ROOT}.{first_uid + k}"
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
    return again


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "image type"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "image type"),
        ({"FrameOfReferenceUID": f"{ROOT}.3"}, "frame of reference"),
        ({"PixelSpacing": ["0.8", "0.5"]}, "grid"),
        ({"Rows": 5}, "grid"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "0.9397", "0.342"]}, "orientation"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "kind of object"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "kind of pixels"),
    ],
)
def test_a_series_is_split_where_slices_cannot_be_one_volume(attributes: dict[str, object], reason: str) -> None:
    slices = series(grain(4, 4, 4), ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    others = moved(slices[:2], 300, **attributes)
    found = stacked([*slices, *others])
    assert found.account.split == {reason: 1}
    assert (found.account.series, found.account.stacks) == (1, 2)
    assert len(set(found.names[:4])) == len(set(found.names[4:])) == 1
    assert found.names[0] != found.names[4]
    assert all(name.startswith(f"{ROOT}.1/") for name in found.names)


def test_a_plain_series_is_one_stack_and_named_by_its_uid() -> None:
    slices = series(grain(4, 4, 4))
    found = stacked([*slices, *series(grain(3, 4, 4), first_uid=400, SeriesInstanceUID=f"{ROOT}.9")])
    assert found.names == [f"{ROOT}.1"] * 4 + [f"{ROOT}.9"] * 3
    assert found.account.split == found.account.merged == {}


def test_names_of_stacks_do_not_depend_on_the_order_of_files() -> None:
    slices = [*series(grain(4, 4, 4)), *series(grain(3, 4, 4), CORONAL, first_uid=300)]
    by_uid = dict(zip((image.SOPInstanceUID for image in slices), stacked(slices).names, strict=True))
    shuffled = list(slices)
    random.Random(3).shuffle(shuffled)
    assert by_uid == dict(zip((image.SOPInstanceUID for image in shuffled), stacked(shuffled).names, strict=True))


def test_directions_written_with_other_digits_are_one_orientation() -> None:
    slices = series(grain(4, 4, 4))
    slices[2].ImageOrientationPatient = ["0.99999999", "0.00001", "0", "-0.00001", "1", "0"]
    assert stacked(slices).account.stacks == 1
    assert read(slices).voxels.shape == (4, 4, 4)


def test_files_without_a_series_are_grouped_by_folder() -> None:
    slices = [*series(grain(4, 4, 4)), *series(grain(3, 4, 4), first_uid=300)]
    for image in slices:
        image.SeriesInstanceUID = ""
    found = stacked(slices, [f"a/{k}" for k in range(4)] + [f"b/{k}" for k in range(3)])
    assert found.names == ["a"] * 4 + ["b"] * 3
    assert found.account.unnamed == 7


def test_clips_of_one_series_are_stacks_of_their_own() -> None:
    clips = [
        dataset(np.zeros((3, 4, 4), np.uint8), frames=3, SeriesInstanceUID=f"{ROOT}.1", SOPInstanceUID=f"{ROOT}.{k}")
        for k in (7, 8)
    ]
    found = stacked(clips)
    assert found.account.split == {"clip": 1}
    assert len(set(found.names)) == 2


# -- a further dimension ---------------------------------------------------------------------------------------------

DIMENSIONS = [
    ("TemporalPositionIdentifier", [1, 2, 10], "temporal_position", (1.0, 2.0, 10.0), "TZYX"),
    ("EchoTime", ["4.5", "9", "30"], "echo_time_ms", (4.5, 9.0, 30.0), "CZYX"),
    ("DiffusionBValue", [0.0, 50.0, 800.0], "b_value_s_per_mm2", (0.0, 50.0, 800.0), "CZYX"),
    ("TriggerTime", ["0", "35.5", "71"], "trigger_time_ms", (0.0, 35.5, 71.0), "TZYX"),
    ("AcquisitionNumber", [3, 4, 5], "acquisition_number", (3.0, 4.0, 5.0), "TZYX"),
    ("AcquisitionTime", ["235958", "235959.5", "235959.75"], "acquisition_time_s", (0.0, 1.5, 1.75), "TZYX"),
]


@pytest.mark.parametrize(("keyword", "stated", "name", "values", "axes"), DIMENSIONS)
def test_positions_that_repeat_along_a_dimension_are_several_volumes(
    keyword: str, stated: list[object], name: str, values: tuple[float, ...], axes: str
) -> None:
    voxels = grain(3, 4, 5, 6)
    slices: list[Dataset] = []
    for place, value in enumerate(stated):
        slices += series(voxels[place], first_uid=100 * (place + 1), **{keyword: value})
    found = stacked(slices)
    assert (found.account.stacks, found.account.merged) == (1, {name: 1})
    volume = read(slices, seed=5)
    assert volume.axes == axes
    assert volume.axis_values == {name: pytest.approx(values)}
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.spacing_zyx_mm == pytest.approx((2.5, 0.75, 0.5), abs=1e-5)
    assert volume.notes == [f"3 volumes of 4 slices by {name}"]
    assert len(volume.sop_instance_uids) == 12


def test_two_dimensions_together_are_found() -> None:
    voxels = grain(4, 3, 4, 4)
    slices: list[Dataset] = []
    for place, (weighting, direction) in enumerate(
        [(500, (1, 0, 0)), (500, (0, 1, 0)), (900, (1, 0, 0)), (900, (0, 1, 0))]
    ):
        stated = {"DiffusionBValue": float(weighting), "DiffusionGradientOrientation": [float(d) for d in direction]}
        slices += series(voxels[place], first_uid=100 * (place + 1), **stated)
    volume = read(slices, seed=1)
    assert volume.voxels.shape == (4, 3, 4, 4)
    assert volume.axis_values == {"b_value_s_per_mm2": (500.0, 500.0, 900.0, 900.0)}
    np.testing.assert_array_equal(volume.voxels, voxels[[1, 0, 3, 2]])


@pytest.mark.parametrize(
    ("group", "creator", "element", "vr", "value", "wanted"),
    [
        (0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "700", 700.0),
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", 650.0, 650.0),
        (0x0043, "GEMS_PARM_01", 0x39, "IS", ["1000000800", "8", "0", "0"], 800.0),
        (0x0019, "SIEMENS MR HEADER", 0x0C, "UN", b"700 ", 700.0),
        (0x2001, "Philips Imaging DD 001", 0x03, "UN", np.float32(650).tobytes(), 650.0),
    ],
)
def test_b_values_of_vendors_are_read(
    group: int, creator: str, element: int, vr: str, value: object, wanted: float
) -> None:
    voxels = grain(2, 3, 4, 4)
    plain, weighted = series(voxels[0]), series(voxels[1], first_uid=300)
    for image in weighted:
        image.private_block(group, creator, create=True).add_new(element, vr, value)
    for image in plain:
        image.private_block(group, creator, create=True).add_new(
            element, "IS" if vr in ("IS", "UN") else vr, "0" if vr != "FL" else 0.0
        )
    volume = read([*plain, *weighted], seed=2)
    assert volume.axis_values == {"b_value_s_per_mm2": (0.0, wanted)}


# -- duplicates, and what is refused ---------------------------------------------------------------------------------


def test_a_series_that_is_there_twice_is_one_volume() -> None:
    voxels = grain(4, 4, 4)
    again = moved(series(voxels), 500, AcquisitionNumber=2)
    first = series(voxels, AcquisitionNumber=1)
    volume = read([*first, *again], seed=3)
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.notes == ["4 duplicate slices dropped"]


def test_equal_slices_of_a_real_dimension_are_no_duplicates() -> None:
    voxels = grain(2, 3, 4, 4)
    voxels[1, 2] = voxels[0, 2]
    slices = [*series(voxels[0], EchoTime="5"), *series(voxels[1], first_uid=300, EchoTime="10")]
    np.testing.assert_array_equal(read(slices).voxels, voxels)


def test_an_incomplete_dimension_is_split_by_headers_and_refused_by_pixels() -> None:
    voxels = grain(2, 4, 4, 4)
    slices = [*series(voxels[0], EchoTime="5"), *series(voxels[1, :3], first_uid=300, EchoTime="10")]
    found = stacked(slices)
    assert found.account.split == {"echo_time_ms": 1}
    assert [found.names.count(name) for name in sorted(set(found.names))] == [4, 3]
    with pytest.raises(GeometryError) as caught:
        read(slices)
    assert caught.value.error_class == "ambiguous_positions"
    assert "3 of 4 positions" in str(caught.value)


def test_slabs_of_two_acquisitions_are_two_stacks_where_there_is_a_gap_between() -> None:
    slices = series(grain(8, 4, 4))
    for k, image in enumerate(slices):
        image.AcquisitionNumber = 1 + (k >= 4)
    assert stacked(slices).account.stacks == 1, "slabs that continue one another are one volume"
    found = stacked(slices[:3] + slices[4:])
    assert found.account.split == {"acquisition_number": 1}


def test_a_file_that_is_there_twice_is_counted() -> None:
    slices = series(grain(3, 4, 4))
    found = stacked([*slices, slices[1]])
    assert (found.account.copies, found.account.stacks, found.account.merged) == (1, 1, {})
    assert read([*slices, slices[1]]).voxels.shape == (3, 4, 4)
