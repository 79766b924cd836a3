"""The record: what one sample holds, from facts to conversation. Version 1."""

from medshard.record.base import Axes, Language, SourceRow
from medshard.record.conversation import Block, Conversation, Keeps, Turn
from medshard.record.facts import Fact
from medshard.record.sample import Media, Sample, Scope, Subject

__all__ = [
    "Axes",
    "Block",
    "Conversation",
    "Fact",
    "Keeps",
    "Language",
    "Media",
    "Sample",
    "Scope",
    "SourceRow",
    "Subject",
    "Turn",
]
