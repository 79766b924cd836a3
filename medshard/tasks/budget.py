"""How many of the possible questions become text: spread over task families, drawn by hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medshard.tasks.base import Draft, Task, draw

__all__ = ["Budget", "choose"]


@dataclass(frozen=True)
class Budget:
    """Bounds a sample and language.

    Attributes:
        items: conversations at most.
        trivial: of them at most so many of trivial tasks (modality, plane, organ).
        constant_share: share of samples in which a question whose answer never varies is asked.
        seed: another seed draws other questions.
    """

    items: int = 8
    trivial: int = 2
    constant_share: float = 0.05
    seed: int = 0


def choose(
    key: str, drafts: Sequence[Draft], tasks: Mapping[str, Task], weights: Mapping[str, float], budget: Budget
) -> list[Draft]:
    """The drafts that become conversations, in the order of ``drafts``.

    Families take turns, each giving its best draft; a draft's rank is a draw from (key, task, draft, seed), raised to
    1 / weight (Efraimidis and Spirakis 2006), so the same draft ranks the same in every language.
    """
    ranked: dict[str, list[tuple[float, Draft]]] = {}
    for draft in drafts:
        weight = weights.get(draft.task, 1.0)
        place = draw("budget", budget.seed, key, draft.id)
        if weight <= 0 or (
            not draft.varies and draw("constant", budget.seed, key, draft.task) >= budget.constant_share
        ):
            continue
        ranked.setdefault(tasks[draft.task].family, []).append((place ** (1.0 / weight), draft))
    for entries in ranked.values():
        entries.sort(key=lambda entry: (-entry[0], entry[1].id))
    order = sorted(ranked, key=lambda family: draw("family", budget.seed, key, family))
    chosen: list[Draft] = []
    trivial = 0
    while len(chosen) < budget.items and any(ranked.values()):
        for family in order:
            if not ranked[family] or len(chosen) == budget.items:
                continue
            _, draft = ranked[family].pop(0)
            if tasks[draft.task].trivial:
                if trivial == budget.trivial:
                    continue
                trivial += 1
            chosen.append(draft)
    places = {draft.id: place for place, draft in enumerate(drafts)}
    return sorted(chosen, key=lambda draft: places[draft.id])
