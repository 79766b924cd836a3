"""Each reference set is built once a session, when the first test asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import SETS, WITH_REFUSALS, Built, build_corpus


@pytest.fixture(scope="session")
def built(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    """Gives the corpus of a shipped spec."""
    done: dict[str, Built] = {}

    def get(name: str) -> Built:
        if name not in done:
            done[name] = build_corpus(
                name, shared / "data" / (SETS | WITH_REFUSALS)[name], tmp_path_factory.mktemp(name)
            )
        return done[name]

    return get
