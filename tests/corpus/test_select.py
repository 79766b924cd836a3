"""Selections: what is true for a row, compared with plain Python; hostile conditions are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.corpus.corpus import Corpus
from medshard.errors import CorpusError


@pytest.fixture(scope="module")
def corpus(built: tuple[Path, DatasetBuild]) -> Corpus:
    return medshard.open(built[0])


OVER_SAMPLES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "split = 'train'": lambda row: row["split"] == "train",
    "modality = 'ct+xray' and split = 'test'": lambda row: row["modality"] == "ct+xray" and row["split"] == "test",
    "list_contains(modalities, 'ct')": lambda row: "ct" in row["modalities"],
    "list_contains(concepts, 'finding/nodule')": lambda row: "finding/nodule" in row["concepts"],
    "n_facts = 0": lambda row: row["n_facts"] == 0,
    "n_items > 3 or key like '%bare%'": lambda row: row["n_items"] > 3 or "bare" in row["key"],
    "age_years is null and sex is null": lambda _: True,
    "age_years > 3": lambda _: False,
    "row = 0 -- the first of each shard": lambda row: row["row"] == 0,
    "key in ('mixed-photo0', 'mixed-scan1')": lambda row: row["key"] in ("mixed-photo0", "mixed-scan1"),
    "split = 'it''s'": lambda _: False,
}


@pytest.mark.parametrize("condition", OVER_SAMPLES)
def test_over_samples(corpus: Corpus, condition: str) -> None:
    expected = [row["key"] for row in corpus.samples.to_pylist() if OVER_SAMPLES[condition](row)]
    chosen = corpus.select(condition)
    assert [sample.key for sample in chosen] == expected
    assert len(chosen) == len(expected)
    items = [row["key"] for row in corpus.items.to_pylist() if row["key"] in set(expected)]
    assert corpus.items["key"].take(chosen.item_rows).to_pylist() == items


OVER_ITEMS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "task = 'caption'": lambda row: row["task"] == "caption",
    "lang = 'zh' and split = 'test'": lambda row: row["lang"] == "zh" and row["split"] == "test",
    "list_contains(asked, 'finding/mass')": lambda row: "finding/mass" in row["concepts"],
    "question_chars < 60 and n_facts > 1": lambda row: row["question_chars"] < 60 and row["n_facts"] > 1,
    "answer_type = 'yesno' or task = ''": lambda row: row["answer_type"] == "yesno" or row["task"] == "",
    "len(slots) = 0": lambda row: len(row["slots"]) == 0,
}


@pytest.mark.parametrize("condition", OVER_ITEMS)
def test_over_items(corpus: Corpus, condition: str) -> None:
    facts = dict(zip(corpus.samples["key"].to_pylist(), corpus.samples["n_facts"].to_pylist(), strict=True))
    rows = [{**row, "n_facts": facts[row["key"]]} for row in corpus.items.to_pylist()]
    expected = [place for place, row in enumerate(rows) if OVER_ITEMS[condition](row)]
    assert expected, "a condition that nothing meets tests nothing"
    chosen = corpus.select(condition)
    assert chosen.item_rows.tolist() == expected
    assert sorted({sample.key for sample in chosen}) == sorted({rows[place]["key"] for place in expected})


def test_selections_narrow_each_other(corpus: Corpus) -> None:
    one = corpus.select("split = 'train'").select("task = 'vqa'").select("key like '%words%'")
    other = corpus.select("split = 'train' and task = 'vqa' and key like '%words%'")
    assert one.item_rows.tolist() == other.item_rows.tolist()
    assert [sample.key for sample in one] == [sample.key for sample in other]
    assert len(one) > 0
    assert len(corpus.select("split = 'train'").select("split = 'test'")) == 0


HOSTILE = [
    "1 = 1) union select 1 from read_csv('/etc/passwd'",
    "key in (select key from samples)",
    "exists (select 1)",
    "read_text('/etc/passwd') is not null",
    "split = 'train'; drop table samples",
    "split = 'train'; attach '/tmp/x.db'",
    "split = 'train') --",
    "true) using sample (50 percent",
    "true) using sample reservoir(2",
    "true) window w as (order by key",
    "true) limit (1",
    "true), (true",
    "getenv('HOME') is not null",
    "current_setting('threads') = '1'",
    "random() < 0.5",
    "now() is not null",
    "count(*) > 1",
    "sum(n_facts) over () > 1",
    "copy samples to '/tmp/x'",
    "pragma database_list",
    "split = $1",
    "split = ?",
    "",
    "split =",
    "'unclosed",
    "split = 'a' /* unclosed",
]


@pytest.mark.parametrize("condition", HOSTILE)
def test_hostile_conditions_are_refused(corpus: Corpus, condition: str) -> None:
    with pytest.raises(CorpusError, match="select: "):
        corpus.select(condition)


def test_a_wrong_column_names_the_nearest(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match=r"no column 'modalty'\. Did you mean 'modality'\? Columns: .*answer_type"):
        corpus.select("modalty = 'ct'")


def test_a_condition_that_is_no_truth_is_refused(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="select: "):
        corpus.select("key::int > 3")
    with pytest.raises(CorpusError, match="select: "):
        corpus.select("list_contains(split, 1)")
