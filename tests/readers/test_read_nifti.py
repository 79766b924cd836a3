"""The NIfTI reader against the arrays that were written, nibabel and SimpleITK; damage is refused within bounds."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from blobs import blob, blob_beside, blob_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medshard.errors import DecodeError, ReadError
from medshard.readers import read_image, read_labels, read_volume
from medshard.readers.packed import read_gzip

OBLIQUE = np.array([[-0.9, 0.2, 0.1, 20.0], [0.15, 1.7, -0.9, -31.5], [0.05, 0.7, 2.6, 7.25], [0, 0, 0, 1.0]])
UNITS = {"mm": 2, "meter": 1, "micron": 3, "unknown": 0}


def rigid(*, flip: bool = False) -> NDArray[np.float64]:
    """An affine that a qform can hold: a turn, different spacings, and a mirrored axis where asked."""
    a, b = 0.4, -0.7
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array([0.7, 1.1, 3.0]) * (np.array([-1, 1, 1]) if flip else 1)
    affine[:3, 3] = (-40.5, 12.25, 99.0)
    return affine


def nifti(
    voxels: NDArray[np.generic],
    affine: NDArray[np.float64] | None = None,
    *,
    order: str = "<",
    version: int = 1,
    sform: int = 1,
    qform: int = 0,
    scale: tuple[float, float] | None = None,
    unit: str = "mm",
) -> bytes:
    """A file whose stored values are ``voxels`` ([i, j, k]), with the header's scale set as given."""
    header = (nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header)(endianness=order)
    header.set_data_shape(voxels.shape)
    header.set_data_dtype(voxels.dtype.newbyteorder(order))
    header.set_sform(affine if affine is not None else np.eye(4), code=sform)
    header.set_qform(affine if affine is not None else np.eye(4), code=qform, strip_shears=True)
    header["scl_slope"], header["scl_inter"] = scale or (np.nan, np.nan)
    header["xyzt_units"] = UNITS[unit]
    header["vox_offset"] = 352 if version == 1 else 544
    header["magic"] = b"n+1" if version == 1 else b"n+2"
    stored = voxels.astype(voxels.dtype.newbyteorder(order))
    return bytes(header.binaryblock) + b"\0" * 4 + stored.tobytes(order="F")


def grain(*shape: int, dtype: object = np.int16, seed: int = 0) -> NDArray[np.generic]:
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    if kind.kind == "f":
        return random.normal(0, 100, shape).astype(kind)
    bounds = np.iinfo(kind)
    return random.integers(max(bounds.min, -(2**31)), min(bounds.max, 2**31 - 1), shape, endpoint=True).astype(kind)


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "dtype", [f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)] + ["float32", "float64"]
)
def test_every_type_byte_order_and_version(dtype: str, order: str, version: int, packed: bool) -> None:
    stored = grain(5, 7, 3, dtype=dtype)
    data = nifti(stored, OBLIQUE, order=order, version=version)
    volume = read_volume([blob(gzip.compress(data) if packed else data, "a.nii.gz" if packed else "a.nii")])
    wanted = stored.transpose()
    assert volume.axes == "ZYX"
    assert volume.voxels.flags.c_contiguous
    assert volume.voxels.dtype.isnative
    assert volume.voxels.dtype == np.float32 or volume.voxels.dtype.kind in "ui"
    np.testing.assert_array_equal(volume.voxels, wanted.astype(np.float32) if stored.dtype.kind == "f" else wanted)
    np.testing.assert_allclose(volume.affine_ijk_to_ras, OBLIQUE, rtol=0, atol=1e-5)
    assert volume.unit is volume.window is volume.modality is None


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    order=st.sampled_from("<>"),
    dtype=st.sampled_from(["uint8", "int16", "float32"]),
)
def test_odd_shapes_keep_every_voxel_at_its_index(shape: list[int], order: str, dtype: str) -> None:
    stored = grain(*shape, dtype=dtype)
    volume = read_volume([blob(nifti(stored, rigid(), order=order), "a.nii")])
    if len(shape) == 4 and shape[3] > 1:
        assert volume.axes == "TZYX"
    else:
        assert volume.axes == "ZYX"
        stored = stored.reshape((*shape, 1)[:3])
    assert volume.voxels.shape == stored.shape[::-1]
    for index in np.ndindex(*stored.shape):
        assert volume.voxels[index[::-1]] == stored[index]


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4, 1, 1, 3), (2, 2, 2, 2, 2)])
def test_other_numbers_of_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ReadError, match="axes") as caught:
        read_volume([blob(nifti(grain(*shape)), "a.nii")])
    assert caught.value.error_class == "axes"


