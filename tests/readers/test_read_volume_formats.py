"""NRRD, MetaImage, MGH and Analyze against SimpleITK and nibabel, on files of every kind that they may have."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from blobs import blob, blob_beside, blob_of
from nibabel.fileholders import FileHolder
from numpy.typing import NDArray

from medshard.errors import ReadError
from medshard.readers import read_image, read_labels, read_volume
from medshard.readers.base import Volume

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float32", "float64"]


def grain(*shape: int, dtype: str = "int16") -> NDArray[np.generic]:
    return (np.random.default_rng(0).normal(0, 40, shape) + 60).clip(0, 120).astype(dtype)


def placed(voxels: NDArray[np.generic]) -> SimpleITK.Image:
    """An image (Z, Y, X) with an oblique, anisotropic, left-handed grid."""
    image = SimpleITK.GetImageFromArray(voxels, isVector=False)
    a, b = 0.4, -0.7
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    turn[:, 1] *= -1
    if voxels.ndim == 3:
        image.SetDirection(turn.ravel())
        image.SetSpacing((0.7, 1.1, 3.0))
        image.SetOrigin((-40.5, 12.25, 99.0))
    return image


def check_as_simpleitk(path: Path, volume: Volume) -> None:
    image = SimpleITK.ReadImage(str(path))
    theirs = SimpleITK.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        theirs = np.moveaxis(theirs, -1, 0)
    np.testing.assert_array_equal(volume.voxels, theirs.astype(volume.voxels.dtype))
    assert volume.affine_ijk_to_ras is not None
    for index in ((0, 0, 0), (3, 2, 1), (0, 4, 2)):
        left, posterior, superior = image.TransformContinuousIndexToPhysicalPoint([float(i) for i in index])
        here = volume.affine_ijk_to_ras @ [*index, 1]
        np.testing.assert_allclose(here[:3], (-left, -posterior, superior), rtol=0, atol=1e-4)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd", "a.nii.gz", "a.hdr"])
@pytest.mark.parametrize("dtype", TYPES)
def test_what_simpleitk_writes(tmp_path: Path, dtype: str, name: str, packed: bool) -> None:
    SimpleITK.WriteImage(placed(grain(4, 5, 6, dtype=dtype)), str(tmp_path / name), packed)
    volume = read_volume([blob_of(tmp_path / name)])
    assert volume.axes == "ZYX"
    assert volume.voxels.dtype.isnative
    assert volume.spacing_zyx_mm == pytest.approx((3.0, 1.1, 0.7), abs=1e-5)
    check_as_simpleitk(tmp_path / name, volume)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_vectors_are_channels_and_a_fourth_axis_is_kept(tmp_path: Path, name: str) -> None:
    voxels = grain(3, 5, 6, 4, dtype="uint8")
    image = SimpleITK.GetImageFromArray(voxels, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / name))
    volume = read_volume([blob_of(tmp_path / name)])
    assert volume.axes == "CZYX"
    check_as_simpleitk(tmp_path / name, volume)
    with pytest.raises(ReadError, match="mask"):
        read_labels(blob_of(tmp_path / name))


def test_a_metaimage_of_four_axes(tmp_path: Path) -> None:
    voxels = grain(2, 3, 4, 5)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels, isVector=False), str(tmp_path / "a.mha"))
    volume = read_volume([blob_of(tmp_path / "a.mha")])
    assert volume.axes == "TZYX"
    np.testing.assert_array_equal(volume.voxels, voxels)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_plane_is_a_picture(tmp_path: Path, name: str) -> None:
    pixels = grain(5, 6, dtype="uint16")
    image = SimpleITK.GetImageFromArray(pixels)
    image.SetSpacing((0.25, 0.5))
    SimpleITK.WriteImage(image, str(tmp_path / name))
    read = read_image(blob_of(tmp_path / name))
    np.testing.assert_array_equal(read.pixels, pixels)
    assert read.spacing_yx_mm == pytest.approx((0.5, 0.25))
    assert read_labels(blob_of(tmp_path / name)).space == 2
    with pytest.raises(ReadError, match="kind: image"):
        read_volume([blob_of(tmp_path / name)])


# -- NRRD ------------------------------------------------------------------------------------------------------------


def nrrd(
    voxels: NDArray[np.generic],
    *lines: str,
    encoding: str = "raw",
    order: str = "little",
    data: bytes | None = None,
    data_file: str | None = None,
) -> bytes:
    """A file of (Z, Y, X) voxels; lines of place are given."""
    names = {"int16": "short", "uint8": "uchar", "float32": "float"}
    head = [
        "NRRD0004",
        "# made for a test",
        f"type: {names[voxels.dtype.name]}",
        f"dimension: {voxels.ndim}",
        f"sizes: {' '.join(str(length) for length in voxels.shape[::-1])}",
        f"endian: {order}",
        f"encoding: {encoding}",
        *lines,
        *([f"data file: {data_file}"] if data_file else []),
    ]
    if data is None:
        raw = voxels.astype(voxels.dtype.newbyteorder("<" if order == "little" else ">")).tobytes()
        data = {
            "raw": lambda: raw,
            "gzip": lambda: gzip.compress(raw),
            "bzip2": lambda: bz2.compress(raw[:60]) + bz2.compress(raw[60:]),
            "hex": lambda: raw.hex(" ", 16).replace(" ", "\n").encode(),
            "ascii": lambda: " ".join(str(value) for value in voxels.ravel().tolist()).encode(),
        }[encoding]()
    return "\n".join(head).encode() + b"\n\n" + (b"" if data_file else data)


LPS = ("space: left-posterior-superior", "space directions: (2,0,0) (0,3,0) (0,0.5,4)", "space origin: (10,20,30)")
LPS_AFFINE = np.array([[-2.0, 0, 0, -10], [0, -3, -0.5, -20], [0, 0, 4, 30], [0, 0, 0, 1]])


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "hex", "ascii"])
@pytest.mark.parametrize("dtype", ["int16", "float32", "uint8"])
def test_nrrd_encodings(dtype: str, encoding: str, order: str) -> None:
    voxels = grain(3, 4, 5, dtype=dtype)
    volume = read_volume([blob(nrrd(voxels, *LPS, encoding=encoding, order=order))])
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_array_equal(volume.affine_ijk_to_ras, LPS_AFFINE)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (1, 1)), ("RAS", (1, 1)), ("left-anterior-superior", (-1, 1)), ("LPS", (-1, -1))],
)
def test_nrrd_spaces(space: str, signs: tuple[int, int]) -> None:
    volume = read_volume([blob(nrrd(grain(2, 2, 2), f"space: {space}", *LPS[1:]))])
    np.testing.assert_array_equal(
        volume.affine_ijk_to_ras, np.diag([-1.0, -1, 1, 1]) @ np.diag([*signs, 1, 1]) @ LPS_AFFINE
    )


@pytest.mark.parametrize(
    ("lines", "spacing"),
    [
        (("space: scanner-xyz", *LPS[1:]), (16.25**0.5, 3, 2)),
        (("space: 3D-left-handed", *LPS[1:]), (16.25**0.5, 3, 2)),
        (("space dimension: 3", *LPS[1:]), (16.25**0.5, 3, 2)),
        (LPS[:2], (16.25**0.5, 3, 2)),
        (("spacings: 2 3 4",), (4, 3, 2)),
        (("spacings: 2 3 nan",), None),
        ((*LPS, 'space units: "furlong" "furlong" "furlong"'), None),
        ((), None),
    ],
)
def test_what_nrrd_does_not_say_is_unknown(lines: tuple[str, ...], spacing: tuple[float, ...] | None) -> None:
    volume = read_volume([blob(nrrd(grain(2, 2, 2), *lines))])
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm == (pytest.approx(spacing) if spacing is not None else None)
    assert any("unknown" in note for note in volume.notes)


def test_nrrd_units_are_turned_to_millimetres() -> None:
    volume = read_volume([blob(nrrd(grain(2, 2, 2), *LPS, 'space units: "cm" "cm" "cm"'))])
    np.testing.assert_allclose(volume.affine_ijk_to_ras, np.diag([10, 10, 10, 1]) @ LPS_AFFINE)


@pytest.mark.parametrize(
    ("place", "kind", "axes"),
    [(0, "vector", "CZYX"), (3, "list", "CZYX"), (3, "time", "TZYX"), (1, "RGB-color", "CZYX")],
)
def test_nrrd_axis_that_is_not_of_space(place: int, kind: str, axes: str) -> None:
    voxels = grain(2, 3, 4, 5)
    directions = LPS[1].removeprefix("space directions: ").split()
    kinds = ["domain"] * 3
    directions.insert(place, "none")
    kinds.insert(place, kind)
    lines = (LPS[0], f"space directions: {' '.join(directions)}", LPS[2], f"kinds: {' '.join(kinds)}")
    volume = read_volume([blob(nrrd(voxels, *lines))])
    assert volume.axes == axes
    np.testing.assert_array_equal(volume.voxels, np.moveaxis(voxels, 3 - place, 0))
    np.testing.assert_array_equal(volume.affine_ijk_to_ras, LPS_AFFINE)
    by_kind = read_volume([blob(nrrd(voxels, f"kinds: {' '.join(kinds)}"))])
    np.testing.assert_array_equal(by_kind.voxels, volume.voxels)


@pytest.mark.parametrize(
    ("voxels", "lines", "error_class"),
    [
        (grain(4), (), "axes"),
        (grain(2, 2, 2, 2), (), "axes"),
        (grain(2, 2, 2, 2), ("kinds: vector domain domain list",), None),
        (grain(2, 3, 3, 3, 2), ("kinds: vector domain domain domain list",), "axes"),
        (grain(2, 2, 2), ("kinds: complex domain domain",), "pixel_type"),
    ],
)
def test_nrrd_axes_that_are_refused(
    voxels: NDArray[np.generic], lines: tuple[str, ...], error_class: str | None
) -> None:
    with pytest.raises(ReadError) as caught:
        read_volume([blob(nrrd(voxels, *lines))])
    assert error_class is None or caught.value.error_class == error_class


@pytest.mark.parametrize(
    ("data_file", "names", "parts"),
    [
        ("a.raw", ["a.raw"], 1),
        ("./a.raw", ["a.raw"], 1),
        ("LIST\na.raw\nb.raw\nc.raw", ["a.raw", "b.raw", "c.raw"], 3),
        ("LIST 2\na.raw\nb.raw\nc.raw", ["a.raw", "b.raw", "c.raw"], 3),
        ("s%03d.raw 5 7 1", ["s005.raw", "s006.raw", "s007.raw"], 3),
        ("s%d.raw 9 1 -4", ["s9.raw", "s5.raw", "s1.raw"], 3),
    ],
)
def test_nrrd_data_files_beside_the_header(data_file: str, names: list[str], parts: int) -> None:
    voxels = grain(3, 4, 5)
    pieces = [piece.tobytes() for piece in np.split(voxels, parts)]
    header = nrrd(voxels, *LPS, data_file=data_file)
    files = {"a.nhdr": header, **{name: b"skipped\n" + piece for name, piece in zip(names, pieces, strict=True)}}
    skipping = header.replace(b"data file", b"line skip: 1\ndata file")
    volume = read_volume([blob_beside({**files, "a.nhdr": skipping}, "a.nhdr")])
    np.testing.assert_array_equal(volume.voxels, voxels)
    del files[names[-1]]
    with pytest.raises(ReadError) as caught:
        read_volume([blob_beside(files, "a.nhdr")])
    assert caught.value.error_class in ("no_data_file", "truncated")


ESCAPES = ["../a.raw", "/etc/hostname", "sub/a.raw", "..", "..\\a.raw", "./../a.raw", "a\0.raw"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_data_file_is_looked_for_in_the_headers_folder_only(name: str) -> None:
    def beside(asked: str) -> None:
        raise AssertionError(asked)

    meta = f"ObjectType = Image\nNDims = 3\nDimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = {name}\n"
    for header in (nrrd(grain(1, 1, 1), *LPS, data_file=name), meta.encode("latin-1")):
        there = blob(header)
        with pytest.raises(ReadError) as caught:
            read_volume([type(there)(there.path, there.size_bytes, there.read, beside=beside)])  # type: ignore[arg-type]
        assert caught.value.error_class == "path_escape"
        assert name not in caught.value.reason or name == ".."


@pytest.mark.parametrize(
    "pattern", ["s%d.raw 0 99999999 1", "s%999999999d.raw 1 3 1", "%s%d 1 3 1", "s%d.raw 1 3 0", "LIST"]
)
def test_lists_of_data_files_are_bounded(pattern: str) -> None:
    with pytest.raises(ReadError):
        read_volume([blob_beside({"a.nhdr": nrrd(grain(3, 4, 5), data_file=pattern)}, "a.nhdr")])


def test_nrrd_skips_bytes_behind_the_packing() -> None:
    voxels = grain(3, 4, 5)
    packed = gzip.compress(b"12345" + voxels.tobytes())
    for skip in (5, -1):
        data = nrrd(voxels, *LPS, f"byte skip: {skip}", encoding="gzip", data=packed)
        np.testing.assert_array_equal(read_volume([blob(data)]).voxels, voxels)
    with pytest.raises(ReadError, match="skip"):
        read_volume([blob(nrrd(voxels, "byte skip: -2", data=packed))])


# -- MetaImage -------------------------------------------------------------------------------------------------------


def metaimage(voxels: NDArray[np.generic], data: bytes, **fields: str) -> bytes:
    told = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "TransformMatrix": "0 1 0 -1 0 0 0 0 1",
        "Offset": "5 6 7",
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": "2 3 4",
        "DimSize": " ".join(str(length) for length in voxels.shape[::-1]),
        "ElementType": "MET_SHORT",
        **fields,
    }
    file = told.pop("ElementDataFile", "LOCAL")
    lines = [f"{name} = {text}" for name, text in told.items() if text]
    return "\n".join([*lines, f"ElementDataFile = {file}"]).encode() + b"\n" + data


def test_metaimage_is_that_of_simpleitk_in_every_encoding(tmp_path: Path) -> None:
    voxels = grain(3, 5, 4)
    raw = voxels.tobytes()
    text = " ".join(str(value) for value in voxels.ravel()).encode()
    cases = {
        "raw": metaimage(voxels, raw),
        "big": metaimage(voxels, voxels.astype(">i2").tobytes(), BinaryDataByteOrderMSB="True"),
        "zlib": metaimage(
            voxels, zlib.compress(raw), CompressedData="True", CompressedDataSize=str(len(zlib.compress(raw)))
        ),
        "old": metaimage(
            voxels, raw, TransformMatrix="", Offset="", Orientation="0 1 0 -1 0 0 0 0 1", Position="5 6 7"
        ),
    }
    for name, data in cases.items():
        path = tmp_path / f"{name}.mha"
        path.write_bytes(data)
        check_as_simpleitk(path, read_volume([blob_of(path)]))
    written = read_volume([blob(metaimage(voxels, text, BinaryData="False"))])  # SimpleITK 2.5 does not read these
    np.testing.assert_array_equal(written.voxels, voxels)
    for skip, before in (("3", b"abc"), ("-1", b"abc")):
        header = metaimage(voxels, b"", HeaderSize=skip, ElementDataFile="a.raw")
        volume = read_volume([blob_beside({"a.mhd": header, "a.raw": before + raw}, "a.mhd")])
        np.testing.assert_array_equal(volume.voxels, voxels)


@pytest.mark.parametrize("word", ["LIST\na.raw\nb.raw\nc.raw", "LIST 2D\na.raw\nb.raw\nc.raw", "s%02d.raw 1 3 1"])
def test_metaimage_slices_in_files(word: str) -> None:
    voxels = grain(3, 5, 4)
    names = ["s01.raw", "s02.raw", "s03.raw"] if "%" in word else ["a.raw", "b.raw", "c.raw"]
    files = {name: voxels[place].tobytes() for place, name in enumerate(names)}
    header = metaimage(voxels, b"", ElementDataFile=word)
    np.testing.assert_array_equal(read_volume([blob_beside({**files, "a.mhd": header}, "a.mhd")]).voxels, voxels)


@pytest.mark.parametrize(
    ("fields", "knows_spacing"),
    [
        ({"TransformMatrix": ""}, True),
        ({"Offset": ""}, True),
        ({"CenterOfRotation": "1 0 0"}, True),
        ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, True),
        ({"ElementSpacing": "", "ElementSize": "1 1 1"}, False),
    ],
)
def test_what_metaimage_does_not_say_is_unknown(fields: dict[str, str], knows_spacing: bool) -> None:
    voxels = grain(3, 5, 4)
    volume = read_volume([blob(metaimage(voxels, voxels.tobytes(), **fields))])
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm == ((4.0, 3.0, 2.0) if knows_spacing else None)


# -- MGH -------------------------------------------------------------------------------------------------------------

OBLIQUE = np.array([[-0.9, 0.2, 0.1, 20.0], [0.15, 1.7, -0.9, -31.5], [0.05, 0.7, 2.6, 7.25], [0, 0, 0, 1.0]])


def mgh(voxels: NDArray[np.generic], affine: NDArray[np.float64]) -> bytes:
    """A file of [i, j, k] or [i, j, k, t] voxels, as nibabel writes it."""
    image = nibabel.freesurfer.MGHImage(voxels, affine)
    stream = io.BytesIO()
    image.to_file_map({"image": FileHolder(fileobj=stream)})
    return stream.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 3), (3, 1, 1)])
def test_mgh_is_that_of_nibabel(shape: tuple[int, ...], dtype: str, packed: bool) -> None:
    voxels = grain(*shape, dtype=dtype)
    turn, _ = np.linalg.qr(OBLIQUE[:3, :3])
    affine = OBLIQUE.copy()
    affine[:3, :3] = turn * (0.7, 1.1, 3.0)
    data = mgh(voxels, affine)
    volume = read_volume([blob(gzip.compress(data) if packed else data, "a.mgz" if packed else "a.mgh")])
    np.testing.assert_array_equal(volume.voxels, voxels.transpose())
    np.testing.assert_allclose(volume.affine_ijk_to_ras, affine, rtol=0, atol=1e-4)
    assert volume.axes == ("TZYX" if len(shape) == 4 else "ZYX")


def test_mgh_without_good_ras_has_no_place() -> None:
    data = bytearray(mgh(grain(3, 3, 3), np.eye(4)))
    struct.pack_into(">h", data, 28, 0)
    volume = read_volume([blob(bytes(data), "a.mgh")])
    assert volume.affine_ijk_to_ras is volume.spacing_zyx_mm is None


# -- Analyze ---------------------------------------------------------------------------------------------------------


def analyze(voxels: NDArray[np.generic], order: str = "<") -> dict[str, bytes]:
    """A pair of [i, j, k] voxels, as nibabel writes it."""
    image = nibabel.analyze.AnalyzeImage(voxels, np.diag([2.0, 3, 4, 1]))
    header = image.header.as_byteswapped(order)
    files = {"header": FileHolder(fileobj=io.BytesIO()), "image": FileHolder(fileobj=io.BytesIO())}
    nibabel.analyze.AnalyzeImage(voxels, np.diag([2.0, 3, 4, 1]), header).to_file_map(files)
    return {"a.hdr": files["header"].fileobj.getvalue(), "a.img": files["image"].fileobj.getvalue()}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 3)])
def test_analyze_has_values_and_distances_and_no_place(shape: tuple[int, ...], dtype: str, order: str) -> None:
    voxels = grain(*shape, dtype=dtype)
    files = analyze(voxels, order)
    volume = read_volume([blob_beside(files, "a.hdr")])
    np.testing.assert_array_equal(volume.voxels, voxels.transpose().astype(volume.voxels.dtype))
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm == (4.0, 3.0, 2.0)
    packed = {"a.hdr.gz": gzip.compress(files["a.hdr"]), "a.img.gz": gzip.compress(files["a.img"])}
    np.testing.assert_array_equal(read_volume([blob_beside(packed, "a.hdr.gz")]).voxels, volume.voxels)
    upper = {"A.HDR": files["a.hdr"], "A.IMG": files["a.img"]}
    np.testing.assert_array_equal(read_volume([blob_beside(upper, "A.HDR")]).voxels, volume.voxels)


def test_a_scale_factor_of_spm_is_refused() -> None:
    files = analyze(grain(3, 3, 3))
    header = bytearray(files["a.hdr"])
    struct.pack_into("<f", header, 112, 0.5)
    with pytest.raises(ReadError) as caught:
        read_volume([blob_beside({**files, "a.hdr": bytes(header)}, "a.hdr")])
    assert caught.value.error_class == "spm_scale"


def test_known_formats_that_are_not_read_are_named() -> None:
    for head, word in ((b"MATRIX72v", "ECAT"), (b"TRACK\0", "tractogram"), (b"mrtrix tracks", "tractogram"),
                       (b'<?xml version="1.0"?><GIFTI', "surface")):  # fmt: skip
        with pytest.raises(ReadError, match=word) as caught:
            read_volume([blob(head + bytes(600))])
        assert caught.value.error_class == "unsupported"
