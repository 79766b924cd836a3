"""A corpus is a manifest over dataset builds, and builds anew only what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mixed_tree import Quiet, Tree, build, digests, write_mixed_tree

import medshard
from medshard.convert.dataset import DatasetBuild
from medshard.corpus.verify import verify_corpus
from medshard.errors import CorpusError


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return write_mixed_tree(tmp_path_factory.mktemp("other") / "data", each=1)


@pytest.fixture(scope="module")
def two(built: tuple[Path, DatasetBuild], other: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of ``built`` with a second dataset, whose name sorts before the first."""
    corpus = tmp_path_factory.mktemp("two") / "corpus"
    shutil.copytree(built[0], corpus)
    build(other.root, corpus, name="another")
    return corpus


def test_both_datasets_are_there(two: Path, built: tuple[Path, DatasetBuild]) -> None:
    corpus = medshard.open(two)
    assert [line.slug for line in corpus.manifest.datasets] == ["another", "mixed"]
    assert [line.samples for line in corpus.manifest.datasets] == [6, 24]
    assert len(corpus) == 30
    assert corpus.manifest.counts["samples"] == 30
    assert corpus.samples["dataset"].to_pylist() == ["another"] * 6 + ["mixed"] * 24
    before = {name: digest for name, digest in digests(built[0]).items() if name.startswith("datasets/")}
    after = digests(two)
    assert {name: after[name] for name in before} == before


def test_the_index_of_both_is_right(two: Path) -> None:
    corpus = medshard.open(two)
    for place, sample in enumerate(corpus):
        assert sample.record.key == sample.key == corpus.samples["key"][place].as_py()
        assert corpus.sample(sample.key).record == sample.record
    assert verify_corpus(corpus, quick=False, progress=Quiet())[0] == []
    assert {row["key"] for row in corpus.items.to_pylist()} == set(corpus.samples["key"].to_pylist())


def test_the_order_of_building_does_not_matter(two: Path, mixed: Tree, other: Tree, tmp_path: Path) -> None:
    build(other.root, tmp_path / "corpus", name="another")
    build(mixed.root, tmp_path / "corpus")
    assert digests(tmp_path / "corpus") == digests(two)


def test_a_dataset_that_changed_is_built_beside_its_earlier_build(two: Path, other: Tree, tmp_path: Path) -> None:
    corpus, data = tmp_path / "corpus", tmp_path / "data"
    shutil.copytree(two, corpus)
    shutil.copytree(other.root, data)
    before = digests(corpus)
    cases = (data / "cases.csv").read_text()
    (data / "cases.csv").write_text(cases.replace("Picture 0 of a chest.", "Another caption."))
    build(data, corpus, name="another")
    after = digests(corpus)
    lines = {line.slug: line.folder for line in medshard.open(corpus).manifest.datasets}
    assert len(list((corpus / "datasets" / "another").iterdir())) == 2
    assert {n: d for n, d in after.items() if n.startswith(lines["mixed"])} == {
        n: d for n, d in before.items() if n.startswith(lines["mixed"])
    }
    assert verify_corpus(medshard.open(corpus), quick=False, progress=Quiet())[0] == []
    captions = medshard.open(corpus).sample("another-photo0").record.facts
    assert "Another caption." in {getattr(fact, "text", "") for fact in captions}


def test_a_build_that_is_gone_is_told(two: Path, mixed: Tree, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(two, corpus)
    shutil.rmtree(corpus / "datasets" / "another")
    with pytest.raises(CorpusError, match="the manifest names this build and it is not there"):
        build(mixed.root, corpus)


def test_card_report_and_croissant_name_everything(two: Path) -> None:
    manifest = medshard.open(two).manifest
    card, report = (two / "README.md").read_text(), (two / "report.html").read_text()
    croissant = json.loads((two / "croissant.json").read_text())
    files = {entry["@id"]: entry.get("sha256") for entry in croissant["distribution"]}
    for shard in manifest.shards:
        assert shard.path in card
        assert files[shard.path] == shard.sha256
    for name, digest in manifest.index.items():
        assert files[name] == digest
    for line in manifest.datasets:
        assert line.slug in card
        assert line.slug in report