@pytest.mark.parametrize(
    ("scale", "kind"),
    [
        (None, "i"),
        ((1, 0), "i"),
        ((0, 5), "i"),  # a slope of 0 means that nothing is scaled
        ((2, -1024), "i"),
        ((1, 40_000), "u"),
        ((0.5, 0), "f"),
        ((1, 0.25), "f"),
        ((0.00277, -3.5), "f"),
        ((-3, 7), "i"),
    ],
)
def test_scaled_int16(scale: tuple[float, float] | None, kind: str) -> None:
    stored = np.array([-32768, -1, 0, 1, 2, 300, 9000, 32767], np.int16).reshape(2, 2, 2)
    if scale == (1, 40_000):
        stored = np.abs(stored // 2)
    data = nifti(stored, scale=scale)
    volume = read_volume([blob(data, "a.nii")])
    assert volume.voxels.dtype.kind == kind
    theirs = nibabel.Nifti1Image.from_bytes(data).get_fdata().transpose()
    np.testing.assert_array_equal(volume.voxels, theirs.astype(volume.voxels.dtype))
    if kind != "f":
        np.testing.assert_array_equal(volume.voxels.astype(np.float64), theirs)


@pytest.mark.parametrize(
    ("dtype", "scale"), [("int16", (1e15, 0)), ("int16", (1e30, 0)), ("int64", (2**20, 0)), ("uint64", (2, 0))]
)
def test_scaled_integers_beyond_32_bits_are_refused_and_never_wrap(dtype: str, scale: tuple[float, float]) -> None:
    stored = np.full((2, 2, 2), np.iinfo(dtype).max, dtype)
    with pytest.raises(ReadError, match="32 bits") as caught:
        read_volume([blob(nifti(stored, scale=scale), "a.nii")])
    assert caught.value.error_class == "pixel_type"


def test_an_unsigned_64_bit_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ReadError, match="32 bits"):
        read_volume([blob(nifti(np.full((2, 2, 2), 2**63 + 5, np.uint64)), "a.nii")])


@pytest.mark.parametrize("scale", [None, (1e30, 0.5)])
def test_floats_beyond_float32_are_refused(scale: tuple[float, float] | None) -> None:
    with pytest.raises(ReadError, match="float32") as caught:
        read_volume([blob(nifti(np.full((2, 2, 2), 1e300 if scale is None else 1e20), scale=scale), "a.nii")])
    assert caught.value.error_class == "pixel_type"


