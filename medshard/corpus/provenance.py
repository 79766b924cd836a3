"""Where a sample comes from: spec, source rows, digests, value → concept, templates, licence."""

from __future__ import annotations

from typing import Any

from medshard.corpus.sample import CorpusSample
from medshard.errors import CorpusError
from medshard.record.conversation import Conversation

__all__ = ["provenance"]


def provenance(sample: CorpusSample, conversation: str | None = None) -> dict[str, Any]:
    """All that is known of a sample's origin, in plain types.

    Args:
        conversation: id of the one conversation to tell of; all when None.

    Raises:
        CorpusError: there is no such conversation.
    """
    record = sample.record
    corpus = sample._corpus
    number, row = corpus.place_of(sample.row)
    shard = corpus.manifest.shards[number]
    line = next(entry for entry in corpus.manifest.datasets if entry.slug == record.dataset)
    chosen = [c for c in sample.conversations if conversation is None or c.id == conversation]
    if conversation is not None and not chosen:
        known = ", ".join(c.id for c in sample.conversations) or "none"
        raise CorpusError(f"{sample.key} has no conversation {conversation!r}; it has: {known}")
    return {
        "key": record.key,
        "dataset": record.dataset,
        "title": line.title,
        "licence": line.licence,
        "split": record.split,
        "group": record.group,
        "spec_digest": line.spec_digest,
        "build_digest": line.digest,
        "shard": shard.path,
        "row": row,
        "source": [entry.model_dump() for entry in record.source],
        "media": [
            {
                "slot": medium.slot,
                "part": medium.part,
                "digest": medium.digest,
                "absent_reason": medium.absent_reason,
                "derived_from": medium.derived_from,
            }
            for medium in record.media
        ],
        "facts": [
            {
                "id": fact.id,
                "kind": fact.kind,
                "concept": fact.concept,
                "state": fact.state,
                "source": [citation.model_dump() for citation in fact.source],
                "by": fact.by,
                "from": fact.from_,
                "rule": fact.rule,
            }
            for fact in record.facts
        ],
        "conversations": [_told(entry) for entry in chosen],
    }


def _told(conversation: Conversation) -> dict[str, Any]:
    blocks = [block for turn in conversation.turns for block in turn.blocks]
    return {
        "id": conversation.id,
        "task": conversation.task,
        "lang": conversation.lang,
        "made_by": conversation.made_by.model_dump(),
        "templates": [turn.template for turn in conversation.turns],
        "keeps": conversation.keeps.model_dump(),
        "blocks": [
            {
                "type": block.type,
                "text": getattr(block, "text", block.type),
                "facts": getattr(block, "facts", []),
            }
            for block in blocks
        ],
    }
