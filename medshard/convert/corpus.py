"""Puts dataset builds together: one manifest, one index, one account."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medshard.convert.atomic import only_writer
from medshard.convert.dataset import DatasetBuild, Progress, build_dataset
from medshard.convert.options import BuildOptions
from medshard.convert.report import write_card, write_croissant, write_report
from medshard.convert.unit import unit_file
from medshard.corpus.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    DatasetLine,
    Manifest,
    ShardLine,
    TextLine,
    VolumeLine,
)
from medshard.errors import CorpusError
from medshard.record.rows import FACT_SCHEMA, ITEM_SCHEMA, SAMPLE_SCHEMA
from medshard.shards.locator import PART, ShardParts, pack_locator
from medshard.spec.load import LoadedSpec

__all__ = ["build_corpus", "finalize", "read_builds"]

_TABLES = (("samples", SAMPLE_SCHEMA), ("items", ITEM_SCHEMA), ("facts", FACT_SCHEMA))
_ROW_GROUP = 64 * 1024


def build_corpus(
    datasets: Sequence[tuple[LoadedSpec, Path]], corpus: Path, options: BuildOptions, progress: Progress
) -> tuple[Manifest, list[DatasetBuild]]:
    """Build datasets and put them into a corpus, beside those that it has already.

    Args:
        datasets: specs, each with the folder of its data.

    Returns:
        The corpus's manifest, and the builds that were asked for, in their order.

    Raises:
        SpecError: see ``plan_dataset``.
        MedshardError: see ``build_dataset``; or another process is writing to the corpus.
    """
    made = []
    with only_writer(corpus):
        builds = {build.slug: build for build in read_builds(corpus)}
        for spec, root in datasets:
            made.append(build_dataset(spec, root, corpus, options, progress))
            builds[made[-1].slug] = made[-1]
        progress.stage("putting the corpus together")
        return finalize(corpus, list(builds.values())), made


def read_builds(corpus: Path) -> list[DatasetBuild]:
    """The dataset builds that a corpus names; none when it is new.

    Raises:
        CorpusError: the manifest names a build that is not there.
    """
    path = corpus / MANIFEST_NAME
    if not path.is_file():
        return []
    manifest = Manifest.parse(path.read_bytes(), str(corpus))
    builds = []
    for line in manifest.datasets:
        build = corpus / line.folder / "build.json"
        if not build.is_file():
            raise CorpusError(f"{build}: the manifest names this build and it is not there")
        builds.append(DatasetBuild(**json.loads(build.read_bytes())))
    return builds


def finalize(corpus: Path, builds: Sequence[DatasetBuild]) -> Manifest:
    """Write the index, the account and the manifest of a corpus of these builds; the manifest comes last."""
    ordered = sorted(builds, key=lambda build: build.slug)
    index: dict[str, str] = {}
    for name, schema in _TABLES:
        index[f"{name}.parquet"] = _merge_tables(corpus, ordered, name, schema)
    index["locator.bin"] = _write(corpus / "locator.bin", pack_locator(_shard_parts(corpus, ordered)))
    index["quarantine.parquet"] = _merge_quarantine(corpus, ordered)
    manifest = Manifest(
        format=FORMAT_VERSION,
        datasets=[_line(build) for build in ordered],
        shards=[
            ShardLine(path=f"{build.folder}/shards/{shard['name']}", dataset=build.slug, **_shard_fields(shard))
            for build in ordered
            for shard in build.shards
        ],
        volumes=[
            VolumeLine(
                path=f"{build.folder}/{volume['path']}",
                **{name: volume[name] for name in ("key", "size_bytes", "sha256")},
            )
            for build in ordered
            for volume in build.volumes
        ],
        text=TextLine(name="default", digest=_text_digest(ordered)),
        counts=_counts(corpus, ordered),
        index=index,
    )
    write_report(corpus, manifest, ordered)
    write_card(corpus, manifest, ordered)
    write_croissant(corpus, manifest, ordered)
    _write(corpus / MANIFEST_NAME, manifest.dump())
    return manifest


def _shard_fields(shard: dict[str, Any]) -> dict[str, Any]:
    return {name: shard[name] for name in ("split", "set", "samples", "size_bytes", "sha256", "parts")}


def _line(build: DatasetBuild) -> DatasetLine:
    return DatasetLine(
        slug=build.slug,
        title=build.title,
        folder=build.folder,
        digest=build.digest,
        spec_digest=build.spec_digest,
        licence=build.licence,
        id_key_id=build.id_key_id,
        split_policy=build.split_policy,
        samples=build.account["samples"],
        counts=build.counts,
        concept_sets=build.concept_sets,
    )


def _text_digest(builds: Sequence[DatasetBuild]) -> str:
    state = hashlib.sha256()
    for build in builds:
        state.update(build.digest.encode())
    return state.hexdigest()


def _counts(corpus: Path, builds: Sequence[DatasetBuild]) -> dict[str, int]:
    rows = {name: pq.read_metadata(corpus / f"{name}.parquet").num_rows for name, _ in _TABLES}
    shards = [shard for build in builds for shard in build.shards]
    volumes = [volume for build in builds for volume in build.volumes]
    return {
        **rows,
        "shards": len(shards),
        "volumes": len(volumes),
        "bytes": sum(int(entry["size_bytes"]) for entry in (*shards, *volumes)),
    }


def _units(corpus: Path, builds: Sequence[DatasetBuild]) -> Iterator[tuple[Path, int, int]]:
    """(build folder, unit, number of the unit's first shard in the corpus)."""
    first = 0
    for build in builds:
        shards = dict.fromkeys(range(build.units), 0)
        for shard in build.shards:
            shards[int(shard["unit"])] += 1
        for number, count in shards.items():
            yield corpus / build.folder, number, first
            first += count


def _merge_tables(corpus: Path, builds: Sequence[DatasetBuild], name: str, schema: pa.Schema) -> str:
    path = corpus / f"{name}.parquet"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        rows = 0
        for folder, number, first in _units(corpus, builds):
            table = pq.read_table(unit_file(folder, number, f"{name}.parquet"))
            if "shard" in table.column_names:
                place = table.column_names.index("shard")
                shards = np.asarray(table["shard"].to_numpy() + first, np.int64)
                table = table.set_column(place, schema.field("shard"), pa.array(shards))
            waiting.append(table.cast(schema))
            rows += len(table)
            if rows >= _ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting))
                waiting, rows = [], 0
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    return _named(temporary, path)


def _shard_parts(corpus: Path, builds: Sequence[DatasetBuild]) -> Iterator[ShardParts]:
    for build in builds:
        offsets: dict[int, int] = {}
        for shard in build.shards:
            unit = int(shard["unit"])
            records = np.frombuffer(unit_file(corpus / build.folder, unit, "locator").read_bytes(), PART)
            count = int(shard["samples"]) * len(shard["parts"])
            first = offsets.get(unit, 0)
            offsets[unit] = first + count
            yield ShardParts(tuple(shard["parts"]), records[first : first + count].reshape(shard["samples"], -1))


def _merge_quarantine(corpus: Path, builds: Sequence[DatasetBuild]) -> bytes:
    tables = [pq.read_table(corpus / build.folder / "quarantine.parquet") for build in builds]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), sink, compression="zstd")
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
