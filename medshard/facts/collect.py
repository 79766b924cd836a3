"""Collects the facts of one sample, with ids, scopes and the source rows that they cite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from medshard.plan.row import FactRow
from medshard.record.base import SourceRow
from medshard.record.facts import Citation, LabelFact, _Fact
from medshard.record.sample import Scope

__all__ = ["Collector"]

F = TypeVar("F", bound=_Fact)


class Collector:
    """Facts, scopes and source rows in the order in which they are made.

    Args:
        digests: ``sha256:...`` of files, by path, where known.
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self.facts: list[Any] = []
        self.scopes: list[Scope] = []
        self.sources: list[SourceRow] = []
        self.notes: list[str] = []
        self._digests = digests
        self._rows: dict[tuple[str, int | None], str] = {}

    def source(self, file: str, row: int | None) -> str:
        """Id of a source row, added at its first mention."""
        place = (file, row)
        if place not in self._rows:
            self._rows[place] = f"r{len(self._rows) + 1}"
            self.sources.append(SourceRow(id=self._rows[place], file=file, row=row, digest=self._digests.get(file)))
        return self._rows[place]

    def cite(self, row: FactRow, raw: str | None) -> list[Citation]:
        """The citation of a value that stands in a row."""
        return [Citation(id=self.source(row.file, row.row), field=row.field or "path", raw=raw)]

    def cite_file(self, file: str, field: str, raw: str | None) -> list[Citation]:
        """The citation of a file, such as a mask's."""
        return [Citation(id=self.source(file, None), field=field, raw=raw)]

    def add(self, kind: type[F], **values: Any) -> F:
        """Append a fact with the next id."""
        fact = kind(id=f"f{len(self.facts) + 1}", **values)
        self.facts.append(fact)
        return fact

    def label(self, concept: str, slots: Sequence[str], **values: Any) -> LabelFact:
        """The label that says a concept is present in the slots; made once, then found again.

        Values other than ``source`` and ``by`` make it a label of its own: a left kidney is not the right one, nor
        the kidneys as a whole.
        """
        extra = {name: value for name, value in values.items() if name not in ("source", "by", "from_", "rule")}
        extra = {"side": None, "side_frame": None, **extra}
        for fact in self.facts:
            if not isinstance(fact, LabelFact) or fact.state != "present":
                continue
            same = fact.concept == concept and fact.slots == list(slots)
            if same and all(getattr(fact, name) == value for name, value in extra.items()):
                return fact
        return self.add(LabelFact, concept=concept, slots=list(slots), **values)

    def scope(self, slots: Sequence[str], concepts: str, *, instances: bool) -> None:
        """The source looked for all of ``concepts`` in the slots (and for every instance of them)."""
        looked_for: list[Literal["presence", "instances"]] = ["presence", "instances"] if instances else ["presence"]
        for of in looked_for:
            number = f"s{len(self.scopes) + 1}"
            self.scopes.append(Scope(id=number, slots=list(slots), concepts=concepts, of=of, complete=True))
