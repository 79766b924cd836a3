"""One tree and one undisturbed build of it, for all tests of this room; nobody may change them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mixed_tree import Tree, build, write_mixed_tree

from medshard.convert.dataset import DatasetBuild


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return write_mixed_tree(tmp_path_factory.mktemp("mixed") / "data")


@pytest.fixture(scope="session")
def built(mixed: Tree, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DatasetBuild]:
    """The corpus's folder and the account of the build."""
    corpus = tmp_path_factory.mktemp("built") / "corpus"
    return corpus, build(mixed.root, corpus)
