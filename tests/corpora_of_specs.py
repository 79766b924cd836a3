"""Builds corpora of specs that a test writes, over files that it wrote below a folder of the spec's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import medshard
from medshard.convert.corpus import finalize
from medshard.convert.dataset import build_dataset
from medshard.convert.options import BuildOptions
from medshard.corpus.corpus import Corpus
from medshard.spec.load import load_spec_text


class _Silent:
    def stage(self, name: str, total: int | None = None) -> None:
        pass

    def step(self, count: int) -> None:
        pass


def built_corpus(root: Path, specs: Mapping[str, str], options: BuildOptions | None = None) -> Corpus:
    """A corpus of all specs, each over ``root / name``."""
    corpus, chosen = root / "corpus", options or BuildOptions(workers=1)
    builds = []
    for name, text in specs.items():
        (loaded,) = load_spec_text(text, f"{name}.yaml")
        builds.append(build_dataset(loaded, root / name, corpus, chosen, _Silent()))
    finalize(corpus, builds)
    return medshard.open(corpus)
