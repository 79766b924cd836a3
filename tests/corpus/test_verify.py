"""Damage is found, and told by dataset, shard and part; the exit code says so."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mixed_tree import Quiet, Tree, build, digests

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.corpus.verify import verify_corpus
from medshard.engine import crc32c
from medshard.errors import CorpusError
from medshard.shards.tar import TarWriter, read_tar

Built = tuple[Path, DatasetBuild]


@pytest.fixture
def corpus(built: Built, tmp_path: Path) -> Path:
    shutil.copytree(built[0], tmp_path / "corpus")
    return tmp_path / "corpus"


def problems(corpus: Path, *, quick: bool = False) -> list[str]:
    return verify_corpus(medshard.open(corpus), quick=quick, progress=Quiet())[0]


def shard_of(corpus: Path, key: str) -> tuple[Path, str]:
    opened = medshard.open(corpus)
    number, _ = opened.place_of(opened.sample(key).row)
    name = opened.manifest.shards[number].path
    return corpus / name, name


def flip(path: Path, offset: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= bit
    path.write_bytes(bytes(data))


def test_a_sound_corpus_has_no_problems(built: Built) -> None:
    found, checked = verify_corpus(medshard.open(built[0]), quick=False, progress=Quiet())
    assert found == []
    shards = built[1].shards
    assert checked == {
        "index files": 6, "shards": len(shards), "samples": 24, "volumes": 4,
        "parts": sum(shard["samples"] * len(shard["parts"]) for shard in shards),
    }  # fmt: skip


@pytest.mark.parametrize("part", ["image.jpg", "record", "json"])
@pytest.mark.parametrize("quick", [False, True])
def test_a_flipped_byte_in_any_part(corpus: Path, part: str, quick: bool) -> None:
    path, name = shard_of(corpus, "mixed-photo0")
    with tarfile.open(path) as tar:
        member = tar.getmember(f"mixed-photo0.{part}")
    offset = member.offset_data + member.size // 2
    flip(path, offset)
    found = problems(corpus, quick=quick)
    end = member.offset_data + member.size - 1
    assert f"{name}: mixed-photo0.{part} (bytes {member.offset_data}-{end}) is not what locator.bin says" in found
    assert any(problem.startswith(f"{name}: its sha256 is not the one in corpus.json") for problem in found)
    assert not [problem for problem in found if name not in problem]
    assert name.startswith("datasets/mixed/")
    opened = medshard.open(corpus)
    row = opened.sample("mixed-photo0").row
    with pytest.raises(CorpusError, match=f"part '{part}' of sample .* fails its checksum"):
        opened.read_part(row, part)


def test_a_flipped_byte_in_a_header_or_padding(corpus: Path) -> None:
    path, name = shard_of(corpus, "mixed-photo0")
    flip(path, 3)
    assert f"{name}: has a damaged header at byte 0" in problems(corpus)
    flip(path, 3)
    flip(path, path.stat().st_size - 1)
    assert f"{name}: does not end as a tar does; cut off, or bytes were added" in problems(corpus, quick=True)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_shard(corpus: Path, share: float) -> None:
    path, name = shard_of(corpus, "mixed-deep0")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found = problems(corpus)
    assert len(found) == 2
    assert all(problem.startswith(f"{name}: ") for problem in found)
    assert "cut off" in found[1]


def test_a_missing_shard(corpus: Path) -> None:
    path, name = shard_of(corpus, "mixed-deep0")
    path.unlink()
    (problem,) = problems(corpus)
    assert problem.startswith(f"{name}: ")
    assert "there is no such file" in problem
    with pytest.raises(CorpusError, match="there is no such file"):
        _ = medshard.open(corpus).sample("mixed-deep0").record


def test_a_missing_shard_is_made_again(corpus: Path, built: Built, mixed: Tree) -> None:
    shard_of(corpus, "mixed-deep0")[0].unlink()
    build(mixed.root, corpus)
    assert problems(corpus) == []
    assert digests(corpus) == digests(built[0])


@pytest.mark.parametrize("name", ["samples.parquet", "items.parquet", "facts.parquet", "quarantine.parquet"])
def test_an_edited_table(corpus: Path, name: str) -> None:
    table = pq.read_table(corpus / name)
    column = pa.array(["edited"] * len(table))
    pq.write_table(table.set_column(table.column_names.index("dataset"), "dataset", column), corpus / name)
    assert problems(corpus) == [f"{name} is not the file that corpus.json names: its sha256 differs"]


def test_a_missing_table_does_not_hide_damaged_shards(corpus: Path) -> None:
    path, shard = shard_of(corpus, "mixed-deep0")
    flip(path, 600)
    (corpus / "facts.parquet").unlink()
    found = problems(corpus)
    assert any(problem.startswith("facts.parquet: ") for problem in found)
    assert any(problem.startswith(f"{shard}: its sha256") for problem in found)


def test_a_damaged_locator(corpus: Path) -> None:
    flip(corpus / "locator.bin", 70)
    assert "locator.bin is not the file that corpus.json names: its sha256 differs" in problems(corpus)


def with_digests(corpus: Path) -> None:
    """What someone would do who edits an index and its digest too."""
    import hashlib

    path = corpus / "corpus.json"
    manifest = json.loads(path.read_text())
    for name in manifest["index"]:
        manifest["index"][name] = hashlib.sha256((corpus / name).read_bytes()).hexdigest()
    for shard in manifest["shards"]:
        data = (corpus / shard["path"]).read_bytes()
        shard["sha256"], shard["size_bytes"] = hashlib.sha256(data).hexdigest(), len(data)
    path.write_text(json.dumps(manifest))


def test_a_wrong_checksum_in_the_locator(corpus: Path) -> None:
    opened = medshard.open(corpus)
    sample = opened.sample("mixed-deep1")
    number, row = opened.place_of(sample.row)
    record = int(opened.locator.parts(number, row)) + 1  # mask.png
    start = 64 + 32 * len(opened.manifest.shards) + 24 * record
    stated = opened.locator.place(number, row, 1)
    data = bytearray((corpus / "locator.bin").read_bytes())
    assert struct.unpack_from("<QQI", data, start) == stated
    struct.pack_into("<I", data, start + 16, stated[2] ^ 1)
    del opened, sample
    (corpus / "locator.bin").write_bytes(bytes(data))
    with_digests(corpus)
    (problem,) = problems(corpus)
    assert "mixed-deep1.mask.png (bytes " in problem
    assert problem.endswith("is not what locator.bin says")


def rewrite(path: Path, change: Callable[[str, bytes], bytes]) -> list[tuple[int, int, int]]:
    """The shard with changed contents; gives the new places."""
    members = [(part.name, change(part.name, data)) for part, data in read_tar(path)]
    writer = TarWriter(path)
    for name, data in members:
        writer.add(name, data)
    writer.close()
    return [(part.offset, part.size_bytes, part.crc32c) for part in writer.parts]


def relocate(corpus: Path, key: str, places: list[tuple[int, int, int]]) -> None:
    opened = medshard.open(corpus)
    number, _ = opened.place_of(opened.sample(key).row)
    start = 64 + 32 * len(opened.manifest.shards) + 24 * int(opened.locator.parts(number, 0))
    data = bytearray((corpus / "locator.bin").read_bytes())
    del opened
    for place, values in enumerate(places):
        struct.pack_into("<QQI", data, start + 24 * place, *values)
    (corpus / "locator.bin").write_bytes(bytes(data))
    with_digests(corpus)


REPLACED: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "an unknown field": (
        "record",
        lambda data: data.replace(b'{"schema":1,', b'{"schema":1,"x":1,'),
        "x: Extra inputs",
    ),
    "another key": ("record", lambda data: data.replace(b'"key":"mixed-deep1"', b'"key":"mixed-deep2"'), "mixed-deep2"),
    "a fact that cites nothing": (
        "record",
        lambda data: data.replace(b'"facts":["f2"]', b'"facts":["f99"]', 1),
        "'f99'",
    ),
    "another plain view": ("json", lambda data: data.replace(b'"train"', b'"valid"'), "the plain view is not that of"),
    "another picture": ("image.png", lambda _: _other_picture(), "its sha256 is not the one in the record"),
    "no picture": ("mask.png", lambda _: b"GIF89a", "its sha256 is not the one in the record"),
}


def _other_picture() -> bytes:
    from medshard.engine import encode_png

    return bytes(encode_png(np.zeros((3, 3), np.uint8)))


@pytest.mark.parametrize("name", REPLACED)
def test_parts_that_fit_the_index_and_not_the_record(corpus: Path, name: str) -> None:
    part, change, message = REPLACED[name]
    path, shard = shard_of(corpus, "mixed-deep1")
    wanted = f"mixed-deep1.{part}"
    places = rewrite(path, lambda found, data: change(data) if found == wanted else data)
    relocate(corpus, "mixed-deep1", places)
    assert problems(corpus, quick=True) == []
    found = problems(corpus)
    assert any(problem.startswith(f"{shard}: {wanted}: ") and message in problem for problem in found), found


def test_a_picture_of_another_shape_than_the_record_says(corpus: Path) -> None:
    import hashlib

    path, shard = shard_of(corpus, "mixed-deep1")
    other = _other_picture()
    record = medshard.open(corpus).sample("mixed-deep1").medium("image").digest
    assert record is not None
    digest = f"sha256:{hashlib.sha256(other).hexdigest()}"
    changed = {"image.png": lambda _: other, "record": lambda data: data.replace(record.encode(), digest.encode())}
    places = rewrite(
        path,
        lambda name, data: (
            changed[name.partition(".")[2]](data)
            if name.startswith("mixed-deep1.") and name.partition(".")[2] in changed
            else data
        ),
    )
    relocate(corpus, "mixed-deep1", places)
    (problem,) = problems(corpus)
    assert problem.startswith(f"{shard}: mixed-deep1.image.png: holds [3, 3] uint8, the record says [")


@pytest.mark.parametrize(
    "name", ["notes.txt", "datasets/mixed/BUILD/shards/train-x-000099.tar", "datasets/other.txt", "samples (1).parquet"]
)
def test_an_extra_file(corpus: Path, name: str) -> None:
    (folder,) = (corpus / "datasets" / "mixed").iterdir()
    name = name.replace("BUILD", folder.name)
    (corpus / name).write_bytes(b"")
    assert problems(corpus, quick=True) == [f"{name} is an extra file, which the corpus does not name"]


def test_what_a_killed_build_left(corpus: Path, built: Built, mixed: Tree) -> None:
    (folder,) = (corpus / "datasets" / "mixed").iterdir()
    names = [".samples.parquet.1.tmp", f"datasets/mixed/{folder.name}/shards/.train-text-000001.tar.1.tmp"]
    for name in names:
        (corpus / name).write_bytes(b"")
    assert problems(corpus, quick=True) == [
        f"{name} was left by a build that was killed; the next build removes it" for name in names
    ]
    build(mixed.root, corpus)
    assert digests(corpus) == digests(built[0])


def test_earlier_builds_and_side_fields_may_stand_beside(corpus: Path) -> None:
    for name in (f"datasets/mixed/{'0' * 16}/build.json", "side/scores/1/a.parquet", "text/old-0123/items.parquet"):
        (corpus / name).parent.mkdir(parents=True)
        (corpus / name).write_bytes(b"")
    assert problems(corpus) == []


def test_damage_of_a_volume(corpus: Path) -> None:
    folder = medshard.open(corpus).folder_of(medshard.open(corpus).sample("mixed-scan0").row)
    name = f"{folder}/volumes/mixed-scan0.ct.ome.zarr"
    chunk = next(path for path in sorted((corpus / name).rglob("*")) if path.is_file() and "c" in path.parts)
    flip(chunk, 5)
    assert problems(corpus) == [f"{name}: its files are not those that were written"]
    flip(chunk, 5)
    (corpus / name / "extra").write_bytes(b"")
    assert problems(corpus) == [f"{name}: its files are not those that were written"]
    shutil.rmtree(corpus / name)
    assert problems(corpus) == [f"{name}: its files are not those that were written"]


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from medshard.cli import main; main()"]
    return subprocess.run([*program, *map(str, words)], capture_output=True, text=True, check=False)


def test_the_exit_codes(corpus: Path, tmp_path: Path) -> None:
    told = command("verify", corpus)
    assert told.returncode == 0, told.stderr
    assert "24 samples" in told.stdout
    path, name = shard_of(corpus, "mixed-photo0")
    flip(path, 700)
    told = command("verify", corpus, "--json")
    assert told.returncode == 6
    document = json.loads(told.stdout)
    assert all(problem.startswith(f"{name}: ") for problem in document["problems"])
    assert document["checked"]["samples"] == 24
    told = command("verify", tmp_path)
    assert told.returncode == 1
    assert "there is no corpus here" in told.stderr


def test_the_checksum_is_that_of_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C, RFC 3720 B.4 uses the same polynomial
