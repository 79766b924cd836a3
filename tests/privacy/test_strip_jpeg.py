"""JPEG streams lose all metadata and keep every pixel, for Pillow and for the engine."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms
from planted_streams import CANARY, joined, pillow, saved, scan_length, segments, smooth, with_canaries

from medshard.engine import decode_image
from medshard.errors import DecodeError
from medshard.privacy.jpeg import strip_jpeg

TABLES, FRAMES, SCAN = {0xDB, 0xC4, 0xDD}, {0xC0, 0xC1, 0xC2}, 0xDA
KINDS = [
    {},
    {"progressive": True},
    {"optimize": True, "quality": 30},
    {"subsampling": 0},
    {"subsampling": 2},
    {"restart_marker_blocks": 2},
    {"restart_marker_rows": 1, "progressive": True},
]


def jpeg(channels: int = 3, **options: object) -> bytes:
    return saved(Image.fromarray(smooth(37, 50, channels)), "JPEG", **options)


def pixels_of(data: bytes) -> NDArray[np.generic]:
    """By two decoders, which must agree."""
    found = decode_image(data)
    np.testing.assert_array_equal(found, pillow(data))
    return found


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_canaries_everywhere_are_gone_and_the_pixels_are_the_same(channels: int, options: dict[str, object]) -> None:
    data = jpeg(channels, **options)
    planted = with_canaries(data)
    assert planted.count(CANARY) > 20
    np.testing.assert_array_equal(pillow(planted), pillow(data))
    stripped = strip_jpeg(planted)
    assert stripped is not None
    assert CANARY not in stripped
    assert CANARY[:3] not in stripped
    np.testing.assert_array_equal(pixels_of(stripped), pillow(data))
    assert {marker for marker, _ in segments(stripped)} <= {*TABLES, *FRAMES, SCAN, 0xE0, 0xEE}
    kept = [(marker, body) for marker, body in segments(data) if marker in {*TABLES, *FRAMES, SCAN}]
    assert [part for part in segments(stripped) if part[0] not in (0xE0, 0xEE)] == kept
    assert strip_jpeg(stripped) == stripped


def test_what_pillow_writes_into_a_file_is_gone() -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = CANARY.decode(), 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = {"exif": exif, "icc_profile": profile, "comment": CANARY, "dpi": (300, 300), "xmp": CANARY}
    data = jpeg(3, **options)
    stripped = strip_jpeg(data)
    assert stripped is not None
    with Image.open(io.BytesIO(stripped)) as picture:
        assert not picture.getexif()
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_density", "jfif_unit"}
        assert (picture.info["jfif_unit"], picture.info["jfif_density"]) == (0, (1, 1))
    np.testing.assert_array_equal(pixels_of(stripped), pillow(data))


@pytest.mark.parametrize("transform", [0, 1])
def test_the_mark_that_decides_the_colours_stays_and_nothing_beside_it(transform: int) -> None:
    without = [part for part in segments(jpeg(3)) if part[0] != 0xE0]
    data = joined([(0xEE, b"Adobe" + CANARY[:6] + bytes([transform]) + CANARY), *without])
    stripped = strip_jpeg(data)
    assert stripped is not None
    assert segments(stripped)[0] == (0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    np.testing.assert_array_equal(pixels_of(stripped), pillow(data))
    other = strip_jpeg(joined([(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([1 - transform])), *without]))
    assert other is not None
    assert not np.array_equal(pixels_of(other), pillow(data))


def test_a_mark_that_decoders_do_not_know_is_not_made_one() -> None:
    """Too short to be JFIF: component names R, G, B then say that nothing is transformed."""
    data = saved(Image.fromarray(smooth(20, 24, 3)), "JPEG", keep_rgb=True)
    without = [part for part in segments(data) if part[0] not in (0xE0, 0xEE)]
    for short in ((0xE0, b"JFIF\0\x01\x01"), (0xEE, b"Adobe\0\x64\0")):
        stripped = strip_jpeg(joined([short, *without]))
        assert stripped is not None
        assert [marker for marker, _ in segments(stripped)] == [marker for marker, _ in without]
        np.testing.assert_array_equal(pixels_of(stripped), pillow(joined([short, *without])))


def test_the_second_picture_of_a_file_is_dropped() -> None:
    """A multi-picture file (CIPA DC-007): previews, depth maps and the like follow the end of the first."""
    first, second = (Image.fromarray(smooth(37, 50, 3)[::step].copy()) for step in (1, -1))
    data = saved(first, "MPO", save_all=True, append_images=[second])
    stripped = strip_jpeg(data)
    assert stripped is not None
    assert len(stripped) < 0.6 * len(data)
    with Image.open(io.BytesIO(stripped)) as picture:
        assert (picture.format, getattr(picture, "n_frames", 1)) == ("JPEG", 1)
    np.testing.assert_array_equal(pixels_of(stripped), pillow(data))


def test_fill_bytes_and_marks_without_length_are_passed_over() -> None:
    data = jpeg(1)
    wanted = strip_jpeg(data)
    for noise in (b"\xff\xff\xff", b"\xff\x01", b"\xff\xd3"):
        assert strip_jpeg(data[:2] + noise + data[2:]) == wanted


def frame_changed(place: int, value: int, marker: int | None = None) -> bytes:
    parts = []
    for code, body in segments(jpeg(1)):
        if code in FRAMES:
            body = body[:place] + bytes([value]) + body[place + 1 :]
            code = marker or code
        parts.append((code, body))
    return joined(parts)


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
def test_lossless_hierarchical_and_arithmetic_streams_are_not_passed(marker: int) -> None:
    assert strip_jpeg(frame_changed(0, 8, marker)) is None


def test_12_bits_and_four_components_are_not_passed() -> None:
    assert strip_jpeg(frame_changed(0, 12)) is None
    picture = Image.merge("CMYK", [Image.fromarray(smooth(20, 24, 4)[..., c].copy()) for c in range(4)])
    assert strip_jpeg(saved(picture, "JPEG")) is None


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_every_cut_is_told(options: dict[str, object]) -> None:
    data = jpeg(1, **options)
    for length in range(len(data)):
        with pytest.raises(DecodeError, match="JPEG stream"):
            strip_jpeg(data[:length])


def test_streams_of_another_form_are_told() -> None:
    data = jpeg(1)
    for broken in (b"", b"GIF89a", data[:2] + b"x" + data[2:], data[:2] + data, data[:2] + b"\xff\xe1\0\1" + data[2:]):
        with pytest.raises(DecodeError, match="JPEG stream") as caught:
            strip_jpeg(broken)
        assert CANARY.decode() not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_bytes_are_stripped_or_refused(data: st.DataObject) -> None:
    raw = bytearray(with_canaries(jpeg(data.draw(st.sampled_from([1, 3])), quality=20)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        stripped = strip_jpeg(bytes(raw))
    except DecodeError:
        return
    if stripped is not None:
        assert {marker for marker, _ in segments(stripped)} <= {*TABLES, *FRAMES, SCAN, 0xE0, 0xEE}


def test_the_oracle_takes_streams_apart_and_puts_them_together() -> None:
    for options in KINDS:
        data = jpeg(3, **options)
        assert joined(segments(data)) == data
        scan = next(body for marker, body in segments(data) if marker == SCAN)
        assert struct.unpack(">H", scan_length(scan))[0] in (8, 10, 12)


# -- real files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bccd", "figure1_covid_cxr", "kvasir_seg_mini"])
def test_real_files_keep_their_pixels(shared: Path, name: str) -> None:
    paths = sorted((shared / "data" / name).rglob("*.jp*g"))
    for path in paths[:: max(1, len(paths) // 5)]:
        data = path.read_bytes()
        stripped = strip_jpeg(data)
        if stripped is None:
            continue
        np.testing.assert_array_equal(pillow(stripped), pillow(data))
        assert {marker for marker, _ in segments(stripped)} <= {*TABLES, *FRAMES, SCAN, 0xE0, 0xEE}
