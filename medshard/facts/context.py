"""What fact-making knows of a dataset beside the one sample: the spec with its maps resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medshard.record.facts import Attribution
from medshard.spec.load import LoadedSpec
from medshard.spec.schema import SpecFact
from medshard.spec.schema.facts import BoxFact, By, ClassFact, FlagFact, InstanceFact, MaskClassFact
from medshard.spec.taxonomy import Taxonomy
from medshard.spec.value_map import ValueMap

__all__ = ["SPEC_FILE_PREFIX", "FactContext", "attribution"]

SPEC_FILE_PREFIX = "spec:"
"""Source rows with this prefix are statements of the spec about the whole dataset."""


@dataclass
class FactContext:
    """One dataset, ready for fact-making.

    Attributes:
        loaded: the spec.
        taxonomy: all concepts.
        seen: values seen in the data, by fact; only these can widen a set beyond what its map names.
        digests: ``sha256:...`` of cited files that are tables, by path.
        maps: resolved map of each fact that has one.
        concept_sets: concepts that a fact looks for, by ``set:DATASET/FACT``.
    """

    loaded: LoadedSpec
    taxonomy: Taxonomy
    seen: Mapping[str, list[str]] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    maps: dict[str, ValueMap] = field(init=False)
    concept_sets: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.maps, self.concept_sets = {}, {}
        for name, fact in self.loaded.spec.facts.items():
            values = set(self.seen.get(name, ()))
            if isinstance(fact, (ClassFact, BoxFact, MaskClassFact)):
                self.maps[name] = ValueMap(fact.map, fact.match, fact.drop, self.taxonomy)
                concepts = self.maps[name].concepts(values)
                if isinstance(fact, BoxFact) and fact.concept is not None:
                    concepts = [self.taxonomy.find(fact.concept).id]
                if isinstance(fact, MaskClassFact):
                    concepts = sorted({*concepts, *(self.taxonomy.find(union).id for union in fact.unions)})
            elif isinstance(fact, FlagFact):
                self.maps[name] = ValueMap(fact.map, {}, {}, self.taxonomy)
                concepts = self.maps[name].concepts(set(fact.columns))
            elif isinstance(fact, InstanceFact):
                concepts = [self.taxonomy.find(fact.concept).id]
            else:
                continue
            self.concept_sets[self.set_name(name)] = concepts

    @property
    def spec_file(self) -> str:
        """The source row's file of a statement that the spec itself makes."""
        return f"{SPEC_FILE_PREFIX}{self.loaded.spec.name}"

    def set_name(self, fact: str) -> str:
        """Name of the set of concepts that a fact of this dataset looks for."""
        return f"set:{self.loaded.spec.name}/{fact}"

    def order_of_layers(self, fact: str) -> list[str]:
        """The layers that a mask fact's map names, in its order."""
        return self.maps[fact].values


def attribution(fact: SpecFact) -> Attribution:
    """Who says what a fact of the spec says."""
    return fact.by.kind if isinstance(fact.by, By) else fact.by
