"""What a template may write: objects that become blocks and cite facts.

A template cannot write a number, a concept or a place as text of its own: whatever it inserts is one of these, made by
the task from facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medshard.record.conversation import (
    Block,
    MediaBlock,
    QuoteBlock,
    RegionBlock,
    SpacingBlock,
    TermBlock,
    TextBlock,
    ValueBlock,
)
from medshard.spec.taxonomy import Concept

__all__ = ["Joined", "Lettered", "Media", "Number", "Quote", "Region", "Spacing", "Term", "Words"]


class Words:
    """Something that a template may insert; by itself nothing."""

    def blocks(self) -> list[Block]:
        """The blocks that stand for it."""
        return []


class _Literal(Words):
    def __init__(self, text: str) -> None:
        self._text = text

    def blocks(self) -> list[Block]:
        return [TextBlock(text=self._text)]


class Term(Words):
    """A concept, in the forms that its language needs.

    Inserted as it stands it is the plain word; English has ``a`` (with article), ``many`` (plural); Chinese has
    ``measure`` (the measure word, which is no claim).
    """

    def __init__(self, concept: Concept, facts: Sequence[str], lang: str) -> None:
        self._concept, self._facts, self._lang = concept, list(facts), lang

    def _form(self, text: str) -> _Form:
        return _Form(self._concept.id, text, self._facts)

    @property
    def one(self) -> _Form:
        """The word itself."""
        return self._form(self._concept.en if self._lang == "en" else self._concept.zh)

    @property
    def a(self) -> _Form:
        """The word with its article, in English."""
        article = self._concept.en_article
        return self._form(f"{article} {self._concept.en}" if article else self._concept.en)

    @property
    def many(self) -> _Form:
        """The plural, in English."""
        return self._form(self._concept.en_plural)

    @property
    def measure(self) -> Words:
        """The Chinese measure word."""
        return _Literal(self._concept.zh_measure)

    def blocks(self) -> list[Block]:
        return self.one.blocks()


class _Form(Words):
    """A concept in one form; ``cap`` begins a sentence with it."""

    def __init__(self, concept: str, text: str, facts: list[str]) -> None:
        self._concept, self._text, self._facts = concept, text, facts

    @property
    def cap(self) -> Words:
        """With a capital."""
        return _Form(self._concept, self._text[:1].upper() + self._text[1:], self._facts)

    def blocks(self) -> list[Block]:
        return [TermBlock(concept=self._concept, text=self._text, facts=self._facts)]


class Number(Words):
    """A number in words, from facts."""

    def __init__(self, text: str, facts: Sequence[str]) -> None:
        self._text, self._facts = text, list(facts)

    def blocks(self) -> list[Block]:
        return [ValueBlock(facts=self._facts, text=self._text)]


class Quote(Words):
    """The source's own text."""

    def __init__(self, text: str, facts: Sequence[str]) -> None:
        self._text, self._facts = text, list(facts)

    def blocks(self) -> list[Block]:
        return [QuoteBlock(facts=self._facts, text=self._text)]


class Region(Words):
    """A place, written once the geometry is drawn."""

    def __init__(self, facts: Sequence[str], shape: Literal["box", "point", "polygon", "mask"] = "box") -> None:
        self._facts, self._shape = list(facts), shape

    def blocks(self) -> list[Block]:
        return [RegionBlock(facts=self._facts, as_=self._shape)]


class Media(Words):
    """A picture at its place in the text."""

    def __init__(self, slot: str, shown: Literal["image", "frames", "video", "montage", "tokens"] = "image") -> None:
        self._slot, self._shown = slot, shown

    def blocks(self) -> list[Block]:
        return [MediaBlock(slot=self._slot, as_=self._shown)]


class Spacing(Words):
    """How far the pixels of a medium are apart, in millimetres."""

    def __init__(self, slot: str, spacing_mm: Sequence[float]) -> None:
        self._slot, self._spacing_mm = slot, list(spacing_mm)

    def blocks(self) -> list[Block]:
        return [SpacingBlock(slot=self._slot, spacing_mm=self._spacing_mm)]


class Lettered(Words):
    """An option with its letter, such as ``B. cyst``; a letter is no claim."""

    def __init__(self, letter: str, thing: Words) -> None:
        self._letter, self._thing = letter, thing

    def blocks(self) -> list[Block]:
        return [TextBlock(text=f"{self._letter}. "), *self._thing.blocks()]


class Joined(Words):
    """Several things in a row."""

    def __init__(self, items: Sequence[Words], *, between: str, last: str) -> None:
        self._items, self._between, self._last = list(items), between, last

    @classmethod
    def sentence(cls, items: Sequence[Words], lang: str) -> Joined:
        """As a sentence of the language strings them together."""
        between, last = (", ", " and ") if lang == "en" else ("、", "和")
        return cls(items, between=between, last=last)

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        for place, item in enumerate(self._items):
            if place:
                final = place == len(self._items) - 1
                found.append(TextBlock(text=self._last if final else self._between))
            found += item.blocks()
        return found
