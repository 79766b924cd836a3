"""Whether the parts of one sample agree with its record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from medshard.engine import decode_image
from medshard.errors import MedshardError
from medshard.record.check import check_sample
from medshard.record.sample import Media
from medshard.shards.sample_parts import PLAIN_EXTENSION, RECORD_EXTENSION, parse_record, plain_view

__all__ = ["verify_sample"]


def verify_sample(key: str, parts: Sequence[str], contents: Mapping[str, bytes]) -> list[str]:
    """What is wrong with a sample, in words.

    Args:
        key: what the index says that it is called.
        parts: extensions that the shard has.
        contents: the bytes of those parts that are not damaged.
    """
    if RECORD_EXTENSION not in contents:
        return []
    try:
        sample = parse_record(contents[RECORD_EXTENSION])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return [f"{key}.{RECORD_EXTENSION}: {place}: {first['msg']}"]
    problems = [f"{key}.{RECORD_EXTENSION}: {problem}" for problem in check_sample(sample)]
    if sample.key != key:
        problems.append(f"{key}.{RECORD_EXTENSION}: is the record of {sample.key}")
    if PLAIN_EXTENSION in contents and contents[PLAIN_EXTENSION] != plain_view(sample):
        problems.append(f"{key}.{PLAIN_EXTENSION}: the plain view is not that of the record")
    planes = {m.part: m for m in sample.media if m.part is not None and not m.part.startswith("volumes/")}
    stored = [part for part in parts if part not in (RECORD_EXTENSION, PLAIN_EXTENSION)]
    if sorted(planes) != sorted(stored):
        problems.append(f"{key}.{RECORD_EXTENSION}: names {sorted(planes)}, the shard has {sorted(stored)}")
    for part in stored:
        if part in planes and part in contents:
            problems += [f"{key}.{part}: {problem}" for problem in _verify_plane(planes[part], contents[part])]
    return problems


def _verify_plane(medium: Media, content: bytes) -> list[str]:
    if medium.digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
        return ["its sha256 is not the one in the record"]
    try:
        pixels = decode_image(content)
    except MedshardError as error:
        return [str(error)]
    stored = "uint16" if medium.dtype == "int16" else medium.dtype  # see shards.sample_parts.INT16_OFFSET
    if list(pixels.shape) != medium.shape or str(pixels.dtype) != stored:
        return [f"holds {list(pixels.shape)} {pixels.dtype}, the record says {medium.shape} {medium.dtype}"]
    return []
