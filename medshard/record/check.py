"""What must hold within one record, beyond the types of its fields."""

from __future__ import annotations

from collections.abc import Iterable

from medshard.record.conversation import (
    Block,
    Conversation,
    MediaBlock,
    QuoteBlock,
    RegionBlock,
    TermBlock,
    TimeBlock,
    ValueBlock,
)
from medshard.record.facts import MaskRef, QaFact, RegionFact
from medshard.record.sample import Sample

__all__ = ["check_sample", "given_away"]

_CITING = (TermBlock, ValueBlock, QuoteBlock, RegionBlock, TimeBlock)


def check_sample(sample: Sample) -> list[str]:
    """Everything that is wrong with a record, in words; empty when nothing is.

    References must exist, a number or a place must cite a fact, a turn may not ask what its question or an earlier turn
    gave away, and roles alternate from user to assistant.
    """
    problems: list[str] = []
    facts = {fact.id for fact in sample.facts}
    slots = {medium.slot for medium in sample.media}
    sources = {row.id for row in sample.source}
    if len(facts) != len(sample.facts):
        problems.append("two facts have one id")
    if len(slots) != len(sample.media):
        problems.append("two media have one slot")
    for fact in sample.facts:
        problems += _unknown(f"fact {fact.id}: slots", fact.slots, slots)
        problems += _unknown(f"fact {fact.id}: of", [fact.of] if fact.of else [], facts)
        problems += _unknown(f"fact {fact.id}: from", fact.from_, facts)
        problems += _unknown(f"fact {fact.id}: source", [citation.id for citation in fact.source], sources)
        if not fact.source and not fact.from_:
            problems.append(f"fact {fact.id} cites no source and derives from no fact")
        if isinstance(fact, RegionFact) and isinstance(fact.coords, MaskRef):
            problems += _unknown(f"fact {fact.id}: mask slot", [fact.coords.slot], slots)
    for scope in sample.scopes:
        problems += _unknown(f"scope {scope.id}: slots", scope.slots, slots)
    for conversation in sample.conversations:
        problems += _check_conversation(sample, conversation, facts, slots)
    return problems


def _check_conversation(sample: Sample, conversation: Conversation, facts: set[str], slots: set[str]) -> list[str]:
    name = f"conversation {conversation.id}"
    problems = _unknown(f"{name}: slots", conversation.slots, slots)
    roles = [turn.role for turn in conversation.turns]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        problems.append(f"{name}: turns do not alternate from user to assistant")
    shown = [block.slot for turn in conversation.turns for block in turn.blocks if isinstance(block, MediaBlock)]
    if sorted(set(shown)) != sorted(conversation.slots):
        problems.append(f"{name}: shows {sorted(set(shown))} and declares the slots {sorted(conversation.slots)}")
    known: set[str] = set()
    for turn in conversation.turns:
        cited = [fact for block in turn.blocks if isinstance(block, _CITING) for fact in block.facts]
        problems += _unknown(f"{name}: blocks", cited, facts)
        problems += _unknown(f"{name}: asks", turn.asks, facts)
        for block in turn.blocks:
            if isinstance(block, (ValueBlock, RegionBlock, TimeBlock)) and not block.facts:
                problems.append(f"{name}: a {block.type} cites no fact")
        leaked = sorted(set(turn.asks) & known)
        if leaked:
            problems.append(f"{name}: asks {', '.join(leaked)}, which was given away before")
        known |= given_away(sample, turn.blocks, question=turn.role == "user")
    return problems


def given_away(sample: Sample, blocks: Iterable[Block], *, question: bool) -> set[str]:
    """The facts that a message tells, closed over what they derive from.

    The question of a given question and answer does not tell its answer, though both are one fact.
    """
    by_id = {fact.id: fact for fact in sample.facts}
    told: set[str] = set()
    for block in blocks:
        if isinstance(block, _CITING):
            told |= {
                fact
                for fact in block.facts
                if not (question and isinstance(block, QuoteBlock) and isinstance(by_id.get(fact), QaFact))
            }
    waiting = list(told)
    while waiting:
        fact = by_id.get(waiting.pop())
        for origin in fact.from_ if fact is not None else []:
            if origin not in told:
                told.add(origin)
                waiting.append(origin)
    return told


def _unknown(where: str, names: Iterable[str], known: set[str]) -> list[str]:
    return [f"{where}: {name!r} is not in the record" for name in names if name not in known]
