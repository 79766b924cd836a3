"""Units: Hounsfield, PET, padding; and distances of projections and ultrasound."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import CANARY, blob
from dicom_files import dataset, written
from dicom_series import grain, read, series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medshard.readers import read_image
from medshard.readers.base import Image, VolumeOptions

HU = "[hnsf'U]"
SUV = VolumeOptions(unit="suv")


def picture(stored: object, **attributes: object) -> Image:
    return read_image(blob(written(dataset(np.asarray(stored), **attributes))))


# -- Hounsfield units ------------------------------------------------------------------------------------------------

RULES = [
    ({"RescaleType": "HU", "ImageType": ["DERIVED", "SECONDARY"]}, HU),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, HU),
    ({}, HU),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, None),
    ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, None),
    ({"RescaleType": "US"}, None),
    ({"RescaleType": "MGML", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}, None),
    ({"MultienergyCTAcquisition": "YES"}, None),
    ({"Modality": "MR", "RescaleType": "HU"}, None),
]


@pytest.mark.parametrize(("attributes", "unit"), RULES)
def test_values_are_hounsfield_only_where_the_file_says_so(attributes: dict[str, object], unit: str | None) -> None:
    stated = {"RescaleSlope": 1, "RescaleIntercept": -1024, **attributes}
    assert read(series(grain(3, 4, 4), **stated)).unit == unit
    assert picture(grain(4, 4), **{"Modality": "CT", **stated}).unit == unit


def test_values_without_rescale_have_no_unit() -> None:
    assert read(series(grain(3, 4, 4), RescaleType="HU")).unit is None


# -- padding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("padding", "wanted"),
    [
        ({"PixelPaddingValue": -2000}, (-3024.0, -3024.0)),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1500}, (-3024.0, -2524.0)),
        ({"PixelPaddingValue": -1500, "PixelPaddingRangeLimit": -2000}, (-3024.0, -2524.0)),
        ({}, None),
    ],
)
def test_padding_is_marked_and_stays(padding: dict[str, int], wanted: tuple[float, float] | None) -> None:
    voxels = grain(3, 4, 4)
    voxels[:, 0] = -2000
    slices = series(voxels, RescaleSlope=1, RescaleIntercept=-1024)
    for image in slices:
        for keyword, value in padding.items():
            image.add_new(keyword, "SS", value)
    volume = read(slices)
    assert volume.padding == wanted
    assert int(volume.voxels.min()) == -3024
    assert read_image(blob(written(slices[0]))).padding == wanted


def test_padding_written_without_its_sign_is_understood() -> None:
    slices = series(grain(2, 4, 4))
    for image in slices:
        image.add_new("PixelPaddingValue", "US", 63536)  # -2000 as unsigned
    assert read(slices).padding == (-2000.0, -2000.0)


def test_padding_of_a_turned_picture_is_turned() -> None:
    stored = np.arange(16, dtype=np.uint16).reshape(4, 4)
    image = dataset(stored, bits=12, PhotometricInterpretation="MONOCHROME1", Modality="DX")
    image.add_new("PixelPaddingValue", "US", 0)
    read_back = read_image(blob(written(image)))
    assert read_back.padding == (4095.0, 4095.0)
    assert read_back.pixels[0, 0] == 4095


def test_padding_that_differs_between_slices_is_not_marked() -> None:
    slices = series(grain(2, 4, 4))
    slices[0].add_new("PixelPaddingValue", "SS", -2000)
    volume = read(slices)
    assert volume.padding is None
    assert "padding differs between slices and is not marked" in volume.notes


# -- PET -------------------------------------------------------------------------------------------------------------


def pet(voxels: np.ndarray, *, drug: dict[str, object] | None = None, **attributes: object) -> list[Dataset]:
    """A PET series of 70 kg, 350 MBq of F-18 injected one hour before the scan, each slice with its own slope."""
    given = Dataset()
    stated = {
        "RadionuclideTotalDose": "3.5e8",
        "RadionuclideHalfLife": "6586.2",
        "RadiopharmaceuticalStartTime": "090000",
        **(drug or {}),
    }
    for keyword, value in stated.items():
        if value is not None:
            setattr(given, keyword, value)
    usual: dict[str, object] = {
        "Modality": "PT",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128",
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN", "DECAY"],
        "PatientWeight": "70",
        "SeriesDate": "20200105",
        "SeriesTime": "100000",
        "AcquisitionDate": "20200105",
        "AcquisitionTime": "100012.5",
        "RadiopharmaceuticalInformationSequence": Sequence([given]),
        **attributes,
    }
    slices = series(voxels)
    for k, image in enumerate(slices):
        for keyword, value in usual.items():
            if value is not None:
                setattr(image, keyword, value)
        image.RescaleSlope, image.RescaleIntercept = str(0.5 + k), "0"
    return slices


def activity(voxels: np.ndarray) -> np.ndarray:
    return voxels * (0.5 + np.arange(len(voxels)))[:, None, None]


def test_pet_stays_in_becquerel_without_being_asked() -> None:
    voxels = np.abs(grain(3, 4, 4))
    volume = read(pet(voxels), seed=1)
    assert volume.unit == "Bq/mL"
    assert volume.voxels.dtype == np.float32
    np.testing.assert_allclose(volume.voxels, activity(voxels), rtol=1e-6)


UPTAKE = [
    ({}, {}, 70_000 / (3.5e8 * 2 ** (-3600 / 6586.2))),
    ({"DecayCorrection": "ADMIN"}, {}, 70_000 / 3.5e8),
    # Injected before midnight, scanned after it.
    (
        {"SeriesTime": "001500", "AcquisitionTime": "001500"},
        {"RadiopharmaceuticalStartTime": "233000"},
        70_000 / (3.5e8 * 2 ** (-2700 / 6586.2)),
    ),
    (
        {"SeriesTime": "001500", "AcquisitionTime": "001501"},
        {"RadiopharmaceuticalStartDateTime": "20200104233000.0", "RadiopharmaceuticalStartTime": "000100"},
        70_000 / (3.5e8 * 2 ** (-2700 / 6586.2)),
    ),
]


@pytest.mark.parametrize(("attributes", "drug", "factor"), UPTAKE)
def test_uptake_values_follow_dose_weight_and_decay(
    attributes: dict[str, object], drug: dict[str, object], factor: float
) -> None:
    voxels = np.abs(grain(3, 4, 4))
    volume = read(pet(voxels, drug=drug, **attributes), options=SUV)
    assert volume.unit == "g/mL{SUVbw}"
    np.testing.assert_allclose(volume.voxels, activity(voxels) * factor, rtol=1e-5)


def test_a_series_stamped_after_its_images_takes_the_private_time_of_ge() -> None:
    slices = pet(np.abs(grain(3, 4, 4)), SeriesTime="230000")
    assert read(slices, options=SUV).unit == "Bq/mL"
    for image in slices:
        image.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20200105100000.00")
    volume = read(slices, options=SUV)
    assert volume.unit == "g/mL{SUVbw}"
    factor = 70_000 / (3.5e8 * 2 ** (-3600 / 6586.2))
    np.testing.assert_allclose(volume.voxels, activity(np.abs(grain(3, 4, 4))) * factor, rtol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "drug", "reason"),
    [
        ({"PatientWeight": None}, {}, "PatientWeight is missing"),
        ({"PatientWeight": "0"}, {}, "PatientWeight is missing or not positive"),
        ({}, {"RadionuclideTotalDose": None}, "RadionuclideTotalDose"),
        ({}, {"RadionuclideHalfLife": None}, "RadionuclideHalfLife"),
        ({}, {"RadiopharmaceuticalStartTime": None}, "time of injection"),
        ({}, {"RadiopharmaceuticalStartDateTime": "20200105110000"}, "time of injection"),
        ({"DecayCorrection": "NONE"}, {}, "DecayCorrection"),
        ({"CorrectedImage": ["ATTN"]}, {}, "CorrectedImage"),
        ({"AcquisitionTime": None}, {}, "SeriesTime is after"),
        ({"RadiopharmaceuticalInformationSequence": Sequence([])}, {}, "0 radiopharmaceuticals"),
    ],
)
def test_what_lacks_anything_stays_in_becquerel_and_says_why(
    attributes: dict[str, object], drug: dict[str, object], reason: str
) -> None:
    voxels = np.abs(grain(3, 4, 4))
    volume = read(pet(voxels, drug=drug, **attributes), options=SUV)
    assert volume.unit == "Bq/mL"
    np.testing.assert_allclose(volume.voxels, activity(voxels), rtol=1e-6)
    (note,) = volume.notes
    assert note.startswith("no SUV, values stay Bq/mL: ")
    assert reason in note
    assert not any(word in note for word in (CANARY, "2020", "3.5e8", "70"))


def test_counts_have_no_unit_but_with_the_factor_of_philips() -> None:
    voxels = np.abs(grain(3, 4, 4))
    slices = pet(voxels, Units="CNTS")
    assert read(slices).unit is None
    assert read(slices, options=SUV).unit is None
    for image in slices:
        image.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.001")
    volume = read(slices, options=SUV)
    assert volume.unit == "g/mL{SUVbw}"
    np.testing.assert_allclose(volume.voxels, activity(voxels) * 0.001, rtol=1e-5)


@pytest.mark.parametrize(("suv_type", "unit"), [(None, "g/mL{SUVbw}"), ("BW", "g/mL{SUVbw}"), ("LBM", None)])
def test_stored_uptake_is_of_body_weight_only_where_that_is_so(suv_type: str | None, unit: str | None) -> None:
    slices = pet(np.abs(grain(3, 4, 4)), Units="GML", SUVType=suv_type)
    assert read(slices).unit == unit
    assert read(slices, options=SUV).unit == unit


# -- distances of pictures -------------------------------------------------------------------------------------------

PLANES = [
    ("CT", {"PixelSpacing": ["0.5", "0.7"]}, (0.5, 0.7), None),
    ("DX", {"ImagerPixelSpacing": ["0.14", "0.14"]}, None, (0.14, 0.14)),
    ("CR", {"PixelSpacing": ["0.14", "0.14"], "ImagerPixelSpacing": ["0.14", "0.14"]}, None, (0.14, 0.14)),
    ("CR", {"PixelSpacing": ["0.14", "0.14"]}, None, None),
    (
        "DX",
        {
            "PixelSpacing": ["0.1", "0.1"],
            "ImagerPixelSpacing": ["0.14", "0.14"],
            "PixelSpacingCalibrationType": "FIDUCIAL",
        },
        (0.1, 0.1),
        (0.14, 0.14),
    ),
    ("MG", {"PixelSpacing": ["0.06", "0.06"], "ImagerPixelSpacing": ["0.07", "0.07"]}, (0.06, 0.06), (0.07, 0.07)),
    ("XC", {"PixelSpacing": ["0.1", "0.1"]}, None, None),
    ("US", {"PixelSpacing": ["0.1", "0.1"]}, None, None),
]


@pytest.mark.parametrize(("modality", "stated", "spacing", "detector"), PLANES)
def test_distances_are_of_the_patient_only_where_that_is_stated(
    modality: str, stated: dict[str, object], spacing: tuple[float, float] | None, detector: tuple[float, float] | None
) -> None:
    image = picture(grain(4, 4), Modality=modality, **stated)
    assert image.spacing_yx_mm == spacing
    assert image.detector_spacing_yx_mm == detector


def region(**changes: object) -> Dataset:
    """A calibrated ultrasound region: 2D, tissue, centimetres, x 1..6 and y 0..5 of a picture of 8 x 8."""
    made = Dataset()
    usual = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.02,
        "PhysicalDeltaY": 0.03,
        "RegionLocationMinX0": 1,
        "RegionLocationMinY0": 0,
        "RegionLocationMaxX1": 6,
        "RegionLocationMaxY1": 5,
    }
    for keyword, value in {**usual, **changes}.items():
        setattr(made, keyword, value)
    return made


WHOLE = {"RegionLocationMinX0": 0, "RegionLocationMaxX1": 7, "RegionLocationMaxY1": 7}


@pytest.mark.parametrize(
    ("regions", "spacing", "where"),
    [
        ([region()], (0.3, 0.2), (1, 0, 7, 6)),
        ([region(**WHOLE)], (0.3, 0.2), None),
        ([region(PhysicalDeltaY=-0.03)], (0.3, 0.2), (1, 0, 7, 6)),
        ([region(), region()], None, None),
        ([region(RegionSpatialFormat=2)], None, None),
        ([region(PhysicalUnitsXDirection=4)], None, None),
        ([region(PhysicalDeltaX=0.0)], None, None),
        ([region(RegionLocationMaxX1=0)], None, None),
        ([], None, None),
    ],
)
def test_ultrasound_is_measured_by_its_one_calibrated_region(
    regions: list[Dataset], spacing: tuple[float, float] | None, where: tuple[int, ...] | None
) -> None:
    stored = np.zeros((8, 8), np.uint8)
    image = picture(stored, Modality="US", SequenceOfUltrasoundRegions=Sequence(regions))
    assert image.spacing_yx_mm == (pytest.approx(spacing) if spacing else None)
    assert image.spacing_region_px == where
