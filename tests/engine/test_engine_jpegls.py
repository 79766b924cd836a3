"""JPEG-LS: the conformance streams of T.87 against libjpeg (through pylibjpeg); damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libjpeg import decode as libjpeg_decode
from pydicom.encaps import get_frame

from medshard.engine import decode_image, features, read_dicom_frames, read_header
from medshard.errors import DecodeError

OWN = Path(pydicom.__file__).parent / "data" / "test_files"
NAMES = ("SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "JPEGLSNearLossless_08.dcm")


def frame_of(name: str) -> bytes:
    return bytes(get_frame(pydicom.dcmread(OWN / name).PixelData, 0, number_of_frames=1))


def test_conformance_streams(shared: Path) -> None:
    """Of 8 and 16 bits, lossless and near-lossless, all three interleavings, presets of their own."""
    compared = 0
    for path in sorted((shared / "data" / "pylibjpeg_data").rglob("*.JLS")):
        stream = path.read_bytes()
        try:
            got = decode_image(stream)
        except DecodeError:
            # Components of differing size, and samples in turn where CharLS is not built in.
            if "SSE" not in path.name and features()["dicom"]["jpeg-ls"]:
                raise
            continue
        np.testing.assert_array_equal(got, np.squeeze(libjpeg_decode(stream)), err_msg=path.name)
        assert read_header(stream).format == "jpeg-ls"
        compared += 1
    assert compared >= 6


@pytest.mark.parametrize("name", NAMES)
def test_cut_streams_are_refused(name: str) -> None:
    stream = frame_of(name)
    decode_image(stream)
    for length in (len(stream) // 2, len(stream) // 3, 20):
        with pytest.raises(DecodeError, match="JPEG"):
            decode_image(stream[:length])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_gives_pixels_or_a_reason(data: st.DataObject) -> None:
    stream = bytearray(frame_of(data.draw(st.sampled_from(NAMES))))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(2, len(stream) - 1))] = data.draw(st.integers(0, 255))
    reason = "decoded"
    try:
        decode_image(bytes(stream), max_pixels=1 << 20)
    except DecodeError as error:
        reason = str(error)
    assert reason


def test_a_stream_that_charls_2_4_1_refuses(shared: Path) -> None:
    path = shared / "data" / "nema_wg04" / "WG04" / "JLSL" / "MR1_JLSL"
    np.testing.assert_array_equal(read_dicom_frames(path.read_bytes())[0], pydicom.dcmread(path).pixel_array)
