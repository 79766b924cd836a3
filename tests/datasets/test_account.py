"""All sets: nothing is lost on the way in, and every item comes once an epoch on the way out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from corpora import SETS, Built, Silent

import medshard
from medshard.augment import Resize, TakeSlice
from medshard.convert.dataset import DatasetBuild
from medshard.corpus.verify import verify_corpus

Get = Callable[[str], Built]


@pytest.mark.parametrize("name", SETS)
def test_source_rows_are_samples_or_left_out_with_a_reason(built: Get, name: str) -> None:
    made = built(name)
    for build in made.builds:
        account, base = build.account, _base(made, build)
        gone = sum(line["count"] for line in build.left_out if line["source"] == base)
        assert account["rows"] == account["rows_in_planned_samples"] + gone
        assert account["planned_samples"] == account["samples"] + account["failed_samples"]
        assert account["failed_samples"] == 0
    assert len(made.corpus) == sum(build.account["samples"] for build in made.builds)
    assert all(line["message"] and line["error_class"] and line["source"] for line in made.quarantine)
    assert len(made.quarantine) == sum(line["count"] for build in made.builds for line in build.left_out)


def _base(made: Built, build: DatasetBuild) -> str:
    """The source whose rows are the samples."""
    tree = json.loads((made.root / build.folder / "spec.json").read_text())["spec"]
    return str(tree["samples"]["from"])


@pytest.mark.parametrize("name", SETS)
def test_index_agrees_with_the_records(built: Get, name: str) -> None:
    corpus = built(name).corpus
    assert len(corpus.samples) == len(corpus) == len(set(corpus.samples["key"].to_pylist()))
    facts = Counter(corpus.facts["key"].to_pylist())
    items = Counter(corpus.items["key"].to_pylist())
    for sample in corpus:
        assert facts[sample.key] == len(sample.record.facts)
        assert items[sample.key] == max(1, len(sample.conversations))


@pytest.mark.parametrize("name", SETS)
def test_every_item_comes_exactly_once_an_epoch(built: Get, name: str) -> None:
    corpus = built(name).corpus
    pictures = any(
        medium["kind"] in ("image", "volume") for row in corpus.samples["media"].to_pylist() for medium in row
    )
    transform = [TakeSlice("z"), Resize((32, 32))] if pictures else None
    loader = medshard.Loader(corpus, 64, transform=transform, seed=3, threads=2)
    came: Counter[str] = Counter()
    for batch in loader:
        came.update(batch["item"])
        assert bool(batch["valid"].all())
        if pictures:
            assert batch["image"].shape == (len(batch["item"]), 3, 32, 32)
            assert bool(batch["image"].isfinite().all())
    listed = zip(corpus.items["key"].to_pylist(), corpus.items["id"].to_pylist(), strict=True)
    assert came == Counter(f"{key}/{item}" if item else key for key, item in listed)


@pytest.mark.parametrize("name", ["bccd", "sct-testing-data"])
def test_a_whole_corpus_verifies(built: Get, name: str) -> None:
    made = built(name)
    problems, checked = verify_corpus(made.corpus, quick=False, progress=Silent())
    assert problems == []
    assert checked["samples"] == len(made.corpus)
    assert checked["volumes"] == len(made.corpus.manifest.volumes)
