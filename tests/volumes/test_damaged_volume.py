"""Every flipped, missing or cut byte of a stored volume is told; none gives other voxels."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_folder import NAME, grain, reader, shards_of, write

from medshard.engine import crc32c
from medshard.errors import CorpusError, MedshardError


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, bytes]:
    """One shard of two inner chunks, a few hundred bytes in all."""
    voxels = np.zeros((2, 3, 40), np.int16)
    voxels[1, 2, 3:8] = voxels[0, 1, 35:38] = 77
    write(tmp_path, voxels)
    return tmp_path, (tmp_path / NAME / "0/c/0/0/0").read_bytes()


def test_every_flipped_byte_of_a_shard_is_told(small: tuple[Path, bytes]) -> None:
    root, data = small
    for place in range(len(data)):
        broken = bytearray(data)
        broken[place] ^= 1 << place % 8
        (root / NAME / "0/c/0/0/0").write_bytes(broken)
        with pytest.raises(CorpusError, match=r"v\.ome\.zarr/0/c/0/0/0"):
            reader(root).read()


def test_every_cut_is_told(small: tuple[Path, bytes]) -> None:
    root, data = small
    for broken in [data[:length] for length in range(len(data))] + [data[1:], data + b"\0", data * 2 + b"\0"]:
        (root / NAME / "0/c/0/0/0").write_bytes(broken)
        with pytest.raises(CorpusError, match=r"v\.ome\.zarr/0/c/0/0/0"):
            reader(root).read()


@pytest.mark.parametrize("path", ["zarr.json", "0/zarr.json", "0/c/0/0/0", "0/c/0/0/1"])
def test_a_missing_file_is_told_also_one_that_holds_nothing(tmp_path: Path, path: str) -> None:
    voxels = grain(2, 2, 300)
    voxels[..., 160:] = 0
    with shards_of(5, 2 * 2 * 32 * 2):
        write(tmp_path, voxels)
    (tmp_path / NAME / path).unlink()
    with pytest.raises(CorpusError, match="is not there"):
        reader(tmp_path).read()


def test_damage_elsewhere_does_not_touch_a_box(tmp_path: Path) -> None:
    voxels = grain(2, 2, 64)
    write(tmp_path, voxels)
    path = tmp_path / NAME / "0/c/0/0/0"
    data = bytearray(path.read_bytes())
    data[3] ^= 1  # the first inner chunk
    path.write_bytes(data)
    np.testing.assert_array_equal(reader(tmp_path).read_crop((0, 0, 32), (2, 2, 32)), voxels[..., 32:])
    with pytest.raises(
        CorpusError, match=r"0/c/0/0/0: the inner chunk at \(0, 0, 0\) .* damaged: the checksum differs"
    ):
        reader(tmp_path).read_crop((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("entry", [(2**63, 8), (2**64 - 2, 3), (0, 2**64 - 1), (5, 2**63), (0, 10**6), (0, 0), (0, 3)])
def test_an_index_that_points_elsewhere_is_told(small: tuple[Path, bytes], entry: tuple[int, int]) -> None:
    """With a right checksum, as only a hostile writer leaves it."""
    root, data = small
    table = struct.pack("<QQ", *entry) + data[-(2 * 16 + 4) + 16 : -4]
    (root / NAME / "0/c/0/0/0").write_bytes(data[: -(2 * 16 + 4)] + table + crc32c(table).to_bytes(4, "little"))
    with pytest.raises(CorpusError, match=r"outside the file|damaged"):
        reader(root).read()


@settings(max_examples=150, deadline=None)
@given(which=st.sampled_from(["zarr.json", "0/zarr.json"]), share=st.floats(0, 0.999), value=st.integers(0, 255))
def test_a_damaged_document_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, which: str, share: float, value: int
) -> None:
    root = tmp_path_factory.mktemp("json")
    write(root, grain(3, 7, 5), affine=np.eye(4))
    path = root / NAME / which
    data = bytearray(path.read_bytes())
    data[int(share * len(data))] = value
    path.write_bytes(data)
    try:
        volume = reader(root)
        box = volume.read_crop((0, 0, 0), (1, 1, 1))
    except (MedshardError, IndexError):
        return
    assert box.shape == (1, 1, 1)
