"""What is written, opened with the zarr package: values of every level, metadata of OME-NGFF 0.5, equal bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from volume_folder import DTYPES, NAME, OBLIQUE, grain, reader, shards_of, write

from medshard.engine import crc32c
from medshard.readers.base import Mask
from medshard.volumes.layout import layout_for

ROOT = Path(__file__).resolve().parents[2]
zarr = pytest.importorskip("zarr", minversion="3")


def opened(root: Path) -> Any:
    return zarr.open_group(root / NAME, mode="r")


def means(voxels: NDArray[np.generic], factors: tuple[int, ...]) -> NDArray[np.generic]:
    """Means of blocks by their definition; what is missing at the end repeats the last voxel."""
    pad = [(0, -length % factor) for length, factor in zip(voxels.shape, factors, strict=True)]
    whole = np.pad(voxels.astype(np.float64), pad, mode="edge")
    blocks = whole.reshape([n for length, f in zip(whole.shape, factors, strict=True) for n in (length // f, f)])
    mean = blocks.mean(axis=tuple(range(1, 2 * voxels.ndim, 2)))
    return (np.rint(mean) if voxels.dtype.kind in "ui" else mean).astype(voxels.dtype)


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (32, 33, 31), (3, 2, 259)])
def test_zarr_and_the_reader_give_the_voxels_that_were_written(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    voxels = grain(*shape, dtype=dtype)
    entry = write(tmp_path, voxels, affine=OBLIQUE)
    theirs = opened(tmp_path)["0"]
    assert (theirs.shape, theirs.dtype) == (shape, np.dtype(dtype))
    np.testing.assert_array_equal(theirs[:], voxels)
    np.testing.assert_array_equal(reader(tmp_path).read(), voxels)
    assert entry.levels[0] == shape


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 70), min_size=3, max_size=3),
    leading=st.sampled_from([(), (1,), (3,)]),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("CF"),
    endian=st.sampled_from("<>"),
)
def test_any_shape_and_any_layout_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    shape: list[int],
    leading: tuple[int, ...],
    dtype: str,
    order: str,
    endian: str,
) -> None:
    root = tmp_path_factory.mktemp("any")
    voxels = np.asarray(grain(*leading, *shape, dtype=dtype), np.dtype(dtype).newbyteorder(endian), order=order)
    write(root, voxels)
    for level, path in enumerate(sorted(opened(root).array_keys())):
        np.testing.assert_array_equal(reader(root).read(level), opened(root)[path][:])
    np.testing.assert_array_equal(reader(root).read(), voxels)


@pytest.mark.parametrize(
    ("shape", "spacing_kji", "factors"),
    [
        ((70, 131, 90), (1.0, 1.0, 1.0), [(2, 2, 2), (1, 2, 1)]),
        ((66, 200, 90), (5.0, 0.7, 0.7), [(1, 2, 2), (1, 2, 1), (2, 1, 1)]),  # thick slices wait
        ((3, 260, 65), (2.0, 1.0, 1.0), [(1, 2, 2), (1, 2, 1), (1, 2, 1)]),
        ((64, 64, 64), (1.0, 1.0, 1.0), []),
    ],
)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_every_level_is_the_mean_of_the_one_before(
    tmp_path: Path,
    shape: tuple[int, ...],
    spacing_kji: tuple[float, float, float],
    factors: list[tuple[int, ...]],
    dtype: str,
) -> None:
    voxels = grain(*shape, dtype=dtype)
    affine = np.diag([*spacing_kji[::-1], 1.0])
    affine[:3, 3] = (3, -4, 5)
    entry = write(tmp_path, voxels, affine=affine)
    group = opened(tmp_path)
    assert sorted(group.array_keys()) == [str(level) for level in range(len(factors) + 1)]
    wanted, product = voxels, np.ones(3)
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    for level, dataset in enumerate(datasets):
        if level:
            wanted, product = means(wanted, factors[level - 1]), product * factors[level - 1]
        np.testing.assert_allclose(group[dataset["path"]][:], wanted, rtol=1e-6 if dtype == "float32" else 0, atol=0)
        np.testing.assert_array_equal(reader(tmp_path).read(level), group[dataset["path"]][:])
        assert entry.levels[level] == wanted.shape
        scale, *shift = dataset["coordinateTransformations"]
        np.testing.assert_allclose(scale["scale"], np.array(spacing_kji) * product)
        # the centre of a coarse voxel is the mean of the centres of its block
        np.testing.assert_allclose(shift[0]["translation"], [5, -4, 3] + (product - 1) / 2 * spacing_kji)


def test_leading_axes_are_not_halved(tmp_path: Path) -> None:
    voxels = grain(3, 5, 70, 66)
    write(tmp_path, voxels, axes="CZYX")
    np.testing.assert_array_equal(opened(tmp_path)["1"][:], means(voxels, (1, 1, 2, 2)))
    assert opened(tmp_path)["0"].shards == (3, 5, 96, 96)
    assert opened(tmp_path)["0"].chunks == (1, 5, 32, 32)


def test_values_that_are_not_finite_stay_and_halve_without_a_word(tmp_path: Path) -> None:
    voxels = grain(2, 3, 70, dtype="float32")
    voxels[0, 0, :6] = (np.nan, 1, np.inf, -np.inf, np.inf, 1)
    write(tmp_path, voxels)
    np.testing.assert_array_equal(opened(tmp_path)["0"][:], voxels)
    assert np.isnan(opened(tmp_path)["1"][0, 0, :2]).all()
    assert opened(tmp_path)["1"][0, 0, 2] == np.inf


def test_types_without_a_place_are_refused_or_kept_exactly(tmp_path: Path) -> None:
    write(tmp_path, np.eye(4, dtype=bool)[None])
    np.testing.assert_array_equal(opened(tmp_path)["0"][0], np.eye(4, dtype=np.uint8))
    write(tmp_path, np.full((2, 2, 2), 0.25))
    assert opened(tmp_path)["0"].dtype == np.float32
    for voxels in (np.full((2, 2, 2), 0.1), np.zeros((2, 2, 2), np.int64), np.zeros((2, 2, 2), np.complex64)):
        with pytest.raises(ValueError, match="not stored"):
            write(tmp_path, voxels)


# -- label images ----------------------------------------------------------------------------------------------------


def test_labels_stand_beside_and_gain_no_value(tmp_path: Path) -> None:
    voxels = grain(3, 130, 67)
    organs = (grain(3, 130, 67, dtype="uint8", seed=1) % 5) * 40
    layers = grain(2, 3, 130, 67, dtype="uint8", seed=2) % 2
    labels = {"organs": Mask(organs, (), OBLIQUE), "lesions": Mask(layers, ("a", "b"), OBLIQUE)}
    write(tmp_path, voxels, affine=OBLIQUE, labels=labels)
    group = opened(tmp_path)
    assert group["labels"].attrs["ome"] == {"version": "0.5", "labels": ["lesions", "organs"]}
    for name, stored in (("organs", organs), ("lesions", layers)):
        image = group["labels"][name]
        ome = image.attrs["ome"]
        assert ome["image-label"]["source"]["image"] == "../../"
        datasets = ome["multiscales"][0]["datasets"]
        assert len(datasets) == len(group.attrs["ome"]["multiscales"][0]["datasets"])
        assert [axis["name"] for axis in ome["multiscales"][0]["axes"]] == list("czyx"[-stored.ndim :])
        for level, dataset in enumerate(datasets):
            found = image[dataset["path"]][:]
            assert found.shape[-3:] == group[dataset["path"]].shape
            assert set(np.unique(found)) <= set(np.unique(stored))
            scale = dataset["coordinateTransformations"][0]["scale"][-3:]
            origin = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]
            steps = np.rint(np.array(scale) / origin).astype(int)
            np.testing.assert_array_equal(found, stored[..., :: steps[0], :: steps[1], :: steps[2]])
            np.testing.assert_array_equal(reader(tmp_path, f"/labels/{name}").read(level), found)
    np.testing.assert_allclose(reader(tmp_path, "/labels/organs").affine_ijk_to_ras, OBLIQUE)


# -- metadata --------------------------------------------------------------------------------------------------------


def check_ngff(group: Any) -> None:
    """The rules of OME-NGFF 0.5, section "multiscales" metadata, that a reader relies on."""
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    for multiscale in ome["multiscales"]:
        names = [axis["name"] for axis in multiscale["axes"]]
        kinds = [axis["type"] for axis in multiscale["axes"]]
        assert 2 <= len(names) <= 5
        assert len(set(names)) == len(names)
        assert kinds.count("space") in (2, 3)
        assert kinds == sorted(kinds, key=["time", "channel", "space"].index)
        assert kinds.count("time") <= 1
        assert kinds.count("channel") <= 1
        sizes = []
        for dataset in multiscale["datasets"]:
            array = group[dataset["path"]]
            assert array.metadata.dimension_names == tuple(names)
            assert array.metadata.zarr_format == 3
            first, *rest = dataset["coordinateTransformations"]
            assert first["type"] == "scale"
            assert len(first["scale"]) == len(names)
            assert all(step > 0 for step in first["scale"])
            assert [entry["type"] for entry in rest] in ([], ["translation"])
            assert all(len(entry["translation"]) == len(names) for entry in rest)
            sizes.append(array.size)
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("axes", ["ZYX", "CZYX", "TZYX"])
@pytest.mark.parametrize("known", [False, True])
def test_metadata_are_those_of_ome_ngff(tmp_path: Path, axes: str, known: bool) -> None:
    voxels = grain(*(2, 5, 80, 70)[-len(axes) :])
    mask = Mask(np.ones((5, 80, 70), np.uint8))
    affine = OBLIQUE if known else None
    write(tmp_path, voxels, axes=axes, affine=affine, labels={"m": mask}, unit="[hnsf'U]", window=(-160, 240))
    group = opened(tmp_path)
    check_ngff(group)
    check_ngff(group["labels"]["m"])
    multiscale = group.attrs["ome"]["multiscales"][0]
    assert (multiscale["name"], multiscale["type"]) == ("ct", "mean")
    space = multiscale["axes"][-3:]
    if known:
        assert all(axis["unit"] == "millimeter" for axis in space)
        scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
        np.testing.assert_allclose(scale[-3:], np.linalg.norm(OBLIQUE[:3, :3], axis=0)[::-1])
    else:
        assert all("unit" not in axis for axis in space)
        assert reader(tmp_path).affine_ijk_to_ras is None
    own = reader(tmp_path)
    assert (own.unit, own.window, own.levels) == ("[hnsf'U]", [-160, 240], 2)
    if known:
        np.testing.assert_array_equal(own.affine_ijk_to_ras, OBLIQUE)


@pytest.mark.parametrize(("degrees", "oblique"), [(0, False), (0.005, False), (0.05, True), (30, True), (90, False)])
def test_whether_axes_lie_askew_is_written_and_read(tmp_path: Path, degrees: float, oblique: bool) -> None:
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    affine = np.diag([0.7, 0.7, 3.0, 1.0])
    affine[:2, :2] = 0.7 * np.array([[cosine, -sine], [sine, cosine]])
    write(tmp_path, grain(3, 4, 5), affine=affine)
    assert opened(tmp_path).attrs["medshard"]["oblique"] is oblique
    assert reader(tmp_path).oblique is oblique
    write(tmp_path, grain(3, 4, 5))
    assert reader(tmp_path).oblique is None


@pytest.mark.parametrize("axes", ["ZYX", "CZYX", "TZYX"])
def test_tensorstore_reads_the_voxels_and_the_label_images(tmp_path: Path, axes: str) -> None:
    tensorstore = pytest.importorskip("tensorstore")
    voxels = grain(*(2, 5, 80, 70)[-len(axes) :])
    organs = (grain(5, 80, 70, dtype="uint8") % 3).astype(np.uint8)
    write(tmp_path, voxels, axes=axes, labels={"m": Mask(organs)})
    for path, stored in (("0", voxels), ("labels/m/0", organs)):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(tmp_path / NAME / path)}}
        np.testing.assert_array_equal(tensorstore.open(spec, open=True, read=True).result().read().result(), stored)


def test_the_tree_holds_nothing_that_the_entry_does_not_name(tmp_path: Path) -> None:
    entry = write(tmp_path, grain(3, 70, 70), labels={"m": Mask(np.ones((3, 70, 70), np.uint8))})
    found = {
        path.relative_to(tmp_path / NAME).as_posix(): path.stat().st_size
        for path in (tmp_path / NAME).rglob("*")
        if path.is_file()
    }
    assert found == dict(entry.files)
    assert sum(found.values()) == entry.size_bytes
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


# -- bytes -----------------------------------------------------------------------------------------------------------


def test_empty_blocks_take_no_room_and_empty_shards_are_still_there(tmp_path: Path) -> None:
    voxels = np.zeros((32, 32, 300), np.int16)
    voxels[5, 6, 70] = 9
    with shards_of(5):
        entry = write(tmp_path, voxels)
    first, second = (tmp_path / NAME / f"0/c/0/0/{place}" for place in (0, 1))
    for path, held in ((first, [2]), (second, [])):
        data = path.read_bytes()
        table = np.frombuffer(data[-(5 * 16 + 4) : -4], "<u8").reshape(5, 2)
        assert crc32c(data[-(5 * 16 + 4) : -4]) == int.from_bytes(data[-4:], "little")
        assert [place for place in range(5) if table[place, 0] != 2**64 - 1] == held
        assert len(data) == 5 * 16 + 4 + sum(int(table[place, 1]) for place in held)
    np.testing.assert_array_equal(opened(tmp_path)["0"][:], voxels)
    assert entry.files["0/c/0/0/1"] == 5 * 16 + 4


def test_a_level_is_one_shard_up_to_a_gibibyte() -> None:
    def grid(*shape: int, dtype: str = "int16", axes: str = "tczyx") -> tuple[int, ...]:
        return layout_for(shape, np.dtype(dtype), tuple(axes[-len(shape) :])).shards

    assert grid(200, 512, 512) == grid(2048, 512, 512) == (1, 1, 1)
    assert grid(2100, 512, 512) == (2, 1, 1)
    assert grid(2048, 2048, 512, dtype="float32") == (4, 2, 1)
    assert grid(4, 300, 512, 512) == (1, 1, 1, 1)
    assert grid(40, 300, 512, 512) == (8, 1, 1, 1)
    assert grid(40, 3, 300, 512, 512) == (20, 1, 1, 1, 1)
    assert grid(200_000, 2, 2, 2) == (4, 1, 1, 1)  # the index has its own bound


@pytest.mark.parametrize(
    ("axes", "shape"), [("ZYX", (200, 140, 250)), ("CZYX", (3, 40, 130, 70)), ("TZYX", (2, 40, 40, 40))]
)
def test_chunks_lie_in_beams(tmp_path: Path, axes: str, shape: tuple[int, ...]) -> None:
    """In the file, offsets ascend by time, beam of 3 x 3, x, y, z, channel."""
    write(tmp_path, grain(*shape), axes=axes)
    layout = reader(tmp_path).layout()
    data = (tmp_path / NAME / "0" / layout.shard_path((0,) * len(shape))).read_bytes()
    table = np.frombuffer(data[-layout.index_bytes : -4], "<u8").reshape(*layout.inner_per_shard, 2)

    def rank(place: tuple[int, ...]) -> tuple[int, ...]:
        *leading, z, y, x = place
        beam = (z // 3, y // 3, x, y, z)
        return (*leading, *beam) if axes[0] == "T" else (*beam, *leading)

    places = sorted(np.ndindex(layout.inner_per_shard), key=rank)
    end = 0
    for place in places:
        assert table[place][0] == end
        end += int(table[place][1])
    assert end == len(data) - layout.index_bytes


def test_writing_holds_little_beside_the_voxels(tmp_path: Path) -> None:
    """128 MiB of voxels; neither a shard nor float64 sums of a volume are ever whole in memory."""
    script = (
        'import sys, resource; sys.path[:0] = ["tests/volumes"]\n'
        "from pathlib import Path; from volume_folder import *\n"
        "voxels = np.tile(grain(16, 64, 64), (16, 8, 8)); voxels = np.ascontiguousarray(voxels)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "write(Path(sys.argv[1]), voxels)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(told.stdout) < 60 * 1024, told.stdout


def test_equal_volumes_give_equal_bytes_in_any_process(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    entry = write(tmp_path / "a", grain(3, 70, 70), affine=OBLIQUE)
    script = (
        'import sys; sys.path[:0] = ["tests/volumes"]; from pathlib import Path; from volume_folder import *\n'
        "print(write(Path(sys.argv[1]), grain(3, 70, 70), affine=OBLIQUE).sha256)"
    )
    (tmp_path / "b").mkdir()
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "b")], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.strip() == entry.sha256
    for path in entry.files:
        assert (tmp_path / "a" / NAME / path).read_bytes() == (tmp_path / "b" / NAME / path).read_bytes()


def test_an_older_volume_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path, grain(3, 130, 130), labels={"m": Mask(np.ones((3, 130, 130), np.uint8))})
    entry = write(tmp_path, grain(2, 2, 2))
    assert sorted(entry.files) == ["0/c/0/0/0", "0/zarr.json", "zarr.json"]
    assert not (tmp_path / NAME / "labels").exists()
    assert not (tmp_path / NAME / "1").exists()


def test_metadata_are_plain_json_of_version_3(tmp_path: Path) -> None:
    entry = write(tmp_path, grain(3, 70, 70))
    for path in entry.files:
        if path.endswith("zarr.json"):
            document = json.loads((tmp_path / NAME / path).read_text())
            assert document["zarr_format"] == 3
            assert document["node_type"] == ("group" if path == "zarr.json" else "array")
