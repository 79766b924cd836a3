"""The DICOM reader of single files against stored values that were written and against pydicom's own arrays."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from blobs import CANARY, blob, blob_of
from dicom_files import CT, dataset, written
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut, convert_color_space
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from medshard.errors import DecodeError, ReadError
from medshard.readers import read_image, read_labels, read_volume
from medshard.readers.base import Image
from medshard.readers.dicom import dicom_header, open_header

OWN = Path(pydicom.__file__).parent / "data" / "test_files"


def grain(*shape: int, low: int = 0, high: int = 256, dtype: object = np.uint8, seed: int = 0) -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def image_of(stored: NDArray[np.generic], **attributes: object) -> Image:
    return read_image(blob(written(dataset(stored, **attributes)), "a.dcm"))  # type: ignore[arg-type]


# -- stored values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 7, 8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_stored_values_with_junk_above_the_stored_bits(bits: int, signed: bool) -> None:
    if bits == 1 and signed:
        pytest.skip("one bit has no sign")
    width = 8 if bits <= 8 else 16
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    values = grain(9, 11, low=low, high=high, dtype=np.int32)
    mask = (1 << bits) - 1
    junk = grain(9, 11, high=1 << width, dtype=np.int64, seed=1) & ~mask
    stored = ((values & mask) | junk).astype(f"u{width // 8}")
    image = image_of(stored, bits=bits, PixelRepresentation=int(signed))
    np.testing.assert_array_equal(image.pixels, values)
    assert image.pixels.dtype == (np.int16 if signed else stored.dtype)
    assert image.bits == (16 if signed else bits)
    assert image.encoded is None


def test_the_type_depends_on_the_header_and_not_on_the_brightness() -> None:
    """A trainer scales by type, bits and window; a dark picture among bright ones must keep all three."""
    for high in (5, 4096):
        stored = grain(6, 6, high=high, dtype=np.uint16)
        for attributes in ({}, {"RescaleSlope": 1, "RescaleIntercept": 0}):
            image = image_of(stored, bits=12, WindowCenter=100, WindowWidth=50, **attributes)
            assert (image.pixels.dtype, image.bits, image.window) == (np.uint16, 12, (75.0, 124.0))
        signed = image_of(stored.astype(np.int16))
        assert (signed.pixels.dtype, signed.bits) == (np.int16, 16)
        hounsfield = image_of(stored, bits=12, Modality="CT", RescaleSlope=1, RescaleIntercept=0)
        assert (hounsfield.pixels.dtype, hounsfield.unit) == (np.int16, "[hnsf'U]")


def test_bits_hold_the_rescaled_values() -> None:
    stored = np.array([[0, 20_000], [4095, 30_000]], np.uint16)
    image = image_of(stored, bits=15, RescaleSlope=2, RescaleIntercept=0)
    np.testing.assert_array_equal(image.pixels, stored * 2)
    assert (image.pixels.dtype, image.bits) == (np.uint16, 16)


# -- meaning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factors", [(1, -1024), (2, 0), (-1, 500), (1, 0)])
@pytest.mark.parametrize("signed", [False, True])
def test_rescale_of_ct_gives_hounsfield_units(signed: bool, factors: tuple[int, int]) -> None:
    stored = grain(8, 9, low=-2048 if signed else 0, high=2047 if signed else 4095, dtype=np.int16 if signed else "u2")
    slope, intercept = factors
    image = image_of(stored, bits=12, Modality="CT", RescaleSlope=slope, RescaleIntercept=intercept)
    np.testing.assert_array_equal(image.pixels, stored.astype(int) * slope + intercept)
    assert image.unit == "[hnsf'U]"


@pytest.mark.parametrize(
    "attributes",
    [
        {"Modality": "MR"},
        {"Modality": "CT", "RescaleType": "US"},
        {"Modality": "CT", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    ],
)
def test_other_rescaled_values_have_no_unit(attributes: dict[str, object]) -> None:
    image = image_of(grain(4, 4, high=4096, dtype=np.uint16), RescaleSlope=1, RescaleIntercept=-5, **attributes)
    assert image.unit is None
    assert image_of(grain(4, 4, high=4096, dtype=np.uint16), Modality="CT").unit is None


def test_a_rescale_in_fractions() -> None:
    stored = grain(5, 5, high=4000, dtype=np.uint16)
    data = written(dataset(stored, Modality="CT", RescaleSlope="0.5", RescaleIntercept="-10"))
    with pytest.raises(ReadError, match="kind: volume") as caught:
        read_image(blob(data))
    assert caught.value.error_class == "float_pixels"
    volume = read_volume([blob(data)])
    np.testing.assert_array_equal(volume.voxels[0], (stored * 0.5 - 10).astype(np.float32))
    window = {"WindowCenter": "490.5", "WindowWidth": "1001"}
    image = image_of(stored, Modality="MR", RescaleSlope="0.5", RescaleIntercept="-10", **window)
    np.testing.assert_array_equal(image.pixels, stored)
    assert image.window == (0.0, 2000.0)  # -10 to 990 in rescaled values


@pytest.mark.parametrize(("slope", "intercept"), [(0, 1), ("nan", 0)])
def test_a_rescale_that_is_none_is_refused(slope: object, intercept: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = dataset(grain(4, 4), RescaleIntercept=intercept)
        image.add_new("RescaleSlope", "DS", str(slope))
        data = written(image)
    with pytest.raises(ReadError, match="RescaleSlope"):
        read_image(blob(data))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("factors", [None, (1, 0), (2, -10)])
def test_monochrome1_is_turned_over_with_its_window(signed: bool, factors: tuple[int, int] | None) -> None:
    bits = 12
    low, high = (-2048, 2047) if signed else (0, 4095)
    stored = grain(7, 5, low=low, high=high + 1, dtype=np.int16 if signed else np.uint16)
    slope, intercept = factors or (1, 0)
    shown = (slope * (low + 100) + intercept, slope * (low + 1100) + intercept)
    attributes: dict[str, object] = {"WindowWidth": shown[1] - shown[0] + 1, "WindowCenter": sum(shown) / 2 + 0.5}
    if factors:
        attributes |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    image = image_of(stored, bits=bits, PhotometricInterpretation="MONOCHROME1", Modality="DX", **attributes)
    np.testing.assert_array_equal(image.pixels, (low + high - stored.astype(int)) * slope + intercept)
    assert image.window == pytest.approx(
        (slope * (low + high - low - 1100) + intercept, slope * (low + high - low - 100) + intercept)
    )


def test_hounsfield_units_are_never_turned_over() -> None:
    stored = grain(6, 6, high=4096, dtype=np.uint16)
    data = written(
        dataset(
            stored,
            bits=12,
            Modality="CT",
            RescaleSlope=1,
            RescaleIntercept=-1024,
            PhotometricInterpretation="MONOCHROME1",
            WindowCenter=40,
            WindowWidth=400,
        )
    )
    image = read_image(blob(data))
    np.testing.assert_array_equal(image.pixels, stored.astype(int) - 1024)
    assert image.window == (-160.0, 239.0)
    np.testing.assert_array_equal(read_volume([blob(data)]).voxels[0], image.pixels)


@pytest.mark.parametrize(
    ("attributes", "window"),
    [
        ({"WindowCenter": 40, "WindowWidth": 400}, (-160.0, 239.0)),
        ({"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"}, (-160.0, 240.0)),
        ({"WindowCenter": [40, 600], "WindowWidth": [400, 2000]}, (-160.0, 239.0)),
        ({"WindowCenter": 40, "WindowWidth": 0}, None),
        ({"WindowCenter": 40}, None),
        ({}, None),
    ],
)
def test_window(attributes: dict[str, object], window: tuple[float, float] | None) -> None:
    assert image_of(grain(4, 4, high=4096, dtype=np.uint16), **attributes).window == window


def test_labels_are_the_stored_values_whatever_the_photometric_interpretation() -> None:
    stored = grain(6, 7, high=4)
    for attributes in ({}, {"PhotometricInterpretation": "MONOCHROME1"}, {"RescaleSlope": 3, "RescaleIntercept": 1}):
        mask = read_labels(blob(written(dataset(stored, **attributes))))
        np.testing.assert_array_equal(mask.labels, stored)
        assert mask.space == 2
    frames = grain(3, 6, 7, high=4)
    assert read_labels(blob(written(dataset(frames, frames=3)))).space == 3


# -- colour ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("space", ["RGB", "YBR_FULL"])
def test_colour_by_layout_and_space(space: str, planar: int) -> None:
    stored = grain(8, 10, 3)
    image = dataset(stored, PhotometricInterpretation=space, PlanarConfiguration=planar)
    if planar:
        image.PixelData = stored.transpose(2, 0, 1).tobytes()
    data = written(image)
    found = read_image(blob(data))
    wanted = stored if space == "RGB" else convert_color_space(stored, "YBR_FULL", "RGB")
    np.testing.assert_array_equal(found.pixels, wanted)
    assert (found.bits, found.window) == (8, None)
    np.testing.assert_array_equal(read_labels(blob(data)).labels, stored)


@pytest.mark.parametrize("entry_bits", [8, 16])
def test_palette(entry_bits: int) -> None:
    stored, colours = grain(6, 7, high=16), grain(3, 16, high=256, seed=4)
    image = dataset(stored, bits=4, PhotometricInterpretation="PALETTE COLOR")
    for colour, entries in zip(("Red", "Green", "Blue"), colours, strict=True):
        wide = entries.astype(np.uint16) * 257 if entry_bits == 16 else entries
        setattr(image, f"{colour}PaletteColorLookupTableDescriptor", [16, 0, entry_bits])
        setattr(image, f"{colour}PaletteColorLookupTableData", wide.tobytes())
    data = written(image)
    found = read_image(blob(data))
    np.testing.assert_array_equal(found.pixels, colours.T[stored])
    assert found.bits == 8
    np.testing.assert_array_equal(read_labels(blob(data)).labels, stored)


# -- geometry of a picture -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "spacing"),
    [
        ({"Modality": "CT", "PixelSpacing": [0.7, 0.5]}, (0.7, 0.5)),
        ({"Modality": "DX", "ImagerPixelSpacing": [0.14, 0.14]}, None),
        ({"Modality": "DX", "PixelSpacing": [0.14, 0.14], "ImagerPixelSpacing": [0.14, 0.14]}, None),
        ({"Modality": "DX", "PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.14, 0.14]}, (0.1, 0.1)),
        ({"Modality": "CR", "PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"}, (0.1, 0.1)),
        ({"Modality": "US", "PixelSpacing": [0.1, 0.1]}, None),
        ({"Modality": "CT", "PixelSpacing": [0, 0.5]}, None),
        ({"Modality": "CT"}, None),
    ],
)
def test_spacing_is_of_the_patient_or_unknown(
    attributes: dict[str, object], spacing: tuple[float, float] | None
) -> None:
    image = image_of(grain(4, 4, dtype=np.uint16), **attributes)
    assert image.spacing_yx_mm == spacing
    assert image.affine_ijk_to_ras is None


@pytest.mark.parametrize(
    ("attributes", "side"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "image_right"),
        ({"ImageOrientationPatient": [-1, 0, 0, 0, 1, 0]}, "image_left"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "none"),
        ({"PatientOrientation": ["L", "F"]}, "image_right"),
        ({"PatientOrientation": ["R", "F"]}, "image_left"),
        ({"PatientOrientation": ["A", "F"]}, "none"),
        ({}, None),
    ],
)
def test_patient_left(attributes: dict[str, object], side: str | None) -> None:
    assert image_of(grain(4, 4), **attributes).patient_left == side


def test_words_and_identity() -> None:
    image = dataset(grain(4, 4), Modality="DX", ViewPosition="PA")
    found = read_image(blob(written(image)))
    assert (found.modality, found.view, found.sop_instance_uid) == ("dx", "PA", image.SOPInstanceUID)


# -- encodings and damage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_are_the_same(syntax: str) -> None:
    stored = grain(3, 32, 40, high=4096, dtype=np.uint16)
    image = dataset(stored, bits=12, frames=3)
    try:
        image.compress(syntax)
    except RuntimeError:
        pytest.skip("no encoder")
    volume = read_volume([blob(written(image))])
    np.testing.assert_array_equal(volume.voxels, stored)
    assert volume.affine_ijk_to_ras is None
    with pytest.raises(ReadError, match="kind: volume"):
        read_image(blob(written(image)))


def own_files() -> list[str]:
    return sorted(path.name for path in OWN.glob("*.dcm") if path.name != "JPEG-lossy.dcm")


@pytest.mark.parametrize("name", own_files())
def test_files_of_pydicoms_own_tests(name: str) -> None:
    check_as_pydicom(OWN / name)


def test_a_file_that_is_not_conformant_is_read_as_its_conformant_twin() -> None:
    """JPEG-lossy.dcm ends its spectral selection at 0, against ITU-T T.81 B.2.3, and pylibjpeg refuses it."""
    pixels = read_image(blob_of(OWN / "JPEG-lossy.dcm")).pixels
    np.testing.assert_array_equal(pixels, read_image(blob_of(OWN / "JPGExtended.dcm")).pixels)


def test_files_of_the_reference_set(shared: Path) -> None:
    for path in sorted((shared / "data" / "pydicom_data").glob("*.dcm")):
        if path.stat().st_size < 1_500_000:
            check_as_pydicom(path)


def check_as_pydicom(path: Path) -> None:
    """Equal to pydicom's pixels and modality LUT, or refused with a reason that quotes nothing."""
    wanted = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.dcmread(path, force=True)
        with contextlib.suppress(Exception):  # of many types; what it cannot decode, the reader must refuse
            wanted = pydicom.pixels.pixel_array(theirs)
    pixels, refusal = None, ""
    try:
        several = wanted is not None and int(theirs.get("NumberOfFrames", None) or 1) > 1
        pixels = read_volume([blob_of(path)]).voxels if several else read_image(blob_of(path)).pixels
    except ReadError as error:
        refusal = error.error_class
    if pixels is None:
        kinds = {"not_an_image", "several_frames", "not_a_volume", "unsupported", "pixel_type", "unknown_format"}
        assert wanted is None or refusal in kinds, f"{path.name}: {refusal}"
        return
    assert wanted is not None, f"{path.name}: pydicom cannot decode it"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if theirs.PhotometricInterpretation == "PALETTE COLOR":
            colours = pydicom.pixels.apply_color_lut(wanted, theirs)
            wanted = colours >> 8 if colours.dtype == np.uint16 else colours
            assert pixels.max() > pixels.min()
        elif wanted.ndim == 2:
            if theirs.PhotometricInterpretation == "MONOCHROME1":
                wanted = (1 << theirs.BitsStored) - 1 - wanted.astype(int)
            values = apply_modality_lut(wanted, theirs)
            fractions = not float(theirs.get("RescaleSlope", 1)).is_integer()
            wanted = wanted if fractions else values
        elif "SharedFunctionalGroupsSequence" in theirs:
            group = theirs.SharedFunctionalGroupsSequence[0].get("PixelValueTransformationSequence")
            wanted = apply_modality_lut(wanted, group[0] if group else theirs)
            np.testing.assert_array_equal(np.sort(pixels, axis=0), np.sort(wanted, axis=0), err_msg=path.name)
            return
    syntax = theirs.file_meta.TransferSyntaxUID
    lossy_colour = theirs.SamplesPerPixel == 3 and syntax == JPEGBaseline8Bit
    tolerance = 3 if lossy_colour else 1 if syntax == JPEGExtended12Bit else 0
    np.testing.assert_allclose(pixels, wanted, rtol=0, atol=tolerance, err_msg=path.name)


