"""OME-Zarr and Zarr folders of other programs: voxels as zarr-python gives them, spacing by unit, no orientation."""

from __future__ import annotations

import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medshard.errors import ReadError
from medshard.readers import read_image, read_labels, read_volume
from medshard.readers.base import Blob, Mask, Volume
from medshard.source.pattern import compile_pattern
from medshard.source.root import DataRoot
from medshard.volumes import write_volume

zarr = pytest.importorskip("zarr", minversion="3")
SHARED = Path(__file__).parents[3] / "shared/data/niivue_demo"


def grain(*shape: int, dtype: str = "int16") -> NDArray[np.generic]:
    return np.random.default_rng(3).integers(1, 99, shape).astype(dtype)


def blob(folder: Path, path: str) -> Blob:
    return DataRoot(folder).blob(path)


def axes_of(letters: str, unit: str | None = "micrometer") -> list[dict[str, str]]:
    kinds = {"t": "time", "c": "channel"}
    found = [{"name": letter, "type": kinds.get(letter, "space")} for letter in letters]
    return [{**axis, "unit": unit} if unit and axis["type"] == "space" else axis for axis in found]


def group_of(
    folder: Path, levels: list[NDArray[np.generic]], axes: list[dict[str, str]], version: int = 3, **how: Any
) -> str:
    """A multiscale, as NGFF 0.5 or 0.4 has it, and the file that a spec lists."""
    group = zarr.create_group(folder / "a.zarr", zarr_format=version)
    datasets = []
    for number, voxels in enumerate(levels):
        group.create_array(str(number), data=voxels, chunks=tuple(min(4, n) for n in voxels.shape), **how)
        scale = [2.0**number * (place + 1) for place in range(voxels.ndim)]
        steps = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": [7.0] * voxels.ndim},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    multiscales = [{"axes": axes, "datasets": datasets}]
    group.attrs.update(
        {"ome": {"version": "0.5", "multiscales": multiscales}} if version == 3 else {"multiscales": multiscales}
    )
    return "a.zarr/zarr.json" if version == 3 else "a.zarr/.zattrs"


@pytest.mark.parametrize("version", [2, 3])
def test_spacing_is_known_in_mm_and_orientation_is_not(tmp_path: Path, version: int) -> None:
    voxels = grain(5, 6, 9)
    path = group_of(tmp_path, [voxels, voxels[::2, ::2, ::2]], axes_of("zyx"), version)
    volume = read_volume([blob(tmp_path, path)])
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.affine_ijk_to_ras is None
    assert volume.spacing_zyx_mm == pytest.approx((0.001, 0.002, 0.003))
    assert any("orientation is unknown" in note for note in volume.notes)


@pytest.mark.parametrize("unit", [None, "pixel"])
def test_without_a_unit_of_length_spacing_is_unknown(tmp_path: Path, unit: str | None) -> None:
    path = group_of(tmp_path, [grain(3, 4, 5)], axes_of("zyx", unit))
    assert read_volume([blob(tmp_path, path)]).spacing_zyx_mm is None


def test_scales_of_the_multiscale_multiply(tmp_path: Path) -> None:
    path = group_of(tmp_path, [grain(3, 4, 5)], axes_of("zyx", "meter"))
    document = json.loads((tmp_path / path).read_text())
    multiscale = document["attributes"]["ome"]["multiscales"][0]
    multiscale["coordinateTransformations"] = [{"type": "scale", "scale": [0.5, 0.25, 2]}]
    (tmp_path / path).write_text(json.dumps(document))
    assert read_volume([blob(tmp_path, path)]).spacing_zyx_mm == pytest.approx((500, 500, 6000))


@pytest.mark.parametrize(
    ("letters", "shape", "axes"),
    [
        ("tczyx", (1, 3, 4, 5, 6), "CZYX"),
        ("tczyx", (2, 1, 4, 5, 6), "TZYX"),
        ("czyx", (1, 4, 5, 6), "ZYX"),
        ("xyz", (4, 5, 6), "ZYX"),
    ],
)
def test_axes_are_put_in_order(tmp_path: Path, letters: str, shape: tuple[int, ...], axes: str) -> None:
    voxels = grain(*shape)
    volume = read_volume([blob(tmp_path, group_of(tmp_path, [voxels], axes_of(letters)))])
    assert volume.axes == axes
    expected = voxels.T if letters == "xyz" else voxels.squeeze()
    np.testing.assert_array_equal(volume.voxels, expected)
    if letters == "xyz":
        assert volume.spacing_zyx_mm == pytest.approx((0.003, 0.002, 0.001))


