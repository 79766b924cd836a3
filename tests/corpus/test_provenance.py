"""Every fact leads back to the cell, the file or the rule that it was made of; ``medshard why`` tells it."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed_tree import Tree
from PIL import Image

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.corpus.corpus import Corpus
from medshard.corpus.provenance import provenance
from medshard.errors import CorpusError

WORDS = {"n": "finding/nodule", "m": "finding/mass"}


@pytest.fixture(scope="module")
def corpus(built: tuple[Path, DatasetBuild]) -> Corpus:
    return medshard.open(built[0])


def row_of(root: Path, place: dict[str, Any]) -> dict[str, str]:
    with (root / place["file"]).open() as handle:
        return list(csv.DictReader(handle))[place["row"] - 1]


def test_a_cited_cell_holds_what_is_cited(corpus: Corpus, mixed: Tree) -> None:
    cells = values = 0
    for sample in corpus:
        told = provenance(sample)
        places = {place["id"]: place for place in told["source"]}
        name = sample.key.removeprefix("mixed-")
        for fact in told["facts"]:
            for citation in fact["source"]:
                place = places[citation["id"]]
                if place["file"] == "cases.csv":
                    row = row_of(mixed.root, place)
                    assert row["id"] == name
                    if citation["raw"] is not None:
                        assert row[citation["field"]] == citation["raw"]
                        assert fact["concept"] == WORDS[citation["raw"]]
                    cells += 1
                elif place["file"].startswith("mask/"):
                    labels = np.asarray(Image.open(mixed.root / place["file"]))
                    assert (labels == int(citation["raw"])).any()
                    assert fact["concept"] == ["", "finding/nodule", "finding/mass"][int(citation["raw"])]
                    values += 1
                elif place["file"] == "questions.csv":
                    row = row_of(mixed.root, place)
                    assert row["id"] == name
                    stored = sample.record.fact(fact["id"])
                    assert (stored.question, stored.answer) == (row["question"], row["answer"])  # type: ignore[union-attr]
                else:
                    assert place["file"] == "spec:mixed"
    assert cells >= 20
    # In two samples the second value says what their row of cases.csv says too; in two both values are new.
    assert values == 2 * 3 + 2 * 4


def test_a_derived_fact_names_its_rule_and_origin(corpus: Corpus, mixed: Tree) -> None:
    told = {fact["id"]: fact for fact in provenance(corpus.sample("mixed-flat0"))["facts"]}
    boxes = [fact for fact in told.values() if not fact["source"]]
    assert len(boxes) == 2
    for box in boxes:
        assert box["rule"] == "mask_box@1"
        (origin,) = box["from"]
        assert told[origin]["kind"] == "region"
        assert told[origin]["concept"] == box["concept"]
        stored = corpus.sample("mixed-flat0").record.fact(box["id"])
        rows, columns = np.nonzero(mixed.masks["flat0"] == (1 if box["concept"] == "finding/nodule" else 2))
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert stored.coords == [float(edge) for edge in expected]  # type: ignore[union-attr]


def test_digests_are_of_the_files_of_the_source(corpus: Corpus, mixed: Tree) -> None:
    seen = set()
    for sample in corpus:
        told = provenance(sample)
        for place in told["source"]:
            if not place["file"].startswith("spec:"):
                data = (mixed.root / place["file"]).read_bytes()
                assert place["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
                seen.add(place["file"])
            else:
                assert place["digest"] == f"sha256:{told['spec_digest']}"
    written = {path.relative_to(mixed.root).as_posix() for path in mixed.root.rglob("*") if path.is_file()}
    assert seen == written


def test_the_place_and_the_licence(corpus: Corpus, built: tuple[Path, DatasetBuild]) -> None:
    for sample in corpus:
        told = provenance(sample)
        assert told["key"] == sample.key
        assert told["licence"]["id"] == sample.record.licence == "MIT"
        assert told["build_digest"] == built[1].digest
        assert told["split"] in told["shard"]
        assert (built[0] / told["shard"]).is_file()


def test_each_word_of_a_reply_names_its_facts(corpus: Corpus) -> None:
    for sample in corpus:
        told = provenance(sample)
        facts = {fact["id"] for fact in told["facts"]}
        for conversation in told["conversations"]:
            cited = [fact for block in conversation["blocks"] for fact in block["facts"]]
            assert set(cited) <= facts
            assert cited or not conversation["blocks"]
        for conversation in sample.conversations:
            replies = [block for turn in conversation.turns if turn.role == "assistant" for block in turn.blocks]
            assert all(block.facts for block in replies if block.type not in ("text", "media"))


def test_one_conversation_only(corpus: Corpus) -> None:
    sample = corpus.sample("mixed-words0")
    chosen = sample.conversations[-1].id
    assert [line["id"] for line in provenance(sample, chosen)["conversations"]] == [chosen]
    with pytest.raises(CorpusError, match="mixed-words0 has no conversation 'c99'; it has: c1"):
        provenance(sample, "c99")


def why(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from medshard.cli import main; main()"]
    return subprocess.run([*program, "why", *map(str, words)], capture_output=True, text=True, check=False)


def test_the_command(built: tuple[Path, DatasetBuild], corpus: Corpus) -> None:
    told = why(built[0], "mixed-flat0", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == json.loads(json.dumps(provenance(corpus.sample("mixed-flat0"))))
    told = why(built[0], "mixed-photo0")
    row = next(place["row"] for place in provenance(corpus.sample("mixed-photo0"))["source"] if place["row"])
    assert f"cases.csv row {row}  sha256:" in told.stdout
    assert "r1.finding = 'n' (expert)" in told.stdout
    told = why(built[0], "mixed-photo77")
    assert told.returncode == 1
    assert "Did you mean" in told.stderr
