"""``show``, ``why``, ``stats``, ``verify`` and ``retext`` on one small corpus."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_runs import Small, run_here
from mixed_tree import digests

from medshard.cli import exit_codes


@pytest.fixture
def copy(small: Small, tmp_path: Path) -> Path:
    """A copy of the corpus that a test may change."""
    shutil.copytree(small.corpus, tmp_path / "corpus")
    return tmp_path / "corpus"


def numbers(line: str) -> list[int]:
    return [int(word) for word in re.findall(r"\b\d+\b", line)]


def test_show_counts_what_the_tables_of_the_corpus_hold(small: Small) -> None:
    rows = {name: pq.read_metadata(small.corpus / f"{name}.parquet").num_rows for name in ("samples", "items", "facts")}
    lines = run_here("show", small.corpus).out.splitlines()
    assert lines[0].startswith("mixed ")
    assert numbers(lines[1])[:3] == [rows["samples"], rows["items"], rows["facts"]]
    listed = [line for line in lines[2:] if line.startswith("  mixed-")]
    assert len(listed) == 10
    assert f"and {rows['samples'] - 10} more" in lines[-1]


def test_show_lists_as_many_as_limit_says_of_those_that_where_names(small: Small) -> None:
    where = "modality = 'ct' and split = 'train'"
    expected = {
        row["key"]
        for row in pq.read_table(small.corpus / "samples.parquet").to_pylist()
        if row["modality"] == "ct" and row["split"] == "train"
    }
    told = json.loads(run_here("show", small.corpus, "--where", where, "--limit", "100", "--json").out)
    assert set(told["keys"]) == expected
    assert told["samples"] == len(expected)
    lines = run_here("show", small.corpus, "--where", where, "--limit", "2").out.splitlines()
    assert sum(line.startswith("  mixed-") for line in lines) == min(2, len(expected))


def test_show_of_a_sample_tells_its_media_facts_and_text(small: Small) -> None:
    record = json.loads(run_here("show", small.corpus, "mixed-words0", "--json").out)
    assert record["key"] == "mixed-words0"
    text = run_here("show", small.corpus, "mixed-words0").out
    assert text.startswith("mixed-words0  (mixed, ")
    for question, answer in small.tree.questions["words0"]:
        assert question in text
        assert answer in text
    for fact in record["facts"]:
        assert re.search(rf"^  {fact['id']} {fact['kind']} ", text, re.MULTILINE)
    scan = run_here("show", small.corpus, "mixed-scan0").out
    # Stored (z, y, x) is the reverse of what NIfTI keeps; the spacing is that of the affine.
    assert " x ".join(str(length) for length in reversed(small.tree.volumes["scan0"].shape)) in scan
    assert "spacing 2.5 x 0.8 x 0.7 mm" in scan


@pytest.mark.parametrize("command", ["show", "why"])
def test_a_key_that_is_not_there(small: Small, command: str) -> None:
    ended = run_here(command, small.corpus, "mixed-wrds0")
    assert (ended.code, ended.out) == (exit_codes.FAILED, "")
    assert "mixed-wrds0" in ended.err
    assert "Did you mean 'mixed-words" in ended.err


def test_why_names_file_row_value_and_licence(small: Small) -> None:
    text = run_here("why", small.corpus, "mixed-scan0").out
    rows = (small.tree.root / "cases.csv").read_text().splitlines()
    row = next(place for place, line in enumerate(rows) if line.startswith("scan0,"))
    assert text.startswith("mixed-scan0: A mixed tree (mixed), licence MIT\n")
    assert re.search(rf"cases\.csv row {row} ", text)
    assert re.search(r"label finding/nodule present <- r\d+\.finding = 'n' \((by )?expert\)", text)


def test_why_has_no_value_where_none_is_kept(small: Small) -> None:
    """Of a text and of a mask only the place is cited."""
    for key in ("mixed-scan0", "mixed-words0"):
        assert "None" not in run_here("why", small.corpus, key).out


def test_why_of_one_conversation_is_a_part_of_the_whole(small: Small) -> None:
    whole = json.loads(run_here("why", small.corpus, "mixed-words0", "--json").out)["conversations"]
    one = json.loads(run_here("why", small.corpus, "mixed-words0/c1", "--json").out)["conversations"]
    assert one == [entry for entry in whole if entry["id"] == "c1"]
    ended = run_here("why", small.corpus, "mixed-words0/c99")
    assert ended.code == exit_codes.FAILED
    assert "c1" in ended.err


def test_stats_sum_to_the_numbers_of_samples_and_items(small: Small) -> None:
    told = json.loads(run_here("stats", small.corpus, "--json").out)
    samples = pq.read_table(small.corpus / "samples.parquet").to_pylist()
    items = pq.read_table(small.corpus / "items.parquet").to_pylist()
    assert (told["samples"], told["items"]) == (len(samples), len(items))
    assert sum(told["by split"].values()) == sum(told["by dataset"].values()) == len(samples)
    assert sum(told["by task"].values()) == sum(told["by language"].values()) == len(items)
    assert told["patients or groups"] == len({row["group"] for row in samples})
    text = run_here("stats", small.corpus).out
    for split, count in told["by split"].items():
        assert re.search(rf"^ +{count}  {split}$", text, re.MULTILINE)


def test_stats_of_a_part(small: Small) -> None:
    told = json.loads(run_here("stats", small.corpus, "--where", "lang = 'zh'", "--json").out)
    assert set(told["by language"]) == {"zh"}


def test_verify_of_a_whole_corpus_finds_nothing(small: Small) -> None:
    for words in ([], ["--quick"]):
        ended = run_here("verify", small.corpus, *words)
        assert ended.code == 0
        assert ended.out.endswith(": 0 problems\n")


@pytest.mark.parametrize("quick", [False, True])
def test_verify_names_a_shard_with_one_wrong_byte(copy: Path, quick: bool) -> None:
    shard = next(copy.rglob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[700] ^= 1
    shard.write_bytes(data)
    ended = run_here("verify", copy, *(["--quick"] if quick else []))
    assert ended.code == exit_codes.DAMAGED
    assert shard.name in ended.out
    assert "Traceback" not in ended.err
    told = run_here("verify", copy, "--json")
    assert told.code == exit_codes.DAMAGED
    assert any(shard.name in str(problem) for problem in json.loads(told.out)["problems"])


def test_a_file_that_is_gone_is_damage(copy: Path) -> None:
    next(copy.rglob("*.tar")).unlink()
    ended = run_here("verify", copy)
    assert ended.code == exit_codes.DAMAGED
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", ["corpus.json", "samples.parquet"])
def test_a_damaged_index_ends_every_command_without_a_traceback(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"not what it was")
    for words in (["show", copy], ["stats", copy], ["why", copy, "mixed-words0"], ["verify", copy]):
        ended = run_here(*words)
        assert ended.code == exit_codes.DAMAGED, words
        assert name in ended.out + ended.err


def test_retext_writes_other_text_and_leaves_the_shards_alone(copy: Path) -> None:
    before = digests(copy / "datasets")
    words = json.loads(run_here("show", copy, "mixed-scan0", "--json").out)["conversations"]
    ended = run_here("retext", copy, "--lang", "en", "--items", "1", "--seed", "5", "--name", "few")
    assert ended.code == 0
    assert digests(copy / "datasets") == before
    told = json.loads(run_here("stats", copy, "--json").out)
    assert "en" in told["by language"]
    assert "zh" not in told["by language"]
    # One item a sample at most: a conversation, or the picture alone where there is nothing to ask.
    assert told["items"] <= told["samples"]
    assert json.loads(run_here("show", copy, "mixed-scan0", "--json").out)["conversations"] == words
    again = run_here("retext", copy, "--lang", "en", "--items", "1", "--seed", "5", "--name", "few")
    assert again.out == ended.out, "the same text is written once"
    assert run_here("verify", copy).code == 0
    assert re.search(r"text/few-[0-9a-f]+", ended.out)


def test_retext_of_an_address_says_that_it_needs_a_folder() -> None:
    ended = run_here("retext", "s3://bucket/corpus")
    assert (ended.code, ended.out) == (exit_codes.USAGE, "")
    assert "s3://bucket/corpus is an address" in ended.err
