"""A patient's name in every place of a file that a format has: nothing of it is in what a reader gives."""

from __future__ import annotations

import gzip
import pickle
import struct
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, TiffTags
from planted_streams import CANARY, png_with_canaries, saved, smooth, with_canaries
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medshard.errors import ReadError
from medshard.readers import read_image, read_labels, read_volume
from medshard.readers.base import Blob

sys.path.insert(0, str(Path(__file__).parents[1] / "readers"))

from dicom_files import CT, dataset, written

NAME = CANARY.decode()


def blob(data: bytes) -> Blob:
    return Blob("a.bin", len(data), lambda: data)


def check_clean(given: object) -> None:
    """No field of it, at any depth, holds the name or a part of it in any of the usual codings."""
    flat = pickle.dumps(given)
    for coding in ("ascii", "utf-16-le", "utf-16-be"):
        assert NAME[:6].encode(coding) not in flat


def dicom(**more: object) -> bytes:
    """A CT slice with the name in every text attribute, private ones and sequences included."""
    image = dataset(np.arange(64, dtype=np.int16).reshape(8, 8), SOPClassUID=CT, Modality="CT", **more)
    image.PatientName, image.PatientID, image.PatientAddress = NAME, NAME, NAME
    image.InstitutionName = image.StudyDescription = image.SeriesDescription = image.ImageComments = NAME
    image.ReferringPhysicianName = image.AccessionNumber = image.StationName = image.ProtocolName = NAME
    image.AcquisitionDeviceProcessingDescription = image.DerivationDescription = NAME
    inner = Dataset()
    inner.CodeMeaning = inner.PatientName = NAME
    image.RequestAttributesSequence = Sequence([inner])
    image.add_new(0x60003000, "OW", CANARY)
    private = image.private_block(0x0019, NAME, create=True)
    private.add_new(0x01, "LT", NAME)
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    image.WindowCenter, image.WindowWidth, image.WindowCenterWidthExplanation = 40, 400, NAME
    image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SpacingBetweenSlices = [1, 1], 2
    image.file_meta.SourceApplicationEntityTitle = NAME
    raw = written(image)
    return NAME[:12].encode().ljust(128, b"\0") + raw[128:]


def nifti() -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 5, 1))
    header.set_data_dtype(np.int16)
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        header[field] = CANARY
    image = nibabel.Nifti1Image(np.arange(20, dtype=np.int16).reshape(4, 5, 1), np.eye(4), header)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, CANARY))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(2, b"\x10\0\x10\0LO\x0c\0" + CANARY[:12]))
    return bytes(image.to_bytes()) + CANARY


def tiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (269, 270, 271, 272, 285, 305, 315, 316, 33432, 65000):
        tags.tagtype[tag] = TiffTags.ASCII
        tags[tag] = NAME
    return saved(Image.fromarray(smooth(9, 9, 3)), "TIFF", tiffinfo=tags) + CANARY


PICTURES = {
    "jpeg": lambda: with_canaries(saved(Image.fromarray(smooth(37, 50, 3)), "JPEG")),
    "png": lambda: png_with_canaries(saved(Image.fromarray(smooth(9, 9, 3)), "PNG")),
    "png16": lambda: png_with_canaries(saved(Image.fromarray(smooth(9, 9, 1).astype(np.uint16) * 257), "PNG")),
    "tiff": tiff,
    "bmp": lambda: saved(Image.fromarray(smooth(9, 9, 3)), "BMP") + CANARY,
    "dicom": dicom,
    "nifti": nifti,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_of_a_picture_and_a_mask_only_the_pixels_are_left(kind: str) -> None:
    data = PICTURES[kind]()
    assert CANARY[:6] in data
    image = read_image(blob(data))
    assert image.pixels.size > 16
    check_clean(image)
    check_clean(read_labels(blob(data)))


@pytest.mark.parametrize("kind", ["dicom", "nifti", "nifti_gz"])
def test_of_a_volume_only_voxels_and_geometry_are_left(kind: str) -> None:
    data = {"dicom": dicom, "nifti": nifti, "nifti_gz": lambda: gzip.compress(nifti(), mtime=0)}[kind]()
    one = Blob("a.nii.gz", len(data), lambda: data)
    volume = read_volume([one])
    assert volume.affine_ijk_to_ras is not None
    check_clean(volume)


@pytest.mark.parametrize("kind", PICTURES)
def test_no_error_of_a_cut_or_damaged_file_quotes_it(kind: str) -> None:
    data = PICTURES[kind]()
    for place in range(0, len(data), max(1, len(data) // 60)):
        flipped = bytearray(data)
        flipped[place] ^= 0xFF
        for broken in (data[:place], bytes(flipped)):
            for read in (read_image, read_labels):
                try:
                    check_clean(read(blob(broken)))  # type: ignore[operator]
                except ReadError as error:
                    check_clean(str(error))
                    check_clean(error.error_class)


def test_a_window_of_words_is_none() -> None:
    centre = struct.pack("<HH2sH", 0x28, 0x1050, b"DS", 4)
    assert dicom().count(centre + b"40.0") == 1
    image = read_image(blob(dicom().replace(centre + b"40.0", centre + CANARY[:4])))
    assert image.window is None
    check_clean(image)
