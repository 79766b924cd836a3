"""Damaged series: whatever stands in a file, reading ends in a volume or in a ReadError without words of the file."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import CANARY, blob
from dicom_files import written
from dicom_series import grain, series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medshard.errors import ReadError
from medshard.readers import read_image, read_volume
from medshard.readers.base import VolumeOptions
from medshard.readers.dicom import dicom_header, open_header, stack_header, stacks_of


def enhanced() -> Dataset:
    """Three frames with place, orientation, spacing, values and an index."""
    (image,) = series(grain(1, 4, 4))
    image.PixelData, image.NumberOfFrames = image.PixelData * 3, 3
    shared, frames = Dataset(), []
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = image.ImageOrientationPatient, image.PixelSpacing
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    for k in range(3):
        frame, place, values, content = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = ["0", "0", str(2 * k)]
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, 0, "HU"
        content.DimensionIndexValues, content.TemporalPositionIndex = [1, k + 1], 1
        frame.PlanePositionSequence, frame.FrameContentSequence = Sequence([place]), Sequence([content])
        frame.PixelValueTransformationSequence = Sequence([values])
        frames.append(frame)
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return image


def pet() -> Dataset:
    (image,) = series(grain(1, 4, 4), Modality="PT", Units="BQML", DecayCorrection="START", PatientWeight="70")
    drug = Dataset()
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife, drug.RadiopharmaceuticalStartTime = "1e8", "6586", "0900"
    image.RadiopharmaceuticalInformationSequence = Sequence([drug])
    image.CorrectedImage, image.RescaleSlope, image.RescaleIntercept = ["ATTN", "DECAY"], "2", "0"
    image.SeriesDate = image.AcquisitionDate = "20200101"
    image.SeriesTime = image.AcquisitionTime = "100000"
    image.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "700")
    return image


def mosaic() -> Dataset:
    (image,) = series(grain(1, 8, 8), Modality="MR", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    image.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"SV10" + bytes(200))
    return image


FILES = {"enhanced": written(enhanced()), "pet": written(pet()), "mosaic": written(mosaic())}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bytes_end_in_a_volume_or_a_read_error(name: str, data: st.DataObject) -> None:
    file = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(132, len(file) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del file[data.draw(st.integers(200, len(file) - 1)) :]

    def listed() -> object:
        dataset = open_header(blob(bytes(file)))
        return dicom_header(dataset), stacks_of([stack_header(dataset)], ["a.dcm"])

    told = ""
    for read in (
        listed,
        lambda: read_volume([blob(bytes(file))], VolumeOptions("resample", "suv")).notes,
        lambda: read_image(blob(bytes(file))).modality,
    ):
        try:
            made = read()
        except ReadError as error:
            told += error.reason
        else:
            told += "" if read is listed else str(made)
    assert CANARY[:5] not in told


def test_the_whole_files_are_read() -> None:
    volume = read_volume([blob(FILES["enhanced"])])
    assert volume.voxels.shape == (3, 4, 4)
    assert volume.unit == "[hnsf'U]"
    np.testing.assert_allclose(volume.spacing_zyx_mm, (2.0, 0.75, 0.5))
    assert read_volume([blob(FILES["pet"])], VolumeOptions(unit="suv")).unit == "g/mL{SUVbw}"
    with pytest.raises(ReadError) as caught:
        read_volume([blob(FILES["mosaic"])])
    assert caught.value.error_class == "damaged_dicom"
