"""A small mixed corpus that the tests of the loader share."""

from __future__ import annotations

from pathlib import Path

import pytest
from mixed_tree import build, write_mixed_tree

from medshard.corpus.corpus import Corpus, open_corpus


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of pictures, masks, volumes and text in many small shards."""
    root = tmp_path_factory.mktemp("mixed")
    write_mixed_tree(root / "tree", each=6)
    build(root / "tree", root / "corpus")
    return root / "corpus"


@pytest.fixture
def corpus(corpus_folder: Path) -> Corpus:
    return open_corpus(corpus_folder)
