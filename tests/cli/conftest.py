"""One small corpus for all tests of this room."""

from __future__ import annotations

import pytest
from command_runs import Small, run_here, write_spec
from mixed_tree import write_mixed_tree


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    tree = write_mixed_tree(folder / "data")
    spec = write_spec(folder / "mixed.yaml")
    ended = run_here("build", spec, "--data", tree.root, "--out", folder / "corpus", "--workers", "1")
    assert ended.code == 0, ended.err
    return Small(tree, spec, folder / "corpus", ended)
