"""Whether the siblings of a shard hold levels of its pictures."""

from __future__ import annotations

import hashlib

import numpy as np

from medshard.corpus.corpus import Corpus
from medshard.corpus.manifest import MANIFEST_NAME, RenditionLine
from medshard.engine import crc32c, decode_image
from medshard.errors import CorpusError, MedshardError
from medshard.shards.renditions import reduced
from medshard.shards.tar import TarPart, read_tar

__all__ = ["verify_renditions"]

_JPEG_MEAN_DIFFERENCE = 4.0
"""Of 255, on average over a level's pixels; noise at quality 92 costs 1 to 2, another picture tens."""


def verify_renditions(
    corpus: Corpus, number: int, keys: list[str] | None, checked: dict[str, int], *, quick: bool
) -> list[str]:
    """What is wrong with the siblings of a shard, in words.

    Args:
        number: of the shard.
        keys: of its samples; None when the index cannot be trusted.
        quick: only digests and the places of parts, without pictures.
    """
    problems = []
    for place, level in enumerate(corpus.manifest.shards[number].renditions):
        try:
            data = bytes(corpus.storage.read(level.path))
            members = list(read_tar(data, level.path))
        except MedshardError as error:
            problems.append(f"{level.path}: {error}")
            continue
        checked["renditions"] += 1
        if hashlib.sha256(data).hexdigest() != level.sha256:
            problems.append(
                f"{level.path}: its sha256 is not the one in {MANIFEST_NAME}; it is damaged, cut off or replaced. "
                "Delete it and run medshard build again, which makes it anew."
            )
        if keys is not None:
            problems += _verify_members(corpus, number, place, level, keys, members, quick=quick)
    return problems


def _verify_members(
    corpus: Corpus,
    number: int,
    place: int,
    level: RenditionLine,
    keys: list[str],
    members: list[tuple[TarPart, bytes]],
    *,
    quick: bool,
) -> list[str]:
    if [part.name for part, _ in members] != [f"{key}.{extension}" for key in keys for extension in level.parts]:
        return [f"{level.path}: its members are not those of the index"]
    problems = []
    first = sum(shard.samples for shard in corpus.manifest.shards[:number])
    for index, (part, content) in enumerate(members):
        row, column = divmod(index, len(level.parts))
        stated = corpus.rendition_place(number, row, place, column)
        if (part.offset, part.size_bytes, crc32c(content)) != stated:
            problems.append(f"{level.path}: {part.name} is not what renditions.bin says")
        elif not quick:
            try:
                whole = bytes(corpus.read_part(first + row, level.parts[column]))
            except CorpusError:
                continue  # told of the shard itself
            problem = _differs(whole, content, level.factor)
            problems += [f"{level.path}: {part.name} {problem}"] if problem else []
    return problems


def _differs(whole: bytes, content: bytes, factor: int) -> str | None:
    """How a level is not that of its picture; the picture itself is looked at with its shard."""
    try:
        found = decode_image(content)
    except MedshardError as error:
        return f"cannot be decoded: {error}"
    try:
        expected = reduced(decode_image(whole), [factor])[factor]
    except MedshardError:
        return None
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"holds {list(found.shape)} {found.dtype}, not {list(expected.shape)} {expected.dtype}"
    apart = np.abs(found.astype(np.int64) - expected).mean()
    allowed = _JPEG_MEAN_DIFFERENCE if content[:2] == b"\xff\xd8" else 0.0
    return "is not a level of the stored picture" if apart > allowed else None
