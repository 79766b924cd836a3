"""Texts and questions of the source."""

from __future__ import annotations

import json
from typing import get_args

from medshard.errors import ReadError
from medshard.facts.collect import Collector
from medshard.facts.context import FactContext, attribution
from medshard.plan.row import FactRow
from medshard.record.facts import QaFact, TextFact
from medshard.spec.schema.facts import QaColumnsFact, TextColumnFact

__all__ = ["YES_NO", "add_qa", "add_text"]


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


YES_NO = {
    "en": {"yes": "yes", "no": "no"},
    "zh": {"是": "yes", "是的": "yes", "有": "yes", "否": "no", "不是": "no", "无": "no", "没有": "no"},
}
"""What a bare answer means, by language."""

_ANSWER_TYPES = get_args(QaFact.model_fields["answer_type"].annotation)


def add_qa(context: FactContext, fact: QaColumnsFact, rows: list[FactRow], slots: list[str], out: Collector) -> None:
    """One question a row. Without a stated type, a question whose answer is a bare yes or no is a yes/no question."""
    for row in rows:
        question, answer, answer_type, options = row.cells
        question, answer = (question or "").strip(), (answer or "").strip()
        if not question or not answer:
            continue
        given = _options(options)
        words = YES_NO.get(fact.language.split("-")[0], {})
        guessed = "choice" if given else "yesno" if answer.lower().rstrip(".。") in words else "open"
        if answer_type and answer_type not in _ANSWER_TYPES:
            raise ReadError(
                f"the answer_type of a question is none of {', '.join(_ANSWER_TYPES)}", error_class="unmapped_value"
            )
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


def _options(cell: str | None) -> list[str]:
    try:
        listed = json.loads(cell) if cell else []
    except json.JSONDecodeError as error:
        raise ReadError("the options of a question are no JSON list", error_class="options") from error
    if not isinstance(listed, list) or not all(isinstance(option, (str, int, float)) for option in listed):
        raise ReadError("the options of a question are no JSON list of texts", error_class="options")
    return [str(option) for option in listed]