def test_voxels_that_are_not_finite_stay_and_are_noted() -> None:
    stored = grain(3, 3, 3, dtype="float32")
    stored[0, 0, 0], stored[1, 1, 1], stored[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = read_volume([blob(nifti(stored), "a.nii")])
    np.testing.assert_array_equal(volume.voxels, stored.transpose())
    assert any("not finite" in note for note in volume.notes)


@pytest.mark.parametrize("code", [32, 1536, 1792, 2048, 1])
def test_complex_wide_and_bit_voxels_are_refused(code: int) -> None:
    data = bytearray(nifti(grain(4, 4, 4)) + b"\0" * 4096)
    struct.pack_into("<hh", data, 70, code, {32: 64, 1536: 128, 1792: 128, 2048: 256, 1: 1}[code])
    with pytest.raises(ReadError):
        read_volume([blob(bytes(data), "a.nii")])


@pytest.mark.parametrize(("code", "samples"), [(128, 3), (2304, 4)])
@pytest.mark.parametrize("packed", [False, True])
def test_colours_are_channels(code: int, samples: int, packed: bool) -> None:
    stored = grain(5, 4, 3, samples, dtype="uint8")  # [i, j, k, colour]
    data = bytearray(nifti(np.zeros((5, 4, 3), np.uint8), OBLIQUE, scale=(2, 1))[:352])
    struct.pack_into("<hh", data, 70, code, 8 * samples)
    whole = bytes(data) + stored.transpose(2, 1, 0, 3).tobytes()
    volume = read_volume([blob(gzip.compress(whole) if packed else whole, "a.nii.gz" if packed else "a.nii")])
    assert volume.axes == "CZYX"
    np.testing.assert_array_equal(volume.voxels, stored.transpose(3, 2, 1, 0))
    theirs = nibabel.Nifti1Image.from_bytes(whole).dataobj.get_unscaled()  # scl_slope is not of colours
    for place, name in enumerate("RGBA"[:samples]):
        np.testing.assert_array_equal(volume.voxels[place], theirs[name].transpose())
    with pytest.raises(ReadError, match="mask"):
        read_labels(blob(whole, "a.nii"))


def test_the_fifth_axis_is_channels() -> None:
    stored = grain(5, 4, 3, 1, 2)
    volume = read_volume([blob(nifti(stored, OBLIQUE), "a.nii")])
    assert volume.axes == "CZYX"
    np.testing.assert_array_equal(volume.voxels, stored[:, :, :, 0].transpose())


def test_one_slice_is_a_picture_and_more_are_not() -> None:
    stored = grain(6, 4, 1)
    image = read_image(blob(nifti(stored, rigid()), "a.nii"))
    np.testing.assert_array_equal(image.pixels, stored[..., 0].transpose())
    assert image.spacing_yx_mm == pytest.approx((1.1, 0.7), abs=1e-5)
    with pytest.raises(ReadError, match="kind: volume"):
        read_image(blob(nifti(grain(6, 4, 2)), "a.nii"))
    with pytest.raises(ReadError, match="not read as a picture"):
        read_image(blob(nifti(grain(6, 4, 1, dtype="float32")), "a.nii"))


def test_labels_are_the_values_on_the_files_grid() -> None:
    stored = grain(6, 4, 3, dtype="uint8") % 5
    mask = read_labels(blob(nifti(stored, OBLIQUE), "a.nii"))
    np.testing.assert_array_equal(mask.labels, stored.transpose())
    np.testing.assert_allclose(mask.affine_ijk_to_ras, OBLIQUE, atol=1e-5)
    with pytest.raises(ReadError, match="mask"):
        read_labels(blob(nifti(grain(3, 3, 3, 2)), "a.nii"))


# -- geometry --------------------------------------------------------------------------------------------------------


def test_without_form_the_geometry_is_unknown() -> None:
    volume = read_volume([blob(nifti(grain(4, 5, 6), rigid(), sform=0, qform=0), "a.nii")])
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm is None
    assert any("orientation is unknown" in note for note in volume.notes)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (2, 1), (4, 4)])
def test_geometry_is_that_of_simpleitk(tmp_path: Path, sform: int, qform: int, flip: bool) -> None:
    stored, affine = grain(4, 5, 6), rigid(flip=flip)
    data = nifti(stored, affine, sform=sform, qform=qform)
    volume = read_volume([blob(data, "a.nii")])
    np.testing.assert_allclose(volume.affine_ijk_to_ras, affine, rtol=0, atol=1e-4)
    (tmp_path / "a.nii").write_bytes(data)
    image = SimpleITK.ReadImage(str(tmp_path / "a.nii"))
    np.testing.assert_array_equal(volume.voxels, SimpleITK.GetArrayFromImage(image))
    for index in [(0, 0, 0), (3, 4, 5), (1, 0, 2)]:
        left, posterior, superior = image.TransformIndexToPhysicalPoint(index)
        assert volume.affine_ijk_to_ras is not None
        here = volume.affine_ijk_to_ras @ [*index, 1]
        np.testing.assert_allclose(here[:3], (-left, -posterior, superior), rtol=0, atol=1e-4)
    assert volume.spacing_zyx_mm == pytest.approx((3.0, 1.1, 0.7), abs=1e-5)


