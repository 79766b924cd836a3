"""Puts dataset builds together: one manifest, one index, one account."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medshard.convert.atomic import Staged, only_writer
from medshard.convert.dataset import DatasetBuild, Progress, build_dataset
from medshard.convert.options import BuildOptions
from medshard.convert.report import card_page, croissant_document, report_page
from medshard.convert.unit import unit_file
from medshard.corpus.foreground import FOREGROUND_NAME
from medshard.corpus.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    DatasetLine,
    Manifest,
    RenditionLine,
    ShardLine,
    TextLine,
    VolumeLine,
)
from medshard.errors import CorpusError
from medshard.record.rows import FACT_SCHEMA, ITEM_SCHEMA, SAMPLE_SCHEMA
from medshard.shards.locator import PART, ShardParts, pack_locator
from medshard.shards.write import RENDITIONS_FOLDER, SHARDS_FOLDER
from medshard.spec.load import LoadedSpec
from medshard.storage.local import LocalStorage
from medshard.volumes.catalog import CATALOG_NAME, catalogue_volume, write_catalog
from medshard.volumes.foreground import FOREGROUND_SCHEMA

__all__ = ["build_corpus", "finalize", "read_builds"]

_TABLES = (("samples", SAMPLE_SCHEMA), ("items", ITEM_SCHEMA), ("facts", FACT_SCHEMA))
_ROW_GROUP = 64 * 1024
_FOREGROUND_ROW_GROUP = 128


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
    """Write the index, the account and the manifest of a corpus of these builds.

    All files are written under temporary names first and then get their own, the manifest last.
    """
    ordered = sorted(builds, key=lambda build: build.slug)
    staged = Staged(corpus)
    for name, schema in _TABLES:
        _merge_tables(staged.path(f"{name}.parquet"), name, corpus, ordered, schema)
    _merge_foreground(staged, corpus, ordered)
    staged.path("locator.bin").write_bytes(pack_locator(_shard_parts(corpus, ordered)))
    if any(_levels(shard) for build in ordered for shard in build.shards):
        staged.path("renditions.bin").write_bytes(pack_locator(_rendition_parts(corpus, ordered)))
    _write_catalog(staged, corpus, ordered)
    quarantine = pa.concat_tables([pq.read_table(corpus / build.folder / "quarantine.parquet") for build in ordered])
    pq.write_table(quarantine, staged.path("quarantine.parquet"), compression="zstd")
    rows = {name: pq.read_metadata(staged.path(f"{name}.parquet")).num_rows for name, _ in _TABLES}
    manifest = Manifest(
        format=FORMAT_VERSION,
        datasets=[_line(build) for build in ordered],
        shards=[_shard_line(build, shard) for build in ordered for shard in build.shards],
        volumes=[
            VolumeLine(
                path=f"{build.folder}/{volume['path']}",
                **{name: volume[name] for name in ("key", "size_bytes", "sha256")},
            )
            for build in ordered
            for volume in build.volumes
        ],
        text=TextLine(name="default", digest=_text_digest(ordered)),
        counts=_counts(rows, ordered),
        index=staged.digests(),
    )
    _keep_text(corpus, manifest)
    staged.path("report.html").write_text(report_page(manifest, ordered, quarantine.to_pylist()))
    staged.path("README.md").write_text(card_page(manifest, ordered))
    staged.path("croissant.json").write_text(croissant_document(manifest, ordered))
    staged.path(MANIFEST_NAME).write_bytes(manifest.dump())
    staged.give_names()
    return manifest


def _keep_text(corpus: Path, manifest: Manifest) -> None:
    """A newer text set stays current while the datasets that it was written for are the corpus's own."""
    path = corpus / MANIFEST_NAME
    if not path.is_file():
        return
    earlier = Manifest.parse(path.read_bytes(), str(corpus))
    same = [(line.slug, line.digest) for line in earlier.datasets] == [
        (line.slug, line.digest) for line in manifest.datasets
    ]
    if same and earlier.shards == manifest.shards and earlier.text.path is not None:
        manifest.text, manifest.counts["items"] = earlier.text, earlier.counts["items"]


