"""Whether a corpus is what its index says."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import Protocol

import pyarrow.parquet as pq
from pydantic import ValidationError

from medshard.corpus.corpus import Corpus
from medshard.corpus.manifest import ShardLine
from medshard.engine import crc32c, decode_image
from medshard.errors import MedshardError
from medshard.record.check import check_sample
from medshard.record.rows import FACT_SCHEMA, ITEM_SCHEMA, SAMPLE_SCHEMA
from medshard.record.sample import Sample
from medshard.shards.sample_parts import PLAIN_EXTENSION, RECORD_EXTENSION, parse_record, plain_view

__all__ = ["verify_corpus"]

_SCHEMAS = {"samples.parquet": SAMPLE_SCHEMA, "items.parquet": ITEM_SCHEMA, "facts.parquet": FACT_SCHEMA}
_DECODED = (".jpg", ".png")


class _Progress(Protocol):
    def stage(self, name: str, total: int | None = None) -> None: ...

    def step(self, count: int) -> None: ...


def verify_corpus(corpus: Corpus, *, quick: bool, progress: _Progress) -> tuple[list[str], dict[str, int]]:
    """Everything that is wrong, in words, and how much was looked at.

    Args:
        quick: only digests and the places of parts, without records and pictures.
    """
    problems: list[str] = []
    checked = {"index files": 0, "shards": 0, "samples": 0, "parts": 0, "volumes": 0}
    _verify_index(corpus, problems, checked)
    if problems:  # nothing below can be trusted without the index
        return problems, checked
    keys = corpus.samples["key"].to_pylist()
    first = 0
    progress.stage("verifying shards", len(corpus.manifest.shards))
    for number, shard in enumerate(corpus.manifest.shards):
        _verify_shard(corpus, number, shard, keys[first : first + shard.samples], problems, checked, quick=quick)
        first += shard.samples
        progress.step(1)
    if first != len(keys):
        problems.append(f"corpus.json counts {first} samples, samples.parquet has {len(keys)}")
    progress.stage("verifying volumes", len(corpus.manifest.volumes))
    for volume in corpus.manifest.volumes:
        _verify_volume(corpus, volume.path, volume.sha256, problems)
        checked["volumes"] += 1
        progress.step(1)
    return problems, checked


def _verify_index(corpus: Corpus, problems: list[str], checked: dict[str, int]) -> None:
    for name, digest in sorted(corpus.manifest.index.items()):
        try:
            data = bytes(corpus.storage.read(name))
        except MedshardError as error:
            problems.append(f"{name}: {error}")
            continue
        checked["index files"] += 1
        if hashlib.sha256(data).hexdigest() != digest:
            problems.append(f"{name} is not the file that corpus.json names: its sha256 differs")
        elif name in _SCHEMAS and not pq.read_schema(io.BytesIO(data)).equals(_SCHEMAS[name]):
            problems.append(f"{name} has other columns than this version of medshard writes")


def _verify_shard(
    corpus: Corpus,
    number: int,
    shard: ShardLine,
    keys: list[str],
    problems: list[str],
    checked: dict[str, int],
    *,
    quick: bool,
) -> None:
    try:
        data = bytes(corpus.storage.read(shard.path))
    except MedshardError as error:
        problems.append(f"{shard.path}: {error}")
        return
    checked["shards"] += 1
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        problems.append(f"{shard.path}: its sha256 is not the one in corpus.json; it is damaged, cut off or replaced")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            members = [(member.name, member.offset_data, member.size) for member in tar]
    except (tarfile.TarError, EOFError) as error:
        problems.append(f"{shard.path}: is no whole tar ({type(error).__name__})")
        return
    expected = [f"{key}.{extension}" for key in keys for extension in shard.parts]
    if [name for name, _, _ in members] != expected:
        problems.append(f"{shard.path}: its members are not those of the index")
        return
    for place, (name, offset, size) in enumerate(members):
        row, part = divmod(place, len(shard.parts))
        stated = corpus.locator.place(number, row, part)
        content = data[offset : offset + size]
        checked["parts"] += 1
        if (offset, size, crc32c(content)) != stated:
            problems.append(f"{shard.path}: {name} (bytes {offset}-{offset + size - 1}) is not what locator.bin says")
        elif not quick:
            _verify_part(shard, name, shard.parts[part], content, problems)
        if part == 0:
            checked["samples"] += 1
    if not quick:
        _verify_plain_views(shard, members, data, problems)


def _verify_part(shard: ShardLine, name: str, extension: str, content: bytes, problems: list[str]) -> None:
    if extension == RECORD_EXTENSION:
        try:
            problems += [f"{shard.path}: {name}: {problem}" for problem in check_sample(parse_record(content))]
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            problems.append(f"{shard.path}: {name}: {place}: {first['msg']}")
    elif extension.endswith(_DECODED):
        try:
            decode_image(content)
        except MedshardError as error:
            problems.append(f"{shard.path}: {name}: {error}")


def _verify_plain_views(
    shard: ShardLine, members: list[tuple[str, int, int]], data: bytes, problems: list[str]
) -> None:
    """The plain view says what the record says, and the record names the parts that are there."""
    width = len(shard.parts)
    record_place, plain_place = shard.parts.index(RECORD_EXTENSION), shard.parts.index(PLAIN_EXTENSION)
    media_parts = {part for part in shard.parts if part not in (RECORD_EXTENSION, PLAIN_EXTENSION)}
    for row in range(shard.samples):
        name, offset, size = members[row * width + record_place]
        _, plain_offset, plain_size = members[row * width + plain_place]
        try:
            sample: Sample = parse_record(data[offset : offset + size])
        except ValidationError:
            continue  # told above
        if plain_view(sample) != data[plain_offset : plain_offset + plain_size]:
            problems.append(f"{shard.path}: {name}: the plain view is not that of the record")
        named = {medium.part for medium in sample.media if medium.part is not None and ".ome.zarr" not in medium.part}
        if named != media_parts:
            problems.append(
                f"{shard.path}: {name}: the record names {sorted(named)}, the shard has {sorted(media_parts)}"
            )


def _verify_volume(corpus: Corpus, path: str, sha256: str, problems: list[str]) -> None:
    state = hashlib.sha256()
    try:
        for entry in corpus.storage.list(path):
            relative = entry.path.removeprefix(f"{path}/")
            content = corpus.storage.read(entry.path)
            state.update(f"{relative}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    except MedshardError as error:
        problems.append(f"{path}: {error}")
        return
    if state.hexdigest() != sha256:
        problems.append(f"{path}: its files are not those that were written")
