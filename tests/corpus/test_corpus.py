"""Opening a corpus and looking at it: nothing is read before it is asked for, and what is read is what was written."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed_tree import Quiet, Tree, build

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.convert.retext import retext
from medshard.corpus.corpus import Corpus
from medshard.corpus.statistics import statistics
from medshard.errors import CorpusError
from medshard.tasks.budget import Budget
from medshard.tasks.write import TextOptions

Built = tuple[Path, DatasetBuild]


@pytest.fixture(scope="module")
def corpus(built: Built) -> Corpus:
    return medshard.open(built[0])


def test_length_and_order(corpus: Corpus, mixed: Tree) -> None:
    assert len(corpus) == len(mixed.cases) == 24
    assert sorted(sample.key for sample in corpus) == sorted(f"mixed-{name}" for name in mixed.cases)
    assert [sample.key for sample in corpus] == corpus.samples["key"].to_pylist()
    assert corpus[0].key == corpus[-24].key
    assert corpus[-1].key == corpus[23].key
    for place in (24, -25):
        with pytest.raises(IndexError, match=f"sample {place} of 24"):
            corpus[place]


def test_pictures_are_those_of_the_source(corpus: Corpus, mixed: Tree) -> None:
    for name, expected in mixed.images.items():
        sample = corpus.sample(f"mixed-{name}")
        array = sample.array("image")
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
        medium = sample.medium("image")
        assert medium.shape == list(expected.shape)
        assert medium.axes == ("YXC" if expected.ndim == 3 else "YX")
        assert medium.bits == (16 if name.startswith("deep") else 8)
        assert medium.spacing_mm is None


def test_masks_are_those_of_the_source(corpus: Corpus, mixed: Tree) -> None:
    for name in mixed.cases:
        sample = corpus.sample(f"mixed-{name}")
        if name in mixed.masks:
            np.testing.assert_array_equal(sample.array("mask"), mixed.masks[name])
            assert sample.medium("mask").role == "target"
        else:
            with pytest.raises(CorpusError, match=f"mixed-{name}: the slot 'mask' is empty: not_annotated"):
                sample.array("mask")


def test_volumes_are_those_of_the_source(corpus: Corpus, mixed: Tree) -> None:
    for name, expected in mixed.volumes.items():
        sample = corpus.sample(f"mixed-{name}")
        np.testing.assert_array_equal(sample.array("ct"), expected.transpose(2, 1, 0))
        medium = sample.medium("ct")
        assert medium.affine_ijk_to_ras is not None
        assert medium.spacing_mm is not None
        np.testing.assert_allclose(medium.affine_ijk_to_ras, mixed.affine_ijk_to_ras, atol=1e-6)
        np.testing.assert_allclose(medium.spacing_mm, [2.5, 0.8, 0.7], rtol=1e-6)
        box = sample.volume("ct").read_crop((1, 0, 2), (2, 8, 3))
        np.testing.assert_array_equal(box, expected.transpose(2, 1, 0)[1:3, 0:8, 2:5])
    with pytest.raises(CorpusError, match="the slot 'image' is no stored volume"):
        corpus.sample("mixed-photo0").volume("image")


def test_facts_and_text_are_those_of_the_source(corpus: Corpus, mixed: Tree) -> None:
    words = {"n": "finding/nodule", "m": "finding/mass"}
    for name, case in mixed.cases.items():
        sample = corpus.sample(f"mixed-{name}")
        record = sample.record
        assert record.split == {"a": "train", "b": "test"}[case["split"]]
        labels = [f for f in record.facts if f.kind == "label" and f.source and f.source[0].field == "finding"]
        assert [label.concept for label in labels] == ([words[case["finding"]]] if case["finding"] else [])
        captions = [fact.text for fact in record.facts if fact.kind == "text"]
        assert captions == ([case["caption"]] if case["caption"] else [])
        asked = [(fact.question, fact.answer) for fact in record.facts if fact.kind == "qa"]
        assert sorted(asked) == sorted(mixed.questions.get(name, []))
    assert corpus.sample("mixed-bare0").record.facts == []
    assert corpus.sample("mixed-bare0").conversations == []


def test_a_group_is_a_patient_and_no_number_of_the_source(corpus: Corpus, mixed: Tree) -> None:
    groups = {sample.key.removeprefix("mixed-"): sample.record.group for sample in corpus}
    for name, case in mixed.cases.items():
        same = {other for other, row in mixed.cases.items() if row["patient"] == case["patient"]}
        assert same == {other for other, group in groups.items() if group == groups[name]}
        assert case["patient"] not in str(groups[name]).removeprefix("patient:").split("-")


def test_text_is_rendered_as_messages(corpus: Corpus) -> None:
    sample = corpus.sample("mixed-words0")
    (first, *_) = sample.conversations
    messages = sample.text(first)
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert all(message["content"].strip() for message in messages)
    view = json.loads(bytes(corpus.read_part(sample.row, "json")))
    assert view["conversations"][0]["messages"] == messages


def test_unknown_keys_slots_and_parts_are_told(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match=r"no sample has the key 'mixed-photo9'\. Did you mean 'mixed-photo\d'\?"):
        corpus.sample("mixed-photo9")
    with pytest.raises(CorpusError, match="mixed-photo0 has no slot 'x'; slots: image, mask, ct"):
        corpus.sample("mixed-photo0").array("x")
    with pytest.raises(CorpusError, match=r"has no part 'x\.png'; parts: image\.jpg, record, json"):
        corpus.read_part(corpus.sample("mixed-photo0").row, "x.png")


class Spy:
    """A storage that notes what is read."""

    def __init__(self, storage: Any) -> None:
        self._storage, self.read_paths = storage, list[str]()
        self.url = storage.url

    def read(self, path: str, *arguments: Any) -> Any:
        self.read_paths.append(path)
        return self._storage.read(path, *arguments)

    def __getattr__(self, name: str) -> Any:
        if name == "root":  # as a store that cannot be memory-mapped
            raise AttributeError(name)
        return getattr(self._storage, name)


@pytest.fixture
def spied(built: Built) -> tuple[Corpus, list[str]]:
    plain = medshard.open(built[0])
    spy = Spy(plain.storage)
    return Corpus(spy, plain.manifest), spy.read_paths  # type: ignore[arg-type]


def test_nothing_is_read_before_it_is_looked_at(spied: tuple[Corpus, list[str]]) -> None:
    corpus, paths = spied
    assert len(corpus) == 24
    samples = list(corpus)
    corpus[3]
    assert not any(path.endswith((".tar", ".parquet")) for path in paths)
    sample = samples[3]
    assert sample.key
    assert set(paths) == {"samples.parquet"}
    assert sample.record.key == sample.key
    assert sum(path.endswith(".tar") for path in paths) == 1
    assert sample.record is sample.record
    assert sum(path.endswith(".tar") for path in paths) == 1
    pictured = corpus.sample("mixed-photo0")
    pictured.array("image")
    assert sum(path.endswith(".tar") for path in paths) == 3  # its record and its picture


def test_a_corpus_pickles_as_where_it_lies(corpus: Corpus) -> None:
    corpus.sample("mixed-photo0").array("image")
    data = pickle.dumps(corpus)
    assert len(data) < 20_000, "tables and maps stay behind"
    other = pickle.loads(data)
    assert [sample.key for sample in other] == [sample.key for sample in corpus]
    np.testing.assert_array_equal(
        other.sample("mixed-photo0").array("image"), corpus.sample("mixed-photo0").array("image")
    )
    chosen = corpus.select("modality = 'ct+xray' and split = 'test'")
    again = pickle.loads(pickle.dumps(chosen))
    assert [sample.key for sample in again] == [sample.key for sample in chosen]
    assert again.item_rows.tolist() == chosen.item_rows.tolist()


def test_a_sample_pickles(corpus: Corpus) -> None:
    sample = pickle.loads(pickle.dumps(corpus.sample("mixed-flat0")))
    np.testing.assert_array_equal(sample.array("mask"), corpus.sample("mixed-flat0").array("mask"))


def test_what_is_no_corpus_is_told(tmp_path: Path, built: Built) -> None:
    for path in (tmp_path, tmp_path / "nowhere", built[0] / "report.html"):
        with pytest.raises(CorpusError, match="there is no corpus here") as caught:
            medshard.open(path)
        assert str(path) in str(caught.value)
    manifest = json.loads((built[0] / "corpus.json").read_text())
    path = tmp_path / "corpus.json"
    path.write_text("[1, 2]")
    with pytest.raises(CorpusError, match=r"corpus\.json is not JSON|is no manifest"):
        medshard.open(tmp_path)
    path.write_bytes((built[0] / "corpus.json").read_bytes()[:-40])
    with pytest.raises(CorpusError, match="the corpus is damaged"):
        medshard.open(tmp_path)
    path.write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(CorpusError, match="the corpus has format 2; this medshard reads 1"):
        medshard.open(tmp_path)
    path.write_text(json.dumps({**manifest, "surprise": 1}))
    with pytest.raises(CorpusError, match="surprise"):
        medshard.open(tmp_path)


def test_an_index_of_another_manifest_is_told(built: Built, tmp_path: Path, mixed: Tree) -> None:
    """A build that was killed while it renamed its index, or a copy that was made meanwhile."""
    shutil.copytree(built[0], tmp_path / "corpus")
    build(mixed.root, tmp_path / "corpus", name="second")
    for name in ("samples.parquet", "items.parquet", "facts.parquet", "locator.bin"):
        mixed_up = tmp_path / name
        shutil.copytree(built[0], mixed_up)
        shutil.copy(tmp_path / "corpus" / name, mixed_up / name)
        opened = medshard.open(mixed_up)
        with pytest.raises(CorpusError, match=rf"{name} .*(rows|samples).*run medshard build again"):
            [getattr(opened, part) for part in ("samples", "items", "facts", "locator")]


def test_statistics_count_what_is_there(corpus: Corpus, mixed: Tree) -> None:
    told = statistics(corpus)
    assert told["samples"] == 24
    assert told["by dataset"] == {"mixed": 24}
    assert told["by split"] == {"train": 18, "test": 6}
    assert told["patients or groups"] == len({case["patient"] for case in mixed.cases.values()})
    assert told["items"] == sum(max(1, len(sample.conversations)) for sample in corpus)
    tasks = Counter(c.task for sample in corpus for c in sample.conversations)
    assert {name: count for name, count in told["by task"].items() if name != "no text"} == dict(tasks)
    assert told["media"] == {"image uint8": 8, "image uint16": 4, "mask uint8": 4, "volume int16": 4}
    present = Counter(
        concept
        for sample in corpus
        for concept in {f.concept for f in sample.record.facts if f.state == "present" and f.concept}
    )
    assert told["samples with concept"] == dict(present)
    test_only = statistics(corpus.select("split = 'test'"))
    assert test_only["samples"] == 6
    assert test_only["by split"] == {"test": 6}


def test_items_are_the_conversations(corpus: Corpus) -> None:
    rows = corpus.items.to_pylist()
    expected = [
        (sample.key, conversation.id if conversation else "")
        for sample in corpus
        for conversation in sample.conversations or [None]  # type: ignore[list-item]
    ]
    assert [(row["key"], row["id"]) for row in rows] == expected
    assert [corpus.samples["key"][row["sample"]].as_py() for row in rows] == [key for key, _ in expected]


def test_a_selection_of_a_newer_text_set(built: Built, tmp_path: Path) -> None:
    shutil.copytree(built[0], tmp_path / "corpus")
    retext(tmp_path / "corpus", TextOptions(languages=("zh",), budget=Budget(items=1)), Quiet())
    corpus = medshard.open(tmp_path / "corpus")
    assert len(corpus.select("lang = 'en'")) == 0
    chosen = corpus.select("lang = 'zh' and split = 'test'")
    assert {conversation.lang for sample in chosen for conversation in sample.conversations} == {"zh"}