def _shard_line(build: DatasetBuild, shard: dict[str, Any]) -> ShardLine:
    return ShardLine(
        path=f"{build.folder}/{SHARDS_FOLDER}/{shard['name']}",
        dataset=build.slug,
        **{name: shard[name] for name in ("split", "set", "samples", "size_bytes", "sha256", "parts")},
        renditions=[
            RenditionLine(
                path=f"{build.folder}/{RENDITIONS_FOLDER}/{level['name']}",
                **{name: level[name] for name in ("factor", "size_bytes", "sha256", "parts")},
            )
            for level in _levels(shard)
        ],
    )


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


def _counts(rows: Mapping[str, int], builds: Sequence[DatasetBuild]) -> dict[str, int]:
    shards = [shard for build in builds for shard in build.shards]
    volumes = [volume for build in builds for volume in build.volumes]
    levels = [level for shard in shards for level in _levels(shard)]
    counted = {
        **rows,
        "shards": len(shards),
        "volumes": len(volumes),
        "bytes": sum(int(entry["size_bytes"]) for entry in (*shards, *volumes)),
    }
    return {**counted, "rendition_bytes": sum(int(level["size_bytes"]) for level in levels)} if levels else counted


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


def _merge_tables(path: Path, name: str, corpus: Path, builds: Sequence[DatasetBuild], schema: pa.Schema) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
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


def _merge_foreground(staged: Staged, corpus: Path, builds: Sequence[DatasetBuild]) -> None:
    """The foreground index, where there are masks to index; units from before there was one have none.

    In small row groups, since a crop asks for one mask; places of points are stored as differences.
    """
    paths = (unit_file(folder, number, FOREGROUND_NAME) for folder, number, _ in _units(corpus, builds))
    tables = (table for path in paths if path.is_file() and len(table := pq.read_table(path)))
    first = next(tables, None)
    if first is None:
        return
    encoding = {"points.list.element": "DELTA_BINARY_PACKED"}
    with pq.ParquetWriter(
        staged.path(FOREGROUND_NAME),
        FOREGROUND_SCHEMA,
        compression="zstd",
        use_dictionary=["key", "slot"],
        column_encoding=encoding,
    ) as writer:
        for table in itertools.chain([first], tables):
            writer.write_table(table.cast(FOREGROUND_SCHEMA), row_group_size=_FOREGROUND_ROW_GROUP)


def _write_catalog(staged: Staged, corpus: Path, builds: Sequence[DatasetBuild]) -> None:
    """Metadata and shard indexes of all volumes, where there are any."""
    paths = [f"{build.folder}/{volume['path']}" for build in builds for volume in build.volumes]
    if paths:
        storage = LocalStorage(corpus)
        blocks = (catalogue_volume(storage, path) for path in paths)
        write_catalog(staged.path(CATALOG_NAME), blocks, len(paths))


def _levels(shard: dict[str, Any]) -> list[dict[str, Any]]:
    """Siblings of a shard; builds from before there were any say nothing of them."""
    return list(shard.get("renditions", ()))


def _shard_parts(corpus: Path, builds: Sequence[DatasetBuild]) -> Iterator[ShardParts]:
    for build, shards in _shards_by_unit(builds):
        yield from _parts_of_unit(corpus, build, shards)[: len(shards)]


def _rendition_parts(corpus: Path, builds: Sequence[DatasetBuild]) -> Iterator[ShardParts]:
    """Of all siblings, in the order of the shards and then of their factors."""
    for build, shards in _shards_by_unit(builds):
        yield from _parts_of_unit(corpus, build, shards)[len(shards) :]


def _shards_by_unit(builds: Sequence[DatasetBuild]) -> Iterator[tuple[DatasetBuild, list[dict[str, Any]]]]:
    for build in builds:
        for _, shards in itertools.groupby(build.shards, key=lambda shard: int(shard["unit"])):
            yield build, list(shards)


def _parts_of_unit(corpus: Path, build: DatasetBuild, shards: list[dict[str, Any]]) -> list[ShardParts]:
    """Of its shards, then of their siblings, as ``convert.unit`` packs them."""
    path = unit_file(corpus / build.folder, int(shards[0]["unit"]), "locator")
    records = np.frombuffer(path.read_bytes(), PART)
    found, first = [], 0
    siblings = [(shard["samples"], level["parts"]) for shard in shards for level in _levels(shard)]
    for samples, parts in [(shard["samples"], shard["parts"]) for shard in shards] + siblings:
        end = first + int(samples) * len(parts)
        found.append(ShardParts(tuple(parts), records[first:end].reshape(samples, -1)))
        first = end
    return found
