"""Whether a corpus is what its index says."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from medshard.corpus.corpus import Corpus
from medshard.corpus.foreground import FOREGROUND_NAME
from medshard.corpus.manifest import MANIFEST_NAME, ShardLine
from medshard.corpus.verify_foreground import verify_foreground
from medshard.corpus.verify_renditions import verify_renditions
from medshard.corpus.verify_sample import verify_sample
from medshard.engine import crc32c
from medshard.errors import CorpusError, MedshardError
from medshard.record.rows import FACT_SCHEMA, ITEM_SCHEMA, SAMPLE_SCHEMA
from medshard.shards.tar import read_tar
from medshard.volumes.catalog import CATALOG_NAME, catalogue_volume
from medshard.volumes.foreground import FOREGROUND_SCHEMA

__all__ = ["verify_corpus"]

_SCHEMAS = {
    "samples.parquet": SAMPLE_SCHEMA,
    "items.parquet": ITEM_SCHEMA,
    "facts.parquet": FACT_SCHEMA,
    FOREGROUND_NAME: FOREGROUND_SCHEMA,
}
_PAGES = {MANIFEST_NAME, "report.html", "README.md", "croissant.json"}
_OF_A_BUILD = re.compile(
    r"(build\.json|spec\.json|plan\.parquet|quarantine\.parquet|"
    r"units/\d{6}\.(json|locator|samples\.parquet|items\.parquet|facts\.parquet|foreground\.parquet)|"
    r"shards/(\.nv-meta/.+|[^/]+\.tar\.idx))"
)
"""What a build leaves beside shards and volumes, and what ``energon prepare`` puts into a folder of shards."""


class _Progress(Protocol):
    def stage(self, name: str, total: int | None = None) -> None: ...

    def step(self, count: int) -> None: ...


def verify_corpus(corpus: Corpus, *, quick: bool, progress: _Progress) -> tuple[list[str], dict[str, int]]:
    """Everything that is wrong, in words, and how much was looked at.

    Args:
        quick: only digests and the places of parts, without records and pictures.
    """
    manifest = corpus.manifest
    checked = {"index files": 0, "shards": 0, "samples": 0, "parts": 0, "volumes": 0}
    if any(shard.renditions for shard in manifest.shards):
        checked["renditions"] = 0
    problems = _verify_index(corpus, checked)
    sound = not problems
    keys = corpus.samples["key"].to_pylist() if sound else []
    first = 0
    progress.stage("verifying shards", len(manifest.shards))
    for number, shard in enumerate(manifest.shards):
        of_shard = keys[first : first + shard.samples] if sound else None
        problems += _verify_shard(corpus, number, shard, of_shard, checked, quick=quick)
        problems += verify_renditions(corpus, number, of_shard, checked, quick=quick)
        first += shard.samples
        progress.step(1)
    if sound and first != len(keys):
        problems.append(f"{MANIFEST_NAME} counts {first} samples, samples.parquet has {len(keys)}")
    progress.stage("verifying volumes", len(manifest.volumes))
    for number, volume in enumerate(manifest.volumes):
        damage = _verify_volume(corpus, volume.path, volume.sha256)
        problems += damage or (_verify_catalogued(corpus, number) if sound else [])
        checked["volumes"] += 1
        progress.step(1)
    if sound:
        problems += verify_foreground(corpus, checked, quick=quick)
    return problems + _verify_listing(corpus), checked


def _verify_catalogued(corpus: Corpus, number: int) -> list[str]:
    """Whether the corpus's index of a volume is that of its shards."""
    path = corpus.manifest.volumes[number].path
    try:
        catalog = corpus.volumes.catalog
        if catalog is not None and catalog.block(number) != catalogue_volume(corpus.storage, path):
            return [f"{CATALOG_NAME} does not say where the chunks of {path} lie; run medshard build again"]
    except MedshardError as error:
        return [str(error)]
    return []


def _verify_index(corpus: Corpus, checked: dict[str, int]) -> list[str]:
    problems = []
    for name, digest in sorted(_index_files(corpus).items()):
        try:
            data = bytes(corpus.storage.read(name))
        except MedshardError as error:
            problems.append(f"{name}: {error}")
            continue
        checked["index files"] += 1
        if hashlib.sha256(data).hexdigest() != digest:
            problems.append(f"{name} is not the file that {MANIFEST_NAME} names: its sha256 differs")
        elif name in _SCHEMAS and not _schema(data).equals(_SCHEMAS[name]):
            problems.append(f"{name} has other columns than this version of medshard writes")
    return problems


