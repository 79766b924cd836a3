"""``corpus.json``: which dataset builds a corpus is made of, and where its shards are."""

from __future__ import annotations

import json

from pydantic import ValidationError

from medshard.errors import CorpusError
from medshard.record.base import Part

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "DatasetLine",
    "Manifest",
    "RenditionLine",
    "ShardLine",
    "TextLine",
    "VolumeLine",
]

FORMAT_VERSION = 1
"""Version of what a corpus looks like on disk."""

MANIFEST_NAME = "corpus.json"


class RenditionLine(Part):
    """A sibling of a shard: one level of its pictures, the same keys in the same order.

    Attributes:
        path: below the corpus.
        factor: by which its pictures are smaller on each side.
        parts: extensions that every sample has there.
    """

    path: str
    factor: int
    size_bytes: int
    sha256: str
    parts: list[str]


class ShardLine(Part):
    """One shard.

    Attributes:
        path: below the corpus.
        samples: their number.
        parts: extensions that every sample of the shard has, in order.
        renditions: its siblings, by factor.
    """

    path: str
    dataset: str
    split: str
    set: str
    samples: int
    size_bytes: int
    sha256: str
    parts: list[str]
    renditions: list[RenditionLine] = []


class VolumeLine(Part):
    """One volume's folder; ``sha256`` is over the paths and digests of its files."""

    path: str
    key: str
    size_bytes: int
    sha256: str


class DatasetLine(Part):
    """One dataset build.

    Attributes:
        folder: below the corpus.
        id_key_id: names the key under which identities became tokens.
        concept_sets: concepts that a scope's ``set:NAME`` holds.
    """

    slug: str
    title: str
    folder: str
    digest: str
    spec_digest: str
    licence: dict[str, str]
    id_key_id: str
    split_policy: str
    samples: int
    counts: dict[str, dict[str, int]]
    concept_sets: dict[str, list[str]]


class TextLine(Part):
    """The current text: within the shards, or a newer set beside them.

    Attributes:
        path: folder of the set below the corpus; null when the text is the one in the shards.
        files: sha256 of each file of the set, by name.
    """

    name: str
    digest: str
    path: str | None = None
    files: dict[str, str] = {}


class Manifest(Part):
    """The whole of ``corpus.json``.

    Attributes:
        index: sha256 of each index file, by name.
    """

    format: int
    datasets: list[DatasetLine]
    shards: list[ShardLine]
    volumes: list[VolumeLine]
    text: TextLine
    counts: dict[str, int]
    index: dict[str, str]

    def dump(self) -> bytes:
        """The file's bytes."""
        return (self.model_dump_json(indent=1) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes, where: str) -> Manifest:
        """From the file's bytes.

        Raises:
            CorpusError: not a manifest, or of a version that this medshard does not read.
        """
        try:
            version = json.loads(data).get("format")
        except (ValueError, AttributeError) as error:
            raise CorpusError(f"{where}/{MANIFEST_NAME} is not JSON; the corpus is damaged") from error
        if version != FORMAT_VERSION:
            raise CorpusError(f"{where}: the corpus has format {version}; this medshard reads {FORMAT_VERSION}")
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CorpusError(f"{where}/{MANIFEST_NAME}: {place}: {first['msg']}") from error