def test_times_of_channels_are_refused_and_a_plane_is_an_image(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    path = group_of(tmp_path, [grain(2, 2, 3, 4, 5)], axes_of("tczyx"))
    with pytest.raises(ReadError, match="several times"):
        read_volume([blob(tmp_path, path)])
    plane = grain(5, 7, dtype="uint8")
    image = read_image(blob(tmp_path / "b", group_of(tmp_path / "b", [plane], axes_of("yx"))))
    np.testing.assert_array_equal(image.pixels, plane)


CODECS: list[dict[str, Any]] = [
    {"zarr_format": 3, "compressors": None},
    {"zarr_format": 3, "compressors": zarr.codecs.GzipCodec()},
    {"zarr_format": 3, "compressors": zarr.codecs.ZstdCodec(checksum=True)},
    {"zarr_format": 3, "compressors": zarr.codecs.BloscCodec()},
    {"zarr_format": 3, "shards": (8, 8, 8), "compressors": zarr.codecs.ZstdCodec()},
    {"zarr_format": 3, "shards": (8, 8, 8), "compressors": zarr.codecs.GzipCodec()},
    {"zarr_format": 3, "chunk_key_encoding": {"name": "v2", "separator": "."}},
    {"zarr_format": 2},
    {"zarr_format": 2, "compressors": None, "order": "F"},
]


@pytest.mark.filterwarnings("ignore:The `order` keyword")
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64", "bool"])
@pytest.mark.parametrize("how", CODECS, ids=range(len(CODECS)))
def test_plain_arrays_of_every_codec(tmp_path: Path, how: dict[str, Any], dtype: str) -> None:
    voxels = grain(9, 7, 10, dtype=dtype)
    zarr.create_array(tmp_path / "a", shape=voxels.shape, dtype=dtype, chunks=(4, 4, 4), **how)[:] = voxels
    path = "a/zarr.json" if how["zarr_format"] == 3 else "a/.zarray"
    volume = read_volume([blob(tmp_path, path)])
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert (volume.axes, volume.spacing_zyx_mm) == ("ZYX", None)


@pytest.mark.parametrize("version", [2, 3])
def test_levels_without_chunks_are_never_zeros(tmp_path: Path, version: int) -> None:
    voxels = grain(5, 6, 9)
    path = group_of(tmp_path, [voxels, voxels[::2, ::2, ::2]], axes_of("zyx"), version)
    for number in (0, 1):
        for file in (tmp_path / "a.zarr" / str(number)).rglob("*"):
            if file.is_file() and not file.name.startswith(".z") and file.name != "zarr.json":
                file.unlink()
        if number == 0:
            volume = read_volume([blob(tmp_path, path)])
            np.testing.assert_array_equal(volume.voxels, voxels[::2, ::2, ::2])
            assert volume.spacing_zyx_mm == pytest.approx((0.002, 0.004, 0.006))
            assert "level 1 of 2" in volume.notes[0]
    with pytest.raises(ReadError, match="metadata only") as told:
        read_volume([blob(tmp_path, path)])
    assert told.value.error_class == "no_data_file"


def test_an_absent_chunk_holds_the_fill_value_and_is_told(tmp_path: Path) -> None:
    voxels = grain(8, 4, 4)
    voxels[4:] = 0
    path = group_of(tmp_path, [voxels], axes_of("zyx"))
    volume = read_volume([blob(tmp_path, path)])
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert "1 chunks are absent and hold the fill value" in volume.notes


def test_what_medshard_writes_and_its_label_images_are_read(tmp_path: Path) -> None:
    voxels, organs = grain(5, 40, 37), (grain(5, 40, 37, dtype="uint8") % 4).astype(np.uint8)
    affine = np.diag([0.5, 0.75, 3.0, 1.0])
    labels = {"organs": Mask(organs, (), affine)}
    write_volume(tmp_path / "v.ome.zarr", Volume(voxels, "ZYX", affine), labels=labels, name="v")
    volume = read_volume([blob(tmp_path, "v.ome.zarr/zarr.json")])
    np.testing.assert_array_equal(volume.voxels, voxels)
    assert volume.spacing_zyx_mm == pytest.approx((3.0, 0.75, 0.5))
    np.testing.assert_array_equal(read_labels(blob(tmp_path, "v.ome.zarr/labels/organs/zarr.json")).labels, organs)


def test_metadata_files_of_version_2_are_listed_and_other_hidden_ones_are_not(tmp_path: Path) -> None:
    group_of(tmp_path, [grain(3, 4, 5)], axes_of("zyx"), 2)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/.zattrs").write_text("{}")
    found = DataRoot(tmp_path).match(compile_pattern("{case}.zarr/.zattrs"))
    assert found["path"].to_pylist() == ["a.zarr/.zattrs"]
    assert not any(path.startswith(".hidden") for path in DataRoot(tmp_path).listing().paths.to_pylist())


# -- untrusted -------------------------------------------------------------------------------------------------------


def version_2(tmp_path: Path, chunk: bytes, **changes: Any) -> Blob:
    document = {
        "zarr_format": 2,
        "shape": [4, 4, 4],
        "chunks": [4, 4, 4],
        "dtype": "|u1",
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "compressor": None,
    }
    (tmp_path / ".zarray").write_text(json.dumps({**document, **changes}))
    (tmp_path / "0.0.0").write_bytes(chunk)
    return blob(tmp_path, ".zarray")


def test_a_filter_that_unpickles_is_refused(tmp_path: Path) -> None:
    trap = pickle.dumps(np.zeros(64, np.uint8))
    for changes in ({"filters": [{"id": "pickle"}]}, {"compressor": {"id": "pickle"}}, {"dtype": "|O"}):
        with pytest.raises(ReadError, match="not read"):
            read_volume([version_2(tmp_path, trap, **changes)])


@pytest.mark.parametrize("kind", ["zlib", "zstd", "blosc", "lz4"])
def test_a_chunk_that_unpacks_to_more_than_its_shape_is_refused(tmp_path: Path, kind: str) -> None:
    numcodecs = pytest.importorskip("numcodecs")
    codec = numcodecs.get_codec({"id": kind})
    large = zlib.compress(bytes(2**24)) if kind == "zlib" else bytes(codec.encode(np.zeros(2**24, np.uint8)))
    with pytest.raises(ReadError) as told:
        read_volume([version_2(tmp_path, large, compressor={"id": kind})])
    assert told.value.error_class == "too_large"


@pytest.mark.parametrize(
    ("changes", "error_class"),
    [
        ({"shape": [2**20] * 3}, "too_large"),
        ({"chunks": [2**20] * 3}, "too_large"),
        ({"shape": [300, 300, 300], "chunks": [1, 1, 1]}, "too_large"),
        ({"shape": [4, 4]}, "damaged_header"),
        ({"chunks": [0, 4, 4]}, "empty_image"),
        ({"shape": "Zyxwv"}, "damaged_header"),
        ({"compressor": 5}, "damaged_header"),
        ({"dtype": [["a", "<u1"]]}, "pixel_type"),
        ({"dtype": "<c8"}, "pixel_type"),
        ({"dimension_separator": "/../"}, "damaged_header"),
    ],
)
def test_what_the_header_claims_is_bounded(tmp_path: Path, changes: dict[str, Any], error_class: str) -> None:
    with pytest.raises(ReadError) as told:
        read_volume([version_2(tmp_path, bytes(64), **changes)])
    assert told.value.error_class == error_class
    assert "Zyxwv" not in str(told.value)


@pytest.mark.parametrize("chunk", [b"", bytes(63), bytes(65)])
def test_a_chunk_of_another_size_is_damage(tmp_path: Path, chunk: bytes) -> None:
    with pytest.raises(ReadError):
        read_volume([version_2(tmp_path, chunk)])


@pytest.mark.parametrize("path", ["../b", "/etc", "a/../../b", "", "a!", "a\\b"])
def test_a_level_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    multiscales = [{"axes": axes_of("zyx"), "datasets": [{"path": path}]}]
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.zattrs").write_text(json.dumps({"multiscales": multiscales}))
    with pytest.raises(ReadError) as told:
        read_volume([blob(tmp_path, "a/.zattrs")])
    assert told.value.error_class == "path_escape"


# -- a real folder ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/niivue_demo")
def test_the_real_folder_without_fine_chunks() -> None:
    level = "mni152.ome.zarr/scale2/nibabel_converted_image"
    volume = read_volume([blob(SHARED, "mni152.ome.zarr/.zattrs")])
    theirs = zarr.open_array(SHARED / level, mode="r")[:]
    np.testing.assert_array_equal(volume.voxels, theirs.T.astype(np.float32))
    assert volume.voxels.any()
    assert (volume.spacing_zyx_mm, volume.affine_ijk_to_ras) == (None, None)
    for empty in ("scale0", "scale1"):
        with pytest.raises(ReadError, match="metadata only"):
            read_volume([blob(SHARED, f"mni152.ome.zarr/{empty}/nibabel_converted_image/.zarray")])
