"""What must hold within one record, beyond the types of its fields."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medshard.record.conversation import (
    Block,
    Conversation,
    MediaBlock,
    QuoteBlock,
    RegionBlock,
    SpacingBlock,
    TermBlock,
    TimeBlock,
    ValueBlock,
)
from medshard.record.facts import MaskRef, QaFact, RegionFact, RelationFact, TextFact
from medshard.record.sample import Media, Sample

__all__ = ["check_sample", "given_away"]

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""Safe as a file name, without the dot at which readers of tars end a key, and short enough for a tar's header."""

_PLANE_PART = re.compile(r"([a-z][a-z0-9_]*)\.[a-z0-9]+")
_VOLUME_PART = re.compile(r"volumes/([A-Za-z0-9_-]+)\.[a-z][a-z0-9_]*\.ome\.zarr(?:/labels/([a-z][a-z0-9_]*))?")

_ANSWERED_BY_FACTS = ("box", "boxes", "point", "interval")

_CITING = (TermBlock, ValueBlock, QuoteBlock, RegionBlock, TimeBlock)


def check_sample(sample: Sample) -> list[str]:
    """Everything that is wrong with a record, in words; empty when nothing is.

    The key and the names of parts are safe as file names, references exist, a number or a place cites a fact, no turn
    asks what its question or an earlier turn gave away, and roles alternate from user to assistant.
    """
    problems: list[str] = []
    if not _KEY.fullmatch(sample.key):
        problems.append("the key is not 1 to 80 of the letters A-Z a-z 0-9 _ -, or begins with _ or -")
    for medium in sample.media:
        problems += _check_medium(sample.key, medium)
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
        if isinstance(fact, RelationFact):
            named = [name for name in (fact.subject, fact.object) if name is not None]
            problems += _unknown(f"fact {fact.id}: relates", named, facts)
        if isinstance(fact, TextFact):
            for span in fact.spans:
                problems += _unknown(f"fact {fact.id}: spans", span.facts, facts)
                if not 0 <= span.start < span.end <= len(fact.text):
                    problems.append(f"fact {fact.id}: a span is not within the text")
    for scope in sample.scopes:
        problems += _unknown(f"scope {scope.id}: slots", scope.slots, slots)
    for conversation in sample.conversations:
        problems += _check_conversation(sample, conversation, facts, slots)
    return problems


def _check_medium(key: str, medium: Media) -> list[str]:
    """A medium that is there names its bytes, once, and by the slot's own name."""
    if not medium.present:
        stored = medium.part is not None or medium.ref is not None
        return [f"{medium.slot}: is absent and has a part or a reference"] if stored else []
    if (medium.part is None) == (medium.ref is None):
        return [f"{medium.slot}: is present and has neither part nor reference, or both"]
    if medium.part is None:
        return []
    plane, volume = _PLANE_PART.fullmatch(medium.part), _VOLUME_PART.fullmatch(medium.part)
    if (plane and plane[1] == medium.slot) or (volume and volume[1] == key and volume[2] in (None, medium.slot)):
        return []
    return [f"{medium.slot}: the part {medium.part!r} is neither {medium.slot}.EXTENSION nor a volume of this sample"]


def _check_conversation(sample: Sample, conversation: Conversation, facts: set[str], slots: set[str]) -> list[str]:
    name = f"conversation {conversation.id}"
    problems = _unknown(f"{name}: slots", conversation.slots, slots)
    roles = [turn.role for turn in conversation.turns]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        problems.append(f"{name}: turns do not alternate from user to assistant")
    spaced = [block.slot for turn in conversation.turns for block in turn.blocks if isinstance(block, SpacingBlock)]
    problems += _unknown(f"{name}: spacing", spaced, set(conversation.slots))
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
        if turn.answer is not None:
            letters = {option.letter for option in turn.answer.options}
            if not set(turn.answer.key) <= letters:
                problems.append(f"{name}: the key of an answer is not among its options")
            if turn.answer.type in _ANSWERED_BY_FACTS:
                problems += _unknown(f"{name}: answer", turn.answer.value or [], facts)
    for reply in conversation.rejected:
        if not (0 <= reply.of_turn < len(roles) and roles[reply.of_turn] == "assistant"):
            problems.append(f"{name}: a rejected reply is to turn {reply.of_turn}, which is no reply")
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