def test_the_sform_comes_before_the_qform_and_a_difference_is_noted() -> None:
    header = nibabel.Nifti1Image.from_bytes(nifti(grain(4, 5, 6), OBLIQUE, sform=1)).header
    header.set_qform(rigid(), code=1)
    data = bytes(header.binaryblock) + b"\0" * 4 + grain(4, 5, 6).tobytes(order="F")
    volume = read_volume([blob(data, "a.nii")])
    np.testing.assert_allclose(volume.affine_ijk_to_ras, OBLIQUE, atol=1e-5)
    assert any("differ" in note for note in volume.notes)
    same = read_volume([blob(nifti(grain(4, 5, 6), rigid(), sform=1, qform=1), "a.nii")])
    assert same.notes == []


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("unknown", 1.0), ("meter", 1000.0), ("micron", 0.001)])
@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1)])
def test_lengths_are_turned_to_millimetres(unit: str, factor: float, sform: int, qform: int) -> None:
    volume = read_volume([blob(nifti(grain(4, 5, 6), rigid(), sform=sform, qform=qform, unit=unit), "a.nii")])
    wanted = np.diag([factor, factor, factor, 1]) @ rigid()
    np.testing.assert_allclose(volume.affine_ijk_to_ras, wanted, rtol=1e-4, atol=1e-4 * factor)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_an_sform_that_is_no_affine_is_not_used(bad: float) -> None:
    data = bytearray(nifti(grain(4, 5, 6), rigid(), sform=1, qform=0))
    struct.pack_into("<4f", data, 280, bad, bad, bad, 0.0)
    assert read_volume([blob(bytes(data), "a.nii")]).affine_ijk_to_ras is None
    data = bytearray(nifti(grain(4, 5, 6), rigid(), sform=1, qform=1))
    struct.pack_into("<4f", data, 280, bad, bad, bad, 0.0)
    np.testing.assert_allclose(read_volume([blob(bytes(data), "a.nii")]).affine_ijk_to_ras, rigid(), atol=1e-4)


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_every_cut_is_refused(packed: bool) -> None:
    data = nifti(grain(4, 5, 6))
    data = gzip.compress(data) if packed else data
    for length in (1, 10, 30, 100, 347, 348, 352, 400, len(data) - 9, len(data) - 1):
        if length < len(data):
            with pytest.raises(ReadError):
                read_volume([blob(data[:length], "a.nii.gz" if packed else "a.nii")])


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 351), value=st.integers(0, 255), version=st.sampled_from([1, 2]), packed=st.booleans())
def test_a_damaged_header_is_read_or_refused(place: int, value: int, version: int, packed: bool) -> None:
    data = bytearray(nifti(grain(3, 4, 2), rigid(), version=version))
    data[place] = value
    raw = gzip.compress(bytes(data)) if packed else bytes(data)
    try:
        volume = read_volume([blob(raw, "a.nii.gz" if packed else "a.nii")])
    except ReadError:
        return
    assert volume.voxels.nbytes <= 4096
    assert volume.affine_ijk_to_ras is None or np.isfinite(volume.affine_ijk_to_ras).all()


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0.05, 0.999), value=st.integers(1, 255))
def test_a_damaged_gzip_stream_is_refused(share: float, value: int) -> None:
    data = bytearray(gzip.compress(nifti(grain(6, 6, 6))))
    data[int(share * len(data))] ^= value
    with pytest.raises(ReadError):
        read_volume([blob(bytes(data), "a.nii.gz")])


def test_a_damaged_gzip_file_of_any_kind_is_refused() -> None:
    data = gzip.compress(bytes(range(256)) * 64)
    for place in range(10, len(data)):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        with pytest.raises(DecodeError):
            read_gzip(bytes(broken))
    with pytest.raises(ReadError, match="more than 100 bytes"):
        read_gzip(data, 100)
    assert read_gzip(data, 256 * 64) == bytes(range(256)) * 64


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("offset", [-16.0, -3e38, 3e38, 1e12])
def test_an_offset_outside_the_file_is_refused(offset: float, packed: bool) -> None:
    data = bytearray(nifti(grain(3, 4, 2), rigid()))
    struct.pack_into("<f", data, 108, offset)
    with pytest.raises(DecodeError):
        read_volume([blob(gzip.compress(data) if packed else bytes(data), "a.nii.gz" if packed else "a.nii")])


def test_a_shape_larger_than_allowed_is_refused_before_unpacking() -> None:
    data = bytearray(nifti(grain(2, 2, 2)))
    struct.pack_into("<4h", data, 40, 3, 32767, 32767, 32767)
    for raw in (bytes(data), gzip.compress(bytes(data))):
        with pytest.raises(ReadError) as caught:
            read_volume([blob(raw, "a.nii.gz")])
        assert caught.value.error_class == "too_large"


