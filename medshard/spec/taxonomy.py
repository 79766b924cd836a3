"""The taxonomy: concepts with their words in English and Chinese. Specs name concepts, never words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from medshard.errors import Problem, SpecError, nearest
from medshard.spec.catalog import specs_root
from medshard.spec.schema.base import Node
from medshard.spec.yaml_text import read_yaml

__all__ = ["Concept", "Taxonomy", "load_taxonomy"]

_Category = Literal[
    "modality",
    "anatomy",
    "department",
    "finding",
    "structure",
    "cell",
    "view",
    "section",
    "quantity",
    "attribute",
    "device",
]


class _Terms(Node):
    """One concept in a taxonomy file."""

    en: str
    plural: str | None = None
    article: Literal["a", "an", "the", "none"] | None = None
    mass: Literal["yes", "no"] = "no"
    zh: str
    measure: str = "个"
    synonyms: list[str] = []
    under: str | None = None
    sided: Literal["yes", "no"] = "no"
    unit: str | None = None
    plausible: tuple[float, float] | None = None


class _File(Node):
    category: _Category
    concepts: Annotated[dict[str, _Terms], Field(min_length=1)]


@dataclass(frozen=True)
class Concept:
    """One concept.

    Attributes:
        id: ``category/name``.
        category: ``finding``, ``structure``, ``modality``...
        name: unique within the category.
        en, en_plural, en_article: English words; the article is empty for mass nouns.
        zh, zh_measure: Chinese word and measure word.
        synonyms: other names that a spec may use.
        parent: id of the wider concept.
        sided: whether the thing has a left and a right one.
        unit, plausible: for quantities, the UCUM unit and the range outside which a value is a mistake.
    """

    id: str
    category: str
    name: str
    en: str
    en_plural: str
    en_article: str
    zh: str
    zh_measure: str
    synonyms: tuple[str, ...] = ()
    parent: str | None = None
    sided: bool = False
    unit: str | None = None
    plausible: tuple[float, float] | None = None


class Taxonomy:
    """All concepts, found by id, by name, or by synonym."""

    def __init__(self, concepts: Mapping[str, Concept]) -> None:
        self.concepts = dict(concepts)
        self._by_name: dict[str, list[Concept]] = {}
        for concept in concepts.values():
            for name in {_fold(name) for name in (concept.name, concept.id, *concept.synonyms)}:
                self._by_name.setdefault(name, []).append(concept)

    def __getitem__(self, concept_id: str) -> Concept:
        return self.concepts[concept_id]

    def __contains__(self, concept_id: object) -> bool:
        return concept_id in self.concepts

    def find(self, name: str, categories: tuple[str, ...] = ()) -> Concept:
        """The concept that a spec means by ``name``.

        Args:
            name: an id, a name or a synonym; case, spaces, ``-`` and ``_`` do not matter.
            categories: the categories that are meant; any when empty.

        Raises:
            KeyError: none has that name, or several have; the message names the nearest or the choices.
        """
        found = [c for c in self._by_name.get(_fold(name), ()) if not categories or c.category in categories]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{name!r} may mean {' or '.join(sorted(c.id for c in found))}; write the full id")
        names = [c.name for c in self.concepts.values() if not categories or c.category in categories]
        guess = nearest(name, names)
        kind = f"{' or '.join(categories)} " if categories else ""
        raise KeyError(f"no {kind}concept is called {name!r}" + (f"; did you mean {guess!r}" if guess else ""))

    def ancestors(self, concept_id: str) -> list[str]:
        """The wider concepts of one, nearest first."""
        found: list[str] = []
        parent = self.concepts[concept_id].parent
        while parent is not None and parent not in found:
            found.append(parent)
            parent = self.concepts[parent].parent
        return found


def _fold(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def load_taxonomy(root: Path | None = None) -> Taxonomy:
    """The taxonomy below ``specs/taxonomy``, or another folder of such files.

    Raises:
        SpecError: a file is not of the form, a parent does not exist, or two concepts claim one name in a category.
    """
    return _load((root or specs_root() / "taxonomy").resolve())


@lru_cache(maxsize=4)
def _load(root: Path) -> Taxonomy:
    concepts: dict[str, Concept] = {}
    problems: list[Problem] = []
    for path in sorted(root.glob("*.yaml")):
        document = read_yaml(path)
        try:
            parsed = _File.model_validate(document.tree)
        except ValidationError as error:
            problems += [
                document.problem("taxonomy", detail["loc"], f"{detail['msg']}.")
                for detail in error.errors(include_url=False)
            ]
            continue
        for name, terms in parsed.concepts.items():
            concept = _concept(parsed.category, name, terms)
            if concept.id in concepts:
                message = f"{concept.id!r} is defined twice."
                problems.append(document.problem("taxonomy", ("concepts", name), message))
            concepts[concept.id] = concept
    problems += [
        Problem("taxonomy", f"{concept.id!r} lies under {concept.parent!r}, which is no concept.", file=str(root))
        for concept in concepts.values()
        if concept.parent is not None and concept.parent not in concepts
    ]
    problems += _clashes(concepts, root)
    if problems:
        raise SpecError(problems)
    return Taxonomy(concepts)


def _clashes(concepts: Mapping[str, Concept], root: Path) -> list[Problem]:
    claimed: dict[tuple[str, str], str] = {}
    problems = []
    for concept in concepts.values():
        for name in sorted({_fold(name) for name in (concept.name, *concept.synonyms)}):
            other = claimed.setdefault((concept.category, name), concept.id)
            if other != concept.id:
                message = f"{name!r} is claimed by {other!r} and {concept.id!r}."
                problems.append(Problem("taxonomy", message, file=str(root)))
    return problems


def _concept(category: str, name: str, terms: _Terms) -> Concept:
    mass = terms.mass == "yes"
    article = terms.article or ("none" if mass else "an" if terms.en[:1].lower() in "aeiou" else "a")
    parent = terms.under
    if parent is not None and "/" not in parent:
        parent = f"{category}/{parent}"
    return Concept(
        id=f"{category}/{name}",
        category=category,
        name=name,
        en=terms.en,
        en_plural=terms.plural or (terms.en if mass else _plural(terms.en)),
        en_article="" if article == "none" else article,
        zh=terms.zh,
        zh_measure=terms.measure,
        synonyms=tuple(terms.synonyms),
        parent=parent,
        sided=terms.sided == "yes",
        unit=terms.unit,
        plausible=terms.plausible,
    )


def _plural(word: str) -> str:
    """Regular English plural; irregular ones are written out in the file."""
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"