def without_tables() -> bytes:
    """JPEG of 12 bits whose scan names Huffman tables that the stream does not have."""
    data = (OWN / "JPGExtended.dcm").read_bytes()
    scan = bytes.fromhex("ffda0008010100003f00")
    assert data.count(scan) == 1
    return data.replace(scan, bytes.fromhex("ffda0008010133003f00"))


def test_a_stream_that_no_codec_takes_names_its_encoding_and_who_tried() -> None:
    with pytest.raises(DecodeError) as caught:
        read_image(blob(without_tables()))
    message = str(caught.value)
    assert "JPEG Extended (Process 2 and 4) of 12 bits" in message
    assert "pylibjpeg" in message
    assert "not conformant" in message
    assert read_image(blob_of(OWN / "JPGExtended.dcm")).pixels.shape == (1024, 256)


def test_an_encoding_without_codec_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = pydicom.pixels.get_decoder("1.2.840.10008.1.2.4.51")
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(DecodeError, match=r"JPEG Extended .* needs one of: gdcm - requires gdcm"):
        read_image(blob(without_tables()))


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "PixelData", "PhotometricInterpretation", "BitsAllocated"])
def test_a_missing_attribute_is_refused(keyword: str) -> None:
    image = dataset(grain(4, 4))
    del image[keyword]
    with pytest.raises(ReadError):
        read_image(blob(written(image)))


