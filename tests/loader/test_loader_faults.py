"""A damaged sample is named, or skipped and counted; the others arrive as ever."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from streams import TRANSFORM, told

from medshard.corpus.corpus import Corpus, open_corpus
from medshard.errors import LoaderError
from medshard.loader.loader import Loader


def loader(corpus: Corpus, **options: Any) -> Loader:
    return Loader(corpus, 8, transform=TRANSFORM, seed=1, threads=1, **options)


@pytest.fixture
def damaged(corpus_folder: Path, tmp_path: Path) -> tuple[Path, str, str]:
    """A copy of the corpus with one byte of one picture changed; its key, and the shard."""
    folder = tmp_path / "corpus"
    shutil.copytree(corpus_folder, folder)
    corpus = open_corpus(folder)
    number = next(n for n, shard in enumerate(corpus.manifest.shards) if "image.jpg" in shard.parts)
    shard = corpus.manifest.shards[number]
    offset, size, _ = corpus.locator.place(number, 0, shard.parts.index("image.jpg"))
    path = folder / shard.path
    data = bytearray(path.read_bytes())
    data[offset + size // 2] ^= 0xFF
    path.write_bytes(data)
    key = next(sample.key for sample in corpus if corpus.place_of(sample.row) == (number, 0))
    return folder, key, shard.path


def test_raise_names_the_sample_the_shard_and_the_reason(damaged: tuple[Path, str, str]) -> None:
    folder, key, shard = damaged
    with pytest.raises(LoaderError, match=f"{key} in {shard} cannot be delivered.*fail their checksum"):
        list(loader(open_corpus(folder)))


def test_skip_delivers_the_others_unchanged_and_counts(damaged: tuple[Path, str, str], corpus: Corpus) -> None:
    folder, key, _ = damaged
    running = loader(open_corpus(folder), on_error="skip")
    failed = 0
    for batch, sound in zip(running, loader(corpus), strict=True):
        assert batch["item"] == sound["item"]
        for place, (here, there) in enumerate(zip(told(batch), told(sound), strict=True)):
            if batch["key"][place] == key:
                assert not batch["valid"][place]
                assert batch["text"][place] == []
                assert float(batch["image"][place].abs().sum()) == 0
                failed += 1
            else:
                assert batch["valid"][place]
                assert here == there
    counted = running.stats()
    assert failed == counted["counts"]["failed"] == counted["failed_by_dataset"]["mixed"] > 0
    assert counted["failures"][0]["key"] == key
    assert "checksum" in counted["failures"][0]["reason"]


def test_a_shard_that_is_gone_fails_only_its_own(damaged: tuple[Path, str, str]) -> None:
    folder, _, shard = damaged
    (folder / shard).unlink()
    running = loader(open_corpus(folder), on_error="skip")
    lost = {key for batch in running for key, valid in zip(batch["key"], batch["valid"], strict=True) if not valid}
    corpus = open_corpus(folder)
    number = [line.path for line in corpus.manifest.shards].index(shard)
    assert lost == {sample.key for sample in corpus if corpus.place_of(sample.row)[0] == number}


def test_a_volume_that_is_gone_is_named(damaged: tuple[Path, str, str]) -> None:
    folder, _, _ = damaged
    corpus = open_corpus(folder).select("modality = 'ct' or true")
    volume = corpus.manifest.volumes[0]
    shutil.rmtree(folder / volume.path)
    running = loader(corpus, on_error="skip")
    lost = {key for batch in running for key, valid in zip(batch["key"], batch["valid"], strict=True) if not valid}
    assert volume.key in lost
