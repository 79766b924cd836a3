"""Reports: findings and impression of the source, and the one from the other."""

from __future__ import annotations

from medshard.record.base import Language
from medshard.record.conversation import Answer, MadeBy
from medshard.record.facts import TextFact
from medshard.tasks.base import LANGUAGES, Draft, View, language_of
from medshard.tasks.words import Quote

__all__ = ["TASK"]


class ReportTask:
    """Asks for sections of a report. A section with blanked words is neither asked nor quoted."""

    name = "report"
    family = "report"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """Findings and impression of the picture, and impression from findings."""
        pictures = [medium.slot for medium in view.sample.pictures]
        return [draft for lang in LANGUAGES for draft in self._in(lang, view, pictures)]

    def _in(self, lang: Language, view: View, pictures: list[str]) -> list[Draft]:
        sections = {
            fact.concept: fact
            for fact in view.sample.facts
            if isinstance(fact, TextFact) and not fact.redacted and language_of(fact.lang) == lang
        }
        findings, impression = sections.get("section/findings"), sections.get("section/impression")
        found: list[Draft] = []
        if pictures:
            for variant, fact in (("findings", findings), ("impression", impression)):
                if fact is not None:
                    found.append(self._draft(lang, variant, fact, None, pictures))
        if findings is not None and impression is not None and not _within(impression.text, findings.text):
            found.append(self._draft(lang, "summary", impression, findings, []))
        return found

    def _draft(self, lang: Language, variant: str, asked: TextFact, given: TextFact | None, slots: list[str]) -> Draft:
        offered = {"text": Quote(asked.text, [asked.id])}
        if given is not None:
            offered["given"] = Quote(given.text, [given.id])
        return Draft(
            task=self.name,
            variant=variant,
            about=asked.id,
            slots=slots,
            asks=[asked.id],
            offered={lang: offered},
            answer={lang: Answer(type="free", value=asked.text)},
            languages=(lang,),
            made_by=MadeBy(kind="source"),
        )


def _within(asked: str, given: str) -> bool:
    """Whether a text already stands in the other, letter case and blanks aside: then there is nothing to sum up."""
    return " ".join(asked.lower().split()).rstrip(".。") in " ".join(given.lower().split())


TASK = ReportTask()