def test_sizes_beyond_the_limits_are_refused_before_decoding() -> None:
    for attributes in ({"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 20_001}, {"Rows": 0}):
        with pytest.raises(ReadError) as caught:
            read_volume([blob(written(dataset(grain(4, 4), **attributes)))])
        assert caught.value.error_class in ("too_large", "empty_image")


def test_nothing_of_the_file_reaches_a_log(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    image = dataset(grain(4, 4), StudyInstanceUID="1.2.3")
    raw = written(image).replace(b"1.2.3", b"Qanar").replace(b"1.2.840.10008.1.2.1\0", b"\0.2.840.10008.1.2.1\0")
    with pytest.raises(DecodeError, match="no decoder of this TransferSyntaxUID is known"):
        read_image(blob(raw))
    raw = written(image).replace(b"1.2.3", b"Qanar")
    read_image(blob(raw))
    assert dicom_header(open_header(blob(raw)))["StudyInstanceUID"] == "Qanar"
    assert caplog.text == ""
    assert not recwarn.list


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_damage_is_read_or_refused_without_quoting(data: st.DataObject) -> None:
    raw = bytearray(written(dataset(grain(6, 6, dtype=np.uint16), Modality="CT", SOPClassUID=CT, WindowCenter=4)))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.one_of(st.just(len(raw)), st.integers(1, len(raw))))
    for read in (read_image, read_labels, lambda one: read_volume([one])):
        message = ""
        try:
            read(blob(bytes(raw[:length]), "a.dcm"))  # type: ignore[operator]
        except ReadError as error:
            message = str(error)
        assert CANARY[:5] not in message
