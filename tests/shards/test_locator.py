"""``locator.bin``: what was packed is found, by reading its bytes apart too; damage is told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medshard.errors import CorpusError
from medshard.shards.locator import PART, Locator, ShardParts, pack_locator
from medshard.shards.tar import TarPart

PARTS = st.tuples(st.integers(0, 2**63), st.integers(0, 2**40), st.integers(0, 2**32 - 1))


@st.composite
def shards(draw: st.DrawFn) -> list[ShardParts]:
    found = []
    for _ in range(draw(st.integers(0, 4))):
        samples, parts = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        records = np.zeros((samples, parts), PART)
        for sample in range(samples):
            for part in range(parts):
                records[sample, part] = (*draw(PARTS), 0)
        found.append(ShardParts(tuple(f"p{number}" for number in range(parts)), records))
    return found


@settings(max_examples=60, deadline=None)
@given(packed=shards())
def test_each_part_is_found_where_it_was_put(packed: list[ShardParts]) -> None:
    data = pack_locator(packed)
    locator = Locator(data)
    assert locator.samples == sum(len(shard.records) for shard in packed)
    # The layout of the module's docstring, read with nothing but struct.
    magic, count, parts, samples = struct.unpack_from("<8sQQQ", data)
    assert (magic, count, samples) == (b"MSLOC\0\0\x01", len(packed), locator.samples)
    assert len(data) == 64 + 32 * count + 24 * parts
    for number, shard in enumerate(packed):
        first, block_samples, width, kind, first_sample = struct.unpack_from("<QIHHQ", data, 64 + 32 * number)
        assert (block_samples, width, kind) == (*shard.records.shape, 0)
        assert first_sample == sum(len(earlier.records) for earlier in packed[:number])
        for row in range(block_samples):
            assert int(locator.parts(number, row)) == first + row * width
            for part in range(width):
                place = 64 + 32 * count + 24 * (first + row * width + part)
                assert locator.place(number, row, part) == struct.unpack_from("<QQI", data, place)
                assert locator.place(number, row, part) == tuple(shard.records[row, part].tolist())[:3]
        for row, part in ((block_samples, 0), (0, width), (-1, 0), (0, -1)):
            with pytest.raises(IndexError):
                locator.place(number, row, part)


def small() -> bytes:
    records = np.zeros((3, 2), PART)
    records["size"] = 7
    return pack_locator([ShardParts(("a", "b"), records), ShardParts(("a",), records[:, :1])])


def test_places_of_many_samples_at_once() -> None:
    locator = Locator(small())
    assert locator.parts(np.array([0, 0, 1, 1]), np.array([0, 2, 0, 2])).tolist() == [0, 4, 6, 8]


def test_a_file_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "locator.bin").write_bytes(small())
    locator = Locator.open(tmp_path / "locator.bin")
    assert isinstance(locator.records.base, np.ndarray)
    assert locator.place(1, 2, 0) == (0, 7, 0)


def test_damage_is_told(tmp_path: Path) -> None:
    data = small()
    path = tmp_path / "locator.bin"
    for cut in (0, 10, 63, 64, 100, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(CorpusError, match=r"cut off|cannot be mapped"):
            Locator.open(path)
    with pytest.raises(CorpusError, match="more than its header says"):
        Locator(data + bytes(24))
    with pytest.raises(CorpusError, match="not of version 1; rebuild the index"):
        Locator(b"MSLOC\0\0\x02" + data[8:])
    with pytest.raises(CorpusError, match="cannot be mapped"):
        Locator.open(tmp_path / "none.bin")


def test_a_block_that_points_outside_is_damage() -> None:
    data = bytearray(small())
    struct.pack_into("<Q", data, 64 + 32, 10**6)  # first part of the second shard
    with pytest.raises(CorpusError, match="points outside"):
        Locator(bytes(data))
    data = bytearray(small())
    struct.pack_into("<I", data, 64 + 8, 2**31)  # samples of the first shard
    with pytest.raises(CorpusError, match="points outside"):
        Locator(bytes(data))


def parts(*names: str) -> list[TarPart]:
    return [TarPart(name, 512 * number, 1, 0) for number, name in enumerate(names)]


def test_samples_of_a_shard_have_the_same_parts() -> None:
    shard = ShardParts.of(parts("a.png", "a.json", "b.png", "b.json"))
    assert shard.extensions == ("png", "json")
    assert shard.records["offset"].tolist() == [[0, 512], [1024, 1536]]


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("a.png", "a.json", "b.png"),
        ("a.png", "a.json", "b.json", "b.png"),
        ("a.png", "a.json", "b.png", "c.json"),
        ("a.png", "b.jpg"),
        ("a.png", "a.json", "b.png", "b.json", "a.png", "a.json"),
    ],
)
def test_other_shards_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"do not have the same parts|twice"):
        ShardParts.of(parts(*names))
