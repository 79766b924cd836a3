"""New text for the same samples: shards stay as they are, the manifest names the new set."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mixed_tree import Quiet, Tree, build, digests

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.convert.retext import retext
from medshard.corpus.verify import verify_corpus
from medshard.record.check import check_sample
from medshard.tasks.budget import Budget
from medshard.tasks.write import TextOptions

Built = tuple[Path, DatasetBuild]
OTHER = TextOptions(languages=("zh",), budget=Budget(items=2, seed=9), name="short")


@pytest.fixture
def copied(built: Built, tmp_path: Path) -> Path:
    shutil.copytree(built[0], tmp_path / "corpus")
    return tmp_path / "corpus"


def texts(corpus: medshard.Corpus) -> dict[str, list[object]]:
    return {
        sample.key: [conversation.model_dump(mode="json") for conversation in sample.conversations] for sample in corpus
    }


def test_shards_and_samples_stay_and_the_text_is_new(copied: Path) -> None:
    before = digests(copied)
    earlier = texts(medshard.open(copied))
    line = retext(copied, OTHER, Quiet())
    after = digests(copied)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"corpus.json"}
    assert {name for name in after if name not in before} == {
        f"{line.path}/{name}" for name in ("conversations.jsonl", "conversations.locator", "items.parquet")
    }
    corpus = medshard.open(copied)
    assert corpus.manifest.text == line
    assert corpus.manifest.text.name == "short"
    now = texts(corpus)
    assert now != earlier
    for sample in corpus:
        assert len(sample.conversations) <= 2
        assert {conversation.lang for conversation in sample.conversations} <= {"zh"}
        assert sample.record.conversations != [] or sample.conversations == []
        merged = sample.record.model_copy(update={"conversations": sample.conversations})
        assert check_sample(merged) == []
    assert corpus.manifest.counts["items"] == len(corpus.items)
    items = {(row["key"], row["id"]): row for row in corpus.items.to_pylist() if row["id"]}
    assert set(items) == {(key, c["id"]) for key, found in now.items() for c in found}  # type: ignore[index]
    assert len(corpus.select("lang = 'zh'").item_rows) == len(items)
    assert len(corpus.select("lang = 'en'").item_rows) == 0


def test_the_same_options_write_the_text_that_is_in_the_shards(copied: Path) -> None:
    earlier = texts(medshard.open(copied))
    items = medshard.open(copied).items
    retext(copied, TextOptions(), Quiet())
    corpus = medshard.open(copied)
    assert texts(corpus) == earlier
    assert corpus.items.equals(items)


def test_the_same_options_give_the_same_bytes(copied: Path) -> None:
    line = retext(copied, OTHER, Quiet())
    first = digests(copied)
    assert retext(copied, OTHER, Quiet()) == line
    assert digests(copied) == first
    other = retext(copied, TextOptions(languages=("zh",), budget=Budget(items=2, seed=10), name="short"), Quiet())
    assert other.digest != line.digest
    assert (copied / (line.path or "")).is_dir()  # the earlier set stays


def test_a_rebuild_without_changes_keeps_the_text(copied: Path, mixed: Tree) -> None:
    line = retext(copied, OTHER, Quiet())
    build(mixed.root, copied)
    corpus = medshard.open(copied)
    assert corpus.manifest.text == line
    assert corpus.manifest.counts["items"] == len(corpus.items)


def test_a_new_dataset_sets_the_text_back_to_that_of_the_shards(copied: Path, mixed: Tree) -> None:
    retext(copied, OTHER, Quiet())
    build(mixed.root, copied, name="second")
    corpus = medshard.open(copied)
    assert corpus.manifest.text.path is None
    assert corpus.manifest.counts["items"] == len(corpus.items)
    assert all(sample.conversations == sample.record.conversations for sample in corpus)


@pytest.mark.parametrize("name", ["conversations.jsonl", "conversations.locator", "items.parquet"])
def test_verify_finds_damage_of_the_text(copied: Path, name: str) -> None:
    line = retext(copied, OTHER, Quiet())
    path = copied / (line.path or "") / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    problems, _ = verify_corpus(medshard.open(copied), quick=True, progress=Quiet())
    assert [problem for problem in problems if f"{line.path}/{name}" in problem], problems


def test_a_damaged_line_is_told_when_it_is_read(copied: Path) -> None:
    line = retext(copied, OTHER, Quiet())
    path = copied / (line.path or "") / "conversations.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace("。".encode(), "，".encode()))
    with pytest.raises(medshard.errors.CorpusError, match="fails its checksum"):
        texts(medshard.open(copied))


def test_what_a_killed_run_left_is_removed(copied: Path) -> None:
    left = copied / "text" / ".short-0123.77.tmp"
    left.mkdir(parents=True)
    (left / "conversations.jsonl").write_bytes(b"[")
    (copied / ".samples.parquet.77.tmp").write_bytes(b"")
    retext(copied, OTHER, Quiet())
    assert not [name for name in digests(copied) if name.endswith(".tmp") or ".tmp/" in name]


def test_the_command(copied: Path) -> None:
    words = ["retext", str(copied), "--lang", "en", "--items", "1", "--name", "one", "--json"]
    program = [sys.executable, "-c", "from medshard.cli import main; main()"]
    told = subprocess.run([*program, *words], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    line = json.loads(told.stdout)
    assert line["path"].startswith("text/one-")
    counts = [len(sample.conversations) for sample in medshard.open(copied)]
    assert max(counts) == 1
