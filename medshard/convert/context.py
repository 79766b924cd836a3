"""What a worker needs to make samples of one dataset; made once a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from medshard.facts.context import FactContext
from medshard.privacy.remap import Remapper
from medshard.source.root import DataRoot
from medshard.spec.load import LoadedSpec
from medshard.spec.schema.facts import MaskClassFact
from medshard.spec.schema.media import Renditions
from medshard.spec.taxonomy import Taxonomy, load_taxonomy
from medshard.tasks.write import TextOptions

__all__ = ["BuildContext"]


@dataclass(frozen=True)
class BuildContext:
    """One dataset's build, as plain configuration that goes to any process.

    Attributes:
        loaded: the spec.
        data: the dataset's root.
        folder: the dataset's build folder, ``datasets/<slug>/<digest>``.
        plan_path: the planned samples, one row group a unit.
        id_key: key of the identity tokens.
        seen: values seen in the data, by fact.
        digests: digests of tables that facts cite, by path.
        text: which text to write.
        taxonomy_root: folder of the taxonomy.
        renditions: levels of pictures of slots whose spec says nothing of them.
    """

    loaded: LoadedSpec
    data: Path
    folder: Path
    plan_path: Path
    id_key: bytes
    seen: Mapping[str, list[str]]
    digests: Mapping[str, str]
    text: TextOptions
    taxonomy_root: Path
    renditions: Renditions | None = None

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """All concepts."""
        return load_taxonomy(self.taxonomy_root)

    @cached_property
    def facts(self) -> FactContext:
        """The spec with its maps resolved."""
        return FactContext(self.loaded, self.taxonomy, self.seen, self.digests)

    @cached_property
    def root(self) -> DataRoot:
        """The dataset's files."""
        return DataRoot(self.data)

    @cached_property
    def remapper(self) -> Remapper:
        """Turns identities into tokens."""
        return Remapper(self.id_key)

    @cached_property
    def layer_order(self) -> dict[str, list[str]]:
        """For each mask slot in layers, the layers that its facts name, in order."""
        return {
            fact.of: self.facts.order_of_layers(name)
            for name, fact in self.loaded.spec.facts.items()
            if isinstance(fact, MaskClassFact)
        }

    def __getstate__(self) -> dict[str, object]:
        # What is computed at first use stays behind: it holds handles and is cheap to make again.
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}
