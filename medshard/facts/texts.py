"""Texts and questions of the source."""

from __future__ import annotations

import json

from medshard.facts.collect import Collector
from medshard.facts.context import FactContext, attribution
from medshard.plan.row import FactRow
from medshard.record.facts import QaFact, TextFact
from medshard.spec.schema.facts import QaColumnsFact, TextColumnFact

__all__ = ["add_qa", "add_text"]


def add_text(context: FactContext, fact: TextColumnFact, rows: list[FactRow], slots: list[str], out: Collector) -> None:
    """One text a row that has one; line breaks and runs of blanks inside are kept as the source wrote them."""
    concept = context.taxonomy.find(fact.section, ("section",)).id
    for row in rows:
        text = (row.cells[0] or "").strip()
        if not text:
            continue
        out.add(
            TextFact,
            concept=concept,
            slots=list(slots),
            lang=fact.language,
            text=text,
            redacted=fact.redaction is not None and fact.redaction in text,
            source=out.cite(row, None),
            by=attribution(fact),
        )


_YES_NO = {"en": {"yes", "no"}, "zh": {"是", "否", "有", "无", "没有"}}


def add_qa(context: FactContext, fact: QaColumnsFact, rows: list[FactRow], slots: list[str], out: Collector) -> None:
    """One question a row. Without a stated type, a question whose answer is a bare yes or no is a yes/no question."""
    for row in rows:
        question, answer, answer_type, options = row.cells
        question, answer = (question or "").strip(), (answer or "").strip()
        if not question or not answer:
            continue
        given = [str(option) for option in json.loads(options)] if options else []
        words = _YES_NO.get(fact.language.split("-")[0], set())
        guessed = "choice" if given else "yesno" if answer.lower().rstrip(".。") in words else "open"
        out.add(
            QaFact,
            slots=list(slots),
            lang=fact.language,
            question=question,
            answer=answer,
            answer_type=answer_type or guessed,
            options=given,
            source=out.cite(row, None),
            by=attribution(fact),
        )
