"""A corpus that a command is given: what is not there is no damage."""

from __future__ import annotations

import click

from medshard.corpus.corpus import Corpus, open_corpus
from medshard.corpus.sample import CorpusSample
from medshard.errors import CorpusError, MedshardError, StorageError

__all__ = ["opened", "sample_of", "selected"]


def opened(url: str) -> Corpus:
    """The corpus at a folder or ``s3://`` address.

    Raises:
        StorageError: there is none.
        CorpusError: it is damaged, or of another version.
    """
    try:
        return open_corpus(url)
    except CorpusError as error:
        if isinstance(error.__cause__, StorageError):
            raise StorageError(str(error)) from error
        raise


def sample_of(corpus: Corpus, key: str) -> CorpusSample:
    """The sample of a key.

    Raises:
        MedshardError: there is none; names the nearest.
        CorpusError: the index is damaged.
    """
    _ = corpus.samples  # what is wrong with the index is said here, so that below only the key can be wrong
    try:
        return corpus.sample(key)
    except CorpusError as error:
        raise MedshardError(str(error)) from error


def selected(corpus: Corpus, where: str | None) -> Corpus:
    """The part of a corpus for which ``--where`` is true; all of it without one.

    Raises:
        click.BadParameter: the condition is not allowed, or names an unknown column.
        CorpusError: the index is damaged.
    """
    if where is None:
        return corpus
    _ = corpus.samples, corpus.items  # as above
    try:
        return corpus.select(where)
    except CorpusError as error:
        raise click.BadParameter(str(error).removeprefix("select: "), param_hint="--where") from error
