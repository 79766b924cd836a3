"""medshard: public medical datasets as sharded corpora, and a loader that streams them to trainers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medshard.corpus.corpus import Corpus
    from medshard.corpus.corpus import open_corpus as open
    from medshard.loader.loader import Loader
    from medshard.loader.volumes.stitch import WindowStitcher

__all__ = ["Corpus", "Loader", "WindowStitcher", "__version__", "open"]

_LAZY = {
    "Corpus": ("medshard.corpus.corpus", "Corpus"),
    "Loader": ("medshard.loader.loader", "Loader"),
    "WindowStitcher": ("medshard.loader.volumes.stitch", "WindowStitcher"),
    "open": ("medshard.corpus.corpus", "open_corpus"),
}


def __getattr__(name: str) -> Any:
    # Imported at first use: torch and pyarrow are large, and ``medshard --help`` needs neither.
    if name not in _LAZY:
        raise AttributeError(f"module 'medshard' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name == "torch":
            from medshard.errors import MissingExtraError

            raise MissingExtraError(f"medshard.{name}", "torch", "torch") from error
        raise
