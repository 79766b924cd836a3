"""Boxes of a volume: equal to slices of the array, from no more bytes than they need; what zarr writes can be read."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from volume_folder import NAME, grain, reader, shards_of, write

from medshard.errors import CorpusError

Array = NDArray[Any]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels; two shards along x, whose second has an empty inner chunk."""
    root = tmp_path_factory.mktemp("stored")
    voxels = grain(2, 40, 66, 300, seed=5)
    voxels[1, :32, :32, 256:288] = 0
    np.save(root / "voxels.npy", voxels)
    with shards_of(30):
        write(root, voxels, axes="CZYX")
    assert reader(root).layout().shards == (2, 1, 1, 2)
    return root


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_box_is_the_slice_of_the_array(stored: Path, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, reader(stored).levels - 1))
    whole = np.load(stored / "voxels.npy", mmap_mode="r") if level == 0 else reader(stored).read(level)
    start = tuple(data.draw(st.integers(0, length - 1)) for length in whole.shape)
    size = tuple(data.draw(st.integers(1, length - low)) for length, low in zip(whole.shape, start, strict=True))
    box = reader(stored).read_crop(start, size, level=level)
    np.testing.assert_array_equal(box, whole[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))])
    assert box.flags.c_contiguous
    assert box.dtype.isnative


@pytest.mark.parametrize(
    ("start", "size"),
    [
        ((0, 0, 0, 0), (1, 32, 32, 32)),
        ((1, 31, 31, 31), (1, 2, 2, 2)),
        ((0, 5, 5, 250), (2, 3, 3, 20)),
        ((0, 39, 65, 299), (1, 1, 1, 1)),
        ((1, 0, 0, 256), (1, 32, 32, 32)),  # holds nothing
    ],
)
def test_only_the_inner_chunks_that_a_box_touches_are_read(
    stored: Path, start: tuple[int, ...], size: tuple[int, ...]
) -> None:
    volume = reader(stored)
    layout = volume.layout()
    seen = []

    def place_pieces(crop: Array, pieces: Array, path: str, file: int) -> None:
        seen.extend((path, int(piece["address"]), int(piece["size"])) for piece in pieces if piece["size"])

    with patch("medshard.volumes.read.place_pieces", place_pieces):
        volume.read_crop(start, size)
    wanted = set()
    touched = itertools.product(
        *(range(s // edge, (s + n - 1) // edge + 1) for s, n, edge in zip(start, size, layout.inner, strict=True))
    )
    for chunk in touched:
        shard = tuple(c // n for c, n in zip(chunk, layout.inner_per_shard, strict=True))
        place = tuple(c % n for c, n in zip(chunk, layout.inner_per_shard, strict=True))
        path = f"{NAME}/0/c/" + "/".join(map(str, shard))
        data = (stored / path).read_bytes()
        table = np.frombuffer(data[-layout.index_bytes : -4], "<u8").reshape(*layout.inner_per_shard, 2)
        if table[place][0] != 2**64 - 1:
            wanted.add((path, int(table[place][0]), int(table[place][1])))
    assert set(seen) == wanted
    assert len(seen) == len(wanted)


def test_threads_unpack_to_the_same_box(stored: Path) -> None:
    with ThreadPoolExecutor(4) as executor:
        box = reader(stored).read_crop((0, 3, 3, 3), (2, 37, 60, 290), executor=executor)
    np.testing.assert_array_equal(box, np.load(stored / "voxels.npy")[:, 3:40, 3:63, 3:293])


@pytest.mark.parametrize(
    ("start", "size"),
    [
        ((0, 0, 0, 0), (2, 40, 66, 301)),
        ((0, 0, 0, -1), (1, 1, 1, 1)),
        ((0, 0, 0, 0), (0, 1, 1, 1)),
        ((2, 0, 0, 0), (1, 1, 1, 1)),
    ],
)
def test_a_box_that_reaches_outside_is_refused(stored: Path, start: tuple[int, ...], size: tuple[int, ...]) -> None:
    with pytest.raises(IndexError, match="reaches outside"):
        reader(stored).read_crop(start, size)


def test_a_box_of_other_axes_and_a_level_that_is_not_there_are_refused(stored: Path) -> None:
    with pytest.raises(ValueError, match=r"zip\(\)|axes"):
        reader(stored).read_crop((0, 0, 0), (1, 1, 1))
    for level in (-1, 9):
        with pytest.raises(IndexError, match="0 is the finest"):
            reader(stored).read(level)


# -- what another program wrote --------------------------------------------------------------------------------------


def test_what_zarr_writes_in_this_form_is_read(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr", minversion="3")
    from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec

    voxels = grain(37, 70, 45, seed=3)
    voxels[voxels == 0] = 1  # zarr leaves out what is empty
    group = zarr.create_group(tmp_path / NAME, zarr_format=3)
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"datasets": [{"path": "0"}]}]}
    group.attrs["medshard"] = {"affine_ijk_to_ras": None}
    array = group.create_array(
        "0",
        shape=voxels.shape,
        dtype=voxels.dtype,
        chunks=(16, 8, 32),
        shards=(32, 80, 64),
        dimension_names=("z", "y", "x"),
        compressors=[BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"), Crc32cCodec()],
        serializer=BytesCodec(endian="little"),
    )
    array[:] = voxels
    assert isinstance(array.metadata.codecs[0], ShardingCodec)
    np.testing.assert_array_equal(reader(tmp_path).read(), voxels)
    np.testing.assert_array_equal(reader(tmp_path).read_crop((30, 60, 20), (7, 10, 25)), voxels[30:, 60:, 20:])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fill_value", 1),
        ("data_type", "float64"),
        ("data_type", "object"),
        ("shape", [3, 70]),
        ("shape", [3, 70, 0]),
        ("shape", [3, 70, -5]),
        ("shape", None),
        ("dimension_names", None),
        ("dimension_names", ["z", "y"]),
        ("codecs", []),
        ("codecs", [{"name": "bytes"}]),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [3, 50, 96]}}),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [3, 0, 96]}}),
        ("chunk_grid", {}),
    ],
)
def test_metadata_of_another_form_are_refused(tmp_path: Path, field: str, value: object) -> None:
    write(tmp_path, grain(3, 70, 70))
    path = tmp_path / NAME / "0/zarr.json"
    document = json.loads(path.read_text())
    document[field] = value
    path.write_text(json.dumps(document))
    with pytest.raises(CorpusError, match=r"0/zarr\.json is no array that medshard wrote"):
        reader(tmp_path).read()


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ome": {"multiscales": []}, "medshard": {"affine_ijk_to_ras": None}},
        {"ome": {"multiscales": [{"datasets": [{"path": "0"}]}]}},
        {"ome": {"multiscales": [{"datasets": [{"path": "0"}]}]}, "medshard": {"affine_ijk_to_ras": [[1, 2], [3, 4]]}},
        {"ome": {"multiscales": [{"datasets": [{"path": "0"}]}]}, "medshard": {"affine_ijk_to_ras": "none"}},
        {"ome": [], "medshard": []},
    ],
)
def test_a_group_of_another_form_is_refused(tmp_path: Path, attributes: dict[str, object]) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "zarr.json").write_text(json.dumps({"attributes": attributes}))
    with pytest.raises(CorpusError, match=r"zarr\.json is no volume that medshard wrote"):
        reader(tmp_path)
