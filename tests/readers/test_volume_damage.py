"""Damaged files of every volume format are read or refused, within bounds, and no message quotes them."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from blobs import CANARY, blob_beside
from hypothesis import given, settings
from hypothesis import strategies as st
from test_read_nifti import nifti
from test_read_volume_formats import LPS, analyze, grain, metaimage, mgh, nrrd

from medshard.engine import inflate_gzip, inflate_zlib
from medshard.errors import DecodeError, ReadError
from medshard.readers import read_image, read_labels, read_volume

VOXELS = grain(3, 4, 5)
SEEDS: dict[str, tuple[str, dict[str, bytes]]] = {
    "nrrd": ("a.nrrd", {"a.nrrd": nrrd(VOXELS, *LPS, f"{CANARY}:= {CANARY}")}),
    "nrrd-gzip": ("a.nrrd", {"a.nrrd": nrrd(VOXELS, *LPS, encoding="gzip")}),
    "nrrd-bzip2": ("a.nrrd", {"a.nrrd": nrrd(VOXELS, *LPS, encoding="bzip2")}),
    "nrrd-ascii": ("a.nrrd", {"a.nrrd": nrrd(VOXELS, *LPS, encoding="ascii")}),
    "nrrd-hex": ("a.nrrd", {"a.nrrd": nrrd(VOXELS, *LPS, encoding="hex")}),
    "nhdr": ("a.nhdr", {"a.nhdr": nrrd(VOXELS, *LPS, data_file="a%d.raw 1 3 1"), "a1.raw": bytes(40)}),
    "mha": ("a.mha", {"a.mha": metaimage(VOXELS, VOXELS.tobytes(), Name=CANARY)}),
    "mha-zlib": ("a.mha", {"a.mha": metaimage(VOXELS, zlib.compress(VOXELS.tobytes()), CompressedData="True")}),
    "mgh": ("a.mgh", {"a.mgh": mgh(VOXELS, np.eye(4))}),
    "mgz": ("a.mgz", {"a.mgz": gzip.compress(mgh(VOXELS, np.eye(4)))}),
    "analyze": ("a.hdr", analyze(VOXELS)),
    "colour": ("a.nii", {"a.nii": nifti(VOXELS)}),
}


def read_every_way(name: str, files: dict[str, bytes]) -> int:
    """Bytes of voxels that were read; anything but a ``ReadError`` is a failure."""
    size = 0
    for read in (lambda b: read_volume([b]).voxels, lambda b: read_labels(b).labels, lambda b: read_image(b).pixels):
        told = ""
        try:
            size += read(blob_beside(files, name)).nbytes
        except ReadError as error:
            told = f"{error} {error.__cause__}"
        assert CANARY not in told
    return size


@pytest.mark.parametrize("kind", SEEDS)
def test_every_cut_is_read_or_refused(kind: str) -> None:
    name, files = SEEDS[kind]
    whole = read_every_way(name, files)
    assert whole > 0 or kind == "nhdr"
    for length in range(0, len(files[name]), 7):
        read_every_way(name, {**files, name: files[name][:length]})
    for other in files.keys() - {name}:
        for length in range(0, len(files[other]), 11):
            assert read_every_way(name, {**files, other: files[other][:length]}) == 0


@pytest.mark.parametrize("kind", SEEDS)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    name, files = SEEDS[kind]
    changed = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, min(len(changed), 600) - 1))] = data.draw(st.integers(0, 255))
    assert read_every_way(name, {**files, name: bytes(changed)}) < 2**20


@pytest.mark.parametrize("kind", ["nrrd", "mha"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_words_of_a_header_are_read_or_refused(kind: str, data: st.DataObject) -> None:
    name, files = SEEDS[kind]
    words = files[name].split(b" ")
    odd = [b"", b"-1", b"0", b"99999999999999999999", b"nan", b"1e400", b"inf", b"(", b"none", b"none none", b"%d",
           b"..", b"\n", b"\n\n", b"LIST", b"True", CANARY.encode(), b"\xff\xfe", b"1" * 5000]  # fmt: skip
    for _ in range(data.draw(st.integers(1, 3))):
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(odd))
    assert read_every_way(name, {**files, name: b" ".join(words)}) < 2**20


@pytest.mark.parametrize("kind", SEEDS)
def test_a_small_file_that_claims_to_be_large_takes_no_memory(kind: str) -> None:
    name, files = SEEDS[kind]
    claims = {
        b"sizes: 5 4 3": b"sizes: 1500 1000 600",
        b"DimSize = 5 4 3": b"DimSize = 1500 1000 600",
        b"\0\0\0\x03\0\0\0\x04\0\0\0\x05": b"\0\0\x05\0\0\0\x05\0\0\0\x02\0",
        b"\x03\0\x03\0\x04\0\x05\0": b"\x03\0\0\x05\0\x05\0\x02",
    }
    packed = name.endswith("z")
    data = gzip.decompress(files[name]) if packed else files[name]
    larger = data
    for found, claim in claims.items():
        larger = larger.replace(found, claim, 1)
    assert larger != data
    tracemalloc.start()
    try:
        assert read_every_way(name, {**files, name: gzip.compress(larger) if packed else larger}) == 0
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


# -- the engine's inflate ---------------------------------------------------------------------------------------------


def test_inflate_of_several_members_and_what_follows() -> None:
    parts = [b"", b"a" * 100_000, bytes(range(256)) * 300, b"z"]
    packed = b"".join(gzip.compress(part) for part in parts)
    for tail in (b"", b"\0" * 700):
        for expected in (0, 1, 10**6):
            assert inflate_gzip(packed + tail, 10**7, expected=expected).tobytes() == b"".join(parts)
    for tail in (b"x", b"\0x", packed[:9]):
        with pytest.raises(DecodeError):
            inflate_gzip(packed + tail, 10**7)
    assert inflate_zlib(zlib.compress(parts[2]) + b"more", 10**6).tobytes() == parts[2]
    assert inflate_gzip(gzip.compress(b""), 10).tobytes() == b""


def test_inflate_keeps_its_limit_and_does_not_trust_the_stated_length() -> None:
    packed = gzip.compress(b"a" * 100_000)
    assert inflate_gzip(packed, 100_000).size == 100_000
    for limit in (0, 1, 99_999):
        with pytest.raises(ReadError, match=f"more than {limit} bytes") as caught:
            inflate_gzip(packed, limit)
        assert caught.value.error_class == "too_large"
    lying = packed[:-4] + b"\xff\xff\xff\xff"
    with pytest.raises(DecodeError):
        inflate_gzip(lying, 2**40)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(1, 255), gz=st.booleans())
def test_a_changed_stream_is_refused_or_the_same(place: int, value: int, gz: bool) -> None:
    whole = np.random.default_rng(1).integers(0, 4, 1000).astype(np.uint8).tobytes()
    packed = bytearray(gzip.compress(whole, mtime=0) if gz else zlib.compress(whole))
    packed[place % len(packed)] ^= value
    try:
        found = (inflate_gzip if gz else inflate_zlib)(bytes(packed), 10**6).tobytes()
    except ReadError:
        return
    assert found == whole  # a byte of the header that says nothing of the data


def test_files_of_the_sets_that_are_cut(shared: Path) -> None:
    for folder, name in (("pyradiomics/data", "breast1_label.nrrd"), ("nibabel_formats/tests/data", "test.mgz"),
                         ("nibabel_formats/tests/data", "minc1_1_scale.mnc")):  # fmt: skip
        data = (shared / "data" / folder / name).read_bytes()
        for length in range(0, len(data), max(1, len(data) // 60)):
            with pytest.raises(ReadError):
                read_volume([blob_beside({name: data[:length]}, name)])