@pytest.mark.parametrize("packed", [False, True])
def test_a_small_file_that_claims_to_be_large_takes_no_memory(packed: bool) -> None:
    data = bytearray(nifti(grain(2, 2, 2)))
    struct.pack_into("<4h", data, 40, 3, 1000, 1000, 1000)
    raw = gzip.compress(bytes(data)) if packed else bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match="cut off") as caught:
            read_volume([blob(raw, "a.nii.gz")])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.error_class == "truncated"
    assert peak < 2 * 2**20


@pytest.mark.parametrize("shape", [(0, 2, 2), (-3, 2, 2)])
def test_empty_and_negative_shapes_are_refused(shape: tuple[int, int, int]) -> None:
    data = bytearray(nifti(grain(2, 2, 2)))
    struct.pack_into("<4h", data, 40, 3, *shape)
    with pytest.raises(ReadError):
        read_volume([blob(bytes(data), "a.nii")])


def test_a_gzip_bomb_takes_no_more_memory_than_its_header_says() -> None:
    packer = zlib.compressobj(9, wbits=31)
    raw = packer.compress(nifti(grain(4, 4, 4)))
    zeros = bytes(2**20)
    for _ in range(200):
        raw += packer.compress(zeros)
    raw += packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(ReadError) as caught:
            read_volume([blob(raw, "a.nii.gz")])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.error_class == "too_large"
    assert peak < 8 * 2**20


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("version", [1, 2])
def test_a_pair_is_read_from_its_header(version: int, packed: bool) -> None:
    stored = grain(4, 3, 2)
    data = bytearray(nifti(stored, OBLIQUE, version=version))
    place, size = (344, 348) if version == 1 else (4, 540)
    data[place : place + 3] = b"ni1" if version == 1 else b"ni2"
    struct.pack_into(*(("<f", data, 108, 16.0) if version == 1 else ("<q", data, 168, 16)))
    voxels = b"\1" * 16 + stored.tobytes(order="F")
    files = {
        "a.hdr": bytes(data[:size]),
        "a.img.gz" if packed else "a.img": gzip.compress(voxels) if packed else voxels,
    }
    volume = read_volume([blob_beside(files, "a.hdr")])
    np.testing.assert_array_equal(volume.voxels, stored.transpose())
    np.testing.assert_allclose(volume.affine_ijk_to_ras, OBLIQUE, atol=1e-5)
    for there in ({"a.hdr": files["a.hdr"]}, {**files, "a.img": voxels[:20]}):
        with pytest.raises(ReadError) as caught:
            read_volume([blob_beside(there, "a.hdr")])
        assert caught.value.error_class in ("no_data_file", "truncated")
    with pytest.raises(ReadError, match="not beside it"):
        read_volume([blob(files["a.hdr"], "a.hdr")])


def test_two_files_are_no_volume() -> None:
    one = blob(nifti(grain(2, 2, 2)), "a.nii")
    with pytest.raises(ReadError, match="channels:"):
        read_volume([one, one])


def test_messages_hold_no_text_of_the_header() -> None:
    data = bytearray(nifti(grain(2, 2, 2)))
    data[148:156] = data[228:236] = b"Zyxwv^Qa"
    struct.pack_into("<h", data, 70, 9999)
    with pytest.raises(DecodeError) as caught:
        read_volume([blob(bytes(data), "a.nii")])
    assert "Zyxwv" not in str(caught.value)
    assert caught.value.__cause__ is None


# -- real files ------------------------------------------------------------------------------------------------------


def check_as_nibabel(path: Path) -> None:
    theirs = nibabel.load(path)
    volume = read_volume([blob_of(path)])
    values = np.asarray(theirs.dataobj).squeeze()  # type: ignore[attr-defined]
    wanted = values.transpose().astype(volume.voxels.dtype)
    np.testing.assert_array_equal(volume.voxels.squeeze(), wanted, err_msg=path.name)
    if volume.voxels.dtype.kind in "ui":
        np.testing.assert_array_equal(wanted, values.transpose())
    header = theirs.header
    if header["sform_code"] or header["qform_code"]:
        np.testing.assert_allclose(volume.affine_ijk_to_ras, theirs.affine, rtol=0, atol=1e-5)  # type: ignore[attr-defined]
    else:
        assert volume.affine_ijk_to_ras is None


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "standard.nii.gz"]
)
def test_files_of_nibabels_own_tests(name: str) -> None:
    path = Path(nibabel.__file__).parent / "tests" / "data" / name
    if not path.exists():
        pytest.skip(f"this nibabel comes without {name}")
    check_as_nibabel(path)
