"""A newer set of conversations for the samples of a corpus; shards stay as they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medshard.convert.atomic import file_digest, only_writer, write_atomic
from medshard.convert.dataset import Progress
from medshard.convert.versions import writer_versions
from medshard.corpus.corpus import Corpus, open_corpus
from medshard.corpus.manifest import MANIFEST_NAME, DatasetLine, TextLine
from medshard.engine import crc32c
from medshard.errors import CorpusError
from medshard.facts.context import FactContext
from medshard.record.check import check_sample
from medshard.record.rows import ITEM_SCHEMA, ItemRow
from medshard.shards.locator import PART
from medshard.shards.sample_parts import RECORD_EXTENSION, parse_record
from medshard.spec.load import LoadedSpec, load_spec_tree
from medshard.spec.taxonomy import Taxonomy, load_taxonomy
from medshard.tasks.base import View
from medshard.tasks.write import TextOptions, write_conversations

__all__ = ["TEXT_FILES", "retext"]

TEXT_FILES = ("conversations.jsonl", "conversations.locator", "items.parquet")
"""What a text set consists of."""


def retext(corpus_path: Path, options: TextOptions, progress: Progress) -> TextLine:
    """Write a text set and make it the corpus's current one.

    The text is made of the records in the shards and of the specs as they were built, with today's templates and
    taxonomy; no source file is read.

    Raises:
        CorpusError: the corpus is damaged, or a record contradicts the new text.
        MedshardError: another process is writing to the corpus.
    """
    with only_writer(corpus_path):
        return _retext(corpus_path, options, progress)


def _retext(corpus_path: Path, options: TextOptions, progress: Progress) -> TextLine:
    corpus = open_corpus(corpus_path)
    taxonomy = load_taxonomy()
    contexts = {line.slug: _context(corpus_path, line, taxonomy) for line in corpus.manifest.datasets}
    digest = _digest(corpus, options)
    folder = f"text/{options.name}-{digest[:16]}"
    temporary = corpus_path / f"text/.{options.name}-{digest[:16]}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    progress.stage("writing text", len(corpus))
    rows: list[dict[str, Any]] = []
    places = np.zeros(len(corpus), PART)
    offset = 0
    with (temporary / "conversations.jsonl").open("wb") as lines:
        for row in range(len(corpus)):
            shard, place = corpus.place_of(row)
            sample = parse_record(bytes(corpus.read_part(row, RECORD_EXTENSION)))
            sample.conversations = write_conversations(View(sample, contexts[sample.dataset]), options)
            problems = check_sample(sample)
            if problems:
                raise CorpusError(f"{sample.key}: {problems[0]}")
            kept = [json.loads(c.model_dump_json(by_alias=True)) for c in sample.conversations]
            data = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            lines.write(data)
            places[row] = (offset, len(data), crc32c(data), 0)
            offset += len(data)
            rows += [item.model_dump() for item in ItemRow.of(sample, shard, place)]
            progress.step(1)
    (temporary / "conversations.locator").write_bytes(places.tobytes())
    pq.write_table(pa.Table.from_pylist(rows, ITEM_SCHEMA), temporary / "items.parquet", compression="zstd")
    shutil.rmtree(corpus_path / folder, ignore_errors=True)
    os.replace(temporary, corpus_path / folder)
    files = {name: file_digest(corpus_path / folder / name) for name in TEXT_FILES}
    line = TextLine(name=options.name, digest=digest, path=folder, files=files)
    _make_current(corpus, corpus_path, line, len(rows))
    return line


def _context(corpus_path: Path, line: DatasetLine, taxonomy: Taxonomy) -> FactContext:
    path = corpus_path / line.folder / "spec.json"
    try:
        kept = json.loads(path.read_bytes())
        loaded: LoadedSpec = load_spec_tree(kept["spec"], path.name)
    except (OSError, ValueError, KeyError) as error:
        raise CorpusError(f"{path}: the spec of this build cannot be read: {error}") from error
    return FactContext(loaded, taxonomy, kept["seen"])


def _digest(corpus: Corpus, options: TextOptions) -> str:
    state = hashlib.sha256()
    for line in corpus.manifest.datasets:
        state.update(line.digest.encode())
    state.update(json.dumps({"text": asdict(options), "versions": writer_versions()}, sort_keys=True).encode())
    return state.hexdigest()


def _make_current(corpus: Corpus, corpus_path: Path, line: TextLine, items: int) -> None:
    manifest = corpus.manifest.model_copy(update={"text": line, "counts": {**corpus.manifest.counts, "items": items}})
    write_atomic(corpus_path / MANIFEST_NAME, manifest.dump())
