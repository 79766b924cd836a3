"""The native DICOM parser and its frames: layouts, bits, fragments, rescale; damage without quoting; sampling."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from dicom_streams import CANARY, encapsulated, image, nested, rle_file, rle_frame, written
from engine_jobs import MASK_DTYPES
from hypothesis import given, settings
from hypothesis import strategies as st
from jpeg_lossless_writer import write_jpeg_lossless
from jpeg_writer import random_jpeg, segment
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from medshard.engine import (
    JOB,
    BatchLayout,
    Engine,
    address_of,
    decode_image,
    features,
    read_dicom_frames,
    read_dicom_header,
    read_header,
)
from medshard.errors import DecodeError

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def grain(*shape: int, dtype: object = np.uint16, seed: int = 0) -> NDArray[np.generic]:
    info = np.iinfo(dtype)  # type: ignore[call-overload]
    return np.random.default_rng(seed).integers(info.min, info.max, shape, endpoint=True).astype(dtype)


# -- native ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("frames", [1, 3])
def test_native_pixels_of_every_encoding(syntax: str, dtype: str, frames: int) -> None:
    stored = grain(frames, 5, 7, dtype=dtype)
    dataset = image(stored, frames=True)
    if syntax == ExplicitVRBigEndian:
        swapped = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
        dataset.PixelData = swapped + b"\0" * (len(swapped) % 2)
    got = read_dicom_frames(written(dataset, syntax))
    np.testing.assert_array_equal(got, stored)
    assert got.dtype == stored.dtype


@pytest.mark.parametrize("bits", [1, 5, 8, 12, 15])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("coded", ["native", "rle", "jpeg-lossless"])
def test_unused_bits_are_masked_or_take_the_sign(bits: int, signed: bool, coded: str) -> None:
    if bits == 1 and signed:
        pytest.skip("one bit has no sign")
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(1).integers(low, low + (1 << bits), (6, 9))
    junk = np.random.default_rng(2).integers(0, 1 << 16, (6, 9)) & ~((1 << bits) - 1)
    stored = ((values & ((1 << bits) - 1)) | junk).astype(np.uint16)
    more = {"bits": bits, "PixelRepresentation": int(signed)}
    if coded == "native":
        data = written(image(stored, **more))  # type: ignore[arg-type]
    elif coded == "rle":
        data = rle_file(stored, **more)
    else:
        frame = write_jpeg_lossless(stored, 16)
        data = encapsulated(image(stored, **more), JPEGLosslessSV1, [frame])  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_dicom_frames(data)[0], values)


def test_one_bit_frames_that_do_not_end_with_a_byte() -> None:
    stored = np.random.default_rng(3).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    dataset = image(stored, frames=True, BitsAllocated=1, BitsStored=1, HighBit=0)
    packed = np.packbits(stored.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    data = written(dataset)
    np.testing.assert_array_equal(read_dicom_frames(data), stored)
    np.testing.assert_array_equal(read_dicom_frames(data, [2])[0], stored[2])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_planar_configuration(dtype: str) -> None:
    stored = grain(4, 6, 3, dtype=dtype)
    dataset = image(stored, PlanarConfiguration=1)
    dataset.PixelData = stored.transpose(2, 0, 1).tobytes()
    np.testing.assert_array_equal(read_dicom_frames(written(dataset))[0], stored)
    np.testing.assert_array_equal(read_dicom_frames(rle_file(stored))[0], stored)


def test_frames_are_given_in_the_order_asked_for() -> None:
    stored = grain(4, 3, 5)
    for data in (written(image(stored, frames=True)), rle_file(stored, frames=True)):
        np.testing.assert_array_equal(read_dicom_frames(data, [3, 0, 3]), stored[[3, 0, 3]])
        assert read_dicom_frames(data, []).shape == (0, 3, 5)
        for wrong in (4, -1):
            with pytest.raises(DecodeError, match="of 4"):
                read_dicom_frames(data, [wrong])


# -- rescale ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "bits", "slope", "intercept", "wanted"),
    [
        ("u2", 12, 1, -1024, "i2"),
        ("u2", 16, 1, -1024, "i4"),
        ("i2", 16, 1, 0, "i2"),
        ("i2", 12, -2, 7, "i2"),
        ("i2", 16, 3, 0, "i4"),
        ("u2", 12, 0.5, -10, "f4"),
        ("i1", 8, 1, -5, "i2"),
        ("u1", 8, 2, 1, "i2"),
    ],
)
def test_rescaled_values_and_their_type(dtype: str, bits: int, slope: float, intercept: float, wanted: str) -> None:
    stored = (grain(6, 8, dtype=dtype).astype(np.int64) >> (int(dtype[1]) * 8 - bits)).astype(dtype)
    dataset = image(stored, bits=bits, RescaleSlope=slope, RescaleIntercept=intercept)
    got = read_dicom_frames(written(dataset), rescale=True)[0]
    assert got.dtype == wanted
    np.testing.assert_array_equal(got, (stored.astype(np.float64) * slope + intercept).astype(wanted))
    assert read_dicom_header(written(dataset)).rescale == (slope, intercept)


def test_without_a_rescale_the_stored_type_stays() -> None:
    stored = grain(4, 4)
    assert read_dicom_frames(written(image(stored)), rescale=True).dtype == np.uint16
    zero = written(image(stored, RescaleSlope=0, RescaleIntercept=1))
    with pytest.raises(DecodeError, match="RescaleSlope"):
        read_dicom_frames(zero, rescale=True)


# -- the data set ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", NATIVE[:2])
@pytest.mark.parametrize("undefined", [False, True])
def test_sequences_are_passed_over(syntax: str, undefined: bool) -> None:
    stored = grain(5, 4, dtype="u1")
    dataset = image(stored, ReferencedImageSequence=nested(20, undefined=undefined))
    dataset["ReferencedImageSequence"].is_undefined_length = undefined
    np.testing.assert_array_equal(read_dicom_frames(written(dataset, syntax))[0], stored)


def test_nesting_without_end_is_refused() -> None:
    head = written(image(grain(4, 4, dtype="u1")))
    at = head.index(b"\x28\x00\x02\x00US")
    bomb = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(DecodeError, match="nested too deep"):
        read_dicom_frames(head[:at] + bomb * 200_000)


def test_header() -> None:
    stored = grain(3, 6, 5, dtype="i2")
    dataset = image(stored, frames=True, bits=11, WindowCenter=[40, 600], WindowWidth=[400, 2000])
    header = read_dicom_header(written(dataset))
    assert (header.coding, header.frames, header.rows, header.columns) == ("native", 3, 6, 5)
    assert (header.bits_allocated, header.bits_stored, header.is_signed) == (16, 11, True)
    assert (header.window, header.rescale, header.has_palette) == ((40.0, 400.0), None, False)
    assert CANARY not in repr(header)
    told = read_header(written(dataset))
    assert (told.format, told.frames, told.bits, told.is_signed) == ("dicom", 3, 16, True)


# -- fragments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("fragments", [1, 3])
def test_fragments_and_offset_tables(table: bool, fragments: int) -> None:
    stored = (grain(4, 16, 16) >> 4).astype(np.uint16)
    coded = [write_jpeg_lossless(frame, 12) for frame in stored]
    dataset = image(stored, frames=True, bits=12)
    data = encapsulated(dataset, JPEGLosslessSV1, coded, fragments_per_frame=fragments, has_bot=table)
    np.testing.assert_array_equal(read_dicom_frames(data), stored)
    np.testing.assert_array_equal(read_dicom_frames(data, [2])[0], stored[2])


def test_an_extended_offset_table() -> None:
    stored = grain(3, 6, 6)
    coded = [rle_frame(frame) for frame in stored]
    coded = [frame + b"\0" * (len(frame) % 2) for frame in coded]
    starts = np.cumsum([0] + [len(frame) + 8 for frame in coded[:-1]])
    dataset = image(stored, frames=True)
    dataset.add_new("ExtendedOffsetTable", "OV", starts.astype("<u8").tobytes())
    lengths = np.array([len(frame) for frame in coded], "<u8")
    dataset.add_new("ExtendedOffsetTableLengths", "OV", lengths.tobytes())
    data = encapsulated(dataset, RLELossless, coded, has_bot=False)
    np.testing.assert_array_equal(read_dicom_frames(data), stored)
    astray = data.replace(starts.astype("<u8").tobytes(), (starts + 2).astype("<u8").tobytes())
    with pytest.raises(DecodeError, match="offset table"):
        read_dicom_frames(astray)


def test_fragments_that_make_another_number_of_frames_are_refused() -> None:
    stored = grain(3, 6, 6)
    coded = [rle_frame(frame) for frame in stored]
    for frames in (2, 4):
        dataset = image(stored, frames=True, NumberOfFrames=frames)
        with pytest.raises(DecodeError, match="do not make"):
            read_dicom_frames(encapsulated(dataset, RLELossless, coded, has_bot=False))


def test_a_stream_of_another_size_than_the_header_is_refused() -> None:
    stored = (grain(8, 8) >> 4).astype(np.uint16)
    frame = write_jpeg_lossless(stored, 12)
    for attributes in ({"Rows": 9}, {"Columns": 4}, {"BitsAllocated": 8, "BitsStored": 8}):
        with pytest.raises(DecodeError, match=r"stream|picture"):
            read_dicom_frames(encapsulated(image(stored, bits=12, **attributes), JPEGLosslessSV1, [frame]))  # type: ignore[arg-type]


@pytest.mark.skipif(not features()["dicom"]["jpeg-2000"], reason="built without OpenJPEG")
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_jpeg_2000_regions_and_reductions(dtype: str) -> None:
    y, x = np.mgrid[:70, :83]
    scale = 200 if dtype == "u1" else 40_000
    stored = (scale * (0.5 + 0.4 * np.sin(x / 9) * np.cos(y / 7))).astype(dtype)
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
    data = encapsulated(image(stored), JPEG2000Lossless, [stream.getvalue()])
    np.testing.assert_array_equal(read_dicom_frames(data)[0], stored)
    np.testing.assert_array_equal(decode_image(stream.getvalue()), stored)
    assert read_header(stream.getvalue()).format == "jpeg-2000"
    half = decode_image(stream.getvalue(), reduce=2)
    assert half.shape == (35, 42)
    assert np.abs(half.astype(int) - stored[::2, ::2].astype(int)).mean() < 0.02 * scale
    # A part of the picture is sampled as from the whole of it.
    np.testing.assert_array_equal(sampled(data, box=(20, 30, 60, 66)), sampled(stored, box=(20, 30, 60, 66)))


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_the_header_says_which_colours_a_jpeg_has(photometric: str) -> None:
    """Marks of the stream do not, and pydicom does not heed them either; stored colours are the components."""
    size = (24, 40)
    read = []
    for marks in (b"", adobe(0), adobe(1)):
        frame = random_jpeg(size, [(1, 1)] * 3, amplitude=10, before=marks)
        dataset = image(np.zeros((*size, 3), np.uint8), PhotometricInterpretation=photometric)
        data = encapsulated(dataset, JPEGBaseline8Bit, [frame])
        read.append(read_dicom_frames(data)[0])
        parsed = dcmread(io.BytesIO(data))
        np.testing.assert_allclose(read[-1].astype(int), pixel_array(parsed).astype(int), rtol=0, atol=3)
        stored = read_dicom_frames(data, as_rgb=False)[0]
        np.testing.assert_allclose(stored.astype(int), pixel_array(parsed, raw=True).astype(int), rtol=0, atol=3)
        assert np.array_equal(stored, read[-1]) == (photometric == "RGB")
    assert np.array_equal(read[0], read[1])
    assert np.array_equal(read[0], read[2])


def test_a_jpeg_of_twelve_bits_is_sampled_at_its_own_size() -> None:
    """Also where the output needs less than half of it; alone, in a DICOM file, and as its pixels."""
    size, box = (80, 96), (0, 0, 96, 80)
    frame = random_jpeg(size, [(1, 1)], precision=12, amplitude=400)
    pixels = decode_image(frame)
    assert pixels.max() > 3000
    data = encapsulated(image(np.zeros(size, np.uint16), bits=12), JPEGExtended12Bit, [frame])
    assert np.array_equal(read_dicom_frames(data)[0], pixels)
    expected = sampled(pixels, box=box)
    for source in (frame, data):
        np.testing.assert_array_equal(sampled(source, box=box, reduce=4), expected)


# -- sampling --------------------------------------------------------------------------------------------------------


def sampled(
    source: bytes | NDArray[np.generic],
    *,
    frame: int = 0,
    box: tuple[int, int, int, int],
    bias: float = 0.0,
    reduce: int = 1,
) -> NDArray[np.generic]:
    layout = BatchLayout(9, 11, channels=1, clamp=False, reduce=reduce)
    job = np.zeros(1, JOB)
    if isinstance(source, bytes):
        job["address"], job["size"], job["raw"] = address_of(source), len(source), (frame, 0, 0)
    else:
        job["address"], job["size"], job["raw"] = source.ctypes.data, source.nbytes, (*source.shape, 1)
        job["codec"] = {"uint8": 1, "uint16": 2, "int16": 3}[source.dtype.name]
    job["box"], job["bounds"], job["height"], job["width"] = box, box, 9, 11
    job["scale"], job["bias"] = 1.0, bias
    out = np.full((1, 1, 9, 11), np.nan, np.float32)
    failed = Engine(1).run(job, out.ctypes.data, layout, keep_alive=[source])
    assert not failed
    return out


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("coded", ["native", "rle"])
def test_a_frame_of_a_file_is_sampled_as_its_values_are(dtype: str, coded: str) -> None:
    stored = grain(3, 30, 40, dtype=dtype)
    data = written(image(stored, frames=True)) if coded == "native" else rle_file(stored, frames=True)
    box = (5, 3, 32, 28)
    signed = dtype[0] == "i"
    for frame in (0, 2):
        values = stored[frame].astype(np.int16) if dtype == "i1" else np.ascontiguousarray(stored[frame])
        got = sampled(data, frame=frame, box=box, bias=-32768.0 if signed else 0.0)
        np.testing.assert_allclose(got, sampled(values, box=box), rtol=0, atol=0.02)


def test_a_mask_in_a_file_is_sampled_by_the_nearest_pixel() -> None:
    stored = grain(20, 20, dtype="u1")
    data = rle_file(stored)
    layout = BatchLayout(20, 20, channels=1, dtype="uint8", mask=True)
    job = np.zeros(1, JOB)
    job["address"], job["size"] = address_of(data), len(data)
    job["box"] = job["bounds"] = (0, 0, 20, 20)
    job["height"], job["width"], job["scale"] = 20, 20, 1.0
    out = np.zeros((1, 1, 20, 20), MASK_DTYPES["uint8"])
    assert not Engine(1).run(job, out.ctypes.data, layout, keep_alive=[data])
    np.testing.assert_array_equal(out[0, 0], stored)


# -- damage ----------------------------------------------------------------------------------------------------------


def whole_files() -> list[bytes]:
    small = (grain(2, 8, 8) >> 4).astype(np.uint16)
    coded = [write_jpeg_lossless(frame, 12) for frame in small]
    nesting = image(grain(6, 6, dtype="u1"), ReferencedImageSequence=nested(2, undefined=True))
    return [
        written(nesting),
        written(image(small, frames=True), ImplicitVRLittleEndian),
        written(image(small, frames=True), DeflatedExplicitVRLittleEndian),
        rle_file(small, frames=True),
        encapsulated(image(small, frames=True, bits=12), JPEGLosslessSV1, coded, fragments_per_frame=2),
    ]


FILES = whole_files()


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_damage_is_decoded_or_refused_without_quoting(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(128, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(1, len(raw))))])
    for read in (read_dicom_header, read_header, lambda one: read_dicom_frames(one, max_bytes=1 << 24)):
        message = ""
        try:
            read(cut)
        except DecodeError as error:
            message = str(error)
        assert "Qanar" not in message


@pytest.mark.parametrize("attributes", [{"Rows": 60_000, "Columns": 60_000}, {"NumberOfFrames": 16_000_000}])
@pytest.mark.parametrize("coded", [False, True])
def test_headers_that_promise_too_much_take_no_memory(attributes: dict[str, int], coded: bool) -> None:
    stored = grain(8, 8)
    data = rle_file(stored, **attributes) if coded else written(image(stored, **attributes))  # type: ignore[arg-type]
    with pytest.raises(DecodeError):
        read_dicom_frames(data)


def test_a_deflated_data_set_that_unpacks_without_end_is_bounded() -> None:
    head = written(image(grain(4, 4)), DeflatedExplicitVRLittleEndian)
    meta = head[: 132 + 12 + int.from_bytes(head[140:144], "little")]
    packer = zlib.compressobj(9, wbits=-15)
    body = packer.compress(b"\0" * (1 << 24)) + packer.flush()
    with pytest.raises(DecodeError):
        read_dicom_frames(meta + body)