def _index_files(corpus: Corpus) -> Mapping[str, str]:
    """Path → sha256 of the index and of the current text set."""
    text = corpus.manifest.text
    return {**corpus.manifest.index, **{f"{text.path}/{name}": digest for name, digest in text.files.items()}}


def _schema(data: bytes) -> pa.Schema:
    return pq.read_schema(io.BytesIO(data))


def _verify_shard(
    corpus: Corpus, number: int, shard: ShardLine, keys: list[str] | None, checked: dict[str, int], *, quick: bool
) -> list[str]:
    """Without ``keys`` (the index cannot be trusted) only the file itself is looked at."""
    try:
        data = bytes(corpus.storage.read(shard.path))
    except MedshardError as error:
        return [f"{shard.path}: {error}"]
    problems = []
    checked["shards"] += 1
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        problems.append(
            f"{shard.path}: its sha256 is not the one in {MANIFEST_NAME}; it is damaged, cut off or replaced. "
            "Delete it and run medshard build again, which makes it anew."
        )
    try:
        members = list(read_tar(data, shard.path))
    except CorpusError as error:
        return [*problems, str(error)]
    if keys is None:
        return problems
    if [part.name for part, _ in members] != [f"{key}.{extension}" for key in keys for extension in shard.parts]:
        return [*problems, f"{shard.path}: its members are not those of the index"]
    for row in range(shard.samples):
        contents = {}
        for place, extension in enumerate(shard.parts):
            part, contents[extension] = members[row * len(shard.parts) + place]
            stated = corpus.locator.place(number, row, place)
            checked["parts"] += 1
            if (part.offset, part.size_bytes, crc32c(contents[extension])) != stated:
                where = f"bytes {part.offset}-{part.offset + part.size_bytes - 1}"
                problems.append(f"{shard.path}: {part.name} ({where}) is not what locator.bin says")
                del contents[extension]
        checked["samples"] += 1
        if not quick:
            problems += [f"{shard.path}: {problem}" for problem in verify_sample(keys[row], shard.parts, contents)]
    return problems


def _verify_volume(corpus: Corpus, path: str, sha256: str) -> list[str]:
    state = hashlib.sha256()
    try:
        for entry in corpus.storage.list(path):
            relative = entry.path.removeprefix(f"{path}/")
            content = corpus.storage.read(entry.path)
            state.update(f"{relative}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    except MedshardError as error:
        return [f"{path}: {error}"]
    return [] if state.hexdigest() == sha256 else [f"{path}: its files are not those that were written"]


def _verify_listing(corpus: Corpus) -> list[str]:
    """Files that nothing names. Earlier builds and text sets, and side fields, may stand beside the current ones."""
    manifest = corpus.manifest
    named = {*_PAGES, *manifest.index, *(shard.path for shard in manifest.shards)}
    named |= {level.path for shard in manifest.shards for level in shard.renditions}
    volumes = {volume.path for volume in manifest.volumes}
    current = {line.folder for line in manifest.datasets}
    earlier = re.compile(r"datasets/[^/]+/[0-9a-f]{16}/|text/[^/.][^/]*/|side/")
    problems = []
    try:
        for entry in corpus.storage.list():
            folder, _, below = entry.path.partition(".ome.zarr/")
            if entry.path in named or (below and f"{folder}.ome.zarr" in volumes):
                continue
            build = "/".join(entry.path.split("/")[:3])
            if build in current:
                if not _OF_A_BUILD.fullmatch(entry.path[len(build) + 1 :]):
                    problems.append(_extra(entry.path))
            elif not earlier.match(entry.path):
                problems.append(_extra(entry.path))
    except MedshardError as error:
        problems.append(f"the corpus cannot be listed: {error}")
    return problems


def _extra(path: str) -> str:
    if path.endswith(".tmp") or ".tmp/" in path:
        return f"{path} was left by a build that was killed; the next build removes it"
    return f"{path} is an extra file, which the corpus does not name"
