"""Questions and answers that the source gives, in its words."""

from __future__ import annotations

from medshard.facts.texts import YES_NO
from medshard.record.base import Language
from medshard.record.conversation import Answer, MadeBy, Option
from medshard.record.facts import QaFact
from medshard.tasks.base import Draft, View, language_of
from medshard.tasks.words import Joined, Lettered, Quote, Words

__all__ = ["TASK"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class VqaTask:
    """Passes a source's questions through, text-only ones included."""

    name = "vqa"
    family = "vqa"
    trivial = False

    def drafts(self, view: View) -> list[Draft]:
        """One a question; the same question with the same answer is asked once."""
        given: dict[tuple[Language, str, str, tuple[str, ...]], QaFact] = {}
        for fact in view.sample.facts:
            if isinstance(fact, QaFact) and (lang := language_of(fact.lang)):
                given.setdefault((lang, fact.question.lower(), fact.answer.lower(), tuple(fact.slots)), fact)
        return [self._draft(fact, lang) for (lang, *_), fact in given.items()]

    def _draft(self, fact: QaFact, lang: Language) -> Draft:
        offered: dict[str, Words] = {
            "question": Quote(fact.question, [fact.id]),
            "answer": Quote(fact.answer, [fact.id]),
        }
        variant = "given"
        answer = Answer(type="free", value=fact.answer)
        bare = YES_NO[lang].get(fact.answer.lower().rstrip(".。"))
        if fact.answer_type == "yesno" and bare is not None:  # else "maybe", or a sentence: not to be checked
            answer = Answer(type="yesno", value=bare, check="yesno@1")
        elif (
            fact.answer_type == "choice" and fact.options.count(fact.answer) == 1 and len(fact.options) <= len(_LETTERS)
        ):
            variant = "choice"
            listed = [Lettered(_LETTERS[i], Quote(text, [])) for i, text in enumerate(fact.options)]
            letter = _LETTERS[fact.options.index(fact.answer)]
            offered["options"] = Joined(listed, between="\n", last="\n")
            offered["answer"] = Lettered(letter, Quote(fact.answer, [fact.id]))
            options = [
                Option(letter=_LETTERS[i], text=text, why="key" if text == fact.answer else "given")
                for i, text in enumerate(fact.options)
            ]
            answer = Answer(type="choice", value=letter, options=options, key=[letter], check="choice@1")
        return Draft(
            task=self.name,
            variant=variant,
            about=fact.id,
            slots=fact.slots,
            asks=[fact.id],
            offered={lang: offered},
            answer={lang: answer},
            languages=(lang,),
            made_by=MadeBy(kind="source"),
        )


TASK = VqaTask()
