"""A sample's conversations: drafts, budget, wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Template

from medshard.record.base import Language
from medshard.record.conversation import Block, Conversation, Turn
from medshard.registry import Entry, Registry
from medshard.tasks.base import Draft, Task, View, draw
from medshard.tasks.budget import Budget, choose
from medshard.tasks.pack import load_pack, render

__all__ = ["TASKS", "TextOptions", "template_versions", "write_conversations"]

TASKS: Registry[Task] = Registry(
    "task",
    {
        "anatomy": Entry("medshard.tasks.anatomy:TASK"),
        "caption": Entry("medshard.tasks.caption:TASK"),
        "classification": Entry("medshard.tasks.classification:TASK"),
        "detection": Entry("medshard.tasks.detection:TASK"),
        "measurement": Entry("medshard.tasks.measurement:TASK"),
        "modality": Entry("medshard.tasks.modality:TASK"),
        "multilabel": Entry("medshard.tasks.multilabel:TASK"),
        "report": Entry("medshard.tasks.report:TASK"),
        "segmentation": Entry("medshard.tasks.segmentation:TASK"),
        "vqa": Entry("medshard.tasks.vqa:TASK"),
    },
)


@dataclass(frozen=True)
class TextOptions:
    """What the user chose of the text.

    Attributes:
        languages: in which to write.
        budget: how much.
        name: name of the text set.
    """

    languages: tuple[Language, ...] = ("en", "zh")
    budget: Budget = Budget()
    name: str = "default"


def template_versions() -> dict[str, int]:
    """Version of each task's templates; part of a build's digest."""
    return {name: load_pack(name).version for name in TASKS}


def write_conversations(view: View, options: TextOptions) -> list[Conversation]:
    """The conversations of a sample, numbered ``c1``...; twins in other languages share ``twin``."""
    choice = view.context.loaded.spec.tasks
    names = [name for name in TASKS if (not choice.only or name in choice.only) and name not in choice.never]
    tasks = {name: TASKS.get(name) for name in names}
    # Facts of a mask whose picture is missing are kept, and nothing is asked about what cannot be shown.
    shown = {medium.slot for medium in view.sample.pictures}
    drafts = [draft for task in tasks.values() for draft in task.drafts(view) if shown.issuperset(draft.slots)]
    key = view.sample.key
    chosen: dict[Language, list[Draft]] = {
        lang: choose(key, [d for d in drafts if lang in d.languages], tasks, choice.weight, options.budget)
        for lang in options.languages
    }
    spoken = [draft for draft in drafts if any(draft in found for found in chosen.values())]
    conversations: list[Conversation] = []
    for number, draft in enumerate(spoken, start=1):
        for lang in options.languages:
            if draft in chosen[lang]:
                twin = f"t{number}" if sum(draft in found for found in chosen.values()) > 1 else None
                conversations.append(_write(view, draft, lang, f"c{len(conversations) + 1}", twin, options.budget.seed))
    return conversations


def _write(view: View, draft: Draft, lang: Language, number: str, twin: str | None, seed: int) -> Conversation:
    pack = load_pack(draft.task)
    words = pack.sets[(draft.variant, lang)]
    # Not drawn by language: twins say the same in the same form, so they cite the same facts.
    question_id, question = _pick(words.questions, seed, view.sample.key, draft.id, "q")
    answer_id, answer = _pick(words.answers, seed, view.sample.key, draft.id, "a")
    offered = {"media": view.media_words(draft.slots), **draft.offered[lang]}
    turns = [
        Turn(role="user", template=question_id, blocks=_with_media(view, draft, render(question, offered))),
        Turn(
            role="assistant",
            template=answer_id,
            loss=1.0,
            asks=list(draft.asks),
            blocks=render(answer, offered),
            answer=draft.answer.get(lang),
        ),
    ]
    return Conversation(
        id=number,
        twin=twin,
        task=draft.task,
        lang=lang,
        slots=list(draft.slots),
        made_by=draft.made_by,
        keeps=pack.keeps[draft.variant],
        turns=turns,
    )


def _with_media(view: View, draft: Draft, blocks: list[Block]) -> list[Block]:
    """The pictures come first, unless the template places them itself."""
    if any(block.type == "media" for block in blocks):
        return blocks
    return [block for word in view.media_words(draft.slots) for block in word.blocks()] + blocks


def _pick(templates: Sequence[tuple[str, Template]], *parts: object) -> tuple[str, Template]:
    return templates[int(draw("wording", *parts) * len(templates))]
